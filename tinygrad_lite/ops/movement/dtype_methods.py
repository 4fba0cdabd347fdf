"""Methods named after a dtype, such as `x.float()`."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.ops.movement.casting import to
from tinygrad_lite.ops.typing import Tensor


def double(input: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor in float64."""
    return to(input, dtype="float64", memory_format=memory_format)


def float(input: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor in float32."""
    return to(input, dtype="float32", memory_format=memory_format)


def half(input: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor in float16."""
    return to(input, dtype="float16", memory_format=memory_format)


def long(input: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor in int64."""
    return to(input, dtype="int64", memory_format=memory_format)


def int(input: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor in int32."""
    return to(input, dtype="int32", memory_format=memory_format)


def short(input: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor in int16."""
    return to(input, dtype="int16", memory_format=memory_format)


def char(input: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor in int8."""
    return to(input, dtype="int8", memory_format=memory_format)


def byte(input: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor in uint8."""
    return to(input, dtype="uint8", memory_format=memory_format)


def bool(input: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor in bool."""
    return to(input, dtype="bool", memory_format=memory_format)
