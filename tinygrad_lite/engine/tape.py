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

from tinygrad_lite.arrays import address_range
from tinygrad_lite.arrays.memory import counter_of
from tinygrad_lite.engine.handles import Hookable

# The clock of the tape. Nodes take their index from it, and so do changes in place: an array was
# changed after a node saved it just where the change's tick is the larger.
tick = itertools.count(1).__next__


class Traced:
    """An array and its place on the tape.

    `array`: a NumPy or CuPy array. `node`: the operation that made it, a Leaf, or None where no
    gradient is needed. `grad`. `base`: the tensor whose memory this one is a view of. `views`: weak
    references to the tensors that are views of this one. `former`: the Leaf of a tensor whose
    `requires_grad` was switched off (unset otherwise).
    """

    __slots__ = ("__weakref__", "_grad", "array", "base", "former", "node", "views")

    array: Any
    node: Node | Leaf | None
    base: Any
    _grad: Any  # what `.grad` shows
    views: Any
    former: Leaf

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Every result is of `result_class`, whose methods the engine does not know."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = object.__new__(cls)
        self.node = self._grad = self.base = self.views = None
        return self


class Node(Hookable):
    """One operation on the tape."""

    __slots__ = ("dtype", "hooks", "index", "line", "nan", "parents", "plan", "saved", "shape")

    plan: Any  # which rules to call, and which saved values each is given (see plan.py)
    parents: Any  # the nodes of the inputs that need a gradient, in the order of the plan's rules
    saved: Any  # the values that the rules name; None once freed
    index: int
    shape: Any
    dtype: Any
    hooks: Any  # functions of the gradient, or None
    line: str  # where in the program; set only under `tape_lines()`
    nan: str  # whether the result has one, and where from; set only under `detect_anomaly()`
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
    """The place on the tape of a tensor that the user made: gradients end here.

    `array`: the tensor's, kept only where there are hooks to call after its gradient has arrived, which
    need a tensor even if the program holds it no more; `grad`: what has arrived since then. `closed`: the leaf is the input of a transform
    (see func.py) that has returned, so that nobody can ask for its gradient.
    """

    __slots__ = ("after", "array", "closed", "dtype", "grad", "hooks", "shape", "tensor")

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
        self.array: Any = None
        self.grad: Any = None
        self.closed = False

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
    change of the other (see ops/movement/inplace.py)."""
    memory, other = view.array.base, source.array
    owner = other.base
    if memory is None or (memory is not other and memory is not owner):
        return  # a reshape that had to copy
    base = None if owner is None else source.base
    add_view(source if base is None else base, view)


def add_view(base: Any, view: Traced) -> None:
    """Remember that `view` shows memory of `base`, which is itself no view."""
    view.base = base
    views = base.views
    if views is None:
        base.views = views = []
    # References with a callback that takes them out again would cost a microsecond more.
    views.append(weakref.ref(view))
    if len(views) > 16 and not len(views) & (len(views) - 1):
        views[:] = [reference for reference in views if reference() is not None]


# -- changes in place ---------------------------------------------------------------------------

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
