"""One step of recurrent layers: products with the weights, and what is done to each element in one piece."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import Array, namespace_of
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.calculus import tanh
from tinygrad_lite.ops.math.elementary import sigmoid
from tinygrad_lite.ops.movement.joining import chunk
from tinygrad_lite.ops.nn.linear import linear
from tinygrad_lite.ops.nn.piecewise_activations import relu

__all__: list[str] = []

METHODS: list[str] = []
IN_PLACE: list[str] = []


def lstm_step(x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr=None):
    """(h, c) after the input x."""
    h, c = _lstm_cell(linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh), c)
    return h if w_hr is None else linear(h, w_hr), c


def gru_step(x, h, w_ih, w_hh, b_ih, b_hh):
    """(h,) after the input x."""
    return (_gru_cell(linear(x, w_ih, b_ih), linear(h, w_hh, b_hh), h),)


def rnn_step(x, h, w_ih, w_hh, b_ih, b_hh, squash):
    """(h,) after the input x; `squash`: "tanh" or "relu"."""
    return ((tanh if squash == "tanh" else relu)(linear(x, w_ih, b_ih) + linear(h, w_hh, b_hh)),)


def halves(xp: Any, dtype: Any) -> Array:
    """(1/2, 1/2, 1, 1/2): sigmoid(z) = 1/2 + tanh(z / 2) / 2, so that one tanh serves the gates i, f and
    o and the candidate g. NumPy's tanh of 16384 float32 takes 14 us, its exp
    alone 19 us (without AVX-512 42 and 21)."""
    half = xp.full((4, 1, 1), 0.5, dtype)
    half[2] = 1
    return half


# A step of 32 x 128 in operations of its own (chunk, sigmoid, ...) takes 14 entries on the tape.
@primitive(keeps=("gates", "squashed"))
def _lstm_cell(z, c):
    # z (B, 4 H): what goes into i, f, g, o, which are kept as (4, B, H) with tanh of the new c.
    xp = namespace_of(z)
    half = halves(xp, z.dtype)
    gates = z.reshape(len(z), 4, z.shape[1] // 4).transpose(1, 0, 2) * half
    xp.tanh(gates, out=gates)
    gates *= half
    gates += 1 - half
    i, f, candidate, o = gates
    c = f * c
    c += i * candidate
    squashed = xp.tanh(c)
    return (o * squashed, c), gates, squashed


@_lstm_cell.fused_vjp("z", "c")
def _(needs, g, c, gates, squashed):
    g_h, g_c = g
    i, f, candidate, o = gates
    d_o = g_h * squashed
    d_c = g_c + o * (g_h - d_o * squashed)
    xp = namespace_of(gates)
    d = xp.empty((len(c), 4, c.shape[1]), c.dtype)
    d[:, 0] = d_c * candidate * (i - i * i)
    d[:, 1] = d_c * c * (f - f * f)
    d[:, 2] = d_c * i * (1 - candidate * candidate)
    d[:, 3] = d_o * (o - o * o)
    return d.reshape(len(c), 4 * c.shape[1]), d_c * f


@_lstm_cell.composed_of
def _(z, c):
    i, f, candidate, o = chunk(z, 4, 1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(candidate)
    return sigmoid(o) * tanh(c), c


@primitive(keeps=("gates", "candidate"))
def _gru_cell(z, v, h):
    # z (B, 3 H) from the input and v from h: r, z and n, where r multiplies the last part of v.
    xp = namespace_of(z)
    hidden = h.shape[1]
    gates = (z[:, : 2 * hidden] + v[:, : 2 * hidden]) * 0.5
    xp.tanh(gates, out=gates)
    gates *= 0.5
    gates += 0.5
    n = gates[:, :hidden] * v[:, 2 * hidden :]
    n += z[:, 2 * hidden :]
    xp.tanh(n, out=n)
    return n + gates[:, hidden:] * (h - n), gates, n


@_gru_cell.fused_vjp("z", "v", "h")
def _(needs, g, v, h, gates, candidate):
    hidden = h.shape[1]
    r, u = gates[:, :hidden], gates[:, hidden:]
    d_n = g * (1 - u) * (1 - candidate * candidate)
    xp = namespace_of(gates)
    d_z = xp.empty_like(v)
    d_z[:, :hidden] = d_n * v[:, 2 * hidden :] * (r - r * r)
    d_z[:, hidden : 2 * hidden] = g * (h - candidate) * (u - u * u)
    d_z[:, 2 * hidden :] = d_n
    d_v = d_z.copy()
    d_v[:, 2 * hidden :] *= r
    return d_z, d_v, g * u


@_gru_cell.composed_of
def _(z, v, h):
    r, u, candidate = chunk(z, 3, 1)
    h_r, h_u, h_candidate = chunk(v, 3, 1)
    n = tanh(candidate + sigmoid(r + h_r) * h_candidate)
    return n + sigmoid(u + h_u) * (h - n)
