"""Recurrent layers over a whole sequence: LSTM, GRU and the plain cell.

The steps of a sequence follow one another as rows: x (N, I), where the first `sizes[0]` rows belong to the first step, and
so on; sizes do not increase (sequences are sorted by length), so step t has the first `sizes[t]` sequences of the batch.
`reverse` goes from the last step to the first.

A step is one product of the rows (h | x | 1) with all weights, and elementwise work on preallocated arrays; one product
over all steps gives the gradients of all weights. Gates come first, (gates, N, H): on rows split into gates, (N, gates H),
NumPy's elementwise work takes two to three times as long. Where loops can be compiled (arrays/loops.py), all elementwise
work of a step is one loop (recurrent_steps.py).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lite.arrays import Array, get_num_threads, in_threads, namespace_of, on_cache_lines
from tinygrad_lite.arrays.blocked import elementwise
from tinygrad_lite.arrays.gpu import kernel
from tinygrad_lite.arrays.kernels.products import of_matrices
from tinygrad_lite.arrays.kernels.recurrent_steps import (
    gru_step,
    gru_step_gradient,
    loop_of_steps,
    lstm_step,
    lstm_step_gradient,
    rnn_step,
)
from tinygrad_lite.arrays.kernels.recurrent_walks import lstm_walk, lstm_walk_back
from tinygrad_lite.arrays.threads import one_blas_thread


def steps(sizes: tuple[int, ...], reverse: bool) -> list[tuple[int, int]]:
    """The first row and the end of each step, in the order of processing."""
    rows, start = [], 0
    for size in sizes:
        rows.append((start, start + size))
        start += size
    return rows[::-1] if reverse else rows


def _shares(sizes: tuple[int, ...], reverse: bool, first: int, last: int) -> list[tuple[int, int]]:
    """The rows of each step that belong to the sequences `first` to `last`, if it has any."""
    rows = [(start + first, min(start + last, stop)) for start, stop in steps(sizes, reverse)]
    return [(start, stop) for start, stop in rows if start < stop]


_WORTH_THREADS = 1 << 14  # elements of all gates; 32 steps of 32 x 512 take 3.4 ms, in one thread 4.0 ms


def _on_halves(run: Callable[[int, int], None], state: Array, width: int) -> None:
    """Call `run(first, last)` for the sequences of a batch, in two threads if a step of `width` columns per sequence is
    large enough."""
    batch, share = len(state), _share_of(state, width)
    if share == batch:
        run(0, batch)
        return
    with one_blas_thread():
        in_threads([functools.partial(run, 0, share), functools.partial(run, share, batch)])


def _share_of(state: Array, width: int) -> int:
    """How many sequences of a batch a thread takes: half of them, or all."""
    batch = len(state)
    alone = type(state) is not np.ndarray or get_num_threads() < 2 or batch < 2 or batch * width < _WORTH_THREADS
    return batch if alone else -(-batch // 2)


def _beside(width: int, x: Array, biased: bool) -> Array:
    """Rows (state | x | 1): `width` columns for the state, written later, then x, then a column of ones for the biases. One
    product of such rows covers state, inputs and biases."""
    xp = namespace_of(x)
    rows = xp.empty((len(x), width + x.shape[1] + biased), x.dtype)
    rows[:, width : width + x.shape[1]] = x
    if biased:
        rows[:, -1] = 1
    return rows


def _by_gate(gates: int, *weights: Array | None) -> Array:
    """Weights (gates H, ...) side by side as (gates, columns, H), ready for `rows @ weight`.

    (32, 128) @ (128, 512) takes 93 us, with a transposed right side 138 us; gate by gate 59 us; with an aligned right side
    39 us.
    """
    columns = [w if w.ndim == 2 else w[:, None] for w in weights if w is not None]
    xp = namespace_of(columns[0])
    weight = xp.concatenate(columns, 1)
    return on_cache_lines(weight.reshape(gates, -1, weight.shape[1]).transpose(0, 2, 1))


def _input_gradient(d: Array, weight: Array) -> Array:
    """The gradient of x from that of the gates, (gates, N, H)."""
    first, *others = (of_matrices(gate, w) for gate, w in zip(d, weight.reshape(len(d), d.shape[2], -1)))
    for other in others:
        first += other
    return first


def _weight_gradients(d: Array, rows: Array, *widths: int) -> list[Array]:
    """The gradients of the weights, each of which multiplied columns of `rows`, and of the biases (or None)."""
    xp = namespace_of(d)
    whole = xp.concatenate([of_matrices(gate.T, rows) for gate in d])
    ends = [sum(widths[: i + 1]) for i in range(len(widths))]
    parts = [xp.ascontiguousarray(whole[:, end - width : end]) for width, end in zip(widths, ends)]
    return [*parts, whole[:, -1].copy() if rows.shape[1] > ends[-1] else None]


@kernel
def lstm(x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, w_hr: Any, sizes: Any, reverse: Any) -> Any:
    """(out, h, c), and what the gradient needs: gates i, f, o, g of each step; the cell state before it; tanh of the one
    after it; the rows."""
    # gates: i, f, o, g of each step; cells: the cell state before it; squashed: tanh of the one after it.
    xp = namespace_of(x)
    count, hidden = len(x), c.shape[1]
    rows = _beside(h.shape[1], x, b_ih is not None)
    weight = _by_gate(4, w_hh, w_ih, None if b_ih is None else b_ih + b_hh)
    weight[2:] = weight[:1:-1].copy()
    weight[:3] *= -1  # sigmoid(z) = 1 / (1 + exp(-z)): on 16384 float32 27 us, by tanh 46 (without AVX-512)
    h, c = h.copy(), c.copy()
    out = xp.empty((count, h.shape[1]), x.dtype)
    gates = xp.empty((4, count, hidden), x.dtype)
    cells, squashed = xp.empty((count, hidden), x.dtype), xp.empty((count, hidden), x.dtype)
    product = xp.empty_like(c)  # o tanh(c), which a projection multiplies
    outputs = (h, out) if w_hr is None else (product,)
    loop: Any = loop_of_steps(lstm_step, [*gates, c, cells, squashed, *outputs])

    def run_loop(first: int, last: int) -> None:
        of_batch = first * hidden
        for start, stop in _shares(sizes, reverse, first, last):
            n, at = stop - start, start * hidden
            h_n = h[first : first + n]
            rows[start:stop, : h.shape[1]] = h_n
            xp.matmul(rows[start:stop], weight, out=gates[:, start:stop])
            loop(n * hidden, (at, at, at, at, of_batch, at, at, of_batch, at)[: 7 + len(outputs)])
            if w_hr is not None:
                xp.matmul(product[first : first + n], w_hr.T, out=h_n)
                out[start:stop] = h_n

    def run(first: int, last: int) -> None:
        y, part = xp.empty((4, last - first, hidden), x.dtype), xp.empty((last - first, hidden), x.dtype)
        for start, stop in _shares(sizes, reverse, first, last):
            n = stop - start
            if n != len(part):  # contiguous again: faster for the elementwise work below
                y, part = xp.empty((4, n, hidden), x.dtype), xp.empty((n, hidden), x.dtype)
            h_n, c_n, tanh_c = h[first : first + n], c[first : first + n], squashed[start:stop]
            i, f, o, candidate = gates[:, start:stop]
            rows[start:stop, : h.shape[1]] = h_n
            cells[start:stop] = c_n
            xp.matmul(rows[start:stop], weight, out=y)
            z = y[:3]
            xp.exp(z, out=z)
            z += 1
            xp.reciprocal(z, out=gates[:3, start:stop])
            xp.tanh(y[3], out=candidate)
            c_n *= f
            c_n += xp.multiply(i, candidate, out=part)
            xp.tanh(c_n, out=tanh_c)
            if w_hr is None:
                xp.multiply(o, tanh_c, out=h_n)
            else:
                xp.matmul(xp.multiply(o, tanh_c, out=part), w_hr.T, out=h_n)
            out[start:stop] = h_n

    if not (w_hr is None and lstm_walk(steps(sizes, reverse), _share_of(c, 4 * hidden), h, c, rows, weight, gates, cells, squashed, out)):
        _on_halves(run_loop if loop else run, c, 4 * hidden)
    return (out, h, c), gates, cells, squashed, rows


def _lstm_walk_by_loop(
    w_hh: Any, w_hr: Any, sizes: Any, reverse: Any, gates: Any, cells: Any, squashed: Any, g_out: Any, g_h: Any, g_c: Any
) -> Any:
    """What `_lstm_walk` returns, with dz by gate, (4, N, H); None where there is no compiled loop."""
    if type(gates) is not np.ndarray:
        return None
    (batch, hidden), width = g_c.shape, g_h.shape[1]
    g_out, dc = np.ascontiguousarray(g_out), np.array(g_c, order="C")
    dz, parts = np.empty_like(gates), np.zeros((4, batch, width), gates.dtype)
    parts[0] = g_h  # they add up to the gradient of h, for sequences that end before the step, too
    dm = np.empty_like(dc)
    dhs = (g_out, *parts) if w_hr is None else (dm,)
    loop = loop_of_steps(lstm_step_gradient, [*gates, cells, squashed, *dz, dc, *dhs])
    if loop is None:
        return None
    weight = on_cache_lines(w_hh.reshape(4, hidden, width))
    dms = g_out if w_hr is None else np.empty_like(g_out)

    def run(first: int, last: int) -> None:
        of_batch = first * hidden
        for start, stop in reversed(_shares(sizes, reverse, first, last)):
            n, at = stop - start, start * hidden
            parts_n = parts[:, first : first + n]
            if w_hr is not None:
                np.add(parts_n.sum(0), g_out[start:stop], out=dms[start:stop])
                np.matmul(dms[start:stop], w_hr, out=dm[first : first + n])
            of_dh = (of_batch,) if w_hr is not None else (at, of_batch, of_batch, of_batch, of_batch)
            loop(n * hidden, (at,) * 10 + (of_batch, *of_dh))
            np.matmul(dz[:, start:stop], weight, out=parts_n)

    backward, each = reversed(steps(sizes, reverse)), _share_of(dc, 4 * hidden)
    if not (w_hr is None and lstm_walk_back([*backward], each, weight, gates, cells, squashed, dz, dc, g_out, parts)):
        _on_halves(run, dc, 4 * hidden)
    return dz, parts.sum(0), dc, dms


def _lstm_walk(
    w_hh: Any, w_hr: Any, sizes: Any, reverse: Any, gates: Any, cells: Any, squashed: Any, g_out: Any, g_h: Any, g_c: Any
) -> Any:
    """The gradients of the gates' inputs (1, N, 4 H), of h and of c, and of the projections' results at each step."""
    xp = namespace_of(gates)

    # The factors of the gates' gradients other than dc and dh, for all steps at once:
    # c <- f c + i g, h = o tanh(c); sigmoid' = y (1 - y), tanh' = 1 - y y.
    def factors(i, f, o, candidate, c, tanh_c, d_i, d_f, d_o, d_candidate, d_c, xp=xp):
        for s, t, d_s, d_t in ((i, candidate, d_i, d_candidate), (o, tanh_c, d_o, d_c)):
            xp.multiply(s, t, out=d_t)
            xp.multiply(s, d_t, out=d_s)
            xp.subtract(d_t, d_s, out=d_s)  # t s (1 - s)
            d_t *= t
            xp.subtract(s, d_t, out=d_t)  # s (1 - t t)
        xp.subtract(1, f, out=d_f)
        d_f *= f
        d_f *= c

    d, slope = xp.empty_like(gates), xp.empty_like(cells)
    elementwise(factors, *gates, cells, squashed, *d, slope)
    dh, dc = g_h.copy(), g_c.copy()
    hidden = dc.shape[1]
    dz = xp.empty((len(cells), 4, hidden), dc.dtype)  # gradients of the inputs of the gates i, f, g, o
    dms = g_out if w_hr is None else xp.empty_like(g_out)
    part = xp.empty_like(dc)
    for start, stop in reversed(steps(sizes, reverse)):
        n = stop - start
        (d_i, d_f, d_o, d_candidate), dz_n, dh_n, dc_n = d[:, start:stop], dz[start:stop], dh[:n], dc[:n]
        dh_n += g_out[start:stop]
        dm = dh_n
        if w_hr is not None:
            dms[start:stop] = dh_n
            dm = dh_n @ w_hr
        dc_n += xp.multiply(dm, slope[start:stop], out=part[:n])
        xp.multiply(d_i, dc_n, out=dz_n[:, 0])
        xp.multiply(d_f, dc_n, out=dz_n[:, 1])
        xp.multiply(d_candidate, dc_n, out=dz_n[:, 2])
        xp.multiply(d_o, dm, out=dz_n[:, 3])
        dc_n *= gates[1, start:stop]
        xp.matmul(dz_n.reshape(n, 4 * hidden), w_hh, out=dh_n)
    return dz.reshape(1, len(dz), 4 * hidden), dh, dc, dms


@kernel
def lstm_gradient(
    needs: Any, g: Any, w_ih: Any, w_hh: Any, w_hr: Any, sizes: Any, reverse: Any, gates: Any, cells: Any, squashed: Any, rows: Any
) -> Any:
    """The gradient of each argument of `lstm`."""
    g_out, g_h, g_c = g
    walk = _lstm_walk_by_loop(w_hh, w_hr, sizes, reverse, gates, cells, squashed, g_out, g_h, g_c)
    dz, dh, dc, dms = walk or _lstm_walk(w_hh, w_hr, sizes, reverse, gates, cells, squashed, g_out, g_h, g_c)
    d_hr = None if w_hr is None else dms.T @ (gates[2] * squashed)
    dx = _input_gradient(dz, w_ih) if needs[0] else None
    d_hh, d_ih, db = _weight_gradients(dz, rows, w_hh.shape[1], w_ih.shape[1]) if any(needs[3:7]) else (None, None, None)
    return dx, dh, dc, d_ih, d_hh, db, db, d_hr, None, None


@kernel
def gru(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, sizes: Any, reverse: Any) -> Any:
    """(out, h), and what the gradient needs: gates r, z, n of each step, W_hn h + b_hn, (x | 1), and (h | 1) with h before
    the step."""
    # gates: r, z, n of each step; candidates: W_hn h + b_hn, which r multiplies.
    # inputs: (x | 1); rows: (h | 1), with h before the step.
    xp = namespace_of(x)
    hidden = h.shape[1]
    inputs, rows = _beside(0, x, b_ih is not None), _beside(hidden, x[:, :0], b_hh is not None)
    gates = xp.matmul(inputs, _by_gate(3, w_ih, b_ih))
    weight = _by_gate(3, w_hh, b_hh)
    h = h.copy()
    out, candidates = xp.empty((len(x), hidden), x.dtype), xp.empty((len(x), hidden), x.dtype)
    from_h = xp.empty((3, *h.shape), x.dtype)
    loop: Any = loop_of_steps(gru_step, [*gates, *from_h, candidates, h, out])

    def run_loop(first: int, last: int) -> None:
        of_batch = first * hidden
        for start, stop in _shares(sizes, reverse, first, last):
            n, at = stop - start, start * hidden
            rows[start:stop, :hidden] = h[first : first + n]
            xp.matmul(rows[start:stop], weight, out=from_h[:, first : first + n])
            loop(n * hidden, (at, at, at, of_batch, of_batch, of_batch, at, of_batch, at))

    def run(first: int, last: int) -> None:
        for start, stop in _shares(sizes, reverse, first, last):
            y, h_n, new = gates[:, start:stop], h[first : first + stop - start], out[start:stop]
            rows[start:stop, :hidden] = h_n
            v = xp.matmul(rows[start:stop], weight)
            candidates[start:stop] = v[2]
            r_z, v_n = v[:2], v[2]
            r_z += y[:2]
            xp.negative(r_z, out=r_z)
            xp.exp(r_z, out=r_z)
            r_z += 1
            xp.reciprocal(r_z, out=r_z)
            v_n *= v[0]
            v_n += y[2]
            xp.tanh(v_n, out=v_n)
            y[...] = v
            # h <- n + z (h - n)
            h_n -= v_n
            h_n *= v[1]
            h_n += v_n
            new[...] = h_n

    _on_halves(run_loop if loop else run, h, 3 * hidden)
    return (out, h), gates, candidates, inputs, rows


def _gru_walk_by_loop(w_hh: Any, sizes: Any, reverse: Any, gates: Any, candidates: Any, rows: Any, g_out: Any, g_h: Any) -> Any:
    """What `_gru_walk` returns; None where there is no compiled loop."""
    if type(gates) is not np.ndarray:
        return None
    batch, hidden = g_h.shape
    g_out, before = np.ascontiguousarray(g_out), np.ascontiguousarray(rows[:, :hidden])
    d, d_hidden = np.empty_like(gates), np.empty_like(gates)
    through, parts = np.array(g_h, order="C"), np.zeros((3, batch, hidden), gates.dtype)
    loop = loop_of_steps(gru_step_gradient, [*gates, candidates, before, *d, *d_hidden, through, g_out, *parts])
    if loop is None:
        return None
    weight = on_cache_lines(w_hh.reshape(3, hidden, hidden))

    def run(first: int, last: int) -> None:
        of_batch = first * hidden
        for start, stop in reversed(_shares(sizes, reverse, first, last)):
            n, at = stop - start, start * hidden
            loop(n * hidden, (at,) * 11 + (of_batch, at, of_batch, of_batch, of_batch))
            np.matmul(d_hidden[:, start:stop], weight, out=parts[:, first : first + n])

    _on_halves(run, through, 3 * hidden)
    return d, d_hidden, through + parts.sum(0)


def _gru_walk(w_hh: Any, sizes: Any, reverse: Any, gates: Any, candidates: Any, rows: Any, g_out: Any, g_h: Any) -> Any:
    """The gradients of the gates' inputs, of their part from h, and of the first h."""
    xp = namespace_of(gates)
    hidden = w_hh.shape[1]

    def factors(r, z, new, candidate, h, d_r, d_z, d_n, xp=xp):
        xp.subtract(1, r, out=d_r)
        d_r *= r
        d_r *= candidate
        xp.subtract(1, z, out=d_n)
        xp.subtract(h, new, out=d_z)
        d_z *= z
        d_z *= d_n
        d_n *= 1 - new * new

    d = xp.empty_like(gates)  # gradients of the gates' inputs
    d_hidden = xp.empty_like(gates)  # the same for the part from h, which r scales for n
    elementwise(factors, *gates, candidates, rows[:, :hidden], *d)
    dh = g_h.copy()
    u = on_cache_lines(w_hh.reshape(3, hidden, hidden))
    for start, stop in reversed(steps(sizes, reverse)):
        r, z, _ = gates[:, start:stop]
        d_r, d_z, d_n = d[:, start:stop]
        e = d_hidden[:, start:stop]
        dh_n = dh[: stop - start]
        dh_n += g_out[start:stop]
        d_z *= dh_n
        d_n *= dh_n
        d_r *= d_n
        e[:2] = d[:2, start:stop]
        xp.multiply(d_n, r, out=e[2])
        dh_n *= z
        s = xp.matmul(e, u)
        dh_n += s[0]
        dh_n += s[1]
        dh_n += s[2]
    return d, d_hidden, dh


@kernel
def gru_gradient(
    needs: Any, g: Any, w_ih: Any, w_hh: Any, sizes: Any, reverse: Any, gates: Any, candidates: Any, inputs: Any, rows: Any
) -> Any:
    """The gradient of each argument of `gru`."""
    g_out, g_h = g
    hidden = w_hh.shape[1]
    walk = _gru_walk_by_loop(w_hh, sizes, reverse, gates, candidates, rows, g_out, g_h)
    d, d_hidden, dh = walk or _gru_walk(w_hh, sizes, reverse, gates, candidates, rows, g_out, g_h)
    dx = _input_gradient(d, w_ih) if needs[0] else None
    d_ih, db_ih = _weight_gradients(d, inputs, w_ih.shape[1])
    d_hh, db_hh = _weight_gradients(d_hidden, rows, hidden)
    return dx, dh, d_ih, d_hh, db_ih, db_hh, None, None


@kernel
def rnn(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, squash: Any, sizes: Any, reverse: Any) -> Any:
    """(out, h), and the rows."""
    # squash: "tanh" or "relu"
    xp = namespace_of(x)
    hidden = h.shape[1]
    rows = _beside(hidden, x, b_ih is not None)
    weight = _by_gate(1, w_hh, w_ih, None if b_ih is None else b_ih + b_hh)[0]
    h = h.copy()
    out = xp.empty((len(x), hidden), x.dtype)
    loop = loop_of_steps(rnn_step, [out, h]) if squash == "tanh" else None
    for start, stop in steps(sizes, reverse):
        n = stop - start
        y, h_n = out[start:stop], h[:n]
        rows[start:stop, :hidden] = h_n
        xp.matmul(rows[start:stop], weight, out=y)
        if loop is not None:
            loop(n * hidden, (start * hidden, 0))
            continue
        _ = xp.tanh(y, out=y) if squash == "tanh" else xp.maximum(y, 0, out=y)
        h_n[...] = y
    return (out, h), rows


@kernel
def rnn_gradient(needs: Any, g: Any, out: Any, w_ih: Any, w_hh: Any, squash: Any, sizes: Any, reverse: Any, rows: Any) -> Any:
    """The gradient of each argument of `rnn`."""
    g_out, g_h = g
    y = out[0]
    d = 1 - y * y if squash == "tanh" else (y > 0).astype(y.dtype)
    dh = g_h.copy()
    for start, stop in reversed(steps(sizes, reverse)):
        dh_n, d_n = dh[: stop - start], d[start:stop]
        dh_n += g_out[start:stop]
        d_n *= dh_n
        dh_n[...] = d_n @ w_hh
    dx = d @ w_ih if needs[0] else None
    d_hh, d_ih, db = _weight_gradients(d[None], rows, w_hh.shape[1], w_ih.shape[1])
    return dx, dh, d_ih, d_hh, db, db, None, None, None
