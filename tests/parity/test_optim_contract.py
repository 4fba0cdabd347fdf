"""What optimizers refuse, how they take parameters, and what their state dicts look like: as in PyTorch."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")

NAMES = [
    "SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "Rprop", "ASGD", "LBFGS",
    "Adafactor", "Muon",
]  # fmt: skip


def leaf(lib, shape=(2, 2), seed=0):
    return lib.tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=True)


REFUSED = {
    "a negative rate": lambda lib, make: make([leaf(lib)], lr=-0.1),
    "no parameters": lambda lib, make: make([]),
    "a tensor": lambda lib, make: make(leaf(lib)),
    "no tensor": lambda lib, make: make([3.0]),
    "a number in a dict": lambda lib, make: make([{"params": [1.0]}]),
    "a set": lambda lib, make: make([{"params": {leaf(lib), leaf(lib)}}]),
    "no leaf": lambda lib, make: make([leaf(lib) * 2]),
    "a parameter in two groups": lambda lib, make: (lambda p: make([{"params": [p]}, {"params": [p]}]))(leaf(lib)),
    "some names": lambda lib, make: make([("a", leaf(lib)), leaf(lib)]),
    "a tensor rate of two": lambda lib, make: make([leaf(lib)], lr=lib.tensor([0.1, 0.2])),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", REFUSED)
def test_refused_by_all(name, what):
    for lib in (tg, torch):
        with pytest.raises((ValueError, TypeError)):
            REFUSED[what](lib, getattr(lib.optim, name))


OPTIONS = [
    ("SGD", {"momentum": -1}), ("SGD", {"weight_decay": -1}), ("SGD", {"nesterov": True}),
    ("SGD", {"nesterov": True, "momentum": 0.9, "dampening": 0.1}), ("SGD", {"fused": True, "foreach": True}),
    ("SGD", {"fused": True, "differentiable": True}),
    *((name, {"betas": betas}) for name in ("Adam", "AdamW", "NAdam", "RAdam", "Adamax")
      for betas in ((1.0, 0.9), (-0.1, 0.9), (0.9, 1.0), (0.9, -0.1))),
    *((name, {"eps": -1.0}) for name in ("Adam", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop")),
    *((name, {"weight_decay": -1.0}) for name in NAMES if name not in ("Rprop", "LBFGS")),
    ("Adam", {"fused": True, "foreach": True}),
    ("NAdam", {"momentum_decay": -1}), ("Adagrad", {"lr_decay": -1}), ("Adagrad", {"initial_accumulator_value": -1}),
    ("Adadelta", {"rho": 1.1}), ("Adadelta", {"rho": -0.1}), ("RMSprop", {"momentum": -1}), ("RMSprop", {"alpha": -1}),
    ("Rprop", {"etas": (0.5, 0.9)}), ("Rprop", {"etas": (1.1, 1.2)}), ("Rprop", {"etas": (0.0, 1.2)}),
    ("Adafactor", {"beta2_decay": 0.5}), ("Adafactor", {"d": 0.5}), ("Adafactor", {"eps": (-1.0, 1e-3)}),
    ("Adafactor", {"eps": (None, -1e-3)}), ("Muon", {"momentum": -1}), ("Muon", {"adjust_lr_fn": "no"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=str)
def test_refused_options(name, options):
    for lib in (tg, torch):
        with pytest.raises((ValueError, RuntimeError)):
            getattr(lib.optim, name)([leaf(lib)], **options)


def test_refused_in_use():
    for lib in (tg, torch):
        optimizer = lib.optim.SGD([leaf(lib)], lr=0.1)
        for group in (3, {"params": [optimizer.param_groups[0]["params"][0]]}, {"params": [("w", leaf(lib))]}):
            with pytest.raises((ValueError, TypeError)):
                optimizer.add_param_group(group)
        assert len(optimizer.param_groups) == 1
        with pytest.raises(ValueError):
            optimizer.load_state_dict(lib.optim.SGD([leaf(lib), leaf(lib)]).state_dict())
        with pytest.raises(ValueError):
            optimizer.load_state_dict(lib.optim.SGD([{"params": [leaf(lib)]}, {"params": [leaf(lib)]}]).state_dict())
        with pytest.raises(ValueError):
            lib.optim.Muon([leaf(lib, (3,))])
        with pytest.raises(ValueError):
            lib.optim.LBFGS([{"params": [leaf(lib)]}, {"params": [leaf(lib)]}])
        with pytest.raises(TypeError):
            lib.optim.LBFGS([leaf(lib)]).step()


@pytest.mark.parametrize("name", NAMES)
def test_defaults_groups_and_names(name):
    def groups(lib):
        optimizer = getattr(lib.optim, name)([("w", leaf(lib)), ("v", leaf(lib))])
        if name != "LBFGS":
            optimizer.add_param_group({"params": [("u", leaf(lib))], "lr": 0.5, "tag": "mine"})
        plain = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
        return optimizer.defaults, plain, optimizer.state_dict()["param_groups"]

    assert groups(tg) == groups(torch)


def test_names_that_are_loaded_count_and_else_one_s_own():
    def names(lib, mine, saved):
        a, b = (lib.optim.SGD([(name, leaf(lib)) if name else leaf(lib)]) for name in (mine, saved))
        a.load_state_dict(b.state_dict())
        return a.param_groups[0].get("param_names")

    for mine, saved in (("w", "v"), ("w", ""), ("", "v"), ("", "")):
        assert names(tg, mine, saved) == names(torch, mine, saved)


def test_a_group_that_is_added_in_the_middle():
    def values(lib):
        params = [leaf(lib, (3, 2), i) for i in range(3)]
        optimizer = lib.optim.Adam(params[:1], lr=0.1)
        for k in range(6):
            if k in (2, 4):
                optimizer.add_param_group({"params": params[k // 2], "lr": 0.01 * k})
            optimizer.zero_grad()
            sum((p**4).sum() for p in params).backward()
            optimizer.step()
        return [p.detach().numpy() for p in params], optimizer.state_dict()["param_groups"]

    (mine, groups), (theirs, expected) = values(tg), values(torch)
    assert groups == expected
    for a, b in zip(mine, theirs):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_generators_dicts_and_single_tensors():
    for lib in (tg, torch):
        assert len(lib.optim.SGD(leaf(lib) for _ in range(3)).param_groups[0]["params"]) == 3
        optimizer = lib.optim.SGD([{"params": leaf(lib)}, {"params": (leaf(lib) for _ in range(2))}])
        assert [len(group["params"]) for group in optimizer.param_groups] == [1, 2]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "Muon"])
def test_goes_on_from_a_checkpoint_of_pytorch(name):
    """A state dict of PyTorch's, its tensors converted, is continued as PyTorch continues it."""
    shapes = [(3, 4), (5,), ()]
    theirs = [leaf(torch, shape, i) for i, shape in enumerate(shapes)]
    b = getattr(torch.optim, name)(theirs, lr=0.05)

    def train(optimizer, params, steps):
        def closure():
            optimizer.zero_grad()
            loss = sum(((p - 1) ** 4).sum() for p in params)
            loss.backward()
            return loss

        for _ in range(steps):
            optimizer.step(closure)

    def converted(value):
        if isinstance(value, torch.Tensor):
            return tg.tensor(value.detach().numpy().copy())
        if isinstance(value, dict):
            return {key: converted(v) for key, v in value.items()}
        return [converted(v) for v in value] if isinstance(value, list) else value

    train(b, theirs, 3)
    ours = [tg.tensor(p.detach().numpy().copy(), requires_grad=True) for p in theirs]
    a = getattr(tg.optim, name)(ours)
    a.load_state_dict(converted(b.state_dict()))
    train(a, ours, 3)
    train(b, theirs, 3)
    for p, q in zip(ours, theirs):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-7, atol=1e-8)


# PyTorch's SGD detaches the first gradient that its momentum takes in, and its Adam computes the
# bias corrections in float32; the gradients here are the true ones.
DIFFERENTIABLE = [
    ("SGD", {}, 1e-8), ("SGD", {"weight_decay": 0.1}, 1e-8), ("Adam", {}, 1e-4), ("AdamW", {}, 1e-4), ("NAdam", {}, 1e-6),
    ("RAdam", {}, 1e-8), ("Adagrad", {}, 1e-8), ("Adadelta", {"weight_decay": 0.1}, 1e-8), ("ASGD", {}, 1e-8),
    ("RMSprop", {}, 1e-8),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "tolerance"), DIFFERENTIABLE, ids=str)
def test_differentiable(name, options, tolerance):
    def gradients(lib):
        draw = np.random.default_rng(0)
        start, target = lib.tensor(draw.normal(size=5), requires_grad=True), lib.tensor(draw.normal(size=5))
        p = start.clone()
        optimizer = getattr(lib.optim, name)([p], lr=0.1, differentiable=True, **options)
        given = [lib.tensor(draw.normal(size=5), requires_grad=True) for _ in range(3)]
        for g in given:
            p.grad = g.clone()
            optimizer.step()
        ((p - target) ** 2).sum().backward()
        return [x.grad.numpy() for x in (start, *given)]

    for mine, theirs in zip(gradients(tg), gradients(torch)):
        np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance)


def test_the_gradient_of_a_rate():
    def gradient(lib, name):
        p = lib.tensor([1.0, 2.0], dtype=lib.float64, requires_grad=True).clone()
        lr = lib.tensor(0.1, dtype=lib.float64, requires_grad=True)
        optimizer = getattr(lib.optim, name)([p], lr=lr, differentiable=True)
        for g in (1.0, -2.0, 0.5):
            p.grad = lib.tensor([g, 2 * g], dtype=lib.float64)
            optimizer.step()
        (p**2).sum().backward()
        return float(lr.grad)

    for name in ("SGD", "Adam"):
        assert gradient(tg, name) == pytest.approx(gradient(torch, name), rel=1e-4)


def test_groups_are_the_dicts_that_were_given():
    for lib in (tg, torch):
        group = {"params": [leaf(lib)], "lr": 0.5}
        optimizer = lib.optim.Adam([group])
        assert optimizer.param_groups[0] is group and group["eps"] == 1e-8


def test_adamw_stays_decoupled():
    for lib in (tg, torch):
        p = lib.tensor([1.0], requires_grad=True)
        p.grad = lib.tensor([0.0])
        optimizer = lib.optim.AdamW([p])
        optimizer.load_state_dict(lib.optim.Adam([p], lr=0.1, weight_decay=0.5).state_dict())
        optimizer.step()
        assert p.item() == pytest.approx(0.95)


@pytest.mark.parametrize("name", NAMES)
def test_signatures(name):
    """PyTorch's, and one more option of Rprop."""
    theirs, ours = (
        [(p.name, p.kind, p.default) for p in inspect.signature(getattr(lib.optim, name)).parameters.values()] for lib in (torch, tg)
    )
    assert ours == theirs + [("variant", inspect.Parameter.KEYWORD_ONLY, "irprop-")] * (name == "Rprop")
