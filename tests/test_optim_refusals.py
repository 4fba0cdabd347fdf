"""What optimizers refuse, before anything changes."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.test_optim import OPTIMIZERS, WITH_CLOSURE, give_gradients, parameters, values
from tinygrad_lite import optim


def matrix():
    return tg.ones(2, 2, requires_grad=True)


PARAMETERS = {
    "none": (list, ValueError, "empty parameter list"),
    "no list": (matrix, TypeError, "put it into a list"),
    "no Tensor": (lambda: [3.0], TypeError, "can only optimize Tensors, got float"),
    "a set": (lambda: [{"params": {matrix()}}], TypeError, "a set has none"),
    "the same twice": (lambda: [matrix()] * 2, ValueError, "appear twice"),
    "the same in two groups": (
        lambda: [{"params": [p]} for p in [matrix()] * 2], ValueError, "more than one parameter group|only one parameter group"
    ),
    "a result": (lambda: [matrix() * 2], ValueError, "non-leaf Tensor, the result of mul"),
    "some with names": (lambda: [("w", matrix()), matrix()], ValueError, "1 of 2 do"),
}  # fmt: skip


@pytest.mark.parametrize("name", [*OPTIMIZERS, *WITH_CLOSURE])
@pytest.mark.parametrize("what", PARAMETERS)
def test_parameters(name, what):
    make, error, message = PARAMETERS[what]
    with pytest.raises(error, match=f"{name}: .*({message})"):
        getattr(optim, name)(make())


# Invalid options, for all optimizers that have them.
OPTIONS = [
    {"lr": -0.1}, {"lr": float("nan")}, {"lr": tg.tensor([0.1, 0.2])}, {"weight_decay": -1}, {"momentum": -0.5}, {"eps": -1e-8},
    {"betas": (1.0, 0.9)}, {"betas": (0.9, -0.1)}, {"betas": (0.9,)}, {"alpha": -1}, {"rho": 1.5}, {"rho": -0.5},
    {"lr_decay": -1}, {"momentum_decay": -1}, {"initial_accumulator_value": -1}, {"gamma": 0.0}, {"gamma": 1.5},
    {"max_growth": 0}, {"damping": -1}, {"etas": (0.5, 0.9)}, {"etas": (1.1, 1.2)}, {"nesterov": True, "momentum": 0},
    {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, {"lr": "fast"}, {"lr": None}, {"betas": 0.9}, {"d": 0.5}, {"beta2_decay": 0.5}, {"line_search_fn": "wolfe"},
    {"variant": "rprop"}, {"curvature": "fisher"}, {"adjust_lr_fn": "no"}, {"ns_steps": 100},
]  # fmt: skip
REFUSED = [
    pytest.param(name, options, id=f"{name}-{options}")
    for options in OPTIONS
    for name in (*OPTIMIZERS, *WITH_CLOSURE)
    if options.keys() <= getattr(optim, name).__init__.__annotations__.keys()
    and not (name == "Muon" and "nesterov" in options)  # whose nesterov goes with any momentum
    and not (name == "Adafactor" and "eps" in options)  # whose eps are two
]


@pytest.mark.parametrize(("name", "options"), REFUSED)
def test_options(name, options):
    with pytest.raises((ValueError, TypeError, RuntimeError), match=f"{name}: "):
        getattr(optim, name)([matrix()], **options)


def test_every_kind_of_option_was_refused_somewhere():
    assert {repr(case.values[1]) for case in REFUSED} == set(map(repr, OPTIONS))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_group_that_is_refused_leaves_no_trace(name):
    optimizer = getattr(optim, name)([("w", matrix())])
    (known,) = optimizer.param_groups[0]["params"]
    for group in ({"params": [("v", matrix())], "lr": -1}, {"params": [("w", known)]}, {"params": [matrix()]}, {"params": [3]}, 3):
        before = dict(group) if isinstance(group, dict) else group
        with pytest.raises((ValueError, TypeError), match=f"{name}: "):
            optimizer.add_param_group(group)
        assert group == before and len(optimizer.param_groups) == 1


def test_a_gradient_of_another_shape_is_refused_before_anything_changed():
    params = parameters()
    optimizer = optim.Adam([{"params": params[:3]}, {"params": params[3:]}])
    give_gradients(params, 0)
    optimizer.step()
    for wrong in (tg.zeros(3, 2, 2), tg.zeros(12), tg.zeros(1)):
        params[3].data = wrong  # its gradient has the shape it had
        before, state = values(params), [t.array.tobytes() for p in params for t in optimizer.state[p].values()]
        with pytest.raises(ValueError, match=r"Adam\.step: a gradient of shape"):
            optimizer.step()
        assert values(params) == before
        assert [t.array.tobytes() for p in params for t in optimizer.state[p].values()] == state
    params[3].grad = None
    params[3].grad = tg.zeros(1)
    with pytest.raises(ValueError, match=r"Adam\.step: the state is of a parameter of \(2, 3, 2\), which is \(1,\) by now"):
        optimizer.step()
    assert values(params) == before


@pytest.mark.parametrize("name", [*OPTIMIZERS, *WITH_CLOSURE])
def test_nan_and_infinity_are_named_or_skipped(name):
    params = parameters([(2, 2), (3, 1)])
    optimizer = getattr(optim, name)([("w", params[0]), ("b", params[1])])
    wrong = tg.tensor([[1.0], [np.nan], [1.0]])

    def closure():
        optimizer.zero_grad()
        loss = ((params[0] - 1) ** 2).sum() + (params[1] ** 2 * wrong).sum()
        if "Newton" not in name:
            loss.backward()
        return loss

    before = values(params)
    optimizer.nonfinite = "raise"
    with pytest.raises(FloatingPointError, match=rf"{name}\.step: .* 'b' \(3, 1\)"):
        optimizer.step(closure)
    optimizer.nonfinite = "skip"
    optimizer.step(closure)
    assert values(params) == before and optimizer.skipped == 1
    assert all(float(state.get("step", 0)) == 0 for state in optimizer.state.values())
    optimizer.nonfinite = "ignore"
    with pytest.raises(ValueError, match="nonfinite"):
        optimizer.step(closure)
    assert values(params) == before
    optimizer.nonfinite = "raise"
    wrong[1] = 1.0
    optimizer.step(closure)
    assert all(new != old for new, old in zip(values(params), before))


@pytest.mark.parametrize("name", ["LBFGS", "Newton", "CGNewton"])
def test_a_step_without_a_closure(name):
    with pytest.raises(TypeError, match="closure"):
        getattr(optim, name)([matrix()]).step()
