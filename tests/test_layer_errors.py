"""A layer that receives wrong input raises an error that names the layer."""

from __future__ import annotations

import re

import pytest

import tinygrad_lite as tg
from tinygrad_lite import nn

CASES = [
    (lambda: nn.Conv2d(3, 4, 3)(tg.ones(8, 1, 28, 28)), "Conv2d: expected 3 input channels, got 1 (input (8, 1, 28, 28))"),
    (lambda: nn.Conv1d(3, 4, 3)(tg.ones(2, 9)), "Conv1d: expected 3 input channels, got 2 (input (2, 9))"),
    (lambda: nn.ConvTranspose2d(3, 4, 3)(tg.ones(8, 1, 5, 5)), "ConvTranspose2d: expected 3 input channels, got 1"),
    (lambda: nn.Conv2d(3, 4, 3, padding_mode="mirror"), "Conv2d: expected a padding_mode among zeros, reflect"),
    (lambda: nn.Linear(3, 4)(tg.ones(8, 28)), "Linear: expected input of shape (*, 3), got (8, 28)"),
    (lambda: nn.BatchNorm2d(3)(tg.ones(8, 28)), "BatchNorm2d: expected 4D input (got 2D input, (8, 28))"),
    (lambda: nn.BatchNorm1d(3)(tg.ones(8, 5)), "BatchNorm1d: expected 3 input channels, got 5 (input (8, 5))"),
    (lambda: nn.InstanceNorm2d(3, affine=True)(tg.ones(5, 8, 8)), "InstanceNorm2d: expected 3 input channels, got 5"),
    (lambda: nn.LSTM(3, 4)(tg.ones(5, 2, 2)), "LSTM: expected input features 3 (the last dim), got (5, 2, 2)"),
    (lambda: nn.GRU(3, 4)(tg.ones(5, 2, 3), tg.ones(1, 1, 4)), "GRU: expected h_0 of shape (1, 2, 4), got (1, 1, 4)"),
    (lambda: nn.LSTMCell(3, 4)(tg.ones(2, 5)), "LSTMCell: expected input features 3 (the last dim), got (2, 5)"),
    (lambda: nn.Embedding(3, 4, padding_idx=7), "Embedding: padding_idx 7 is not one of the 3 embeddings"),
    (lambda: nn.GroupNorm(4, 6), "GroupNorm: num_channels (6) must be divisible by num_groups (4)"),
    (lambda: nn.Sequential(nn.ReLU())[3], "Sequential: index 3 is out of range, there are 1 modules"),
]


@pytest.mark.parametrize("call, message", CASES, ids=[message for _, message in CASES])
def test_message(call, message):
    with pytest.raises((ValueError, RuntimeError, IndexError), match=re.escape(message)):
        call()
