"""Conversion to another dtype or device."""

from __future__ import annotations

import builtins
from typing import Any

from tinygrad_lite.arrays import Device, as_dtype, device_of, get_default_dtype, to_device
from tinygrad_lite.arrays.kernels.layout import channels_come_last
from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.ops.arguments import raw
from tinygrad_lite.ops.calculus import to_dtype
from tinygrad_lite.ops.creation.conversion import LEGACY
from tinygrad_lite.ops.movement.copying import clone, contiguous, copied_to, moved
from tinygrad_lite.ops.typing import Tensor


def to(
    input: Tensor, *args: Any, dtype: Any = None, device: Any = None, non_blocking: bool = False, copy: bool = False,
    memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """This tensor in another dtype, on another device, or both as in another tensor; itself if nothing changes (unless
    `copy`). `non_blocking` has no effect.

    >>> import tinygrad_lite as tg
    >>> tg.tensor([1, 2]).to(tg.float64).dtype
    dtype('float64')
    """
    if len(args) > 2:  # device or dtype, non_blocking, copy
        copy = copy or [argument for argument in args if isinstance(argument, builtins.bool)][1:] == [True]
    for argument in args:
        if isinstance(argument, Traced):
            dtype, device = argument.dtype, argument.device
        elif isinstance(argument, builtins.bool):
            continue
        elif isinstance(argument, (builtins.int, Device)) or _names_a_device(argument):
            device = argument
        elif argument is not None:
            dtype = argument
    result = input
    if dtype is not None and (dtype := as_dtype(dtype)) != input.dtype:
        result = to_dtype(result, dtype)
    if device is not None and to_device(result.array, device) is not result.array:
        result = moved(result, device)
    if copy and result is input:
        return clone(input, memory_format=memory_format)
    if memory_format is None or memory_format == "preserve_format":
        return result
    if memory_format == "contiguous_format" and result is not input:
        return contiguous(result)
    if channels_come_last(raw(result)) == (memory_format != "contiguous_format"):  # any other order counts as contiguous
        return result
    return copied_to("to", result, memory_format)


def _names_a_device(name: Any) -> bool:
    return isinstance(name, str) and name.partition(":")[0] in ("cpu", "cuda")


def type(input: Tensor, dtype: Any = None) -> Any:
    """This tensor in another dtype; without one, the name of its dtype.

    >>> import tinygrad_lite as tg
    >>> tg.ones(2).type()
    'tinygrad_lite.float32'
    """
    if isinstance(dtype, builtins.type) and issubclass(dtype, Traced):  # Tensor itself
        dtype = get_default_dtype()
    elif isinstance(dtype, str):  # also "torch.cuda.FloatTensor", which a program may have stored
        *place, name = dtype.split(".")
        dtype = LEGACY.get(name, name)
        input = cuda(input) if "cuda" in place else input
    return f"tinygrad_lite.{input.dtype}" if dtype is None else to(input, dtype)


def type_as(input: Tensor, other: Tensor) -> Tensor:
    """This tensor in the dtype of `other`.

    >>> import tinygrad_lite as tg
    >>> tg.tensor([1.7]).type_as(tg.tensor([1]))
    tensor([1])
    """
    return to(input, other.dtype)


def cpu(input: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor on the CPU.

    >>> import tinygrad_lite as tg
    >>> tg.ones(2).cpu().device
    device(type='cpu')
    """
    return to(input, device="cpu", memory_format=memory_format)


def cuda(input: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    """This tensor on a GPU: the current one, or the one with the given number or name."""
    return to(input, device="cuda" if device is None else device)


def get_device(input: Tensor) -> int:
    """The number of this tensor's GPU; -1 for the CPU."""
    device = device_of(input.array)
    return -1 if device.type == "cpu" else device.index or 0


def pin_memory(input: Tensor) -> Tensor:
    """This tensor itself: NumPy's memory is pageable."""
    return input
