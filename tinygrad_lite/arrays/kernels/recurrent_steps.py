"""The elementwise part of one step of a recurrent layer, forward and backward, as compiled loops.

All arguments of a step have one shape, (sequences, H), and lie without gaps. A step is several loops where one would be so
long that the processor cannot work on two elements at a time: 2048 elements of an LSTM take 8 us, in one loop 17 us.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def sigmoids(a: Any, b: Any, c: Any = None, xp: Any = np) -> None:
    """The gates come as inputs and leave as values."""
    for gate in (a, b, c):
        if gate is not None:
            gate[...] = 1 / (1 + xp.exp(-gate))


def lstm_cell_step(i: Any, f: Any, candidate: Any, c: Any, before: Any, xp: Any = np) -> None:
    before[...] = c
    candidate[...] = xp.tanh(candidate)
    c[...] = f * c + i * candidate


def lstm_output_step(o: Any, c: Any, tanh_c: Any, h: Any, out: Any = None, xp: Any = np) -> None:
    tanh_c[...] = xp.tanh(c)
    h[...] = o * tanh_c
    if out is not None:
        out[...] = h


def lstm_step_gradient(
    i: Any, f: Any, o: Any, candidate: Any, c: Any, tanh_c: Any, d_i: Any, d_f: Any, d_candidate: Any, d_o: Any, dc: Any, dh: Any,
    g: Any = None,
) -> None:  # fmt: skip
    """`dh` and `g` add up to the gradient of h; `dc` becomes the gradient of the cell state before the step."""
    if g is not None:
        dh = dh + g
    t = o * tanh_c
    d_o[...] = dh * (tanh_c - t) * o
    d_c = dc + dh * (o - t * tanh_c)
    d_i[...] = d_c * candidate * (i - i * i)
    d_f[...] = d_c * c * (f - f * f)
    d_candidate[...] = d_c * (i - i * candidate * candidate)
    dc[...] = d_c * f


def sum_step(out: Any, a: Any, b: Any) -> None:
    out[...] = a + b


def gru_state_step(r: Any, z: Any, new: Any, candidate: Any, h: Any, out: Any, xp: Any = np) -> None:
    """The gate n comes as its input from x, `candidate` is that from h, and n leaves as a value."""
    new[...] = xp.tanh(candidate * r + new)
    h[...] = (h - new) * z + new
    out[...] = h


def gru_step_gradient(
    r: Any, z: Any, new: Any, candidate: Any, before: Any, d_r: Any, d_z: Any, d_n: Any, e_n: Any, dh: Any, g: Any
) -> None:
    """`dh` and `g` add up to the gradient of the new h; `dh` becomes its part past the gates, by z. `e_n` is the gradient of
    n's input from h."""
    d = dh + g
    by_n = d * (1 - z) * (1 - new * new)
    d_r[...] = by_n * candidate * (r - r * r)
    d_z[...] = d * (before - new) * (z - z * z)
    d_n[...], e_n[...] = by_n, by_n * r
    dh[...] = d * z


def tanh_step(y: Any, h: Any, xp: Any = np) -> None:
    y[...] = xp.tanh(y)
    h[...] = y


def tanh_step_gradient(y: Any, d: Any, dh: Any, g: Any) -> None:
    d[...] = (1 - y * y) * (dh + g)


def relu_step(y: Any, h: Any, xp: Any = np) -> None:
    y[...] = xp.maximum(y, 0)
    h[...] = y


def relu_step_gradient(y: Any, d: Any, dh: Any, g: Any) -> None:
    d[...] = (y > 0) * (dh + g)
