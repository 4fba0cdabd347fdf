"""Who is told of each operation that is recorded."""

from __future__ import annotations

from collections.abc import Callable

from tinygrad_lite.autograd import primitive as _primitive
from tinygrad_lite.autograd.node import Node

_listeners: list[Callable[[Node], None]] = []


def listen(note: Callable[[Node], None]) -> None:
    """From now on call `note(node)` for each operation recorded, before those who listened already."""
    _listeners.insert(0, note)
    _primitive.on_record = _tell


def listen_no_more(note: Callable[[Node], None]) -> None:
    """Undo one `listen(note)`."""
    _listeners.remove(note)
    _primitive.on_record = _tell if _listeners else None


def _tell(node: Node) -> None:
    for note in _listeners:
        note(node)
