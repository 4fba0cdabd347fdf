"""Recurrent layers over a whole sequence: LSTM, GRU and the plain cell, one entry on the tape each.

The steps of a sequence stand one after another as rows: x (N, I), of which the first `sizes[0]` rows
are the first step's, and so on; sizes do not grow (sequences are sorted by length), so that step t
has the first `sizes[t]` sequences of the batch. `reverse` goes from the last step to the first.

One product works out the inputs' part of all gates at once, and one the gradient of each weight
over all steps; a step itself is one product of the hidden state and elementwise work on preallocated
arrays. Gates come first, (gates, N, H): on rows cut into gates, (N, gates H), NumPy's elementwise
work takes two to three times as long.
"""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import Array, namespace_of
from tinygrad_lite.arrays.blocked import elementwise
from tinygrad_lite.autograd import primitive
from tinygrad_lite.ops.activation import relu
from tinygrad_lite.ops.elementary import sigmoid, tanh
from tinygrad_lite.ops.joining import cat, chunk
from tinygrad_lite.ops.products import linear

__all__: list[str] = []

METHODS: list[str] = []
IN_PLACE: list[str] = []


def steps(sizes: tuple[int, ...], reverse: bool) -> list[tuple[int, int]]:
    """The first row of each step and the one past its last, in the order of processing."""
    rows, start = [], 0
    for size in sizes:
        rows.append((start, start + size))
        start += size
    return rows[::-1] if reverse else rows


def _by_gate(weight: Array, gates: int) -> Array:
    """(gates H, K) as (gates, K, H), ready for `rows @ weight`.

    Contiguous: (32, 128) @ (128, 512) takes 93 us, and 138 us with the right side transposed.
    """
    xp = namespace_of(weight)
    return xp.ascontiguousarray(weight.reshape(gates, -1, weight.shape[1]).transpose(0, 2, 1))


def _of_inputs(x: Array, weight: Array, bias: Array | None, gates: int) -> Array:
    """x @ weight.T + bias, by gate: (gates, N, H)."""
    xp = namespace_of(x)
    if bias is None:
        return xp.matmul(x, _by_gate(weight, gates))
    with_bias = xp.concatenate([weight, bias[:, None]], 1)  # cheaper than a pass over the result
    return xp.matmul(xp.concatenate([x, xp.ones((len(x), 1), x.dtype)], 1), _by_gate(with_bias, gates))


def _gradients(needs: Any, d: Array, x: Array, before: Array, weight: Array) -> tuple[Any, ...]:
    """From the gradient `d` of the gates, (gates, N, H), those of x, w_ih, w_hh and the biases."""
    xp = namespace_of(d)
    gates, _, hidden = d.shape
    flat = d.transpose(0, 2, 1)
    return (
        sum(d[k] @ w for k, w in enumerate(weight.reshape(gates, hidden, -1))) if needs[0] else None,
        xp.matmul(flat, x).reshape(gates * hidden, -1) if needs[1] else None,
        xp.matmul(flat, before).reshape(gates * hidden, -1) if needs[2] else None,
        d.sum(axis=1).reshape(-1) if needs[3] else None,
    )


# -- LSTM (Hochreiter and Schmidhuber, 1997; Gers et al., 2000) ----------------------------------


def _halves(xp: Any, dtype: Any) -> Array:
    """(1/2, 1/2, 1, 1/2): sigmoid(z) = 1/2 + tanh(z / 2) / 2, so that one tanh serves the gates i, f and
    o and the candidate g. NumPy's tanh of 16384 float32 takes 14 us, its exp alone 19 us."""
    half = xp.full((4, 1, 1), 0.5, dtype)
    half[2] = 1
    return half


@primitive(keeps=("gates", "cells", "squashed", "before"))
def _lstm(x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, sizes, reverse):
    # gates: i, f, g, o of each step; cells: the state before it; squashed: tanh of the one after it.
    xp = namespace_of(x)
    half = _halves(xp, x.dtype)
    rest = 1 - half

    def halved(weight):
        return (weight.reshape(4, -1, 1) * half).reshape(weight.shape)

    gates = _of_inputs(x, halved(w_ih), None if b_ih is None else halved(b_ih + b_hh), 4)
    u = _by_gate(halved(w_hh), 4)
    h, c = h.copy(), c.copy()
    out, before = xp.empty((len(x), h.shape[1]), x.dtype), xp.empty((len(x), h.shape[1]), x.dtype)
    cells, squashed = xp.empty((2, len(x), c.shape[1]), x.dtype)
    y, part = xp.empty((4, *c.shape), x.dtype), xp.empty_like(c)
    for start, stop in steps(sizes, reverse):
        n = stop - start
        if n != len(part):  # contiguous again: the elementwise work below is the faster for it
            y, part = xp.empty((4, n, c.shape[1]), x.dtype), xp.empty((n, c.shape[1]), x.dtype)
        h_n, c_n, tanh_c = h[:n], c[:n], squashed[start:stop]
        before[start:stop] = h_n
        cells[start:stop] = c_n
        xp.matmul(h_n, u, out=y)
        y += gates[:, start:stop]
        xp.tanh(y, out=y)
        y *= half
        y += rest
        gates[:, start:stop] = y
        i, f, candidate, o = y
        c_n *= f
        c_n += xp.multiply(i, candidate, out=part)
        xp.tanh(c_n, out=tanh_c)
        if w_hr is None:
            xp.multiply(o, tanh_c, out=h_n)
        else:
            xp.matmul(xp.multiply(o, tanh_c, out=part), w_hr.T, out=h_n)
        out[start:stop] = h_n
    return (out, h, c), gates, cells, squashed, before


@_lstm.fused_vjp("x", "h", "c", "w_ih", "w_hh", "b_ih", "b_hh", "w_hr")
def _(needs, g, x, w_ih, w_hh, w_hr, sizes, reverse, gates, cells, squashed, before):
    g_out, g_h, g_c = g
    xp = namespace_of(x)

    # What the gates' gradients have as factors apart from dc and dh, for all steps at once:
    # c <- f c + i g, h = o tanh(c); sigmoid' = y (1 - y), tanh' = 1 - y y.
    def factors(i, f, candidate, o, c, tanh_c, d_i, d_f, d_candidate, d_o, d_c):
        for y, other, d in ((i, candidate, d_i), (f, c, d_f), (o, tanh_c, d_o)):
            xp.subtract(1, y, out=d)
            d *= y
            d *= other
        for y, other, d in ((candidate, i, d_candidate), (tanh_c, o, d_c)):
            xp.multiply(y, y, out=d)
            xp.subtract(1, d, out=d)
            d *= other

    d, slope = xp.empty_like(gates), xp.empty_like(cells)
    elementwise(factors, *gates, cells, squashed, *d, slope)
    dh, dc = g_h.copy(), g_c.copy()
    d_hr = None if w_hr is None else xp.zeros_like(w_hr)
    u = w_hh.reshape(4, -1, w_hh.shape[1])
    summands, part = xp.empty((4, *dh.shape), x.dtype), xp.empty_like(dc)
    for start, stop in reversed(steps(sizes, reverse)):
        n = stop - start
        d_n, dh_n, dc_n, s = d[:, start:stop], dh[:n], dc[:n], summands[:, :n]
        dh_n += g_out[start:stop]
        dm = dh_n
        if w_hr is not None:
            d_hr += dh_n.T @ (gates[3, start:stop] * squashed[start:stop])
            dm = dh_n @ w_hr
        dc_n += xp.multiply(dm, slope[start:stop], out=part[:n])
        d_n[:3] *= dc_n
        d_n[3] *= dm
        dc_n *= gates[1, start:stop]
        xp.matmul(d_n, u, out=s)
        xp.add(s[0], s[1], out=dh_n)
        dh_n += s[2]
        dh_n += s[3]
    dx, d_ih, d_hh, db = _gradients((needs[0], needs[3], needs[4], needs[5] or needs[6]), d, x, before, w_ih)
    return dx, dh, dc, d_ih, d_hh, db, db, d_hr, None, None


@_lstm.composed_of
def _(x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, sizes, reverse):
    def step(x, h, c):
        i, f, candidate, o = chunk(linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh), 4, 1)
        c = sigmoid(f) * c + sigmoid(i) * tanh(candidate)
        h = sigmoid(o) * tanh(c)
        return h if w_hr is None else linear(h, w_hr), c

    return _unrolled(step, x, (h, c), sizes, reverse)


def _unrolled(step: Any, x: Any, states: tuple[Any, ...], sizes: tuple[int, ...], reverse: bool) -> tuple[Any, ...]:
    """The outputs and final states of `step(x, *states)`, operation by operation."""
    outputs: list[Any] = []
    for start, stop in steps(sizes, reverse):
        n = stop - start
        new = step(x[start:stop], *[s[:n] for s in states])
        outputs.append(new[0])
        states = tuple(cat([s, old[n:]]) if n < len(old) else s for s, old in zip(new, states))
    return cat(outputs[::-1] if reverse else outputs), *states


# -- GRU (Cho et al., 2014) ----------------------------------------------------------------------


@primitive(keeps=("gates", "candidates", "before"))
def _gru(x, h, w_ih, w_hh, b_ih, b_hh, sizes, reverse):
    # gates: r, z, n of each step; candidates: W_hn h + b_hn, which r multiplies.
    xp = namespace_of(x)
    gates = _of_inputs(x, w_ih, b_ih, 3)
    u = _by_gate(w_hh, 3)
    bias = None if b_hh is None else b_hh.reshape(3, 1, -1)
    h = h.copy()
    out = xp.empty((len(x), h.shape[1]), x.dtype)
    before, candidates = xp.empty((2, *out.shape), x.dtype)
    for start, stop in steps(sizes, reverse):
        n = stop - start
        y, h_n, new = gates[:, start:stop], h[:n], out[start:stop]
        before[start:stop] = h_n
        v = xp.matmul(h_n, u)
        if bias is not None:
            v += bias
        candidates[start:stop] = v[2]
        r_z, v_n = v[:2], v[2]
        r_z += y[:2]
        r_z *= 0.5
        xp.tanh(r_z, out=r_z)
        r_z *= 0.5
        r_z += 0.5
        v_n *= v[0]
        v_n += y[2]
        xp.tanh(v_n, out=v_n)
        y[...] = v
        # h <- n + z (h - n)
        h_n -= v_n
        h_n *= v[1]
        h_n += v_n
        new[...] = h_n
    return (out, h), gates, candidates, before


@_gru.fused_vjp("x", "h", "w_ih", "w_hh", "b_ih", "b_hh")
def _(needs, g, x, w_ih, w_hh, sizes, reverse, gates, candidates, before):
    g_out, g_h = g
    xp = namespace_of(x)

    def factors(r, z, new, candidate, h, d_r, d_z, d_n):
        xp.subtract(1, r, out=d_r)
        d_r *= r
        d_r *= candidate
        xp.subtract(1, z, out=d_n)
        xp.subtract(h, new, out=d_z)
        d_z *= z
        d_z *= d_n
        d_n *= 1 - new * new

    d = xp.empty_like(gates)  # of the gates' inputs
    d_hidden = xp.empty_like(gates)  # the same for what comes from h: r stands between for n
    elementwise(factors, *gates, candidates, before, *d)
    dh = g_h.copy()
    u = w_hh.reshape(3, -1, w_hh.shape[1])
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
    dx, d_ih, _, db_ih = _gradients((needs[0], needs[2], False, needs[4]), d, x, before, w_ih)
    _, _, d_hh, db_hh = _gradients((False, False, needs[3], needs[5]), d_hidden, x, before, w_ih)
    return dx, dh, d_ih, d_hh, db_ih, db_hh, None, None


@_gru.composed_of
def _(x, h, w_ih, w_hh, b_ih, b_hh, sizes, reverse):
    def step(x, h):
        r, z, candidate = chunk(linear(x, w_ih, b_ih), 3, 1)
        h_r, h_z, h_candidate = chunk(linear(h, w_hh, b_hh), 3, 1)
        n = tanh(candidate + sigmoid(r + h_r) * h_candidate)
        return (n + sigmoid(z + h_z) * (h - n),)

    return _unrolled(step, x, (h,), sizes, reverse)


# -- the plain cell (Elman, 1990) ----------------------------------------------------------------


@primitive(keeps=("before",))
def _rnn(x, h, w_ih, w_hh, b_ih, b_hh, squash, sizes, reverse):
    # squash: "tanh" or "relu"
    xp = namespace_of(x)
    out = _of_inputs(x, w_ih, None if b_ih is None else b_ih + b_hh, 1)[0]
    u = _by_gate(w_hh, 1)[0]
    h = h.copy()
    before = xp.empty_like(out)
    for start, stop in steps(sizes, reverse):
        n = stop - start
        y, h_n = out[start:stop], h[:n]
        before[start:stop] = h_n
        y += h_n @ u
        _ = xp.tanh(y, out=y) if squash == "tanh" else xp.maximum(y, 0, out=y)
        h_n[...] = y
    return (out, h), before


@_rnn.fused_vjp("x", "h", "w_ih", "w_hh", "b_ih", "b_hh")
def _(needs, g, out, x, w_ih, w_hh, squash, sizes, reverse, before):
    g_out, g_h = g
    y = out[0]
    d = 1 - y * y if squash == "tanh" else (y > 0).astype(y.dtype)
    dh = g_h.copy()
    for start, stop in reversed(steps(sizes, reverse)):
        dh_n, d_n = dh[: stop - start], d[start:stop]
        dh_n += g_out[start:stop]
        d_n *= dh_n
        dh_n[...] = d_n @ w_hh
    dx, d_ih, d_hh, db = _gradients((needs[0], needs[2], needs[3], needs[4] or needs[5]), d[None], x, before, w_ih)
    return dx, dh, d_ih, d_hh, db, db, None, None, None


@_rnn.composed_of
def _(x, h, w_ih, w_hh, b_ih, b_hh, squash, sizes, reverse):
    function = tanh if squash == "tanh" else relu

    def step(x, h):
        return (function(linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh)),)

    return _unrolled(step, x, (h,), sizes, reverse)
