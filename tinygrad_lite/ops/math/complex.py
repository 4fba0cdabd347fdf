"""PyTorch's functions of complex numbers, for real tensors, so that programs for both kinds run."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays import default_float
from tinygrad_lite.arrays.errors import BadType
from tinygrad_lite.ops.arguments import operation
from tinygrad_lite.ops.calculus import to_dtype
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.typing import Tensor

__all__ = ["angle", "conj", "conj_physical", "real", "resolve_conj", "resolve_neg"]


def _of_real(x: Any) -> Any:
    if x.dtype.kind == "c":
        raise BadType(expected="real numbers", got=x.dtype, hint="x.array has them as NumPy takes them")
    return x


@operation
def angle(input: Tensor) -> Tensor:
    """The angle from the positive real axis: pi where `input` is negative, otherwise 0; nan for nan.

    >>> import tinygrad_lite as tg
    >>> tg.angle(tg.tensor([-1.0, 1.0]))
    tensor([3.1416, 0.0000])
    """
    input = to_dtype(_of_real(input), default_float(input.dtype))
    return where(input < 0, math.pi, where(input == input, 0.0, input))


@operation
def conj(input: Tensor) -> Tensor:
    """The complex conjugate; a real tensor is its own.

    >>> import tinygrad_lite as tg
    >>> tg.conj(tg.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    return _of_real(input)


@operation
def real(input: Tensor) -> Tensor:
    """The real part; a real tensor itself.

    >>> import tinygrad_lite as tg
    >>> tg.real(tg.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """
    return _of_real(input)


conj_physical = resolve_conj = resolve_neg = conj
