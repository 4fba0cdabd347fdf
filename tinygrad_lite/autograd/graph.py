"""Hooks on saved tensors, and positions on the tape."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

from tinygrad_lite.arrays import device_of, is_array, namespace_for, on_device
from tinygrad_lite.autograd.function import Context
from tinygrad_lite.autograd.multi_grad_hook import register_multi_grad_hook
from tinygrad_lite.autograd.observing import observe, observe_no_more
from tinygrad_lite.engine.context import Observer
from tinygrad_lite.engine.tape import Leaf, Node, Traced, traced

__all__ = [
    "GradientEdge", "Node", "disable_saved_tensors_hooks", "get_gradient_edge", "register_multi_grad_hook",
    "save_on_cpu", "saved_tensors_hooks",
]  # fmt: skip


class GradientEdge(NamedTuple):
    """A position on the tape, in PyTorch's form."""

    node: Node | Leaf
    output_nr: int = 0
    device: Any = None  # the device of its gradient

    def as_traced(self) -> Any:
        """The tensor at this position, or a stand-in."""
        node = self.node
        tensor = node.tensor() if type(node) is Leaf else None
        if tensor is not None:
            return tensor
        xp = namespace_for(self.device)
        with on_device(self.device):
            return traced(xp.broadcast_to(xp.zeros((), node.dtype), node.shape), node)  # the memory of one element, whatever the shape


def get_gradient_edge(tensor: Traced) -> GradientEdge:
    """A tensor's position on the tape, without its array; `grad` and `backward` accept it in place of the tensor.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> tg.autograd.grad((x * x).sum(), get_gradient_edge(x))
    (tensor([2., 4.]),)
    """
    if tensor.node is None:
        raise RuntimeError("get_gradient_edge: this tensor does not require grad")
    return GradientEdge(tensor.node, device=device_of(tensor.array))


class saved_tensors_hooks(Observer):
    """Inside this block, save `pack_hook(tensor)` instead of each array that backward needs, and call `unpack_hook(packed)`
    to get the tensor back. In nested blocks, the innermost hooks apply. Packed tensors are not checked for in-place
    changes.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> with saved_tensors_hooks(lambda t: t.half(), lambda t: t.float()):
    ...     y = x.exp()
    >>> y.sum().backward()
    >>> x.grad
    tensor([2.7188, 7.3906])
    """

    packs = True

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]):
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        refusals = _refusals.get()
        if refusals:
            raise RuntimeError(refusals[-1])
        _in_force.set(_in_force.get() + 1)
        observe(self)

    def __exit__(self, *exception: object) -> None:
        observe_no_more(self)
        _in_force.set(_in_force.get() - 1)

    def recorded(self, node: Node, arguments: Any, result: Any) -> None:
        if type(node.saved) is not _Packed:  # already packed by an inner block
            node.saved = _Packed(node.saved, self.pack_hook, self.unpack_hook)


class save_on_cpu(saved_tensors_hooks):
    """Inside this block, tensors saved for backward are kept in CPU memory.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([3.0], requires_grad=True)
    >>> with save_on_cpu():
    ...     y = x * x
    >>> y.backward()
    >>> x.grad
    tensor([6.])
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda"):
        super().__init__(lambda t: (t.device, t.cpu()), lambda packed: packed[1].to(packed[0]))


# Per thread: how many hook blocks are active, and why they are disabled.
_in_force: ContextVar[int] = ContextVar("saved_tensors_hooks", default=0)
_refusals: ContextVar[tuple[str, ...]] = ContextVar("disable_saved_tensors_hooks", default=())


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Refuse `saved_tensors_hooks` inside this block, with this message."""
    if _in_force.get():
        raise RuntimeError(error_message)
    outside = _refusals.get()
    _refusals.set((*outside, error_message))
    try:
        yield
    finally:
        _refusals.set(outside)


class _Packed:
    """Packed saved values, unpacked as they are read. Backward sees an ordinary sequence and need not know about packing."""

    def __init__(self, saved: Any, pack: Callable[[Any], Any], unpack: Callable[[Any], Any]):
        self.pack, self.unpack = pack, unpack
        self.values = [self._packed(value) for value in saved]

    def __iter__(self) -> Iterator[Any]:
        return map(self._unpacked, self.values)

    def __getitem__(self, place: Any) -> Any:
        found = self.values[place]
        return [self._unpacked(value) for value in found] if isinstance(place, slice) else self._unpacked(found)

    def _packed(self, value: Any) -> Any:
        if is_array(value):
            return _Handle(self.pack(traced(value)))
        if isinstance(value, Traced):  # saved by a Function
            return _Handle(self.pack(traced(value.array)), value.node, True)
        if type(value) is tuple:
            return tuple(map(self._packed, value))
        if isinstance(value, Context) and type(value._saved) is list:
            value._saved = _Packed(value._saved, self.pack, self.unpack)
        return value

    def _unpacked(self, value: Any) -> Any:
        if type(value) is tuple:
            return tuple(map(self._unpacked, value))
        if type(value) is not _Handle:
            return value
        tensor = self.unpack(value.packed)
        if not isinstance(tensor, Traced):
            raise TypeError(f"saved_tensors_hooks: expected unpack_hook to return a Tensor, got {type(tensor).__name__}")
        return traced(tensor.array, value.node) if value.is_tensor else tensor.array


class _Handle:
    __slots__ = ("is_tensor", "node", "packed")

    def __init__(self, packed: Any, node: Node | Leaf | None = None, is_tensor: bool = False):
        self.packed, self.node, self.is_tensor = packed, node, is_tensor
