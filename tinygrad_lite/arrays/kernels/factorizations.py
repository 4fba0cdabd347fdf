"""Factorizations and triangular solvers, from SciPy (cupyx.scipy on a GPU) where NumPy has none."""

from __future__ import annotations

import contextlib
import functools
import importlib
from types import ModuleType
from typing import Any

import numpy as np

from tinygrad_lite.arrays.devices import Array, Symbol, is_array, namespace_of, scipy_of
from tinygrad_lite.arrays.gpu import whole
from tinygrad_lite.arrays.memory import in_order


def linalg(name: str, *args: Any, **options: Any) -> Any:
    """`numpy.linalg.<name>`, or CuPy's with the check that NumPy makes and CuPy does not by default."""
    xp = namespace_of(args[0])
    function = getattr(xp.linalg, name)
    args = tuple(in_order(x) if is_array(x) and x.ndim > 3 else x for x in args)  # otherwise results take the order of the batch dims
    if xp is np or isinstance(args[0], Symbol):
        return function(*args, **options)
    with importlib.import_module("cupyx").errstate(linalg="raise"):
        return function(*args, **options)


def cholesky_of(x: Array) -> Array:
    """The lower triangular factor of each matrix; raises NumPy's LinAlgError if one is not positive-definite."""
    out = linalg("cholesky", x)
    # OpenBLAS accepts a nan pivot; from anywhere it reaches the last one.
    last = out[..., -1:, -1:]
    if bool((last != last).any()):
        raise np.linalg.LinAlgError("nan")
    return out


@whole
def failing_minors(x: Array) -> np.ndarray:
    """For each matrix the order of its first leading minor that is not positive; 0 where there is none."""
    out = np.zeros(x.shape[:-2], np.int32)
    for i in np.ndindex(out.shape):
        out[i] = next((k for k in range(1, x.shape[-1] + 1) if not _is_definite(x[i][:k, :k])), 0)
    return out


def _is_definite(x: Array) -> bool:
    try:
        cholesky_of(x)
    except np.linalg.LinAlgError:
        return False
    return True


@whole
def one_by_one(name: str, *matrices: Array) -> Array:
    """`linalg(name, *matrices)`, with inf for the matrices that it refuses."""
    out = namespace_of(matrices[0]).full(matrices[-1].shape, np.inf, matrices[0].dtype)
    for i in np.ndindex(out.shape[:-2]):
        with contextlib.suppress(np.linalg.LinAlgError):
            out[i] = linalg(name, *(m[i] for m in matrices))
    return out


@whole
def lu_of(x: Array) -> tuple[Array, Array]:
    """The factors L and U of each matrix in one array, and the row exchanges, counted from 1."""
    xp = namespace_of(x)
    k = min(x.shape[-2:])
    if not x.size:
        return x.copy(), xp.zeros((*x.shape[:-2], k), np.int32)
    if xp is np:
        lapack = scipy_of(x, "linalg.lapack", "lu_factor")
        factor = lapack.sgetrf if x.dtype == np.float32 else lapack.dgetrf
    else:
        factor = scipy_of(x, "linalg", "lu_factor").lu_factor
    found = [factor(matrix) for matrix in x.reshape((-1, *x.shape[-2:]))]
    factors = xp.stack([result[0] for result in found]).reshape(x.shape)
    pivots = xp.stack([result[1] for result in found]).reshape((*x.shape[:-2], k))
    return factors, pivots.astype(np.int32) + 1


def with_one_batch(*matrices: Array) -> tuple[Array, ...]:
    """`matrices` with their leading dims broadcast, which CuPy's solvers do not do."""
    batch = np.broadcast_shapes(*(x.shape[:-2] for x in matrices))
    return tuple(x if x.shape[:-2] == batch else namespace_of(x).broadcast_to(x, batch + x.shape[-2:]) for x in matrices)


@whole
def solve_triangular_of(x: Array, y: Array, upper: bool, unit: bool) -> Array:
    """The z of x @ z = y, reading only one triangle of x, and not its diagonal if `unit`."""
    xp = namespace_of(x)
    x, y = with_one_batch(x, y)
    lapack = _lapack() if xp is np else None
    if lapack is None or not y.size:
        return _by_halves(xp, x, y, upper, unit)
    # LAPACK's own solver, matrix by matrix, takes a quarter of the time for (64, 64).
    solve = lapack.strtrs if x.dtype == np.float32 else lapack.dtrtrs
    out = np.empty(y.shape, y.dtype)
    for i in np.ndindex(y.shape[:-2]):
        matrix, columns = x[i], y[i]
        if matrix.flags.f_contiguous:
            out[i], failed = solve(matrix, columns, lower=not upper, unitdiag=unit)
        else:
            out[i], failed = solve(matrix.T, columns, lower=upper, trans=1, unitdiag=unit)
        if failed:
            out[i] = _by_substitution(matrix, columns, upper)
    return out


@functools.cache
def _lapack() -> ModuleType | None:
    try:
        from scipy.linalg import lapack
    except ImportError:
        return None
    return lapack


def _by_halves(xp: Any, x: Array, y: Array, upper: bool, unit: bool) -> Array:
    """Recursive halving with a general solver; products do nearly all the work."""
    n = x.shape[-1]
    if n <= 64:
        x = xp.triu(x) if upper else xp.tril(x)
        if unit:
            x = xp.where(xp.eye(n, dtype=bool), xp.ones((), x.dtype), x)
        try:
            return linalg("solve", x, y)
        except np.linalg.LinAlgError:
            return _by_substitution(x, y, upper)
    half = n // 2
    first, second = (slice(half, None), slice(half)) if upper else (slice(half), slice(half, None))
    known = _by_halves(xp, x[..., first, first], y[..., first, :], upper, unit)
    other = _by_halves(xp, x[..., second, second], y[..., second, :] - x[..., second, first] @ known, upper, unit)
    return xp.concatenate((other, known) if upper else (known, other), axis=-2)


def _by_substitution(x: Array, y: Array, upper: bool) -> Array:
    """Row by row, for a zero on the diagonal, which gives inf and nan as in PyTorch."""
    y = y.copy()
    n = x.shape[-1]
    for i in range(n - 1, -1, -1) if upper else range(n):
        known = slice(i + 1, None) if upper else slice(i)
        y[..., i : i + 1, :] -= x[..., i : i + 1, known] @ y[..., known, :]
        y[..., i, :] /= x[..., i, i, None]
    return y
