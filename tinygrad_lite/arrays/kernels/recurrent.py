"""Recurrent layers over a whole sequence: LSTM, GRU and the plain cell.

The steps of a sequence follow one another as rows: x (N, I), where the first `sizes[0]` rows belong to the first step, and
so on; sizes do not increase (sequences are sorted by length), so step t has the first `sizes[t]` sequences of the batch.
`reverse` goes from the last step to the first.

A step is one product of the rows (h | x | 1) with all weights, and elementwise work on preallocated arrays; one product
over all steps gives the gradients of all weights. Gates come first, (gates, N, H): on rows split into gates, (N, gates H),
NumPy's elementwise work takes two to three times as long. Where loops can be compiled, a whole sequence is one call
(recurrent_loops.py).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lite.arrays import Array, in_threads, namespace_of, on_cache_lines
from tinygrad_lite.arrays.blocked import elementwise
from tinygrad_lite.arrays.gpu import kernel
from tinygrad_lite.arrays.kernels.products import of_matrices
from tinygrad_lite.arrays.kernels.recurrent_loops import (
    gru_by_loops,
    gru_gradient_by_loops,
    lstm_by_loops,
    lstm_gradient_by_loops,
    rnn_by_loops,
    rnn_gradient_by_loops,
)
from tinygrad_lite.arrays.kernels.recurrent_rows import beside, of_part, sequences_each, steps
from tinygrad_lite.arrays.threads import one_blas_thread

_WORTH_THREADS = 1 << 15  # elements of a step's gates, in Python; with half as many, two threads mostly wait for each other


def _in_parts(run: Callable[[int, int], None], state: Array, width: int) -> None:
    """Call `run(first, last)` for the sequences of a batch, in several threads if a step of `width` columns per sequence is
    large enough."""
    batch = len(state)
    each = sequences_each(batch, batch * width, _WORTH_THREADS) if type(state) is np.ndarray else batch
    if each == batch:
        run(0, batch)
        return
    with one_blas_thread():
        in_threads([functools.partial(run, first, min(first + each, batch)) for first in range(0, batch, each)])


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


def _weight_gradients(d: Array, rows: Array, widths: tuple[int, ...], sums: Array | None = None) -> list[Array]:
    """The gradients of the weights, each of which multiplied columns of `rows`, and of the biases (or None), which are the
    `sums` of `d` if these are known."""
    xp = namespace_of(d)
    ends = [sum(widths[: i + 1]) for i in range(len(widths))]
    biased = rows.shape[1] > ends[-1]
    if sums is not None:
        rows = rows[:, : ends[-1]]
    parts = [of_matrices(gate.T, rows) for gate in d]
    whole = parts[0] if len(parts) == 1 else xp.concatenate(parts)
    found = [xp.ascontiguousarray(whole[:, end - width : end]) for width, end in zip(widths, ends)]
    if sums is None and biased:
        sums = whole[:, -1].copy()
    return [*found, sums if biased else None]


@kernel
def lstm(x: Any, h: Any, c: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, w_hr: Any, sizes: Any, reverse: Any) -> Any:
    """(out, h, c), and what the gradient needs: gates i, f, o, g of each step; the cell state before it; tanh of the one
    after it; the rows."""
    # gates: i, f, o, g of each step; cells: the cell state before it; squashed: tanh of the one after it.
    if (found := lstm_by_loops(x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, sizes, reverse)) is not None:
        return found
    xp = namespace_of(x)
    count, hidden = len(x), c.shape[1]
    rows = beside(h.shape[1], x, b_ih is not None)
    weight = _by_gate(4, w_hh, w_ih, None if b_ih is None else b_ih + b_hh)
    weight[2:] = weight[:1:-1].copy()
    weight[:3] *= -1  # sigmoid(z) = 1 / (1 + exp(-z)): on 16384 float32 27 us, by tanh 46 (without AVX-512)
    h, c = h.copy(), c.copy()
    out = xp.empty((count, h.shape[1]), x.dtype)
    gates = xp.empty((4, count, hidden), x.dtype)
    cells, squashed = xp.empty((count, hidden), x.dtype), xp.empty((count, hidden), x.dtype)

    in_order = steps(sizes, reverse)

    def run(first: int, last: int) -> None:
        y, part = xp.empty((4, last - first, hidden), x.dtype), xp.empty((last - first, hidden), x.dtype)
        for start, stop in of_part(in_order, first, last):
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

    _in_parts(run, c, 4 * hidden)
    return (out, h, c), gates, cells, squashed, rows


def _lstm_walk(
    w_hh: Any, w_hr: Any, sizes: Any, reverse: Any, gates: Any, cells: Any, squashed: Any, g_out: Any, g_h: Any, g_c: Any
) -> Any:
    """The gradients of the gates' inputs (1, N, 4 H), of h and of c, and of the projections' results at each step, and (not
    here) of the biases."""
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
    return dz.reshape(1, len(dz), 4 * hidden), dh, dc, dms, None


@kernel
def lstm_gradient(
    needs: Any, g: Any, w_ih: Any, w_hh: Any, w_hr: Any, sizes: Any, reverse: Any, gates: Any, cells: Any, squashed: Any, rows: Any
) -> Any:
    """The gradient of each argument of `lstm`."""
    g_out, g_h, g_c = g
    walk = lstm_gradient_by_loops(w_hh, w_hr, sizes, reverse, gates, cells, squashed, g_out, g_h, g_c)
    dz, dh, dc, dms, sums = walk or _lstm_walk(w_hh, w_hr, sizes, reverse, gates, cells, squashed, g_out, g_h, g_c)
    d_hr = None if w_hr is None else dms.T @ (gates[2] * squashed)
    dx = _input_gradient(dz, w_ih) if needs[0] else None
    widths = w_hh.shape[1], w_ih.shape[1]
    d_hh, d_ih, db = _weight_gradients(dz, rows, widths, sums) if any(needs[3:7]) else (None, None, None)
    return dx, dh, dc, d_ih, d_hh, db, db, d_hr, None, None


@kernel
def gru(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, sizes: Any, reverse: Any) -> Any:
    """(out, h), and what the gradient needs: gates r, z, n of each step, W_hn h + b_hn, (x | 1), and (h | 1) with h before
    the step."""
    # gates: r, z, n of each step; candidates: W_hn h + b_hn, which r multiplies.
    # inputs: (x | 1); rows: (h | 1), with h before the step.
    if (found := gru_by_loops(x, h, w_ih, w_hh, b_ih, b_hh, sizes, reverse)) is not None:
        return found
    xp = namespace_of(x)
    hidden = h.shape[1]
    inputs, rows = beside(0, x, b_ih is not None), beside(hidden, x[:, :0], b_hh is not None)
    gates = xp.matmul(inputs, _by_gate(3, w_ih, b_ih))
    weight = _by_gate(3, w_hh, b_hh)
    h = h.copy()
    out, candidates = xp.empty((len(x), hidden), x.dtype), xp.empty((len(x), hidden), x.dtype)
    in_order = steps(sizes, reverse)

    def run(first: int, last: int) -> None:
        for start, stop in of_part(in_order, first, last):
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

    _in_parts(run, h, 3 * hidden)
    return (out, h), gates, candidates, inputs, rows


def _gru_walk(w_hh: Any, sizes: Any, reverse: Any, gates: Any, candidates: Any, rows: Any, g_out: Any, g_h: Any) -> Any:
    """The gradients of the gates' inputs, of their parts from h, of the first h, and (not here) of both biases."""
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
    return d, d_hidden, dh, None, None


@kernel
def gru_gradient(
    needs: Any, g: Any, w_ih: Any, w_hh: Any, sizes: Any, reverse: Any, gates: Any, candidates: Any, inputs: Any, rows: Any
) -> Any:
    """The gradient of each argument of `gru`."""
    g_out, g_h = g
    hidden = w_hh.shape[1]
    walk = gru_gradient_by_loops(w_hh, sizes, reverse, gates, candidates, rows, g_out, g_h)
    d, d_hidden, dh, sums, sums_hidden = walk or _gru_walk(w_hh, sizes, reverse, gates, candidates, rows, g_out, g_h)
    dx = _input_gradient(d, w_ih) if needs[0] else None
    d_ih, db_ih = _weight_gradients(d, inputs, (w_ih.shape[1],), sums)
    d_hh, db_hh = _weight_gradients(d_hidden, rows, (hidden,), sums_hidden)
    return dx, dh, d_ih, d_hh, db_ih, db_hh, None, None


@kernel
def rnn(x: Any, h: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, squash: Any, sizes: Any, reverse: Any) -> Any:
    """(out, h), and the rows."""
    # squash: "tanh" or "relu"
    if (found := rnn_by_loops(x, h, w_ih, w_hh, b_ih, b_hh, squash, sizes, reverse)) is not None:
        return found
    xp = namespace_of(x)
    hidden = h.shape[1]
    rows = beside(hidden, x, b_ih is not None)
    weight = _by_gate(1, w_hh, w_ih, None if b_ih is None else b_ih + b_hh)[0]
    h = h.copy()
    out = xp.empty((len(x), hidden), x.dtype)
    for start, stop in steps(sizes, reverse):
        y, h_n = out[start:stop], h[: stop - start]
        rows[start:stop, :hidden] = h_n
        xp.matmul(rows[start:stop], weight, out=y)
        _ = xp.tanh(y, out=y) if squash == "tanh" else xp.maximum(y, 0, out=y)
        h_n[...] = y
    return (out, h), rows


def _rnn_walk(w_hh: Any, squash: str, sizes: Any, reverse: Any, y: Any, g_out: Any, g_h: Any) -> Any:
    """The gradients of what is squashed, of the first h, and (not here) of the biases."""
    d = 1 - y * y if squash == "tanh" else (y > 0).astype(y.dtype)
    dh = g_h.copy()
    for start, stop in reversed(steps(sizes, reverse)):
        dh_n, d_n = dh[: stop - start], d[start:stop]
        dh_n += g_out[start:stop]
        d_n *= dh_n
        dh_n[...] = d_n @ w_hh
    return d, dh, None


@kernel
def rnn_gradient(needs: Any, g: Any, out: Any, w_ih: Any, w_hh: Any, squash: Any, sizes: Any, reverse: Any, rows: Any) -> Any:
    """The gradient of each argument of `rnn`."""
    g_out, g_h = g
    walk = rnn_gradient_by_loops(w_hh, squash, sizes, reverse, out[0], g_out, g_h)
    d, dh, sums = walk or _rnn_walk(w_hh, squash, sizes, reverse, out[0], g_out, g_h)
    dx = of_matrices(d, w_ih) if needs[0] else None
    d_hh, d_ih, db = _weight_gradients(d[None], rows, (w_hh.shape[1], w_ih.shape[1]), sums)
    return dx, dh, d_ih, d_hh, db, db, None, None, None
