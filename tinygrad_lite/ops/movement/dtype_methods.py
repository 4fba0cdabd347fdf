"""The methods named for a dtype: `x.float()` and its like."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinygrad_lite.ops.movement.casting import to

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__: list[str] = []


def _cast(name: str, dtype: str) -> Callable[..., Tensor]:
    def method(input: Tensor, memory_format: Any = None) -> Tensor:
        return to(input, dtype=dtype, memory_format=memory_format)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"This tensor in {dtype}."
    return method


double = _cast("double", "float64")
float = _cast("float", "float32")
half = _cast("half", "float16")
long = _cast("long", "int64")
int = _cast("int", "int32")
short = _cast("short", "int16")
char = _cast("char", "int8")
byte = _cast("byte", "uint8")
bool = _cast("bool", "bool")
