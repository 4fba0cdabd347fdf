"""Copies of optimizers, schedules and averages during training, and state changed by hand, continue as in PyTorch."""

from __future__ import annotations

import copy
import pickle
from collections import defaultdict

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")

NAMES = [
    "SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "Rprop", "ASGD", "LBFGS",
    "Adafactor", "Muon",
]  # fmt: skip
COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda pair: pickle.loads(pickle.dumps(pair))}


def network(lib):
    draw = np.random.default_rng(0)
    net = lib.nn.Sequential(lib.nn.Linear(4, 3, bias=False), lib.nn.BatchNorm1d(3), lib.nn.Tanh(), lib.nn.Linear(3, 2)).double()
    with lib.no_grad():
        for p in net.parameters():
            p.copy_(lib.tensor(draw.normal(size=tuple(p.shape))))
    return net


def optimizer_of(lib, net, name):
    params = [p for p in net.parameters() if p.ndim == 2] if name == "Muon" else net.parameters()
    options = {"momentum": 0.9} if name == "SGD" else {}
    return getattr(lib.optim, name)(params, lr=0.05, **options)


def train(lib, net, optimizer, seeds):
    for seed in seeds:
        x = lib.tensor(np.random.default_rng(seed).normal(size=(6, 4)))

        def closure(x=x):
            optimizer.zero_grad()
            loss = (net(x) ** 2).mean()
            loss.backward()
            return loss

        optimizer.step(closure)


def numbers(*holders):
    return [np.array(t.detach().cpu().numpy(), float) for h in holders for t in (*h.parameters(), *h.buffers())]


def assert_alike(ours, theirs):
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-7, atol=1e-8)  # Muon's iteration is in bfloat16


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("name", NAMES)
def test_a_copy_of_network_and_optimizer_goes_on(name, how):
    results = []
    for lib in (tg, torch):
        net, optimizer = network(lib), None
        optimizer = optimizer_of(lib, net, name)
        train(lib, net, optimizer, range(3))
        if lib is torch and name == "LBFGS":  # PyTorch's own copy of it lacks `_params`
            other = network(lib)
            other.load_state_dict(copy.deepcopy(net.state_dict()))
            of_other = optimizer_of(lib, other, name)
            of_other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        else:
            other, of_other = COPIES[how]((net, optimizer))
        train(lib, other, of_other, range(3, 6))
        of_other.load_state_dict(of_other.state_dict())
        train(lib, other, of_other, range(6, 8))
        train(lib, net, optimizer, range(3, 4))
        results.append(numbers(net, other))
    assert_alike(*results)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "LBFGS"])
def test_a_shallow_copy_shares_state_and_parameters(name):
    results = []
    for lib in (tg, torch):
        net = network(lib)
        optimizer = optimizer_of(lib, net, name)
        train(lib, net, optimizer, range(2))
        other = copy.copy(optimizer)
        for seed, stepping in enumerate((other, optimizer, optimizer, other, optimizer)):
            train(lib, net, stepping, [seed])
        results.append(numbers(net))
    assert_alike(*results)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, COPIES["pickle"]])
@pytest.mark.parametrize("name", ["CGNewton", "HeavyBall", "Momentum", "Nesterov", "Newton", "QuickProp"])
def test_a_copy_of_an_optimizer_of_our_own_has_all_its_methods(name, how):
    optimizer = how(getattr(tg.optim, name)([tg.ones(2, requires_grad=True)], lr=0.1))
    called = []
    optimizer.register_state_dict_pre_hook(lambda optimizer: called.append("state_dict"))
    optimizer.register_load_state_dict_post_hook(lambda optimizer: called.append("load_state_dict"))
    optimizer.register_step_post_hook(lambda optimizer, args, kwargs: called.append("step"))
    optimizer.load_state_dict(optimizer.state_dict())
    assert called == ["state_dict", "load_state_dict"]


def test_hooks_are_left_behind_by_a_copy():
    for lib in (tg, torch):
        called, optimizer = [], lib.optim.SGD([lib.ones(1, requires_grad=True)], lr=0.1)
        optimizer.register_step_post_hook(lambda *args: called.append(1))
        for how in COPIES.values():
            how(optimizer.__getstate__())
        copied = copy.deepcopy(optimizer)
        copied.step()
        assert not called, lib


def test_a_copy_made_within_a_step_counts_its_own_steps():
    w, copies = tg.ones(1, requires_grad=True), []
    optimizer = tg.optim.SGD([w], lr=0.1)

    def closure():
        copies.append(copy.deepcopy(optimizer))
        return w.sum()

    optimizer.step(closure)
    copies[0].step()
    assert copies[0].updates == 1


# -- state that a program changes between two steps --------------------------------------------------


def entries(optimizer, but=("step",)):
    return [(state, name) for state in list(optimizer.state.values())[:2] for name in state if name not in but]


def replace(lib, net, optimizer):
    for state, name in entries(optimizer):
        state[name] = lib.zeros_like(state[name])


def give_other_memory(lib, net, optimizer):
    for state, name in entries(optimizer):
        state[name].data = lib.zeros_like(state[name])


def zero(lib, net, optimizer):
    for state, name in entries(optimizer):
        state[name].zero_()


def set_one_step_count(lib, net, optimizer):
    next(iter(optimizer.state.values()))["step"].fill_(0.0)


def replace_one_step_count(lib, net, optimizer):
    next(iter(optimizer.state.values()))["step"] = lib.tensor(0.0)


def raise_every_step_count(lib, net, optimizer):
    for state in optimizer.state.values():
        state["step"] += 2


def delete_one(lib, net, optimizer):
    del optimizer.state[net[0].weight]


def clear_one(lib, net, optimizer):
    optimizer.state[net[0].weight].clear()


def clear_all(lib, net, optimizer):
    optimizer.state.clear()


def put_in_another(lib, net, optimizer):
    optimizer.state = defaultdict(dict)


def exchange_a_parameter(lib, net, optimizer):
    net[3].weight = optimizer.param_groups[0]["params"][3] = lib.nn.Parameter(net[3].weight.detach().clone())


def drop_a_parameter(lib, net, optimizer):
    optimizer.param_groups[0]["params"].pop()


def step_by_another(lib, net, optimizer):
    train(lib, net, lib.optim.SGD(net.parameters(), lr=0.1), [7])


def reverse_the_parameters(lib, net, optimizer):
    optimizer.param_groups[0]["params"].reverse()


def exchange_two_states(lib, net, optimizer):
    a, b = net[1].weight, net[1].bias
    optimizer.state[a], optimizer.state[b] = optimizer.state[b], optimizer.state[a]


CHANGES = [
    reverse_the_parameters, exchange_two_states, replace, give_other_memory, zero, set_one_step_count, replace_one_step_count, raise_every_step_count, delete_one,
    clear_one, clear_all, put_in_another, exchange_a_parameter, drop_a_parameter, step_by_another,
]  # fmt: skip
COUNTED = [name for name in NAMES if name not in ("SGD", "LBFGS", "Muon")]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("name", COUNTED)
def test_state_changed_by_hand_counts(name, change):
    results = []
    for lib in (tg, torch):
        net = network(lib)
        optimizer = optimizer_of(lib, net, name)
        train(lib, net, optimizer, range(3))
        with lib.no_grad():
            change(lib, net, optimizer)
        train(lib, net, optimizer, range(3, 6))
        results.append(numbers(net))
    assert_alike(*results)


def test_two_parameters_may_share_a_tensor_of_the_state():
    results = []
    for lib in (tg, torch):
        net = network(lib)
        optimizer = lib.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        train(lib, net, optimizer, range(2))
        optimizer.state[net[1].bias]["momentum_buffer"] = optimizer.state[net[1].weight]["momentum_buffer"]
        train(lib, net, optimizer, range(2, 5))
        results.append(numbers(net))
    assert_alike(*results)


def test_momentum_set_to_none_begins_anew():
    results = []
    for lib in (tg, torch):
        net = network(lib)
        optimizer = lib.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        train(lib, net, optimizer, range(3))
        for state in list(optimizer.state.values())[:2]:
            state["momentum_buffer"] = None
        train(lib, net, optimizer, range(3, 6))
        results.append(numbers(net))
    assert_alike(*results)


# -- schedules and averages --------------------------------------------------------------------------


def half(k):
    return 0.5**k


def nine_tenths(k):
    return 0.9


SCHEDULES = {
    "LambdaLR": lambda lr, o: lr.LambdaLR(o, half),
    "MultiplicativeLR": lambda lr, o: lr.MultiplicativeLR(o, nine_tenths),
    "StepLR": lambda lr, o: lr.StepLR(o, 2),
    "MultiStepLR": lambda lr, o: lr.MultiStepLR(o, [2, 5]),
    "ConstantLR": lambda lr, o: lr.ConstantLR(o, total_iters=4),
    "LinearLR": lambda lr, o: lr.LinearLR(o),
    "ExponentialLR": lambda lr, o: lr.ExponentialLR(o, 0.9),
    "SequentialLR": lambda lr, o: lr.SequentialLR(o, [lr.ConstantLR(o, total_iters=4), lr.ExponentialLR(o, 0.9)], [4]),
    "ChainedScheduler": lambda lr, o: lr.ChainedScheduler([lr.ConstantLR(o, total_iters=4), lr.ExponentialLR(o, 0.9)]),
    "PolynomialLR": lambda lr, o: lr.PolynomialLR(o, 8),
    "CosineAnnealingLR": lambda lr, o: lr.CosineAnnealingLR(o, 5),
    "CosineAnnealingWarmRestarts": lambda lr, o: lr.CosineAnnealingWarmRestarts(o, 3),
    "ReduceLROnPlateau": lambda lr, o: lr.ReduceLROnPlateau(o, patience=1),
    "CyclicLR": lambda lr, o: lr.CyclicLR(o, 0.01, 0.1, step_size_up=3, cycle_momentum=False),
    "CyclicLR, scaled": lambda lr, o: lr.CyclicLR(o, 0.01, 0.1, step_size_up=3, cycle_momentum=False, scale_fn=half),
    "OneCycleLR": lambda lr, o: lr.OneCycleLR(o, 0.1, total_steps=20),
    "SWALR": lambda lr, o: (tg if lr is tg.optim.lr_scheduler else torch).optim.swa_utils.SWALR(o, 0.05),
}


def whole_training(lib, name):
    net = network(lib)
    groups = [{"params": net[0].parameters()}, {"params": [*net[1].parameters(), *net[3].parameters()], "lr": 0.02}]
    optimizer = lib.optim.AdamW(groups, lr=0.1)
    schedule = SCHEDULES[name](lib.optim.lr_scheduler, optimizer)
    return net, optimizer, schedule, lib.optim.swa_utils.AveragedModel(net, use_buffers=True)


def go_on(lib, training, seeds):
    net, optimizer, schedule, average = training
    for seed in seeds:
        train(lib, net, optimizer, [seed])
        schedule.step(*([float(seed % 3)] if "Plateau" in type(schedule).__name__ else ()))
        average.update_parameters(net)


def resumed(lib, name, training):
    fresh = whole_training(lib, name)
    for mine, other in zip(fresh, training):
        mine.load_state_dict(copy.deepcopy(other.state_dict()))
    return fresh


@pytest.mark.filterwarnings("ignore:Seems like:UserWarning")  # PyTorch's, of a SequentialLR whose optimizer was copied
@pytest.mark.parametrize("how", [*COPIES, "state_dict"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_copy_of_a_whole_training_goes_on(name, how):
    results = []
    for lib in (tg, torch):
        training = whole_training(lib, name)
        go_on(lib, training, range(3))
        other = resumed(lib, name, training) if how == "state_dict" else COPIES[how](training)
        go_on(lib, other, range(3, 8))
        go_on(lib, training, range(3, 5))
        rates = [np.array([g["lr"] for g in whole[1].param_groups]) for whole in (training, other)]
        results.append([*rates, *numbers(training[0], training[3], other[0], other[3])])
    assert_alike(*results)


@pytest.mark.parametrize("how", COPIES)
def test_a_copied_scaler_goes_on_and_refuses_to_be_copied_within_a_step(how):
    def program(lib):
        scaler, w = lib.amp.GradScaler("cpu", init_scale=4.0, growth_interval=2), lib.ones(2, requires_grad=True)
        optimizer, scales = lib.optim.SGD([w], lr=0.1), []

        def step(scaler):
            optimizer.zero_grad()
            scaler.scale((w * w).sum()).backward()
            scaler.step(optimizer)
            scaler.update()
            scales.append(scaler.get_scale())

        step(scaler)
        copied = COPIES[how](scaler)
        for one in (copied, scaler, copied, copied):
            step(one)
        (w * w).sum().backward()
        scaler.unscale_(optimizer)
        with pytest.raises(AssertionError):
            COPIES[how](scaler)
        return scales, copied.state_dict(), w.tolist()

    assert program(tg) == program(torch)


def test_a_shallow_copy_shares_its_state_and_state_held_by_the_program_may_change():
    def program(lib):
        params = [lib.tensor([1.0, 2.0], requires_grad=True), lib.tensor([3.0], requires_grad=True)]
        optimizer = lib.optim.Adam(params, lr=0.1)

        def step(optimizer):
            for p in params:
                p.grad = lib.full_like(p, 2.0)
            optimizer.step()
            after.append([p.tolist() for p in params])

        after = []
        step(optimizer)
        step(copy.copy(optimizer))
        step(optimizer)
        average = optimizer.state[params[0]]["exp_avg"]
        step(optimizer)
        average.mul_(0)
        step(optimizer)
        return np.concatenate([value for values in after for value in values]), optimizer.state_dict()["state"][0]["step"].item()

    ours, theirs = program(tg), program(torch)
    assert ours[1] == theirs[1] == 5
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6)
