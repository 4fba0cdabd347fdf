"""The state of optimizers: saved, restored, copied, changed by hand; the state of other optimizers is refused."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.test_optim import OPTIMIZERS, WITH_CLOSURE, give_gradients, matrices, parameters, values
from tinygrad_lite import optim


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_restored_optimizer_goes_on_to_the_bit(name):
    params = parameters(matrices(name))
    others = [p.detach().clone().requires_grad_() for p in params]
    a = getattr(optim, name)(params, **OPTIMIZERS[name])
    for step in range(4):
        give_gradients(params, step)
        a.step()
    for p, q in zip(params, others):
        q.array[...] = p.array
    b = getattr(optim, name)(others, lr=0.7)
    b.load_state_dict(copy.deepcopy(a.state_dict()))
    assert b.param_groups[0]["lr"] == OPTIMIZERS[name]["lr"]
    for step in range(4, 8):
        for optimizer, tensors in ((a, params), (b, others)):
            give_gradients(tensors, step)
            optimizer.step()
        assert values(params) == values(others)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_deepcopy_goes_its_own_way(name):
    params = parameters(matrices(name))
    a = getattr(optim, name)(params, **OPTIMIZERS[name])
    for step in range(3):
        give_gradients(params, step)
        a.step()
    a.note = "kept"
    others, b = copy.deepcopy((params, a))
    assert b.note == "kept" and b.updates == 3
    for step in range(3, 6):
        for optimizer, tensors in ((b, others), (a, params)):
            give_gradients(tensors, step)
            optimizer.step()
    assert values(params) == values(others)
    assert all(p is not q for p, q in zip(params, others))


def trained():
    """Parameters, and an SGD with momentum that has made some steps."""
    params = parameters()
    optimizer = optim.SGD(params, lr=1.0, momentum=0.5)
    for step in range(3):
        give_gradients(params, step)
        optimizer.step()
    return params, optimizer


FORGOTTEN = {
    "cleared": lambda optimizer: optimizer.state.clear(),
    "replaced": lambda optimizer: setattr(optimizer, "state", type(optimizer.state)(dict)),
    "emptied": lambda optimizer: optimizer.state.update({p: {} for p in optimizer.state}),
    "zero": lambda optimizer: [state["momentum_buffer"].zero_() for state in optimizer.state.values()],
}


@pytest.mark.parametrize("how", FORGOTTEN)
def test_state_that_was_changed_by_hand_counts(how):
    params, optimizer = trained()
    FORGOTTEN[how](optimizer)
    before = [p.array.copy() for p in params]
    optimizer.step()
    for p, old in zip(params, before):  # a step of the gradient alone
        np.testing.assert_allclose(p.array, old - p.grad.array, rtol=1e-6)


def test_a_parameter_given_other_memory_is_followed():
    params, optimizer = trained()
    for p in params:
        p.data = p.detach().clone()
    before, arrays = [p.array.copy() for p in params], [p.array for p in params]
    optimizer.step()
    assert all(p.array is array and (p.array != old).all() for p, array, old in zip(params, arrays, before))


def test_hooks_of_the_state():
    optimizer = optim.SGD(parameters())
    seen = []
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("saving"))
    optimizer.register_state_dict_post_hook(lambda o, s: {**s, "extra": 1})
    optimizer.register_load_state_dict_pre_hook(lambda o, s: {k: v for k, v in s.items() if k != "extra"})
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append("loaded"))
    saved = optimizer.state_dict()
    assert saved["extra"] == 1
    optimizer.load_state_dict(saved)
    assert seen == ["saving", "loaded"]


FOREIGN = {
    "another number of groups": lambda s: s["param_groups"].append(dict(s["param_groups"][0])),
    "another number of parameters": lambda s: s["param_groups"][0]["params"].pop(),
    "another optimizer": lambda s: s["state"][0].update(exp_avg=tg.tensor([0.0])),
    "another shape": lambda s: s["state"][0].update(momentum_buffer=tg.zeros(4, 3)),
}


@pytest.mark.parametrize("how", FOREIGN)
def test_a_foreign_state_is_refused_and_nothing_changed(how):
    params = parameters()
    optimizer = optim.SGD(params, lr=0.1, momentum=0.5)
    give_gradients(params, 0)
    optimizer.step()
    saved = copy.deepcopy(optimizer.state_dict())
    FOREIGN[how](saved)
    saved["param_groups"][0]["lr"] = 7.0
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ValueError, match="SGD: the loaded"):
        optimizer.load_state_dict(saved)
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    assert all((after["state"][i]["momentum_buffer"] == before["state"][i]["momentum_buffer"]).all() for i in range(6))


@pytest.mark.parametrize("source", [*OPTIMIZERS, *WITH_CLOSURE])
def test_the_state_of_another_optimizer_is_refused_or_works(source):
    """RAdam accepts Adam's state, which has the same entries; NAdam needs more, and Newton has none."""

    def made(name):
        params = parameters([(2, 2), (3, 1)])

        def closure():
            loss = sum(((p - 1) ** 4).sum() for p in params)
            if "Newton" not in name:
                optimizer.zero_grad()
                loss.backward()
            return loss

        optimizer = getattr(optim, name)(params, **OPTIMIZERS.get(name, {}))
        return params, optimizer, closure

    _, origin, closure = made(source)
    for _ in range(2):
        origin.step(closure)
    refused = set()
    for target in (*OPTIMIZERS, *WITH_CLOSURE):
        params, optimizer, closure = made(target)
        before = optimizer.state_dict()["param_groups"]
        try:
            optimizer.load_state_dict(origin.state_dict())
        except (ValueError, TypeError) as error:
            assert str(error).startswith(f"{target}: ")
            assert optimizer.state_dict()["param_groups"] == before
            refused.add(target)
        else:
            optimizer.step(closure)
            assert all(np.isfinite(p.detach().numpy()).all() for p in params)
    assert source not in refused
    assert source != "Adam" or {"NAdam", "Adagrad", "Newton", "LBFGS"} <= refused
