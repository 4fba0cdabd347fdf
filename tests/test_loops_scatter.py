"""Adding rows at repeated places as a compiled loop (the extra `fast`): the same bits as NumPy's."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite.arrays import compiling
from tinygrad_lite.arrays.kernels import scatter, scatter_loops
from tinygrad_lite.arrays.kernels.scatter import scatter_add

pytest.importorskip("llvmlite", minversion="0.46")
pytestmark = pytest.mark.skipif(not compiling.available(), reason="loops are switched off")

SHAPES = {"rows": ((97,), 131), "short rows": ((1300,), 7), "a batch": ((16, 64), 128), "long rows": ((11,), 1025), "planes": ((50,), (3, 67))}
FORMS = {
    "whole": lambda x: x, "negative steps": lambda x: x[::-1], "gaps": lambda x: np.repeat(x, 2, 0)[::2],
    "columns": np.asfortranarray,
}  # fmt: skip


def case(shape, dtype):
    places, width = SHAPES[shape]
    draw = np.random.default_rng(0)
    index = draw.integers(-23, 23, places)
    rows = draw.normal(size=(*places, *np.atleast_1d(width))).astype(dtype)
    rows.reshape(-1)[[3, 500]] = np.nan, np.inf
    out = draw.normal(size=(23, *np.atleast_1d(width))).astype(dtype)
    return out, index, rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", SHAPES)
def test_rows_are_added_in_order(shape, form, dtype, monkeypatch):
    out, index, rows = case(shape, dtype)
    want = out.copy()
    rows = FORMS[form](rows)
    for place, row in zip(index.reshape(-1), rows.reshape(-1, *out.shape[1:])):
        want[place] += row
    used = []
    monkeypatch.setattr(scatter, "add_rows", lambda *args: used.append(scatter_loops.add_rows(*args)) or used[-1])
    scatter_add(out, (index,), rows)
    assert used == [True]
    assert out.tobytes() == want.tobytes()


def test_numpy_does_the_rest():
    out, index, rows = case("rows", np.float32)
    for each in (
        (out.astype(np.float16), index, rows.astype(np.float16)),
        (out, index, rows.astype(np.float64)),
        (out, index.astype(np.int32), rows),
        (out, index[:0], rows[:0]),
        (out, index, np.broadcast_to(rows[0], (len(index), out.shape[1]))[:, :1]),
        (out, index, rows[0]),
    ):
        got, want = each[0].copy(), each[0].copy()
        scatter_add(got, (each[1],), each[2])
        np.add.at(want, each[1], each[2])
        np.testing.assert_allclose(got, want, rtol=1e-2 if got.dtype == np.float16 else 1e-5)


def test_the_gradient_of_an_embedding(monkeypatch):
    draw = np.random.default_rng(1)
    tokens, g = tg.tensor(draw.integers(0, 96, (16, 64))), tg.tensor(draw.normal(size=(16, 64, 128)).astype(np.float32))
    found = []
    for step in range(2):
        if step:
            monkeypatch.setattr(scatter, "add_rows", lambda *args: False)
        weight = tg.tensor(np.ones((96, 128), np.float32), requires_grad=True)
        tg.nn.functional.embedding(tokens, weight, padding_idx=5).backward(g)
        found.append(weight.grad.numpy())
    np.testing.assert_array_equal(*found)
    assert not found[0][5].any()
