"""What PyTorch has for complex numbers, of real ones: programs that take both call it."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays import default_float
from tinygrad_lite.ops.calculus import to_dtype
from tinygrad_lite.ops.calling import operation
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.typing import Tensor

__all__ = ["angle", "conj", "conj_physical", "real", "resolve_conj", "resolve_neg"]


def _of_real(name: str, x: Any) -> Any:
    if x.dtype.kind == "c":
        raise TypeError(f"{name}: expected real numbers, got {x.dtype}; x.array has them as NumPy takes them")
    return x


@operation
def angle(input: Tensor) -> Tensor:
    """The angle from the positive half of the real line: pi where `input` is negative, 0 elsewhere, nan for nan.

    >>> import tinygrad_lite as tg
    >>> tg.angle(tg.tensor([-1.0, 1.0]))
    tensor([3.1416, 0.0000])
    """
    input = to_dtype(_of_real("angle", input), default_float(input.dtype))
    return where(input < 0, math.pi, where(input == input, 0.0, input))


@operation
def conj(input: Tensor) -> Tensor:
    """The complex conjugate: of real numbers, `input` itself.

    >>> import tinygrad_lite as tg
    >>> tg.conj(tg.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    return _of_real("conj", input)


@operation
def real(input: Tensor) -> Tensor:
    """The real part: of real numbers, `input` itself.

    >>> import tinygrad_lite as tg
    >>> tg.real(tg.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    return _of_real("real", input)


conj_physical = resolve_conj = resolve_neg = conj
