"""When memory was last changed in place, and by which operation.

A rule may need an array that was changed since it was saved; whoever reads it asks here, and refuses.
"""

from __future__ import annotations

import itertools
import sys
import weakref
from typing import Any

from tinygrad_lite.arrays.devices import is_array
from tinygrad_lite.arrays.memory import address_range, counter_of

# One clock: changes in place take their time from it, and so does whatever saves arrays (the entries of
# the tape). An array was changed after it was saved just where the change's tick is the larger.
tick = itertools.count(1).__next__

# The changes of each piece of memory that was ever changed in place. Entries go when the memory
# does. Ordinary operations neither read nor write this.
_changes: dict[int, _Changes] = {}
_last_change = 0

Span = tuple[int, int]
_WHOLE = (0, sys.maxsize)  # the span of all of an array's memory


class _Changes:
    """When each span of one piece of memory was last changed, and by which operation."""

    __slots__ = ("limit", "memory", "spans")

    def __init__(self, memory: Any):
        key = id(memory)
        self.memory = weakref.ref(memory, lambda _: _changes.pop(key, None))
        self.spans: dict[Span, tuple[int, str]] = {}
        self.limit = 64  # of spans

    def join(self) -> None:
        """Make one of spans that touch; where that leaves too many, one of all."""
        joined: dict[Span, tuple[int, str]] = {}
        first, last, latest = -1, -1, (0, "")
        for (start, end), change in sorted(self.spans.items()):
            if joined and start <= last:
                del joined[first, last]
                last, latest = max(last, end), max(latest, change)
            else:
                first, last, latest = start, end, change
            joined[first, last] = latest
        if len(joined) > self.limit // 2:
            joined = {_WHOLE: max(joined.values())}
        self.spans.clear()
        self.spans.update(joined)


def _changes_of(array: Any) -> _Changes:
    memory = array if array.base is None else counter_of(array)
    changes = _changes.get(id(memory))
    if changes is None:
        _changes[id(memory)] = changes = _Changes(memory)
    return changes


def _span(array: Any) -> Span:
    """The addresses that `array` touches; an array that owns its memory needs no arithmetic."""
    return _WHOLE if array.base is None else address_range(array)


def changed_in_place(array: Any, operation: str) -> None:
    """Put on record that the memory of `array` has just been overwritten."""
    global _last_change
    changes, span = _changes_of(array), _span(array)
    spans = changes.spans
    if len(spans) >= changes.limit and span not in spans:
        changes.join()
    _last_change = tick()
    spans[span] = _last_change, operation


def places_of_change(arrays: list[Any]) -> list[tuple[dict[Span, tuple[int, str]], Span]]:
    """Where changes of `arrays` are put on record, for `changed_again`; valid while they live. However
    many they are, they are told apart."""
    places = []
    for array in arrays:
        changes, span = _changes_of(array), _span(array)
        changes.limit += span not in changes.spans
        changed_in_place(array, "")
        places.append((changes.spans, span))
    return places


def changed_again(places: list[tuple[dict[Span, tuple[int, str]], Span]], operation: str) -> None:
    """`changed_in_place` for arrays whose places are known: 0.1 us an array instead of 3 us, which
    an optimizer's step with hundreds of parameters would notice."""
    global _last_change
    _last_change = tick()
    change = _last_change, operation
    for entries, span in places:
        entries[span] = change


def last_change() -> int:
    """The tick of the latest change in place of any array."""
    return _last_change


def change_since(array: Any, index: int) -> str | None:
    """The operation that changed the memory of `array` after tick `index`, if one did."""
    changes = _changes.get(id(counter_of(array)))
    if changes is not None:
        start, end = _span(array)
        for (first, last), (when, operation) in changes.spans.items():
            if when > index and first < end and start < last:
                return operation
    return None


def refuse_changed(names: Any, values: Any, index: int, operation: str) -> None:
    """Refuse to read `values`, which the gradient of `operation` needs, where one was changed in place after tick `index`."""
    for name, value in zip(names, values):
        for array in value if type(value) is tuple else (value,):
            change = change_since(array, index) if is_array(array) else None
            if change is not None:
                what = "its result" if name == "out" else f"its argument {name!r}"
                raise RuntimeError(
                    f"backward: the gradient of {operation} needs {what} of shape {array.shape}, which {change} "
                    "has changed in place since; clone the tensor first, or use the form that is not in place"
                )
