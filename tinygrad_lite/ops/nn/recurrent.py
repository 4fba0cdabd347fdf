"""Recurrent layers over a whole sequence: LSTM, GRU and the plain cell, each one entry on the tape.

The steps of a sequence follow one another as rows: x (N, I), where the first `sizes[0]` rows belong to the first step, and
so on; sizes do not increase (sequences are sorted by length), so step t has the first `sizes[t]` sequences of the batch.
`reverse` goes from the last step to the first.
"""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays.kernels.recurrent import gru, gru_gradient, lstm, lstm_gradient, rnn, rnn_gradient, steps
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.movement.joining import cat
from tinygrad_lite.ops.nn.recurrent_cells import gru_step, lstm_step, rnn_step

# -- LSTM (Hochreiter and Schmidhuber, 1997; Gers et al., 2000) ----------------------------------


@primitive(keeps=("gates", "cells", "squashed", "rows"))
def _lstm(input, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, sizes, reverse):
    return lstm(input, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, sizes, reverse)


@_lstm.fused_vjp("input", "h", "c", "w_ih", "w_hh", "b_ih", "b_hh", "w_hr")
def _(needs, g, w_ih, w_hh, w_hr, sizes, reverse, gates, cells, squashed, rows):
    return lstm_gradient(needs, g, w_ih, w_hh, w_hr, sizes, reverse, gates, cells, squashed, rows)


@_lstm.composed_of
def _(x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, sizes, reverse):
    return _unrolled(lstm_step, x, (h, c), (w_ih, w_hh, b_ih, b_hh, w_hr), sizes, reverse)


def _unrolled(
    step: Any, x: Any, states: tuple[Any, ...], weights: tuple[Any, ...], sizes: tuple[int, ...], reverse: bool
) -> tuple[Any, ...]:
    """The outputs and final states, step by step."""
    outputs: list[Any] = []
    for start, stop in steps(sizes, reverse):
        n = stop - start
        new = step(x[start:stop], *[s[:n] for s in states], *weights)
        outputs.append(new[0])
        states = tuple(cat([s, old[n:]]) if n < len(old) else s for s, old in zip(new, states))
    return cat(outputs[::-1] if reverse else outputs), *states


# -- GRU (Cho et al., 2014) ----------------------------------------------------------------------


@primitive(keeps=("gates", "candidates", "inputs", "rows"))
def _gru(input, h, w_ih, w_hh, b_ih, b_hh, sizes, reverse):
    return gru(input, h, w_ih, w_hh, b_ih, b_hh, sizes, reverse)


@_gru.fused_vjp("input", "h", "w_ih", "w_hh", "b_ih", "b_hh")
def _(needs, g, w_ih, w_hh, sizes, reverse, gates, candidates, inputs, rows):
    return gru_gradient(needs, g, w_ih, w_hh, sizes, reverse, gates, candidates, inputs, rows)


@_gru.composed_of
def _(x, h, w_ih, w_hh, b_ih, b_hh, sizes, reverse):
    return _unrolled(gru_step, x, (h,), (w_ih, w_hh, b_ih, b_hh), sizes, reverse)


# -- the plain cell (Elman, 1990) ----------------------------------------------------------------


@primitive(keeps=("rows",))
def _rnn(input, h, w_ih, w_hh, b_ih, b_hh, squash, sizes, reverse):
    return rnn(input, h, w_ih, w_hh, b_ih, b_hh, squash, sizes, reverse)


@_rnn.fused_vjp("input", "h", "w_ih", "w_hh", "b_ih", "b_hh")
def _(needs, g, out, w_ih, w_hh, squash, sizes, reverse, rows):
    return rnn_gradient(needs, g, out, w_ih, w_hh, squash, sizes, reverse, rows)


@_rnn.composed_of
def _(x, h, w_ih, w_hh, b_ih, b_hh, squash, sizes, reverse):
    return _unrolled(rnn_step, x, (h,), (w_ih, w_hh, b_ih, b_hh, squash), sizes, reverse)
