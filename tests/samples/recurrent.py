"""Samples for recurrent layers: uniform and ragged sequences, both directions, with and without biases."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(11)
INPUT, HIDDEN, PROJECTED = 3, 2, 1


def normal(*shape):
    return draw.standard_normal(shape) * 0.7


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def unrolled(step, x, states, sizes, reverse):
    """The outputs and final states of `step`, one sequence element after another."""
    states = [s.copy() for s in states]
    out = [None] * len(x)
    starts = np.cumsum(sizes) - sizes
    for t in reversed(range(len(sizes))) if reverse else range(len(sizes)):
        for b in range(sizes[t]):
            new = step(x[starts[t] + b], *[s[b] for s in states])
            for state, value in zip(states, new):
                state[b] = value
            out[starts[t] + b] = new[0].copy()
    return np.array(out), *states


def lstm(x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, sizes, reverse):
    def step(x, h, c):
        i, f, g, o = np.split(w_ih @ x + w_hh @ h + (0 if b_ih is None else b_ih + b_hh), 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        return h if w_hr is None else w_hr @ h, c

    return unrolled(step, x, (h, c), sizes, reverse)


def gru(x, h, w_ih, w_hh, b_ih, b_hh, sizes, reverse):
    def step(x, h):
        r, z, n = np.split(w_ih @ x + (0 if b_ih is None else b_ih), 3)
        h_r, h_z, h_n = np.split(w_hh @ h + (0 if b_hh is None else b_hh), 3)
        z = sigmoid(z + h_z)
        return ((1 - z) * np.tanh(n + sigmoid(r + h_r) * h_n) + z * h,)

    return unrolled(step, x, (h,), sizes, reverse)


def rnn(x, h, w_ih, w_hh, b_ih, b_hh, squash, sizes, reverse):
    function = np.tanh if squash == "tanh" else lambda z: np.maximum(z, 0)

    def step(x, h):
        return (function(w_ih @ x + w_hh @ h + (0 if b_ih is None else b_ih + b_hh)),)

    return unrolled(step, x, (h,), sizes, reverse)


for sizes, reverse in (((2, 2, 2), False), ((3, 2, 2, 1), False), ((3, 2, 2, 1), True)):
    x, batch = normal(sum(sizes), INPUT), sizes[0]
    h, c = normal(batch, HIDDEN), normal(batch, HIDDEN)
    for biased in (True, False):

        def weights(gates, width=HIDDEN, biased=biased):
            rows = gates * HIDDEN
            biases = (normal(rows), normal(rows)) if biased else (None, None)
            return normal(rows, INPUT), normal(rows, width), *biases

        sample("lstm", x, h, c, *weights(4), None, sizes, reverse, reference=lstm, order=2)
        sample("gru", x, h, *weights(3), sizes, reverse, reference=gru, order=2)
        sample("rnn", x, h, *weights(1), "tanh", sizes, reverse, reference=rnn, order=2)
    projected = normal(batch, PROJECTED)
    sample("lstm", x, projected, c, *weights(4, PROJECTED), normal(PROJECTED, HIDDEN), sizes, reverse, reference=lstm, order=2)
    sample("rnn", x, h, *weights(1), "relu", sizes, reverse, reference=rnn, order=1)


def lstm_cell(z, c):
    i, f, g, o = np.split(z, 4, 1)
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


def gru_cell(z, v, h):
    (r, u, n), (h_r, h_u, h_n) = np.split(z, 3, 1), np.split(v, 3, 1)
    u = sigmoid(u + h_u)
    return (1 - u) * np.tanh(n + sigmoid(r + h_r) * h_n) + u * h


sample("lstm_cell", normal(3, 8), normal(3, 2), reference=lstm_cell)
sample("gru_cell", normal(3, 6), normal(3, 6), normal(3, 2), reference=gru_cell)
