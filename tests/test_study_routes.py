"""`study.paths` writes a gradient as the sum of what comes along each path."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
import tinygrad_lite.nn.functional as F
from tinygrad_lite import nn, study


def leaf(*values):
    return tg.tensor(list(values), dtype=tg.float64, requires_grad=True)


def check(loss, x, expected_count):
    """All paths: as many as expected, the largest first, whose shares sum to 1 and whose gradients to that of backward."""
    found = study.paths(loss, x, top=1000)
    (g,) = tg.autograd.grad(loss, x, retain_graph=True)
    np.testing.assert_array_equal(found.gradient.array, g.numpy())
    assert found.count == len(found.paths) == expected_count
    np.testing.assert_allclose(sum(path.gradient.array for path in found), g.numpy(), rtol=1e-12)
    assert sum(path.share for path in found) == pytest.approx(1)
    sizes = [abs(path.share) for path in found]
    assert sizes == sorted(sizes, reverse=True)
    return found


def test_each_path_has_its_steps_and_its_part():
    x = leaf(1.0, 2.0)
    loss = (x.exp() + 2 * x).sum()
    large, small = check(loss, x, 2)
    assert large.steps == ("sum", "add", "exp", "x") and small.steps == ("sum", "add", "mul", "x")
    np.testing.assert_allclose(large.gradient.array, np.exp([1, 2]))
    np.testing.assert_array_equal(small.gradient.array, [2, 2])


def test_both_operands_of_a_square_are_paths_of_their_own():
    x = leaf(3.0)
    y = x * x
    check((y * y).sum(), x, 4)


def test_paths_that_cancel_have_shares_of_both_signs():
    x = leaf(1.0, -2.0)
    found = check((5 * x.square() - 3 * x.square()).sum(), x, 2)
    assert [path.share for path in found] == pytest.approx([2.5, -1.5])


def test_paths_through_several_results_functions_and_broadcasting():
    class Both(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2, x * 3

        @staticmethod
        def backward(ctx, g, k):
            return g * 2 + k * 3

    x, w = leaf(1.0, 2.0, 3.0), leaf(0.5)
    a, b, c = (x * w).split(1)
    check((a * b + c.sin()).sum(), x, 3)
    p, q = Both.apply(x)
    check((p * q).sum(), x, 2)
    check((x * w + w).sum(), w, 2)


def test_paths_through_a_gradient():
    x = leaf(1.0, 2.0)
    (g,) = tg.autograd.grad((x**3).sum(), x, create_graph=True)
    check((g * x).sum(), x, 2)


def test_paths_to_a_result_end_there():
    x = leaf(1.0, 2.0)
    h = x.sin() + x
    check((h * h + h).sum(), h, 3)


def test_paths_through_a_checkpoint_and_a_tensor_changed_in_place():
    x = leaf(1.0, 2.0)
    check((tg.utils.checkpoint.checkpoint(lambda v: v.sin() * v, x, use_reentrant=False) + x).sum(), x, 3)
    h = x * 2
    h[0] = x[1]
    check((h * h.detach()).sum(), x, 2)


def test_hooks_are_left_out():
    x = leaf(1.0)
    h = x * 2
    h.register_hook(lambda g: 100 * g)
    assert study.paths(h.sum(), x).gradient.array.tolist() == [2]


def test_only_the_largest_are_kept_and_the_others_summed():
    x = leaf(1.0, 2.0)
    loss = sum((k * x).sum() for k in range(1, 11))
    found = study.paths(loss, x, top=3)
    assert [round(path.share * 55) for path in found] == [10, 9, 8]
    (layer,) = found.layers
    assert layer.others == 7 and layer.rest == pytest.approx(28 / 55)
    assert "50.9%  7 others" in str(found)


def test_a_residual_network_is_taken_by_layer():
    tg.manual_seed(0)
    x = h = tg.randn(2, 6, dtype=tg.float64, requires_grad=True)
    with study.record() as tape:
        for layer in [nn.Linear(6, 6).double() for _ in range(12)]:
            h = h + F.gelu(layer(h))
        loss = h.square().mean()
    found = study.paths(loss, x, tape=tape)
    assert found.count == 2**12 and len(found.layers) == 12
    for layer in found.layers:
        assert layer.count == 2 and sum(path.share for path in layer.paths) == pytest.approx(1)
        branch = max(layer.paths, key=lambda path: len(path.steps))
        assert [step.split()[-1] for step in branch.steps[:-1]] == ["add", "gelu", "linear"]
    with pytest.raises(RuntimeError, match="4,096 paths, too many to enumerate; see .layers"):
        found.paths  # noqa: B018
    assert "from %60 h = add to %55 h = add:" in str(found)


def test_a_recurrent_weight_is_taken_by_time_step():
    tg.manual_seed(0)
    cell, state = nn.LSTMCell(3, 4).double(), None
    for x in tg.randn(12, 2, 3, dtype=tg.float64):
        state = cell(x, state)
    found = study.paths(state[0].sum(), cell.weight_hh, top=100)
    (layer,) = found.layers
    assert found.count > 1000 and layer.by_sender and len(layer.paths) == 12
    assert sum(path.share for path in layer.paths) == pytest.approx(1)


def test_a_long_chain_and_a_wide_count():
    x = h = leaf(1.0)
    for _ in range(3000):
        h = h + 1e-3
    assert study.paths(h.sum(), x).count == 1
    for _ in range(200):
        h = h * h.detach() + h * 1e-3
    found = study.paths(h.sum(), x)
    assert found.count == 2**200 and len(found.layers) == 200 and "about 10^60 paths" in str(found)


def test_refusals():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    loss = (x * x).sum()
    with pytest.raises(RuntimeError, match="paths: the loss does not depend on x"):
        study.paths(loss, y)
    with pytest.raises(TypeError, match="paths: expected a Tensor as x, got str"):
        study.paths(loss, "x")
    with pytest.raises(ValueError, match="top must be a positive int, got 0"):
        study.paths(loss, x, top=0)
    with pytest.raises(RuntimeError, match="paths: grad can be implicitly created only for scalar outputs"):
        study.paths(x * x, x)
    loss.backward()
    with pytest.raises(RuntimeError, match="freed"):
        study.paths(loss, x)
