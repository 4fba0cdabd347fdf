"""The entries of the tape, and what the engine needs to know of a Tensor.

A `Node` is one recorded operation, a `Leaf` one tensor whose gradient is wanted. Edges (a node's
`parents`) point at nodes, never at tensors; a tensor points at its node. So nothing points back,
and dropping the last tensor of a graph frees all of it at once.
"""

from __future__ import annotations

import itertools
import sys
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from tinygrad_lite.arrays import address_range, owner_of
from tinygrad_lite.autograd.handles import Hookable

# The clock of the tape. Nodes take their index from it, and so do changes in place: an array was
# changed after a node saved it just where the change's tick is the larger.
tick = itertools.count(1).__next__


class Traced:
    """An array and its place on the tape.

    `array`: a NumPy or CuPy array. `node`: the operation that made it, a Leaf, or None where no
    gradient is needed. `grad`. `base`: the tensor whose memory this one is a view of. `views`: weak
    references to the tensors that are views of this one.
    """

    __slots__ = ("__weakref__", "_grad", "array", "base", "node", "views")

    array: Any
    node: Node | Leaf | None
    base: Any
    _grad: Any  # what `.grad` shows
    views: Any

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Every result is of `result_class`, whose methods the engine does not know."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = object.__new__(cls)
        self.node = self._grad = self.base = self.views = None
        return self


class Node(Hookable):
    """One operation on the tape."""

    __slots__ = ("dtype", "hooks", "index", "line", "parents", "plan", "saved", "shape")

    plan: Any  # which rules to call, and which saved values each is given (see plan.py)
    parents: Any  # the nodes of the inputs that need a gradient, in the order of the plan's rules
    saved: Any  # the values that the rules name; None once freed
    index: int
    shape: Any
    dtype: Any
    hooks: Any  # functions of the gradient, or None
    line: str  # where in the program; set only under `tape_lines()`
    after = None  # a Leaf has functions there

    @property
    def name(self) -> str:
        return self.plan.name

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def next_functions(self) -> tuple[tuple[Node | Leaf, int], ...]:
        """The entries that this one's gradient flows to, as PyTorch spells them."""
        return tuple((parent, 0) for parent in self.parents)


class Leaf(Hookable):
    """The place on the tape of a tensor that the user made: gradients end here."""

    __slots__ = ("after", "dtype", "hooks", "shape", "tensor")

    index = 0
    parents: tuple[()] = ()
    saved: tuple[()] = ()
    next_functions: tuple[()] = ()
    name = "leaf"

    def __init__(self, tensor: Traced):
        self.tensor = weakref.ref(tensor)
        self.shape = tensor.array.shape
        self.dtype = tensor.array.dtype
        self.hooks: Any = None
        self.after: Any = None  # functions of the tensor, called when its .grad was added to

    def __repr__(self) -> str:
        return "<leaf>"


class GradientEdge(NamedTuple):
    """A place on the tape, as PyTorch spells it."""

    node: Node | Leaf
    output_nr: int = 0
    device: Any = None  # where its gradient goes


# -- results ------------------------------------------------------------------------------------

result_class: type[Traced] = Traced


def results_are(tensor_class: type[Traced]) -> None:
    """Name the class of every recorded result. `tensor.py` calls this once; it is how operators
    and methods reach the engine's results without the engine importing them."""
    global result_class
    result_class = tensor_class


def traced(array: Any, node: Node | Leaf | None = None) -> Any:
    """A tensor around an array."""
    tensor = object.__new__(result_class)
    tensor.array, tensor.node = array, node
    tensor._grad = tensor.base = tensor.views = None
    return tensor


def register_view(view: Traced, source: Traced) -> None:
    """Remember that `view` shows `source`'s memory, if it does: a change in place of one is a
    change of the other (see ops/inplace.py)."""
    memory, other = view.array.base, source.array
    owner = other.base
    if memory is None or (memory is not other and memory is not owner):
        return  # a reshape that had to copy
    base = None if owner is None else source.base
    view.base = base = source if base is None else base
    views = base.views
    if views is None:
        base.views = views = []
    # References with a callback that takes them out again would cost a microsecond more.
    views.append(weakref.ref(view))
    if len(views) > 16 and not len(views) & (len(views) - 1):
        views[:] = [reference for reference in views if reference() is not None]


# -- changes in place ---------------------------------------------------------------------------

# For each piece of memory that was ever changed in place: when, and by which operation. Entries
# go when the memory does. Ordinary operations neither read nor write this.
_changes: dict[int, tuple[Any, dict[tuple[int, int], tuple[int, str]]]] = {}
_last_change = 0


_WHOLE = (0, sys.maxsize)  # the span of all of an array's memory


def _span(array: Any) -> tuple[int, int]:
    """The addresses that `array` touches; an array that owns its memory needs no arithmetic."""
    return _WHOLE if array.base is None else address_range(array)


def changed_in_place(array: Any, operation: str) -> None:
    """Put on record that the memory of `array` has just been overwritten."""
    global _last_change
    owner = array if array.base is None else owner_of(array)
    key = id(owner)
    if key not in _changes:
        _changes[key] = weakref.ref(owner, lambda _: _changes.pop(key, None)), {}
    spans = _changes[key][1]
    if len(spans) > 64:  # as many views, each changed: from here on they count as one
        spans.clear()
        spans[_WHOLE] = _last_change, operation
    _last_change = tick()
    spans[_span(array)] = _last_change, operation


def places_of_change(arrays: list[Any]) -> list[tuple[dict[tuple[int, int], tuple[int, str]], tuple[int, int]]]:
    """Where changes of `arrays` are put on record, for `changed_again`; valid while they live."""
    for array in arrays:
        changed_in_place(array, "")
    return [(_changes[id(owner_of(array))][1], _span(array)) for array in arrays]


def changed_again(places: list[tuple[dict[tuple[int, int], tuple[int, str]], tuple[int, int]]], operation: str) -> None:
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
    entry = _changes.get(id(owner_of(array)))
    if entry is not None:
        start, end = _span(array)
        for (first, last), (when, operation) in entry[1].items():
            if when > index and first < end and start < last:
                return operation
    return None
