"""What the functions of matrices share: checks, errors, and what is on the tape."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_lite.arrays import is_array
from tinygrad_lite.engine.context import is_grad_enabled
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.comparison import where


class LinAlgError(RuntimeError, np.linalg.LinAlgError):
    """A matrix does not allow what was asked for: it is singular, or not positive-definite."""


@contextlib.contextmanager
def failing(message: str) -> Iterator[None]:
    """NumPy's LinAlgError inside becomes ours, with `message`."""
    try:
        yield
    except np.linalg.LinAlgError:
        raise LinAlgError(message) from None


def check_float(name: str, x: Any) -> None:
    if not (isinstance(x, Traced) or is_array(x)):
        raise TypeError(f"{name}: expected a Tensor, got {type(x).__name__}")
    if x.dtype.kind not in "fc":
        raise TypeError(f"{name}: expected a floating-point tensor, got {x.dtype}")


def check_matrix(name: str, x: Any, square: bool = False) -> None:
    """`x` must be floating-point matrices (square ones, if so asked)."""
    if not (isinstance(x, Traced) or is_array(x)):
        raise TypeError(f"{name}: expected a Tensor, got {type(x).__name__}")
    if len(x.shape) < 2 or (square and x.shape[-1] != x.shape[-2]):
        raise ValueError(f"{name}: expected {'square ' * square}matrices, got the shape {tuple(x.shape)}")
    if x.dtype.kind not in "fc" or x.dtype.itemsize < 4:
        raise TypeError(f"{name}: expected float32 or float64, got {x.dtype}")


def ratio(x: Any, y: Any) -> Any:
    """`x / y`, with 0 / 0 = 0."""
    return x / where((y == 0) & (x == 0), math.inf, y)


def recorded(x: Any) -> bool:
    """Whether what is made of `x` goes on the tape."""
    return isinstance(x, Traced) and x.node is not None and is_grad_enabled()


def like(x: Any, array: Any) -> Any:
    """`array` as a constant of the kind that `x` is: a tensor, or an array."""
    return traced(array) if isinstance(x, Traced) else array
