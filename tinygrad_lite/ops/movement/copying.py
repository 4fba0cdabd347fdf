"""Copies and memory order: clone and contiguous."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import device_of, namespace_of, owner_of, to_device
from tinygrad_lite.arrays.errors import Refusal
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import copy
from tinygrad_lite.ops.typing import Tensor

__all__ = ["clone"]


@primitive
def moved(input, device):
    """`input` on another device."""
    return to_device(input, device)


moved.vjp(input=lambda g, input, device: moved(g, device_of(raw(input))))


@operation
def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy with its own memory; gradients pass through it.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([1.0, 2.0])
    >>> y = x.clone().zero_()
    >>> x
    tensor([1., 2.])
    """
    return copied_to("clone", input, memory_format)


_CHANNELS_LAST = {"channels_last": 4, "channels_last_3d": 5}


def _order_of(name: str, x: Any, memory_format: Any) -> str:
    """The `order` argument of `copy` for a memory format."""
    rank = _CHANNELS_LAST.get(memory_format)
    if rank is None:
        return "C" if memory_format == "contiguous_format" else "K"
    if len(x.shape) != rank:
        raise Refusal(
            f"the memory format {memory_format} is for tensors of {rank} dims, got {tuple(x.shape)}", function=name, got=tuple(x.shape)
        )
    return "channels last"


def copied_to(name: str, x: Any, memory_format: Any) -> Any:
    """A copy of `x` in a memory format."""
    return copy(x, x.dtype, _order_of(name, x, memory_format))


def unshared(out: Any, x: Any) -> Any:
    """`out`, or a contiguous copy if it may share memory with `x`."""
    a, b = raw(out), raw(x)
    return copied_to("clone", out, "contiguous_format") if a is b or owner_of(a) is owner_of(b) else out


@operation
def contiguous(input: Tensor, memory_format: Any = None) -> Tensor:
    """`input` with its elements in memory in the order of its dims ("channels_last": with dim 1 last); itself if they
    already are.

    >>> import tinygrad_lite as tg
    >>> x = tg.ones(2, 3).t()
    >>> x.is_contiguous(), x.contiguous().is_contiguous()
    (False, True)
    """
    array, order = raw(input), "C" if memory_format is None else _order_of("contiguous", input, memory_format)
    if order == "channels last":
        array = namespace_of(array).moveaxis(array, 1, -1)
    return input if array.flags.c_contiguous else copy(input, input.dtype, order)
