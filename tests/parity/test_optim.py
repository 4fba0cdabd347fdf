"""Every optimizer step for step with PyTorch's, in float64."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

# Parameters of several sizes: tiny ones (updated together) and one of more than a block.
SHAPES = [(3, 4), (5,), (), (2, 3, 2), (200, 250)]
STEPS = 12


def pair(make, shapes=SHAPES, seed=0, dtype=np.float64):
    """The same parameters for both, and an optimizer over each: `make(optim, params)`."""
    draw = np.random.default_rng(seed)
    values = [np.asarray(draw.normal(size=shape), dtype) for shape in shapes]
    theirs = [torch.tensor(v, requires_grad=True) for v in values]
    ours = [tg.tensor(v, requires_grad=True) for v in values]
    return ours, theirs, make(tg.optim, ours), make(torch.optim, theirs), draw


def give_gradients(ours, theirs, draw, without=()):
    for i, (p, q) in enumerate(zip(ours, theirs)):
        g = np.asarray(draw.normal(size=p.shape) + 0.3 * q.detach().numpy(), p.dtype)
        p.grad = None if i in without else tg.tensor(g)
        q.grad = None if i in without else torch.tensor(g)


def same(ours, theirs, tolerance=1e-8):
    for p, q in zip(ours, theirs):
        assert p.dtype == q.detach().numpy().dtype
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=tolerance, atol=tolerance)


CASES = {
    "SGD": [
        {},
        {"lr": 0.1, "momentum": 0.9},
        {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01},
        {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        {"lr": 0.1, "momentum": 0.5, "maximize": True, "weight_decay": 0.01},
    ],
    "Adam": [
        {},
        {"lr": 0.1, "betas": (0.8, 0.95), "eps": 1e-3},
        {"lr": 0.1, "weight_decay": 0.1, "amsgrad": True},
        {"lr": 0.1, "weight_decay": 0.1, "maximize": True},
        {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True},
    ],
    "AdamW": [{}, {"lr": 0.1, "amsgrad": True, "weight_decay": 0.3}, {"lr": 0.1, "maximize": True}],
}
ALL = [pytest.param(name, options, id=f"{name}-{i}") for name, several in CASES.items() for i, options in enumerate(several)]


@pytest.mark.parametrize(("name", "options"), ALL)
def test_every_step_agrees(name, options):
    ours, theirs, a, b, draw = pair(lambda optim, params: getattr(optim, name)(params, **options))
    for _ in range(STEPS):
        give_gradients(ours, theirs, draw)
        a.step()
        b.step()
        same(ours, theirs)


@pytest.mark.parametrize(("name", "options"), ALL)
def test_state_agrees(name, options):
    ours, theirs, a, b, draw = pair(lambda optim, params: getattr(optim, name)(params, **options))
    for _ in range(3):
        give_gradients(ours, theirs, draw)
        a.step()
        b.step()
    mine, other = a.state_dict(), b.state_dict()
    assert mine["param_groups"] == other["param_groups"]
    assert mine["state"].keys() == other["state"].keys()
    for number, entries in other["state"].items():
        assert mine["state"][number].keys() == entries.keys()
        for key, value in entries.items():
            np.testing.assert_allclose(mine["state"][number][key].numpy(), value.numpy(), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("name", "options"), ALL)
def test_groups_missing_gradients_and_a_restored_state(name, options):
    def make(optim, params):
        return getattr(optim, name)([{"params": params[:2], "lr": 0.02}, {"params": params[2:]}], **options)

    ours, theirs, a, b, draw = pair(make)
    for step in range(STEPS):
        give_gradients(ours, theirs, draw, without=() if step in (1, 4, 5, 6, 9) else (step % 3,) if step % 2 else (1, 4))
        a.step()
        b.step()
        same(ours, theirs)
        if step == 6:
            saved = a.state_dict()
            a = make(tg.optim, ours)
            a.load_state_dict(saved)
