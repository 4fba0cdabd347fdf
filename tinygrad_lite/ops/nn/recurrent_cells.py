"""One step of recurrent layers: products with the weights, then all elementwise work in one primitive."""

from __future__ import annotations

from tinygrad_lite.arrays.kernels.recurrent_cells import gru_cell, gru_cell_gradient, lstm_cell, lstm_cell_gradient
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.calculus import tanh
from tinygrad_lite.ops.math.elementary import sigmoid
from tinygrad_lite.ops.movement.joining import chunk
from tinygrad_lite.ops.nn.linear import linear
from tinygrad_lite.ops.nn.piecewise_activations import relu


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


# As separate operations (chunk, sigmoid, ...), a step of 32 x 128 takes 14 tape entries.
@primitive(keeps=("gates", "squashed"))
def _lstm_cell(z, c):
    return lstm_cell(z, c)


@_lstm_cell.fused_vjp("z", "c")
def _(needs, g, c, gates, squashed):
    return lstm_cell_gradient(g, c, gates, squashed)


@_lstm_cell.composed_of
def _(z, c):
    i, f, candidate, o = chunk(z, 4, 1)
    c = sigmoid(f) * c + sigmoid(i) * tanh(candidate)
    return sigmoid(o) * tanh(c), c


@primitive(keeps=("gates", "candidate"))
def _gru_cell(z, v, h):
    return gru_cell(z, v, h)


@_gru_cell.fused_vjp("z", "v", "h")
def _(needs, g, v, h, gates, candidate):
    return gru_cell_gradient(g, v, h, gates, candidate)


@_gru_cell.composed_of
def _(z, v, h):
    r, u, candidate = chunk(z, 3, 1)
    h_r, h_u, h_candidate = chunk(v, 3, 1)
    n = tanh(candidate + sigmoid(r + h_r) * h_candidate)
    return n + sigmoid(u + h_u) * (h - n)
