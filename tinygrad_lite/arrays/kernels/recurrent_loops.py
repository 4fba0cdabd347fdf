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


def _suit(size: int, x: Any, *others: Any) -> bool:
    """Whether arrays are NumPy's and of one dtype, and `size`, that of all steps' states, is worth compiled loops."""
    return size >= SMALLEST and type(x) is np.ndarray and all(a is None or (type(a) is type(x) and a.dtype == x.dtype) for a in others)


def _each(batch: int, width: int) -> int:
    """How many sequences to take at a time: at most 32, so that what a step computes stays in the cache."""
    share = sequences_each(batch, width)
    return -(-share // -(-share // 32))


def _matrices(gates: int, *weights: np.ndarray | None) -> list[np.ndarray]:
    """Weights (gates H, ...) as (gates, columns, H)."""
    columns = [w if w.ndim == 2 else w[:, None] for w in weights if w is not None]
    return [w.reshape(gates, len(w) // gates, w.shape[1]).transpose(0, 2, 1) for w in columns]


def _beside(walk: Walk, count: int, *blocks: np.ndarray | None) -> np.ndarray:
    """An array of `count` rows to which the walk copies those of `blocks`, side by side."""
    found = [x if x.strides[1] == x.itemsize else np.ascontiguousarray(x) for x in blocks if x is not None and x.shape[1]]
    rows = np.empty((count, sum(x.shape[1] for x in found)), found[0].dtype)
    place = 0
    for x in found:
        walk.copy(x, rows[:, place:])
        place += x.shape[1]
    return rows


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
    i, f, o, candidate = of_gates = list(gates)
    found = step_loops(
        (sigmoids, [i, f, o]),
        (lstm_cell_step, [i, f, candidate, c, cells]),
        (lstm_output_step, [o, c, squashed, *((h, out) if w_hr is None else (product,))]),
    )
    if found is None:
        return None
    panels = packed(*_matrices(4, w_hh, w_ih, None if b_ih is None else b_ih + b_hh))
    ones = None if b_ih is None else np.ones((batch, 1), dtype)
    walk = Walk(sizes, reverse, _each(batch, 4 * hidden), [h, c, product, ones])
    rows = _beside(walk, count, h, x, ones)
    for gate, place in zip(of_gates, (0, 1, 3, 2)):  # the weights of o come last
        walk.product(rows, panels, place, gate)
    walk.loops(found)
    if w_hr is not None:
        projection = packed(w_hr.T[None])
        walk.product(product, projection, 0, h)
        walk.copy(h, out)
    walk.run(batch)
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
    walk = Walk(sizes, not reverse, _each(batch, 4 * hidden), [*d, dc, dh, dm])
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
    matrices = _matrices(3, w_hh, b_hh, w_ih, b_ih)
    of_h = 1 if b_hh is None else 2
    of_r_z = packed(*[w[:2] for w in matrices])
    of_n = [packed(*[w[2:] for w in part]) for part in (matrices[:of_h], matrices[of_h:])]
    ones = None if b_ih is None else np.ones((batch, 1), dtype)
    walk = Walk(sizes, reverse, _each(batch, 3 * hidden), [h, ones])
    joined = _beside(walk, count, h, ones, x, ones)
    rows, inputs = joined[:, : of_n[0].inner], joined[:, of_n[0].inner :]
    walk.product(joined, of_r_z, 0, r)
    walk.product(joined, of_r_z, 1, z)
    walk.product(rows, of_n[0], 0, candidates)
    walk.product(inputs, of_n[1], 0, new)
    walk.loops(found)
    walk.run(batch)
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
    walk = Walk(sizes, not reverse, _each(batch, 3 * hidden), [*parts, dh])
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
    panels = packed(*_matrices(1, w_hh, w_ih, None if b_ih is None else b_ih + b_hh))
    ones = None if b_ih is None else np.ones((batch, 1), x.dtype)
    walk = Walk(sizes, reverse, _each(batch, hidden), [h, ones])
    rows = _beside(walk, len(x), h, x, ones)
    walk.product(rows, panels, 0, out)
    walk.loops(found)
    walk.run(batch)
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
    walk = Walk(sizes, not reverse, _each(batch, hidden), [dh])
    walk.loops(found)
    sums = np.zeros((-(-batch // walk.each), hidden), y.dtype)
    walk.sums(d, sums)
    panels = packed(w_hh[None])
    walk.product(d, panels, 0, dh)
    walk.run(batch)
    return d, dh, sums.sum(0)
