"""Averaged models as in PyTorch."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")


def model(lib):
    draw = np.random.default_rng(0)
    net = lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.BatchNorm1d(4), lib.nn.ReLU(), lib.nn.Linear(4, 2))
    for p in net.parameters():
        p.data = lib.tensor(draw.normal(size=tuple(p.shape)))
    return net.double()


FUNCTIONS = {
    "swa": lambda u: {},
    "ema": lambda u: {"avg_fn": u.get_ema_avg_fn(0.8)},
    "swa function": lambda u: {"avg_fn": u.get_swa_avg_fn()},
    "multi ema": lambda u: {"multi_avg_fn": u.get_ema_multi_avg_fn(0.7)},
    "multi swa": lambda u: {"multi_avg_fn": u.get_swa_multi_avg_fn()},
    "own": lambda u: {"avg_fn": lambda a, p, n: 0.3 * a + 0.7 * p},
    "buffers": lambda u: {"avg_fn": u.get_ema_avg_fn(0.5), "use_buffers": True},
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_averaged_model(name):
    def run(lib):
        draw = np.random.default_rng(1)
        net, u = model(lib), lib.optim.swa_utils
        averaged = u.AveragedModel(net, **FUNCTIONS[name](u))
        optimizer = lib.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(4):
            optimizer.zero_grad()
            net(lib.tensor(draw.normal(size=(5, 3)))).pow(2).sum().backward()
            optimizer.step()
            averaged.update_parameters(net)
        before = {k: v.detach().numpy().copy() for k, v in averaged.state_dict().items()}
        batches = [lib.tensor(draw.normal(size=(5, 3))) for _ in range(3)]
        u.update_bn([(x, 0) for x in batches], averaged)
        averaged.eval()
        assert isinstance(averaged, lib.nn.Module) and isinstance(averaged, u.AveragedModel)
        assert isinstance(copy.deepcopy(averaged), u.AveragedModel)
        return before, averaged.state_dict(), averaged(batches[0]), net[1].momentum

    mine, theirs = run(tg), run(torch)
    for a, b in zip(mine[:2], theirs[:2]):
        assert a.keys() == b.keys()
        for key in a:
            np.testing.assert_allclose(a[key], b[key], rtol=1e-8, atol=1e-8)  # PyTorch divides 1 in float32
    np.testing.assert_allclose(mine[2].detach(), theirs[2].detach(), rtol=1e-7)
    assert mine[3] == theirs[3]


def test_refused():
    for lib in (tg, torch):
        u = lib.optim.swa_utils
        for bad in (lambda u=u: u.get_ema_avg_fn(1.5), lambda u=u: u.get_ema_multi_avg_fn(-1)):
            with pytest.raises(ValueError):
                bad()
        with pytest.raises(AssertionError):
            u.AveragedModel(model(lib), avg_fn=len, multi_avg_fn=len)
