"""The table of a model."""

from __future__ import annotations

import tinygrad_lite as tg
from tinygrad_lite import nn


def test_rows_and_totals():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 9, 5))
    table = nn.summary(model, (2, 3, 7, 7))
    assert [row.kind for row in table.rows] == ["Conv2d", "BatchNorm2d", "ReLU", "Flatten", "Linear"]
    assert [row.shape for row in table.rows] == [(2, 8, 3, 3), (2, 8, 3, 3), (2, 8, 3, 3), (2, 72), (2, 5)]
    assert [row.parameters for row in table.rows] == [8 * 3 * 9 + 8, 16, 0, 0, 72 * 5 + 5]
    assert [row.multiply_adds for row in table.rows] == [2 * 8 * 9 * 27, 0, 0, 0, 2 * 72 * 5]
    assert table.parameters == sum(p.numel() for p in model.parameters())
    assert "BatchNorm2d" in repr(table) and f"{table.multiply_adds:,}" in repr(table)


def test_layers_that_are_used_twice_or_share_weights():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.a(self.a(self.b(x)))

    table = nn.summary(Twice(), (2, 3))
    assert [row.name for row in table.rows] == ["b", "a", "a"]
    assert [row.parameters for row in table.rows] == [12, 3, 0] and table.parameters == 15


def test_recurrent_layers_attention_and_transposed_convolutions():
    assert nn.summary(nn.LSTM(3, 4), (5, 2, 3)).multiply_adds == 10 * 16 * (3 + 4)
    assert nn.summary(nn.ConvTranspose2d(3, 4, 2, stride=2), (1, 3, 5, 5)).multiply_adds == 3 * 25 * 4 * 4
    x = tg.zeros(5, 2, 4)
    assert nn.summary(nn.MultiheadAttention(4, 2), x, x, x).multiply_adds == 4 * 10 * 16 + 2 * 10 * 5 * 4


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(), nn.BatchNorm1d(3))
    model[0].weight.requires_grad_(False)
    model[1].eval()
    table = nn.summary(model, (4, 3))
    assert [m.training for m in model.modules()] == [True, True, False, True]
    assert model[2].num_batches_tracked.item() == 0 and (model[2].running_mean == 0).all()
    assert f"{table.parameters - 9:,} of the parameters are trained" in repr(table)
