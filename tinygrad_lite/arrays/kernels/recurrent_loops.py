"""Recurrent layers over a whole sequence as compiled walks, forward and backward.

Each function returns what its NumPy form in recurrent.py returns, or None where there is no compiled form: in that case nothing
has changed. Gradients of the gates' inputs are written side by side, (1, N, gates H), so that one large product gives the
gradient of all weights: (512, 1024) @ (1024, 192) takes 1.2 ms, in four parts 1.5 ms. With a column of ones for the biases it
would take 1.4 ms; their gradient is summed in the walk instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lite.arrays.kernels.panel_products import packed
from tinygrad_lite.arrays.kernels.recurrent_rows import sequences_each
from tinygrad_lite.arrays.kernels.recurrent_steps import (
    gru_state_step,
    gru_step_gradient,
    lstm_cell_step,
    lstm_output_step,
    lstm_step_gradient,
    relu_step,
    relu_step_gradient,
    sigmoids,
    sum_step,
    tanh_step,
    tanh_step_gradient,
)
from tinygrad_lite.arrays.kernels.recurrent_walks import Walk, step_loops
from tinygrad_lite.arrays.loops import SMALLEST

_WORTH_THREADS = 1 << 23  # multiplications: 2048 rows of 8 units take 0.5 ms in one thread and in two
_TOGETHER = 1 << 19  # bytes of weights that are multiplied in one walk: a core's second cache has about as many


def _suit(size: int, x: Any, *others: Any) -> bool:
    """Whether arrays are NumPy's and of one dtype, and `size`, that of all steps' states, is worth compiled loops."""
    return size >= SMALLEST and type(x) is np.ndarray and all(a is None or (type(a) is type(x) and a.dtype == x.dtype) for a in others)


def _each(batch: int, multiplications: int) -> int:
    """How many sequences to take at a time: at most 32, so that what a step computes stays in the cache."""
    share = sequences_each(batch, multiplications, _WORTH_THREADS)
    return -(-share // -(-share // 32))


def _matrices(gates: int, *weights: np.ndarray | None) -> list[np.ndarray]:
    """Weights (gates H, ...) as (gates, columns, H)."""
    columns = [w if w.ndim == 2 else w[:, None] for w in weights if w is not None]
    return [w.reshape(gates, len(w) // gates, w.shape[1]).transpose(0, 2, 1) for w in columns]


def _ones(count: int, bias: np.ndarray | None) -> np.ndarray | None:
    """What a bias multiplies, a column, if there is one."""
    return None if bias is None else np.ones((count, 1), bias.dtype)


def _sum(a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray | None:
    return None if a is None or b is None else a + b


def _walks(
    h: np.ndarray, x: np.ndarray, width: int, sizes: tuple[int, ...], reverse: bool, still: Sequence[np.ndarray]
) -> tuple[Walk, Walk]:
    """The walk that multiplies x by its weights, and the one for everything else: the same, unless all weights are too large for
    a core's cache. Then the first takes all rows as one step. (An LSTM with 128 units takes 1.9 ms, with a walk of its own for 64
    inputs 2.1 ms; two layers in both directions, with 256 inputs in the second, 14.4 ms instead of 15.7.)"""
    walk = Walk(sizes, reverse, _each(len(h), len(x) * width * (h.shape[1] + x.shape[1])), still)
    together = (h.shape[1] + x.shape[1]) * width * x.itemsize <= _TOGETHER
    return walk if together else Walk((len(x),), False, 64, ()), walk


def _beside(*blocks: tuple[Walk, np.ndarray | None]) -> np.ndarray:
    """Rows to which walks copy those of arrays, side by side."""
    found = [(walk, x if x.strides[1] == x.itemsize else np.ascontiguousarray(x)) for walk, x in blocks if x is not None and x.shape[1]]
    rows = np.empty((max(len(x) for _, x in found), sum(x.shape[1] for _, x in found)), found[0][1].dtype)
    place = 0
    for walk, x in found:
        walk.copy(x, rows[:, place:])
        place += x.shape[1]
    return rows


def _products(
    walks: tuple[Walk, Walk], rows: np.ndarray, of_h: Sequence[np.ndarray], of_x: Sequence[np.ndarray], outs: Sequence[np.ndarray]
) -> None:
    """`outs[i]` become `rows` times the matrices i of `of_h` and `of_x`, one below the other."""
    first, walk = walks
    if first is walk:
        panels = packed(*of_h, *of_x)
        for i, out in enumerate(outs):
            walk.product(rows, panels, i, out)
        return
    panels_x, panels_h = packed(*of_x), packed(*of_h)
    for i, out in enumerate(outs):
        first.product(rows[:, panels_h.inner :], panels_x, i, out)
        walk.product(rows[:, : panels_h.inner], panels_h, i, out, add=True)


def _run(walks: tuple[Walk, Walk], count: int, batch: int) -> None:
    first, walk = walks
    if first is not walk:
        first.run(count)
    walk.run(batch)


def lstm_by_loops(
    x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, w_hr: Any, sizes: tuple[int, ...], reverse: bool
) -> Any:
    count, (batch, hidden), width, dtype = len(x), c.shape, h.shape[1], x.dtype
    if not _suit(count * hidden, x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr):
        return None
    cells, out = np.empty((count, hidden), dtype), np.empty((count, width), dtype)
    gates, squashed = np.empty((4, count, hidden), dtype), np.empty_like(cells)
    h, c = np.array(h, order="C"), np.array(c, order="C")
    product = np.empty_like(c)  # o tanh(c), which a projection multiplies
    i, f, o, candidate = gates
    found = step_loops(
        (sigmoids, [i, f, o]),
        (lstm_cell_step, [i, f, candidate, c, cells]),
        (lstm_output_step, [o, c, squashed, *((h, out) if w_hr is None else (product,))]),
    )
    if found is None:
        return None
    first, walk = walks = _walks(h, x, 4 * hidden, sizes, reverse, [h, c, product])
    rows = _beside((walk, h), (first, x), (first, _ones(count, b_ih)))
    _products(walks, rows, _matrices(4, w_hh), _matrices(4, w_ih, _sum(b_ih, b_hh)), [i, f, candidate, o])
    walk.loops(found)
    if w_hr is not None:
        projection = packed(w_hr.T[None])
        walk.product(product, projection, 0, h)
        walk.copy(h, out)
    _run(walks, count, batch)
    return (out, h, c), gates, cells, squashed, rows


def lstm_gradient_by_loops(
    w_hh: Any, w_hr: Any, sizes: tuple[int, ...], reverse: bool, gates: Any, cells: Any, squashed: Any, g_out: Any, g_h: Any, g_c: Any
) -> Any:
    """The gradients of the gates' inputs i, f, g, o, of h and of c, of the projections' results at each step, and of the
    biases."""
    (batch, hidden), dtype = g_c.shape, cells.dtype
    if not _suit(cells.size, cells, gates, squashed, w_hh, w_hr, g_out, g_h, g_c):
        return None
    g_out, dh, dc = np.ascontiguousarray(g_out), np.array(g_h, order="C"), np.array(g_c, order="C")
    d, dm = list(np.empty((4, batch, hidden), dtype)), np.empty_like(dc)
    arrays = [*gates, cells, squashed, *d, dc, *((dh, g_out) if w_hr is None else (dm,))]
    dms = g_out if w_hr is None else np.empty_like(g_out)
    found, found_sum = step_loops((lstm_step_gradient, arrays)), step_loops((sum_step, [dms, dh, g_out]))
    if found is None or found_sum is None:
        return None
    walk = Walk(sizes, not reverse, _each(batch, gates.size * g_h.shape[1]), [*d, dc, dh, dm])
    if w_hr is not None:
        projection = packed(w_hr[None])
        walk.loops(found_sum)
        walk.product(dms, projection, 0, dm)
    walk.loops(found)
    dz, sums = _gathered(walk, d, len(cells), batch)
    panels = packed(w_hh[None])
    walk.product(dz, panels, 0, dh)
    walk.run(batch)
    return dz[None], dh, dc, dms, sums.sum(0)


def _gathered(walk: Walk, parts: Sequence[np.ndarray], count: int, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """An array in whose rows the walk puts those of `parts` side by side, and another for the sums of its rows, one row for
    each part of the batch."""
    hidden, dtype = parts[0].shape[1], parts[0].dtype
    whole = np.empty((count, len(parts) * hidden), dtype)
    for i, part in enumerate(parts):
        walk.copy(part, whole[:, i * hidden :])
    sums = np.zeros((-(-batch // walk.each), whole.shape[1]), dtype)
    walk.sums(whole, sums)
    return whole, sums


def gru_by_loops(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, sizes: tuple[int, ...], reverse: bool) -> Any:
    count, (batch, hidden), dtype = len(x), h.shape, x.dtype
    if not _suit(count * hidden, x, h, w_ih, w_hh, b_ih, b_hh):
        return None
    gates, h = np.empty((3, count, hidden), dtype), np.array(h, order="C")
    candidates, out = np.empty((count, hidden), dtype), np.empty((count, hidden), dtype)
    r, z, new = gates
    found = step_loops((sigmoids, [r, z]), (gru_state_step, [r, z, new, candidates, h, out]))
    if found is None:
        return None
    first, walk = walks = _walks(h, x, 3 * hidden, sizes, reverse, [h])
    ones = _ones(count, b_ih)
    joined = _beside((walk, h), (walk, ones), (first, x), (first, ones))
    of_h, of_x = _matrices(3, w_hh, b_hh), _matrices(3, w_ih, b_ih)
    _products(walks, joined, [w[:2] for w in of_h], [w[:2] for w in of_x], [r, z])
    panels_h, panels_x = packed(*[w[2:] for w in of_h]), packed(*[w[2:] for w in of_x])
    rows, inputs = joined[:, : panels_h.inner], joined[:, panels_h.inner :]
    walk.product(rows, panels_h, 0, candidates)
    first.product(inputs, panels_x, 0, new)
    walk.loops(found)
    _run(walks, count, batch)
    return (out, h), gates, candidates, inputs, rows


def gru_gradient_by_loops(
    w_hh: Any, sizes: tuple[int, ...], reverse: bool, gates: Any, candidates: Any, rows: Any, g_out: Any, g_h: Any
) -> Any:
    """The gradients of the gates' inputs, of their parts from h, of the first h, and of both biases."""
    batch, hidden = g_h.shape
    if not _suit(candidates.size, candidates, gates, rows, w_hh, g_out, g_h):
        return None
    g_out, before, dh = np.ascontiguousarray(g_out), np.ascontiguousarray(rows[:, :hidden]), np.array(g_h, order="C")
    d_r, d_z, d_n, e_n = parts = list(np.empty((4, batch, hidden), candidates.dtype))
    found = step_loops((gru_step_gradient, [*gates, candidates, before, *parts, dh, g_out]))
    if found is None:
        return None
    walk = Walk(sizes, not reverse, _each(batch, gates.size * hidden), [*parts, dh])
    walk.loops(found)
    d, d_sums = _gathered(walk, [d_r, d_z, d_n], len(candidates), batch)
    e, e_sums = _gathered(walk, [d_r, d_z, e_n], len(candidates), batch)
    panels = packed(w_hh[None])
    walk.product(e, panels, 0, dh, add=True)
    walk.run(batch)
    return d[None], e[None], dh, d_sums.sum(0), e_sums.sum(0)


def rnn_by_loops(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, squash: str, sizes: tuple[int, ...], reverse: bool) -> Any:
    batch, hidden = h.shape
    if not _suit(len(x) * hidden, x, h, w_ih, w_hh, b_ih, b_hh):
        return None
    out, h = np.empty((len(x), hidden), x.dtype), np.array(h, order="C")
    found = step_loops((tanh_step if squash == "tanh" else relu_step, [out, h]))
    if found is None:
        return None
    first, walk = walks = _walks(h, x, hidden, sizes, reverse, [h])
    rows = _beside((walk, h), (first, x), (first, _ones(len(x), b_ih)))
    _products(walks, rows, _matrices(1, w_hh), _matrices(1, w_ih, _sum(b_ih, b_hh)), [out])
    walk.loops(found)
    _run(walks, len(x), batch)
    return (out, h), rows


def rnn_gradient_by_loops(w_hh: Any, squash: str, sizes: tuple[int, ...], reverse: bool, y: Any, g_out: Any, g_h: Any) -> Any:
    """The gradients of what is squashed, of the first h, and of the biases."""
    batch, hidden = g_h.shape
    if not _suit(y.size, y, w_hh, g_out, g_h):
        return None
    d, g_out, dh = np.empty_like(y), np.ascontiguousarray(g_out), np.array(g_h, order="C")
    found = step_loops((tanh_step_gradient if squash == "tanh" else relu_step_gradient, [y, d, dh, g_out]))
    if found is None:
        return None
    walk = Walk(sizes, not reverse, _each(batch, y.size * hidden), [dh])
    walk.loops(found)
    sums = np.zeros((-(-batch // walk.each), hidden), y.dtype)
    walk.sums(d, sums)
    panels = packed(w_hh[None])
    walk.product(d, panels, 0, dh)
    walk.run(batch)
    return d, dh, sums.sum(0)
