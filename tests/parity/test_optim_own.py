"""User-defined optimizers, written for PyTorch in the style of published ones, run in both libraries."""

from __future__ import annotations

import copy
import importlib
from collections import defaultdict

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")


def lars(lib, params):
    """A rate for each layer from the ratio of the weight's length to the gradient's (You, Gitman, Ginsburg 2017)."""
    module = importlib.import_module(f"{lib.__name__}.optim.optimizer")
    required = module.required

    class Lars(module.Optimizer):
        def __init__(self, params, lr=required, momentum=0.9, weight_decay=1e-3, trust=1e-2):
            if lr is not required and lr < 0:
                raise ValueError(lr)
            super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust})

        def __setstate__(self, state):
            super().__setstate__(state)
            for group in self.param_groups:
                group.setdefault("trust", 1e-2)

        @lib.no_grad()
        def step(self, closure=None):
            loss = None
            if closure is not None:
                with lib.enable_grad():
                    loss = closure()
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is None:
                        continue
                    if p.grad.is_sparse:
                        raise RuntimeError("no sparse gradients")
                    state, g = self.state[p], p.grad.data
                    if len(state) == 0:
                        state["step"] = 0
                        state["buffer"] = lib.zeros_like(p, memory_format=lib.preserve_format)
                    state["step"] += 1
                    decay = group["weight_decay"]
                    ratio = (group["trust"] * p.norm() / (g.norm() + decay * p.norm())).item()
                    state["buffer"].mul_(group["momentum"]).add_(g.add(p, alpha=decay), alpha=ratio)
                    p.data.add_(state["buffer"], alpha=-group["lr"])
            return loss

    with pytest.raises(ValueError, match="required"):
        Lars(params)
    return Lars(params, lr=0.5)


def sharpness_aware(lib, params):
    """The inner optimizer steps by the gradient at another point (Foret et al. 2021)."""

    class Sharpness(lib.optim.Optimizer):
        def __init__(self, params, inner, rho=0.05, **options):
            super().__init__(params, dict(rho=rho, **options))
            self.inner = inner(self.param_groups, **options)
            self.param_groups = self.inner.param_groups
            self.defaults.update(self.inner.defaults)

        def load_state_dict(self, state_dict):
            super().load_state_dict(state_dict)
            self.inner.param_groups = self.param_groups

        @lib.no_grad()
        def step(self, closure=None):
            closure = lib.enable_grad()(closure)
            closure()
            given = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
            length = lib.norm(lib.stack([p.grad.norm(p=2) for p in given]), p=2)
            for p in given:
                self.state[p]["before"] = p.data.clone()
                p.add_(p.grad, alpha=self.param_groups[0]["rho"] / (length.item() + 1e-12))
            loss = closure()
            for p in given:
                p.data = self.state[p]["before"]
            self.inner.step()
            return loss

    return Sharpness(params, lib.optim.Adam, lr=0.05)


def lookahead(lib, params):
    """Every few steps, move halfway back to slow weights (Zhang et al. 2019). It never calls Optimizer.__init__."""

    class Lookahead(lib.optim.Optimizer):
        def __init__(self, inner, every=3, alpha=0.5):
            self.inner, self.every, self.alpha, self.count = inner, every, alpha, 0
            self.param_groups, self.defaults = inner.param_groups, inner.defaults
            self.state = defaultdict(dict)

        def step(self, closure=None):
            loss = self.inner.step(closure)
            self.count += 1
            for p in [p for group in self.param_groups for p in group["params"]]:
                slow = self.state[p].setdefault("slow", p.data.clone())
                if self.count % self.every == 0:
                    slow += (p.data - slow) * self.alpha
                    p.data.copy_(slow)
            return loss

        def state_dict(self):
            return self.inner.state_dict()

        def load_state_dict(self, state_dict):
            self.inner.load_state_dict(state_dict)

    return Lookahead(lib.optim.RMSprop(params, lr=0.05))


@pytest.mark.parametrize("make", [lars, sharpness_aware, lookahead])
def test_trains_alike(make):
    def losses(lib):
        nn, draw = lib.nn, np.random.default_rng(0)
        net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3)).double()
        for p in net.parameters():
            p.data = lib.tensor(draw.normal(size=tuple(p.shape)))
        x, y = lib.tensor(draw.normal(size=(10, 4))), lib.tensor(draw.integers(0, 3, 10))
        optimizer = make(lib, list(net.parameters()))
        schedule = lib.optim.lr_scheduler.StepLR(optimizer, 4, 0.5)

        def closure():
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x), y)
            loss.backward()
            return loss

        seen = []
        for k in range(12):
            seen.append(optimizer.step(closure).item())
            schedule.step()
            if k == 5:
                optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        return seen

    mine, theirs = losses(tg), losses(torch)
    np.testing.assert_allclose(mine, theirs, rtol=1e-10)
    assert mine[-1] < mine[0]
