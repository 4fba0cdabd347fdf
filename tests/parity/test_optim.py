"""Every optimizer, step by step, against PyTorch in float64. For groups, state and flags see test_optim_db.py."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

# Parameters of several sizes: tiny ones, updated together, and one of more than a block.
SHAPES = [(3, 4), (5,), (), (2, 3, 2), (70_000,)]
STEPS = 8


def pair(make, shapes=SHAPES, seed=0, dtype=np.float64):
    """The same parameters for both, and an optimizer over each: `make(optim, params)`."""
    draw = np.random.default_rng(seed)
    values = [np.asarray(draw.normal(size=shape), dtype) for shape in shapes]
    theirs = [torch.tensor(v, requires_grad=True) for v in values]
    ours = [tg.tensor(v, requires_grad=True) for v in values]
    return ours, theirs, make(tg.optim, ours), make(torch.optim, theirs), draw


def give_gradients(ours, theirs, draw):
    for p, q in zip(ours, theirs):
        g = np.asarray(draw.normal(size=p.shape) + 0.3 * q.detach().numpy(), p.dtype)
        p.grad, q.grad = tg.tensor(g), torch.tensor(g)


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
    "NAdam": [
        {},
        {"lr": 0.1, "betas": (0.7, 0.9), "eps": 1e-3, "weight_decay": 0.1, "momentum_decay": 0.1},
        {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True},
    ],
    "RAdam": [
        {},
        {"lr": 0.1, "betas": (0.7, 0.9), "eps": 1e-3, "weight_decay": 0.1},
        {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True},
    ],
    "Adamax": [{}, {"lr": 0.1, "betas": (0.7, 0.9), "eps": 1e-3, "weight_decay": 0.1}, {"maximize": True}],
    "Adagrad": [
        {},
        {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3},
        {"maximize": True},
    ],
    "Adadelta": [{}, {"lr": 0.5, "rho": 0.7, "eps": 1e-3, "weight_decay": 0.1}, {"maximize": True}],
    "RMSprop": [
        {},
        {"lr": 0.1, "alpha": 0.7, "eps": 1e-3, "weight_decay": 0.1},
        {"lr": 0.1, "momentum": 0.9, "centered": True, "eps": 1e-3},
        {"lr": 0.01, "momentum": 0.9, "maximize": True},
    ],
    "Rprop": [{}, {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (0.05, 0.2)}, {"maximize": True}],
    "ASGD": [
        {},
        {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 3, "weight_decay": 0.1},
        {"maximize": True},
    ],
    "Adafactor": [
        {},
        {"lr": 0.1, "beta2_decay": -0.5, "eps": (1e-3, 1e-2), "d": 2.0, "weight_decay": 0.1},
        {"maximize": True},
    ],
}
ALL = [pytest.param(name, options, id=f"{name}-{i}") for name, several in CASES.items() for i, options in enumerate(several)]


@pytest.mark.parametrize(("name", "options"), ALL)
def test_every_step_agrees(name, options):
    """Item 81: the variations that PyTorch has too."""
    ours, theirs, a, b, draw = pair(lambda optim, params: getattr(optim, name)(params, **options))
    for _ in range(STEPS):
        give_gradients(ours, theirs, draw)
        a.step()
        b.step()
        same(ours, theirs)


@pytest.mark.parametrize(
    "options", [{}, {"nesterov": False, "weight_decay": 0, "lr": 0.1}, {"adjust_lr_fn": "match_rms_adamw"}]
)
def test_muon(options):
    """Small matrices: of larger ones a last bit of PyTorch's bfloat16 differs with the order of sums."""
    ours, theirs, a, b, draw = pair(lambda optim, params: optim.Muon(params, **options), [(4, 3), (3, 5), (6, 6)])
    for _ in range(3):
        give_gradients(ours, theirs, draw)
        a.step()
        b.step()
        same(ours, theirs)


def valley(x, y):
    """Rosenbrock's, shifted, and a coupled quadratic."""
    return 10 * (x[1:] - x[:-1] ** 2).pow(2).sum() + (1 - x[:-1]).pow(2).sum() + (y - x[0]).pow(2).sum()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lr": 0.1, "history_size": 3},
        {"line_search_fn": "strong_wolfe"},
        {"line_search_fn": "strong_wolfe", "history_size": 4, "max_iter": 7, "max_eval": 8},
        {"line_search_fn": "strong_wolfe", "lr": 5.0, "max_iter": 4},
        {"max_iter": 3, "max_eval": 2, "lr": 0.01},
        {"tolerance_change": 1e-3, "lr": 0.05},
    ],
)
def test_lbfgs(options):
    ours, theirs, a, b, _ = pair(lambda optim, params: optim.LBFGS(params, **options), [(5,), (2, 2)])

    def closure(optimizer, params):
        def evaluate():
            optimizer.zero_grad()
            loss = valley(*params)
            loss.backward()
            return loss

        return evaluate

    for step in range(5):
        mine, other = a.step(closure(a, ours)), b.step(closure(b, theirs))
        np.testing.assert_allclose(mine.item(), other.item(), rtol=1e-6)
        same(ours, theirs, 1e-6)
        for key in ("func_evals", "n_iter"):
            assert a.state[ours[0]][key] == b.state[theirs[0]][key]
        if step == 2:
            saved = a.state_dict()
            a = tg.optim.LBFGS(ours, **options)
            a.load_state_dict(saved)
