"""Scaled dot-product attention, a few batches at a time."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from tinygrad_lite.arrays import BLOCK, by_blocks, exponentials, namespace_of, product
from tinygrad_lite.arrays.compiling import available
from tinygrad_lite.arrays.gpu import kernel
from tinygrad_lite.arrays.kernels.attention_loops import attend, attend_back
from tinygrad_lite.arrays.row_loops import Row, Term, run
from tinygrad_lite.arrays.threads import one_blas_thread


@kernel
def attention(query: Any, key: Any, value: Any, mask: Any, causal: Any, scale: Any) -> Any:
    """The weighted averages of the values, and the attention weights."""
    # A few batches at a time, so that the scores stay in the cache and threads share the work: 16 x 4
    # heads of 64 x 32 take 3.5 ms with the gradient, as a composition 9 ms.
    xp = namespace_of(query)
    query, key, value = _broadcast(xp, query, key, value)
    rows = query.shape[:-1]
    weights = xp.empty((*rows, key.shape[-2]), query.dtype)
    # Use the query's layout if it is a transposed (N, L, heads, E): transposing back is then free.
    steps, width = query.strides, value.shape[-1]
    transposed = query.ndim == 4 and query.shape[-1] == width and steps[0] >= steps[2] > steps[1] >= steps[3]
    out = xp.empty_like(query) if transposed else xp.empty((*rows, width), query.dtype)
    if not weights.size:
        out[...] = 0
        return out, weights
    arrays = [weights, query, key, value, out]
    if mask is not None:
        if causal:
            mask, causal = mask + causal_mask(xp, weights), False
        mask = xp.broadcast_to(mask, weights.shape)
        arrays.append(mask)
    if attend(weights, query, key, value, out, mask, causal, scale):
        return out, weights
    lower = functools.cache(lambda: causal_mask(xp, weights))

    def kernel(weights, q, k, v, out, mask=None):
        scores = product(q, _transposed(k, scale))
        if mask is not None:
            scores += mask
        if not _softmax_in_loops(scores, weights, causal):
            if causal:
                scores += lower()
            flat = weights.reshape(-1, weights.shape[-1])
            top, totals = exponentials(scores.reshape(flat.shape), flat)
            if top.ndim:
                nothing = top[:, 0] == -np.inf
                flat[nothing], totals[nothing] = 0, 1
            flat *= (1 / totals)[:, None]
        xp.matmul(weights, v, out=out)

    _over_batches(kernel, arrays)
    return out, weights


@kernel
def attention_gradient(needs: Any, g: Any, query: Any, key: Any, value: Any, weights: Any, scale: Any, causal: bool = False) -> Any:
    """The gradients of query, key, value and mask. `causal`: the weights of later keys are 0."""
    xp = namespace_of(query)
    query, key, value = _broadcast(xp, query, key, value)
    of_query, of_key, of_value = (xp.empty_like(a) for a in (query, key, value))
    of_scores = xp.empty_like(weights) if needs[3] else None
    early, late = (1, scale) if needs[3] else (scale, 1)  # scale early, unless the mask's gradient needs it unscaled

    def kernel(weights, g, q, k, v, dq, dk, dv, of_scores=None):
        xp.matmul(weights.swapaxes(-1, -2), g, out=dv)
        ds = product(g, _transposed(v, early))
        if not run(_gradient_of_row, [_matrix(ds), _matrix(weights)], threads=weights.ndim == 2):
            ds -= xp.einsum("...i,...i->...", ds, weights)[..., None]
            ds *= weights
        if of_scores is not None:
            of_scores[...] = ds
        xp.matmul(ds, k, out=dq)
        xp.matmul(ds.swapaxes(-1, -2), q, out=dk)
        if late != 1:
            dq *= dq.dtype.type(late)
            dk *= dk.dtype.type(late)

    if attend_back(weights, g, query, key, value, of_query, of_key, of_value, of_scores, scale, causal):
        return of_query, of_key, of_value, of_scores, None, None
    arrays = [weights, g, query, key, value, of_query, of_key, of_value, *([of_scores] if needs[3] else [])]
    if weights.size:
        _over_batches(kernel, arrays)
    else:
        of_query, of_key, of_value = (xp.zeros_like(a) for a in (query, key, value))
    return of_query, of_key, of_value, of_scores, None, None


def _softmax_in_loops(scores: Any, out: Any, causal: bool) -> bool:
    """Write the softmax of the scores into `out`, and 0 for a row of -inf, by a compiled loop. Returns False if that is not possible."""
    if type(out) is not np.ndarray or not available():
        return False
    each, threads = [_matrix(scores), _matrix(out)], out.ndim == 2
    if not causal:
        return run(_softmax_of_row, each, numbers=(-np.inf,), threads=threads)
    length, width = out.shape[-2:]
    query = np.tile(np.arange(length, dtype=out.dtype), len(each[0]) // length)
    return run(_causal_softmax_of_row, each, [query], [np.arange(width, dtype=out.dtype)], numbers=(-np.inf,), threads=threads)


def _softmax_of_row(row: Row, scores: Term, out: Term, never: Term) -> None:
    top = row.max(scores)
    _divided(row, row.exp(scores - row.where(row.equal(top, never), 0, top)), out)


def _causal_softmax_of_row(row: Row, scores: Term, out: Term, query: Term, key: Term, never: Term) -> None:
    allowed = row.less_equal(key, query)
    top = row.max(row.where(allowed, scores, never))
    _divided(row, row.where(allowed, row.exp(scores - row.where(row.equal(top, never), 0, top)), 0), out)


def _divided(row: Row, exponentials: Term, out: Term) -> None:
    total = row.sum(exponentials)
    out[...] = exponentials
    out *= 1 / row.where(row.equal(total, 0), 1, total)


def _gradient_of_row(row: Row, of_weights: Term, weights: Term) -> None:
    of_weights[...] = (of_weights - row.sum(of_weights * weights)) * weights


def _matrix(x: Any) -> Any:
    return x.reshape(-1, x.shape[-1])


def _transposed(x: Any, scale: float) -> Any:
    """`x.mT * scale`; small matrices are made C-contiguous, because their products are then faster."""
    xp, scale = namespace_of(x), x.dtype.type(scale)
    if x.shape[-2] * x.shape[-1] > 4096:
        return (x * scale).swapaxes(-1, -2)
    x = x.swapaxes(-1, -2)
    return xp.multiply(x, scale, out=xp.empty(x.shape, x.dtype))


def _broadcast(xp: Any, *arrays: Any) -> list[Any]:
    """The arrays with their leading dims broadcast against each other."""
    leading = arrays[0].shape[:-2]
    if all(a.shape[:-2] == leading for a in arrays):
        return list(arrays)
    leading = np.broadcast_shapes(*(a.shape[:-2] for a in arrays))
    return [a if a.shape[:-2] == leading else xp.broadcast_to(a, leading + a.shape[-2:]) for a in arrays]


def causal_mask(xp: Any, scores: Any) -> Any:
    """-inf where the key comes after the query, otherwise 0."""
    rows, columns = scores.shape[-2:]
    return xp.where(xp.arange(rows)[:, None] >= xp.arange(columns), scores.dtype.type(0), scores.dtype.type(-np.inf))


def _over_batches(kernel: Any, arrays: list[Any]) -> None:
    if arrays[0].ndim == 2 or arrays[0].size < BLOCK:
        kernel(*arrays)
    else:
        with one_blas_thread():
            by_blocks(kernel, *arrays)
