"""The tape: its entries, and a tensor's place on it.

A `Node` is one recorded operation, a `Leaf` one tensor whose gradient is wanted. Edges (a node's
`parents`) point at nodes, never at tensors; a tensor points at its node. So nothing points back,
and dropping the last tensor of a graph frees all of it at once.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinygrad_lite.arrays.changes import tick

# -- a tensor's place -----------------------------------------------------------------------------


class Traced:
    """An array and its place on the tape: what the engine knows of a Tensor.

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


result_class: type[Traced] = Traced


def results_are(tensor_class: type[Traced]) -> None:
    """Name the class of every recorded result. `_tensor.py` calls this once; it is how operators
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
    """Remember that `view` shows `source`'s memory, if it does: a change in place of one is a change of the other."""
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


# -- entries --------------------------------------------------------------------------------------


class RemovableHandle:
    """Takes a hook out again: `handle.remove()`, or leaving a `with` block.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([3.0], requires_grad=True)
    >>> with x.register_hook(lambda g: g * 10):
    ...     (x * 1).backward()
    >>> x.grad
    tensor([10.])
    """

    def __init__(self, hooks: dict[Any, Any]):
        self._hooks = hooks
        self.id = object()  # the hook's key: the handle itself as one would close a circle

    def remove(self) -> None:
        self._hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


class Entry:
    """An entry of the tape: what nodes and leaves have in common."""

    __slots__ = ()

    name: Any
    parents: Any  # the nodes of the inputs that need a gradient, in the order of the plan's rules
    saved: Any  # the values that the rules name; None once freed
    index: int  # when it was recorded; a leaf's is 0
    shape: Any  # of the result, or of each of several
    dtype: Any
    hooks: Any  # functions of the gradient, or None

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def next_functions(self) -> tuple[tuple[Entry, int], ...]:
        """The entries that this one's gradient flows to, as PyTorch spells them."""
        return tuple((parent, 0) for parent in self.parents)

    def add_hook(self, hook: Callable[[Any], Any]) -> RemovableHandle:
        """Call `hook(gradient)` when the gradient of this entry is known."""
        hooks = self.hooks = {} if self.hooks is None else self.hooks
        handle = RemovableHandle(hooks)
        retain = hooks.pop("retain", None)
        hooks[handle.id] = hook
        if retain is not None:  # what is retained is what the hooks made of it
            hooks["retain"] = retain
        return handle

    def register_prehook(self, fn: Callable[[tuple[Any, ...]], Any]) -> RemovableHandle:
        """Call `fn((gradient,))` before this operation's rules are; the tuple that it returns, if any, replaces it.

        >>> import tinygrad_lite as tg
        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> y = x * x
        >>> handle = y.grad_fn.register_prehook(lambda gradients: (10 * gradients[0],))
        >>> y.sum().backward()
        >>> x.grad
        tensor([20., 40.])
        """

        def alone(g: Any) -> Any:
            returned = fn((g,))
            return returned[0] if isinstance(returned, tuple) else returned

        return self.add_hook(alone)


class Node(Entry):
    """One operation on the tape. `plan`: which rules to call, and which saved values each is given.

    `line`, `nan`: where in the program it was recorded, and what of a nan; set by observers only.
    """

    __slots__ = ("dtype", "hooks", "index", "line", "nan", "parents", "plan", "saved", "shape")

    plan: Any
    line: str
    nan: str
    after = None  # a Leaf has functions there

    @property
    def name(self) -> str:
        return self.plan.name


class Leaf(Entry):
    """The place on the tape of a tensor that the user made: gradients end here.

    `after`: functions of the tensor, called when its `.grad` was added to. `array`: the tensor's, kept only where
    there are such, which need a tensor even if the program holds it no more; `grad`: what has arrived since then.
    `closed`: the leaf is the input of a transform that has returned, so that nobody can ask for its gradient.
    """

    __slots__ = ("after", "array", "closed", "dtype", "grad", "hooks", "shape", "tensor")

    index = 0
    parents: tuple[()] = ()
    saved: tuple[()] = ()
    name = "leaf"
    after: Any
    array: Any
    grad: Any

    def __init__(self, tensor: Traced):
        self.tensor = weakref.ref(tensor)
        self.shape = tensor.array.shape
        self.dtype = tensor.array.dtype
        self.hooks = self.after = self.array = self.grad = None
        self.closed = False


new = object.__new__


def entry(plan: Any, parents: Any, saved: Any, shape: Any, dtype: Any) -> Node:
    """A new entry, the newest on the tape."""
    node = new(Node)
    node.plan, node.parents, node.saved = plan, parents, saved
    node.index, node.shape, node.dtype, node.hooks = tick(), shape, dtype, None
    return node
