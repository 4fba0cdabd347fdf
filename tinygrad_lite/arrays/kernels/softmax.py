"""Softmax and log-softmax, a block of rows at a time.

4096 x 64, along rows: 0.5 ms instead of 1.2 on whole arrays, with the gradient 1.0 instead of 2.2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.arrays import by_blocks, exponentials, namespace_of, row_products, row_sums, rows
from tinygrad_lite.arrays.gpu import kernel
from tinygrad_lite.arrays.row_loops import Row, Term, run


@kernel
def softmax_of(x: Any, dim: Any) -> Any:
    """`exp(x) / exp(x).sum(dim)`."""
    if not x.size:
        return x.copy("C")
    xp = namespace_of(x)
    out = xp.empty(x.shape, x.dtype)
    if _by_rows(x, dim):

        def kernel(x, out):
            _, sums = exponentials(x, out)
            out *= (1 / sums)[:, None]

        if not run(_softmax, [rows(x), rows(out)]):
            by_blocks(kernel, rows(x), rows(out))
    else:
        xp.subtract(x, x.max(axis=dim, keepdims=True), out=out)
        xp.exp(out, out=out)
        out /= out.sum(axis=dim, keepdims=True)
    return out


@kernel
def log_softmax_of(x: Any, dim: Any) -> Any:
    """The logarithm of `softmax_of`."""
    if not x.size:
        return x.copy("C")
    xp = namespace_of(x)
    out = xp.empty(x.shape, x.dtype)
    if _by_rows(x, dim):

        def kernel(x, out):
            top, sums = exponentials(x, out)
            xp.subtract(x, top, out=out)
            out -= xp.log(sums)[:, None]

        if not run(_log_softmax, [rows(x), rows(out)]):
            by_blocks(kernel, rows(x), rows(out))
    else:
        xp.subtract(x, x.max(axis=dim, keepdims=True), out=out)
        out -= xp.log(xp.exp(out).sum(axis=dim, keepdims=True))
    return out


@kernel
def softmax_gradient(g: Any, out: Any, dim: int) -> Any:
    """The gradient of x from that of `out`."""
    if not (_by_rows(g, dim) and _by_rows(out, dim)):
        return out * (g - _inner(g, out, dim))

    def kernel(g, out, of_x):
        np.subtract(g, row_products(g, out)[:, None], out=of_x)
        of_x *= out

    return _rowwise(_softmax_gradient, kernel, g, out)


@kernel
def log_softmax_gradient(g: Any, out: Any, dim: int) -> Any:
    """The gradient of x from that of `out`."""
    if not (_by_rows(g, dim) and _by_rows(out, dim)):
        return g - namespace_of(out).exp(out) * g.sum(axis=dim, keepdims=True)

    def kernel(g, out, of_x):
        np.exp(out, out=of_x)
        of_x *= row_sums(g)[:, None]
        np.subtract(g, of_x, out=of_x)

    return _rowwise(_log_softmax_gradient, kernel, g, out)


def _rowwise(loop: Any, kernel: Any, g: Any, out: Any) -> Any:
    """The result of `kernel(g, out, result)`, a block of rows at a time: (1024, 1024) in half the time. `loop` is the form
    that can be compiled."""
    of_x = np.empty_like(out)
    if out.size and not run(loop, [rows(g), rows(out), rows(of_x)]):
        by_blocks(kernel, rows(g), rows(out), rows(of_x))
    return of_x


def _softmax(row: Row, x: Term, out: Term) -> None:
    e = row.exp(x - row.max(x))
    out[...] = e
    out *= 1 / row.sum(e)


def _log_softmax(row: Row, x: Term, out: Term) -> None:
    top = row.max(x)
    out[...] = x - top - row.log(row.sum(row.exp(x - top)))


def _softmax_gradient(row: Row, g: Term, out: Term, of_x: Term) -> None:
    of_x[...] = (g - row.sum(g * out)) * out


def _log_softmax_gradient(row: Row, g: Term, out: Term, of_x: Term) -> None:
    of_x[...] = g - row.exp(out) * row.sum(g)


def _by_rows(x: Any, dim: int) -> bool:
    return type(x) is np.ndarray and dim == x.ndim - 1 >= 0 and x.flags.c_contiguous and x.dtype.char in "fd"


def _inner(x: Any, y: Any, dim: int) -> Any:
    """`(x * y).sum(dim)`, keeping the dim."""
    if dim == x.ndim - 1 >= 0:
        return row_products(rows(x), rows(y)).reshape((*x.shape[:-1], 1))
    return (x * y).sum(axis=dim, keepdims=True)
