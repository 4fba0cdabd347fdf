"""Connectionist temporal classification against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.parity.compare import compare, refused

CTC = "nn.functional.ctc_loss"
draw = np.random.default_rng(71)
T, N, C, S = 12, 3, 5, 4


def log_softmax(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


logs = log_softmax(draw.standard_normal((T, N, C)))
targets = draw.integers(1, C, (N, S))
repeats = np.array([[1, 1, 2, 2], [3, 3, 3, 3], [1, 2, 1, 2]])
full, counts = np.full(N, T), np.array([4, 3, 1])


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ctc(reduction, dtype):
    def check(*args, **kwargs):
        compare(CTC, *args, dtype=dtype, order=1, reduction=reduction, **kwargs)

    check(logs, targets, full, np.full(N, S))
    check(logs, repeats, full, np.full(N, S))
    check(logs, targets, np.array([12, 9, 5]), counts)
    check(logs, targets, (12, 9, 5), (4, 3, 1))
    check(logs, np.concatenate([targets[n, :c] for n, c in enumerate(counts)]), full, counts)
    check(logs, targets - 1, full, counts, blank=4)
    check(logs, targets.astype("int32"), full, np.array([2, 0, 1]))
    check(logs, repeats, np.array([12, 5, 12]), np.full(N, S), zero_infinity=True)
    check(logs[:, 0], targets[0], np.array(T), np.array(S))
    check(logs[:, 0], targets[0], (T,), (S,))
    check(logs * 3, targets, full, counts)


def test_too_short_an_input():
    compare(CTC, logs, repeats, np.array([12, 5, 12]), np.full(N, S), order=0, reduction="none")


def test_through_log_softmax_twice():
    """The second derivative, which PyTorch lacks, against finite differences."""
    x = tg.tensor(draw.standard_normal((5, 2, 3)), requires_grad=True)

    def loss(x):
        return tg.ctc_loss(tg.log_softmax(x, 2), tg.tensor([[1, 2], [2, 2]]), (5, 4), (2, 2))

    assert tg.autograd.gradcheck(loss, (x,)) and tg.autograd.gradgradcheck(loss, (x,))


def test_refusals():
    refused(CTC, logs, targets, full, np.full(N, S + 1))
    refused(CTC, logs, targets, full + 1, counts)
    refused(CTC, logs, targets, full[:2], counts)
    refused(CTC, logs, targets, full, counts[:2])
    refused(CTC, logs, targets, full, counts, blank=C)
    refused(CTC, logs, targets[:2], full, counts)
    refused(CTC, logs[:, 0], targets[0], (T,), (S - 1,))
    refused(CTC, np.ones((T, N, C), int), targets, full, counts)
    refused(CTC, logs, targets, full, counts, reduction="median")
