"""The elementwise part of one step of a recurrent layer, forward and backward, as compiled loops.

All arguments of a step have one shape, (sequences, H), and lie without gaps.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.arrays.blocked import loop_on_parts
from tinygrad_lite.arrays.devices import Array
from tinygrad_lite.arrays.loops import SMALLEST


def loop_of_steps(step: Callable[..., None], arrays: Sequence[Array]) -> Any:
    """The compiled loop for each step of a sequence (see `loop_on_parts`), if the first array, of all steps, is worth one;
    otherwise None."""
    return loop_on_parts(step, arrays) if arrays[0].size >= SMALLEST else None


def lstm_step(i: Any, f: Any, o: Any, candidate: Any, c: Any, before: Any, tanh_c: Any, h: Any, out: Any = None, xp: Any = np) -> None:
    """The gates come as inputs, the first three negated, and leave as values."""
    before[...] = c
    for gate in (i, f, o):
        gate[...] = 1 / (1 + xp.exp(gate))
    candidate[...] = xp.tanh(candidate)
    c[...] = f * c + i * candidate
    tanh_c[...] = xp.tanh(c)
    h[...] = o * tanh_c
    if out is not None:
        out[...] = h


def lstm_step_gradient(
    i: Any, f: Any, o: Any, candidate: Any, c: Any, tanh_c: Any, d_i: Any, d_f: Any, d_candidate: Any, d_o: Any, dc: Any, *dhs: Any
) -> None:
    """`dhs` add up to the gradient of h; `dc` becomes the gradient of the cell state before the step."""
    dh = functools.reduce(operator.add, dhs)
    t = o * tanh_c
    d_o[...] = dh * (tanh_c - t) * o
    d_c = dc + dh * (o - t * tanh_c)
    d_i[...] = d_c * candidate * (i - i * i)
    d_f[...] = d_c * c * (f - f * f)
    d_candidate[...] = d_c * (i - i * candidate * candidate)
    dc[...] = d_c * f


def gru_step(r: Any, z: Any, new: Any, v_r: Any, v_z: Any, v_n: Any, candidate: Any, h: Any, out: Any, xp: Any = np) -> None:
    """The gates come as their inputs from x, and v from h, and leave as values."""
    candidate[...] = v_n
    r[...] = 1 / (1 + xp.exp(-(v_r + r)))
    z[...] = 1 / (1 + xp.exp(-(v_z + z)))
    new[...] = xp.tanh(v_n * r + new)
    h[...] = (h - new) * z + new
    out[...] = h


def gru_step_gradient(
    r: Any, z: Any, new: Any, candidate: Any, h: Any, d_r: Any, d_z: Any, d_n: Any, e_r: Any, e_z: Any, e_n: Any,
    through: Any, g: Any, *dhs: Any,
) -> None:  # fmt: skip
    """`g`, `through` (past the gates, by z) and `dhs` add up to the gradient of the new h."""
    dh = functools.reduce(operator.add, dhs, through + g)
    by_n = dh * (1 - z) * (1 - new * new)
    by_r = by_n * candidate * (r - r * r)
    by_z = dh * (h - new) * (z - z * z)
    d_r[...], d_z[...], d_n[...] = by_r, by_z, by_n
    e_r[...], e_z[...], e_n[...] = by_r, by_z, by_n * r
    through[...] = dh * z


def rnn_step(y: Any, h: Any, xp: Any = np) -> None:
    y[...] = xp.tanh(y)
    h[...] = y
