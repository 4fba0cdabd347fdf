"""Views: a tensor knows its `base`, whose memory it shares, and the base knows its `views`."""

from __future__ import annotations

import weakref
from typing import Any


def register_view(view: Any, source: Any) -> None:
    """Record that `view` shares `source`'s memory, if it does: an in-place change of one changes the other."""
    memory, other = view.array.base, source.array
    owner = other.base
    if memory is None or (memory is not other and memory is not owner):
        return  # a reshape that copied
    add_view(source if source.base is None else source.base, view)


def add_view(base: Any, view: Any) -> None:
    """Record that `view` shares the memory of `base`, which is not itself a view."""
    view.base = base
    views = base.views
    if views is None:
        base.views = views = []
    views.append(weakref.ref(view))  # a callback that removes it would cost a microsecond more
    if len(views) > 16 and not len(views) & (len(views) - 1):
        views[:] = [reference for reference in views if reference() is not None]
