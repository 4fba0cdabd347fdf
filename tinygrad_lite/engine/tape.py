"""The tape: its nodes, and a tensor's position on it.

A `Node` is one recorded operation, a `Leaf` one tensor whose gradient is needed. Edges (a node's `parents`) point at nodes,
never at tensors; a tensor points at its node. So there are no reference cycles, and dropping the last tensor of a graph
frees all of it at once.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from tinygrad_lite.arrays.changes import tick
from tinygrad_lite.arrays.hooks import Hooked


class Traced:
    """An array and its position on the tape: what the engine knows of a Tensor."""

    __slots__ = ("__weakref__", "_grad", "array", "base", "former", "node", "views")

    array: Any  # a NumPy or CuPy array
    node: Node | Leaf | None  # None if no gradient is needed
    base: Any  # the tensor whose memory this one is a view of
    views: Any  # weak references to the tensors that are views of this one
    former: Leaf  # set once `requires_grad` has been switched off
    _grad: Any  # the value of `.grad`

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Every result is of `result_class`, whose methods the engine does not know."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        self = object.__new__(cls)
        self.node = self._grad = self.base = self.views = None
        return self


result_class: type[Traced] = Traced


def results_are(tensor_class: type[Traced]) -> None:
    """Set the class of every result. The module of Tensor calls this once, so that the engine's results have its operators
    and methods without the engine importing them."""
    global result_class
    result_class = tensor_class


def traced(array: Any, node: Node | Leaf | None = None) -> Any:
    """A tensor around an array."""
    tensor = object.__new__(result_class)
    tensor.array, tensor.node = array, node
    tensor._grad = tensor.base = tensor.views = None
    return tensor


class Entry(Hooked):
    """Base of nodes and leaves."""

    __slots__ = ()

    name: Any
    parents: Any  # the nodes of the inputs that need a gradient, in the order of the plan's rules
    saved: Any  # the values that the rules name; None once freed
    index: int  # when it was recorded; 0 for a leaf
    shape: Any  # the shape of the result, or of each of several
    dtype: Any

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def next_functions(self) -> tuple[tuple[Entry, int], ...]:
        """The nodes to which this one's gradient flows, in PyTorch's form."""
        return tuple((parent, 0) for parent in self.parents)


class Node(Entry):
    """One operation on the tape. Observers may set `line` (where in the program it was recorded) and `nan`."""

    __slots__ = ("dtype", "hooks", "index", "line", "nan", "parents", "plan", "saved", "shape")

    plan: Any  # which rules to call, and with which saved values
    line: str
    nan: str
    after = None  # a Leaf may have hooks here

    @property
    def name(self) -> str:
        return self.plan.name


class Leaf(Entry):
    """The node of a tensor that the user created: gradients end here."""

    __slots__ = ("after", "array", "closed", "dtype", "grad", "hooks", "shape", "tensor")

    index = 0
    parents: tuple[()] = ()
    saved: tuple[()] = ()
    name = "leaf"
    after: Any  # functions of the tensor, called once its `.grad` has been added to
    array: Any  # the tensor's, kept for them even if the program drops the tensor,
    grad: Any  # with what has arrived since

    def __init__(self, tensor: Traced):
        self.tensor = weakref.ref(tensor)
        self.shape = tensor.array.shape
        self.dtype = tensor.array.dtype
        self.hooks = self.after = self.array = self.grad = None
        self.closed = False  # True for the input of a transform that has returned, whose gradient can no longer be requested


new = object.__new__


def entry(plan: Any, parents: Any, saved: Any, shape: Any, dtype: Any) -> Node:
    """A new node, the newest on the tape."""
    node = new(Node)
    node.plan, node.parents, node.saved = plan, parents, saved
    node.index, node.shape, node.dtype, node.hooks = tick(), shape, dtype, None
    return node
