"""Checks and errors shared by matrix functions."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

from numpy.linalg import LinAlgError as NumpyLinAlgError

from tinygrad_lite.arrays import as_array, int32, is_array, linalg, namespace_of
from tinygrad_lite.arrays.errors import BadType, BadValue, Refusal
from tinygrad_lite.arrays.gpu import whole
from tinygrad_lite.arrays.kernels.factorizations import one_by_one
from tinygrad_lite.engine.context import is_grad_enabled
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.arguments import raw
from tinygrad_lite.ops.math.where import where


class LinAlgError(Refusal, NumpyLinAlgError):
    """A matrix does not allow the operation: it is singular, or not positive-definite."""


@contextlib.contextmanager
def failing(message: str) -> Iterator[None]:
    """Convert NumPy's LinAlgError to ours, with `message`."""
    try:
        yield
    except NumpyLinAlgError:
        raise LinAlgError(message) from None


@whole
def converged(name: str, message: str, *args: Any, **options: Any) -> Any:
    """`linalg(name, *args, **options)`, refusing with `message`."""
    with failing(message):
        found = linalg(name, *args, **options)
        return tuple(found) if isinstance(found, tuple) else found


def check_float(x: Any) -> None:
    if not (isinstance(x, Traced) or is_array(x)):
        raise BadType(expected="a Tensor", got=type(x).__name__)
    if x.dtype.kind not in "fc":
        raise BadType(expected="a floating-point tensor", got=x.dtype)


def check_matrix(x: Any, square: bool = False) -> None:
    """Refuse `x` unless it holds floating-point matrices (square ones with `square`)."""
    if not (isinstance(x, Traced) or is_array(x)):
        raise BadType(expected="a Tensor", got=type(x).__name__)
    if len(x.shape) < 2 or (square and x.shape[-1] != x.shape[-2]):
        raise BadValue(expected=f"{'square ' * square}matrices", got=f"the shape {tuple(x.shape)}")
    if x.dtype.kind not in "fc" or x.dtype.itemsize < 4:
        raise BadType(expected="float32 or float64", got=x.dtype)


def ratio(x: Any, y: Any) -> Any:
    """`x / y`, with 0 / 0 = 0."""
    return x / where((y == 0) & (x == 0), math.inf, y)


def recorded(x: Any) -> bool:
    """Whether operations on `x` are recorded."""
    return isinstance(x, Traced) and x.node is not None and is_grad_enabled()


def like(x: Any, array: Any) -> Any:
    """`array` as a constant of x's kind: a tensor, or an array."""
    return traced(array) if isinstance(x, Traced) else array


@whole
def solved_or_inf(name: str, strict: bool, *matrices: Any) -> Any:
    """`linalg(name, *matrices)`; unless `strict`, matrix by matrix if one of them is singular."""
    try:
        return linalg(name, *matrices)
    except NumpyLinAlgError:
        if strict:
            raise LinAlgError("the matrix is singular") from None
    return one_by_one(name, *matrices)


def failures(x: Any) -> Any:
    """1 for each matrix of inf or nan, which marks failures; 0 for the others."""
    return like(x, as_array(~namespace_of(raw(x)).isfinite(raw(x)).all(axis=(-2, -1))).astype(int32))
