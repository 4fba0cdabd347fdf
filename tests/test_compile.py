"""`tg.compile`: whatever a function does in eager execution, its program does too, or there is no program."""

from __future__ import annotations

import copy
import pickle
import random
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite import nn, optim
from tinygrad_lite.compiler.stand_ins import Untraceable

F = nn.functional
SCHEDULES = optim.lr_scheduler


def batches(count=7, size=5, inputs=6, classes=3):
    draw = np.random.default_rng(1)
    return [
        (tg.tensor(draw.standard_normal((size, inputs), dtype=np.float32)), tg.tensor(draw.integers(0, classes, size))) for _ in range(count)
    ]


def network(*middle, inputs=6, outputs=3):
    return nn.Sequential(nn.Linear(inputs, 8), *middle, nn.Linear(8, outputs))


def training(model, optimizer, loss_of=F.cross_entropy, before=lambda: None, after=lambda: None):
    """A training step."""

    def step(x, y):
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
        loss.backward()
        before()
        optimizer.step()
        after()
        return loss

    return step, [model, optimizer]


# Each case makes a function and the objects that it changes; `calls` are its arguments in turn.


def with_optimizer(name, **options):
    def case():
        model = network(nn.Tanh())
        parameters = [p for p in model.parameters() if p.ndim == 2 or name != "Muon"]
        return *training(model, getattr(optim, name)(parameters, **{"lr": 0.01, **options})), batches()

    return case


def with_schedule(name, *arguments, **options):
    def case():
        model = network(nn.Tanh())
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        schedule = getattr(SCHEDULES, name)(optimizer, *arguments, **options)
        step, state = training(model, optimizer, after=schedule.step)
        return step, [*state, schedule], batches(12)

    return case


def with_layers(*layers, loss_of=F.cross_entropy):
    def case():
        model = network(*(copy.deepcopy(layer) for layer in layers))
        return *training(model, optim.SGD(model.parameters(), lr=0.1), loss_of), batches()

    return case


def clipping(clip):
    def case():
        model = network(nn.ReLU())
        return *training(model, optim.Adam(model.parameters(), lr=0.01), before=lambda: clip(model.parameters(), 0.05)), batches()

    return case


def schedule_outside():
    model = network(nn.Tanh())
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    schedule = SCHEDULES.StepLR(optimizer, 2, 0.5)

    def drive(call, i, batch):
        result = call(*batch)
        schedule.step()
        return result

    return *training(model, optimizer), batches(10), drive


def accumulation():
    model = network(nn.ReLU())
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x, y):
        optimizer.zero_grad()
        for i in range(2):
            (F.cross_entropy(model(x[i::2]), y[i::2]) / 2).backward()
        optimizer.step()

    return step, [model, optimizer], batches()


def gradients_add_up():
    model = network(nn.ReLU())

    def step(x, y):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss.detach()

    return step, [model], batches()


def accumulation_over_calls():
    model = network(nn.ReLU())
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(i, x, y):
        loss = F.cross_entropy(model(x), y) / 3
        loss.backward()
        if i % 3 == 2:
            optimizer.step()
            optimizer.zero_grad()
        return loss

    return step, [model, optimizer], [(i, *batch) for i, batch in enumerate(batches(20))]


def zero_grad_at_the_end():
    model = network(nn.ReLU())
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x, y):
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    return step, [model, optimizer], batches()


def zero_grad_to_zeros():
    model = network(nn.ReLU())
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(x, y):
        optimizer.zero_grad(set_to_none=False)
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step, [model, optimizer], batches()


def counter_in_a_module():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.calls = nn.Linear(6, 3), 0

        def forward(self, x):
            self.calls += 1
            return self.layer(x) * self.calls

    model = Counting()
    return *training(model, optim.SGD(model.parameters(), lr=0.01)), batches()


def counter_outside():
    calls = 0

    def step(x, y):
        nonlocal calls
        calls += 1
        return x * calls, calls

    return step, [], batches()


def slice_of_a_dataset():
    x, y, model = tg.randn(20, 6), tg.randint(0, 3, (20,)), network(nn.ReLU())
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def step(i):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[4 * i : 4 * i + 4]), y[4 * i : 4 * i + 4])
        loss.backward()
        optimizer.step()
        return loss

    return step, [model, optimizer], [(i % 5,) for i in range(10)]


def row_of_a_dataset():
    x, w = tg.randn(20, 6), tg.randn(6, requires_grad=True)

    def step(i):
        loss = (x[i] @ w) ** 2
        loss.backward()
        with tg.no_grad():
            w.sub_(0.01 * w.grad)
        w.grad = None
        return loss

    return step, [w], [(i % 5,) for i in range(10)]


def updates_by_hand():
    w = tg.randn(6, requires_grad=True)

    def step(x, y):
        loss = ((x @ w) ** 2).mean()
        loss.backward()
        w.data = w.data - 0.1 * w.grad
        w.grad.zero_()
        return loss.item()

    return step, [w], batches()


def forward_alone():
    model = network(nn.GELU(), nn.LayerNorm(8))

    @tg.no_grad()
    def step(x, y):
        return {"probabilities": model(x).softmax(-1), "classes": model(x).argmax(1)}

    return step, [model], batches()


def gradient_of_a_function():
    gradient, w = tg.func.grad(lambda w, x: ((x @ w).tanh() ** 2).sum()), tg.randn(6)
    return lambda x, y: gradient(w, x), [w], batches()


def hessian_vector_product():
    w = tg.randn(6, requires_grad=True)

    def step(x, y):
        (g,) = tg.autograd.grad(((x @ w) ** 4).sum(), w, create_graph=True)
        return tg.autograd.grad((g * g).sum(), w)

    return step, [w], batches()


def adversaries():
    maker, judge = network(nn.ReLU(), outputs=6), network(nn.LeakyReLU(0.2), outputs=1)
    of_maker, of_judge = (optim.Adam(model.parameters(), lr=0.01, betas=(0.5, 0.9)) for model in (maker, judge))
    loss_of = F.binary_cross_entropy_with_logits

    def step(x, y):
        made = maker(tg.randn(5, 6))
        of_judge.zero_grad()
        loss = loss_of(judge(x), tg.ones(5, 1)) + loss_of(judge(made.detach()), tg.zeros(5, 1))
        loss.backward()
        of_judge.step()
        of_maker.zero_grad()
        other = loss_of(judge(made), tg.ones(5, 1))
        other.backward()
        of_maker.step()
        return loss.item(), other.item()

    return step, [maker, judge, of_maker, of_judge], batches()


def average_of_weights():
    model, average = network(nn.ReLU()), network(nn.ReLU())

    def after():
        with tg.no_grad():
            for a, b in zip(average.parameters(), model.parameters()):
                a.mul_(0.9).add_(b, alpha=0.1)

    step, state = training(model, optim.SGD(model.parameters(), lr=0.1), after=after)
    return step, [*state, average], batches()


def state_between_calls():
    layer = nn.LSTM(6, 4, batch_first=True)
    optimizer, state = optim.SGD(layer.parameters(), lr=0.1), {"h": (tg.zeros(1, 5, 4), tg.zeros(1, 5, 4))}

    def step(x, y):
        out, h = layer(x[:, None], state["h"])
        state["h"] = tuple(part.detach() for part in h)
        optimizer.zero_grad()
        loss = (out**2).mean()
        loss.backward()
        optimizer.step()
        return loss

    return step, [layer, optimizer], batches()


def recurrent_cell():
    cell, head = nn.GRUCell(6, 8), nn.Linear(8, 3)
    optimizer = optim.Adam([*cell.parameters(), *head.parameters()], lr=0.01)

    def step(x, y):
        h = tg.zeros(5, 8)
        for _ in range(3):
            h = cell(x, h)
        optimizer.zero_grad()
        loss = F.cross_entropy(head(h), y)
        loss.backward()
        optimizer.step()
        return loss

    return step, [cell, head, optimizer], batches()


def convolutions():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    )
    draw = np.random.default_rng(0)
    calls = [(tg.tensor(draw.standard_normal((4, 1, 8, 8), dtype=np.float32)), tg.tensor(draw.integers(0, 3, 4))) for _ in range(6)]
    return *training(model, optim.SGD(model.parameters(), lr=0.1, momentum=0.9)), calls


def embeddings():
    model, draw = nn.Sequential(nn.Embedding(10, 8), nn.Flatten(), nn.Linear(24, 3)), np.random.default_rng(0)
    calls = [(tg.tensor(draw.integers(0, 10, (4, 3))), tg.tensor(draw.integers(0, 3, 4))) for _ in range(6)]
    return *training(model, optim.SGD(model.parameters(), lr=0.1)), calls


def attention():
    model = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
    draw = np.random.default_rng(0)
    calls = [tuple(tg.tensor(draw.standard_normal((2, 5, 8), dtype=np.float32)) for _ in range(2)) for _ in range(6)]
    return *training(model, optim.SGD(model.parameters(), lr=0.1), F.mse_loss), calls


def scaled_gradients():
    model = network(nn.ReLU())
    optimizer, scaler = optim.SGD(model.parameters(), lr=0.1), tg.amp.GradScaler(enabled=False)

    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss

    return step, [model, optimizer], batches()


def functions_of_the_user():
    class Square(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 2 * x * g

    w = tg.randn(6, requires_grad=True)

    def step(x, y):
        w.grad = None
        loss = Square.apply(x @ w).sum()
        loss.backward()
        return loss

    return step, [w], batches()


def hooks_that_change_gradients():
    model = network(nn.ReLU())
    model[0].register_forward_hook(lambda module, inputs, output: output * 2)
    model[0].weight.register_hook(lambda g: g * 0.5)
    return *training(model, optim.SGD(model.parameters(), lr=0.1)), batches()


def new_tensors():
    w = tg.randn(6)

    def step(x, y):
        z = tg.zeros(5)
        z += x @ w
        z[0] = 7
        return z, tg.tensor([1.0, 2.0]) + 1, tg.arange(4).float().mean()

    return step, [w], batches()


def change_of_an_argument():
    def step(x, y):
        x.mul_(2)
        x[0] = 0
        return x, x.sum()

    return step, [], batches()


def random_numbers():
    def step(x, y):
        return F.dropout(x, 0.5), tg.rand(3), tg.randint(0, 9, (4,)), x.clone().normal_(), tg.randperm(5)

    return step, [], batches()


def nested_arguments():
    model = network(nn.ReLU())

    @tg.no_grad()
    def step(batch, scale=1.0):
        return {"out": model(batch["x"]) * scale, "y": batch["y"]}

    return step, [model], [({"x": x, "y": y}, float(i)) for i, (x, y) in enumerate(batches())]


CASES = {
    **{name: with_optimizer(name) for name in (
        "SGD", "Adam", "AdamW", "NAdam", "Adamax", "Adagrad", "RMSprop", "Adadelta", "ASGD", "Rprop", "Adafactor", "Muon",
    )},
    "momentum": with_optimizer("SGD", momentum=0.9, nesterov=True), "dampening": with_optimizer("SGD", momentum=0.5, dampening=0.1),
    "weight decay": with_optimizer("SGD", weight_decay=0.1, maximize=True), "amsgrad": with_optimizer("Adam", amsgrad=True),
    "centered": with_optimizer("RMSprop", centered=True, momentum=0.9, eps=0.1), "one by one": with_optimizer("Adam", foreach=False),
    "ExponentialLR": with_schedule("ExponentialLR", 0.9), "LambdaLR": with_schedule("LambdaLR", lambda epoch: 0.9**epoch),
    "CyclicLR": with_schedule("CyclicLR", 0.01, 0.1),
    "clip_grad_norm": clipping(nn.utils.clip_grad_norm_), "clip_grad_value": clipping(nn.utils.clip_grad_value_),
    "dropout": with_layers(nn.ReLU(), nn.Dropout(0.3)), "batch norm": with_layers(nn.Tanh(), nn.BatchNorm1d(8)),
    "layer norm": with_layers(nn.LayerNorm(8), nn.GELU()), "softplus": with_layers(nn.Softplus(), nn.SiLU()),
    **{function.__name__.replace("_", " "): function for function in (
        schedule_outside, accumulation, gradients_add_up, zero_grad_at_the_end, zero_grad_to_zeros, counter_in_a_module, counter_outside,
        slice_of_a_dataset, row_of_a_dataset, updates_by_hand, forward_alone, gradient_of_a_function, hessian_vector_product, adversaries,
        average_of_weights, state_between_calls, recurrent_cell, convolutions, embeddings, attention, scaled_gradients,
        functions_of_the_user, hooks_that_change_gradients, new_tensors, change_of_an_argument, random_numbers, nested_arguments,
    )},
}  # fmt: skip
SEVERAL_PROGRAMS = {
    "RAdam": with_optimizer("RAdam"), "StepLR": with_schedule("StepLR", 3), "CosineAnnealingLR": with_schedule("CosineAnnealingLR", 10),
    "LinearLR": with_schedule("LinearLR"), "OneCycleLR": with_schedule("OneCycleLR", 0.1, total_steps=20),
    "CosineAnnealingWarmRestarts": with_schedule("CosineAnnealingWarmRestarts", 4), "PolynomialLR": with_schedule("PolynomialLR", 10),
    "MultiStepLR": with_schedule("MultiStepLR", [3, 6]), "accumulation over calls": accumulation_over_calls,
}  # fmt: skip


def numbers_in(value):
    """All numbers in results and objects, as arrays."""
    if isinstance(value, tg.Tensor):
        return [value.detach().numpy().copy()]
    if isinstance(value, (list, tuple)):
        return [number for part in value for number in numbers_in(part)]
    if isinstance(value, dict):
        return [number for part in value.values() for number in numbers_in(part)]
    return [] if value is None else [np.asarray(value)]


def state_of(objects):
    found = []
    for thing in objects:
        if isinstance(thing, nn.Module):
            found += numbers_in(thing.state_dict())
            found += [np.zeros(0) if p.grad is None else p.grad.numpy().copy() for p in thing.parameters()]
        elif isinstance(thing, optim.Optimizer):
            found += numbers_in([[group["lr"] for group in thing.param_groups], list(thing.state.values()), thing.updates])
        elif isinstance(thing, tg.Tensor):
            found += numbers_in([thing, np.zeros(0) if thing.grad is None else thing.grad])
        else:
            found += numbers_in([thing.last_epoch, thing.get_last_lr()])
    return found


def run(case, compiled):
    """Everything that can be seen after each call, and the compiled function."""
    tg.manual_seed(0)
    step, objects, calls, *drive = case()
    call = compiled(step)
    drive = drive[0] if drive else lambda call, i, arguments: call(*arguments)
    seen = []
    for i, arguments in enumerate(calls):
        seen += numbers_in(drive(call, i, arguments)) + state_of(objects)
    return [*seen, tg.rand(1).numpy()], call


def check(case, **options):
    expected, _ = run(case, lambda step: step)
    found, step = run(case, lambda step: tg.compile(step, fullgraph=True, **options))
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(value, wanted, rtol=2e-5, atol=2e-6)
    return step


@pytest.mark.usefixtures("asynchronous")
@pytest.mark.parametrize("options", [{}, {"options": {"fuse": False}}], ids=["fused", "call by call"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_program_does_what_the_function_does(case, options):
    step = check(case, **options)
    assert step.explain().programs == 1


@pytest.mark.usefixtures("asynchronous")
@pytest.mark.parametrize("case", SEVERAL_PROGRAMS.values(), ids=SEVERAL_PROGRAMS)
def test_a_branch_on_a_number_of_the_state_makes_another_program(case):
    assert 1 < check(case).explain().programs < 6


# -- when there is another program, and when none -------------------------------------------------


def test_other_shapes_and_dtypes_have_programs_of_their_own():
    step = tg.compile(lambda x: (x * 2).sum(), fullgraph=True)
    for size in (3, 3, 3, 4, 4, 3, 4):
        assert step(tg.ones(size)).item() == 2 * size
    assert step(tg.ones(3, dtype=tg.float64)).dtype == tg.float64
    assert step.explain().programs == 3
    assert "arguments" in step.explain().reasons[1]


def test_train_and_eval_have_programs_of_their_own():
    model = network(nn.Dropout(0.5))
    step = tg.compile(tg.no_grad()(lambda x: model(x)), fullgraph=True)
    x = batches()[0][0]
    for i in range(12):
        model.train(i % 4 < 2)
        tg.manual_seed(i)
        found = step(x)
        tg.manual_seed(i)
        with tg.no_grad():
            assert (found == model(x)).all()
    assert step.explain().programs == 2
    assert step.explain().reasons[1].endswith("training has changed")


def test_what_is_changed_outside_is_noticed():
    model = network(nn.ReLU())
    step = tg.compile(tg.no_grad()(lambda x: model(x)), fullgraph=True)
    x = batches()[0][0]

    def check():
        with tg.no_grad():
            np.testing.assert_allclose(step(x).numpy(), model(x).numpy(), rtol=1e-5)

    for _ in range(3):
        check()
    model[0].weight = nn.Parameter(tg.ones(8, 6))
    check()
    model[0].weight.data = tg.ones(8, 6) * 2
    check()
    with tg.no_grad():
        model[0].weight.mul_(3)
    check()
    model.load_state_dict(network(nn.ReLU()).state_dict())
    check()


def test_a_frozen_parameter_stays():
    def case():
        model = network(nn.ReLU())

        def drive(call, i, batch):
            model[0].weight.requires_grad_(i != 4)
            return call(*batch)

        return *training(model, optim.SGD(model.parameters(), lr=0.1)), batches(), drive

    check(case)


def test_an_optimizer_that_loads_a_state_goes_on_from_there():
    def case():
        model = network(nn.ReLU())
        optimizer, kept = optim.Adam(model.parameters(), lr=0.1), {}

        def drive(call, i, batch):
            if i == 3:
                kept.update(model=copy.deepcopy(model.state_dict()), optimizer=copy.deepcopy(optimizer.state_dict()))
            if i == 6:
                model.load_state_dict(kept["model"])
                optimizer.load_state_dict(kept["optimizer"])
            return call(*batch)

        return *training(model, optimizer), batches(9), drive

    check(case)


def test_calls_without_the_program_may_come_between():
    def case():
        model = network(nn.ReLU())
        step, objects = training(model, optim.Adam(model.parameters(), lr=0.1))
        return step, objects, batches(9), lambda call, i, batch: (step if i % 3 == 2 else call)(*batch)

    check(case)


SCALE = 1.0


class Config:
    scale = 1.0


class Slotted:
    __slots__ = ("scale",)


def test_numbers_in_reach_are_read_in_each_call():
    global SCALE
    slotted, instance, listed, x = Slotted(), type("Settings", (), {})(), [1.0], tg.ones(2)
    functions = {
        "global": lambda: x * SCALE, "class": lambda: x * Config.scale, "slot": lambda: x * slotted.scale,
        "attribute": lambda: x * instance.scale, "list": lambda: x * listed[0],
    }  # fmt: skip
    steps = {name: tg.compile(function, fullgraph=True) for name, function in functions.items()}
    for i in range(7):
        SCALE = Config.scale = slotted.scale = instance.scale = listed[0] = i / 2
        for name, step in steps.items():
            assert step().tolist() == [i / 2, i / 2], name
    assert all(step.explain().programs <= 2 for step in steps.values())


REFUSED = {
    "branch": lambda x: x * 2 if x.sum() > 0 else x,
    "print": lambda x: print("computing") or x * 2,
    "text": lambda x: str(x.sum().item()) and x * 2,
    "list": lambda x: tg.tensor(x.tolist()) * 2,
    "randomness of Python": lambda x: x * random.random(),
    "randomness of NumPy": lambda x: x * np.random.random(),
    "shapes by value": lambda x: x[x > 0].sum() * 2,
}  # fmt: skip


@pytest.mark.parametrize("function", REFUSED.values(), ids=REFUSED)
def test_what_a_program_cannot_hold_is_named_with_its_line(function):
    step = tg.compile(function, fullgraph=True)
    x = tg.tensor([1.0, 2.0])
    kind = type(x.array)
    step(x)
    with pytest.raises(Untraceable, match=r"compile: <lambda> cannot be a program"):
        step(x)
    assert type(x.array) is kind


def test_the_message_of_a_refusal_has_the_line():
    step = tg.compile(REFUSED["branch"], fullgraph=True)
    step(tg.ones(2))
    with pytest.raises(Untraceable, match=r"test_compile.py:\d+: \"branch\": .*used as a condition"):
        step(tg.ones(2))


@pytest.mark.parametrize("function", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_a_program_runs_without_one(function):
    step = tg.compile(function)
    for i in range(4):
        x = tg.tensor([1.0, -2.0]) * (i - 2)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            random.seed(i)
            np.random.seed(i)
            found = step(x)
        random.seed(i)
        np.random.seed(i)
        assert (found == function(x)).all()
        assert len(caught) == (i == 1)
    assert "cannot be a program" in step.explain().refusal


def test_a_refused_step_has_changed_nothing():
    model = network(nn.ReLU())
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    step, objects = training(model, optimizer, after=lambda: print("done"))
    compiled = tg.compile(step, fullgraph=True)
    compiled(*batches()[0])
    before, stream = state_of(objects), tg.get_rng_state()
    with pytest.raises(Untraceable, match="prints"):
        compiled(*batches()[1])
    for value, wanted in zip(state_of(objects), before, strict=True):
        np.testing.assert_array_equal(value, wanted)
    assert (tg.get_rng_state() == stream).all()


def test_results_that_are_differentiated_outside_need_no_program():
    def case():
        model = network(nn.ReLU())
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def drive(call, i, batch):
            optimizer.zero_grad()
            loss = F.cross_entropy(call(batch[0]), batch[1])
            loss.backward()
            optimizer.step()
            return loss

        return lambda x: model(x), [model, optimizer], batches(), drive

    expected, _ = run(case, lambda step: step)
    found, step = run(case, tg.compile)
    for value, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(value, wanted)
    assert "still to be computed" in step.explain().refusal


def test_too_many_programs():
    step = tg.compile(lambda x: x.sum())
    step(tg.ones(1))
    with pytest.warns(UserWarning, match="8 programs, and would need another one because its arguments"):
        for size in range(1, 12):
            assert step(tg.ones(size)).item() == size
    assert step(tg.ones(20)).item() == 20


def test_an_error_is_the_users_own():
    step = tg.compile(lambda x, y: x @ y, fullgraph=True)
    x = tg.ones(2, 3)
    for _ in range(3):
        step(x, tg.ones(3, 2))
    with pytest.raises(Exception, match="matmul"):
        step(x, tg.ones(2, 2))
    assert step(x, tg.ones(3, 2)).tolist() == [[3, 3], [3, 3]]


def test_checks_of_values_stay():
    step = tg.compile(lambda x, y: F.cross_entropy(x, y), fullgraph=True)
    for _ in range(3):
        step(tg.ones(2, 3), tg.tensor([0, 2]))
    with pytest.raises(Exception, match="out of range"):
        step(tg.ones(2, 3), tg.tensor([0, 3]))
    assert step(tg.ones(2, 3), tg.tensor([0, 2])).item() == pytest.approx(np.log(3))


def test_arrays_of_numpy_are_read_in_each_call():
    array = np.zeros(2, np.float32)
    step = tg.compile(lambda x: x + tg.from_numpy(array) + tg.tensor(array) + tg.tensor(np.sin(array)), fullgraph=True)
    for i in range(5):
        array[:] = i
        np.testing.assert_allclose(step(tg.ones(2)).numpy(), 1 + 2 * i + np.sin(i), rtol=1e-6)


def test_static_arguments_are_constants():
    step = tg.compile(lambda x, power: x**power if power < 3 else x * 0, static=["power"], fullgraph=True)
    for power in (1, 2, 2, 3, 2, 3):
        assert step(tg.ones(2) * 2, power).tolist() == ([2.0**power] * 2 if power < 3 else [0, 0])
    assert step.explain().programs == 2


def test_results_are_the_callers():
    w = tg.ones(2)
    step = tg.compile(lambda x: (x * 2, w * x), fullgraph=True)
    first = [step(tg.ones(2)) for _ in range(3)]
    first[2][0].zero_()
    kept = first[1][1].clone()
    assert step(tg.ones(2) * 5)[0].tolist() == [10, 10]
    assert (first[1][1] == kept).all()
    assert w.tolist() == [1, 1]


def test_gradients_stay_when_the_next_call_makes_new_ones():
    step, (model, _) = training(model := network(nn.ReLU()), optim.SGD(model.parameters(), lr=0.1))
    compiled = tg.compile(step, fullgraph=True)
    kept = []
    for batch in batches():
        compiled(*batch)
        kept.append((model[0].weight.grad, model[0].weight.grad.clone()))
    assert all((grad == copied).all() for grad, copied in kept)


# -- what can be seen of it -------------------------------------------------------------------------


def test_a_program_reads_like_numpy():
    w = tg.tensor([1.0, 2.0], requires_grad=True)

    def step(x):
        loss = ((w * x).sum() - 1) ** 2
        loss.backward()
        with tg.no_grad():
            w.sub_(0.1 * w.grad)
        w.grad = None
        return loss.item()

    compiled = tg.compile(step, fullgraph=True)
    for _ in range(2):
        compiled(tg.ones(2))
    lines = [line.partition("  #")[0].strip() for line in str(compiled.program()).splitlines()]
    assert lines[0] == "# forward"
    assert lines[1] == "v0 = w * x"
    assert "# backward" in lines
    assert "# update" in lines
    assert "w[...] = v10" in lines


def test_names_come_from_the_model():
    step, _ = training(model := network(nn.ReLU()), optim.Adam(model.parameters()))
    compiled = tg.compile(step, fullgraph=True)
    for batch in batches(2):
        compiled(*batch)
    text = str(compiled.program())
    for name in ("model.0.weight", "model.2.bias", "model.0.weight.exp_avg", "model.0.weight.step"):
        assert name in text
    assert "object at" not in text


def test_the_source_needs_numpy_alone(tmp_path):
    step, (model, optimizer) = training(model := network(nn.Tanh()), optim.Adam(model.parameters(), lr=0.01))
    compiled = tg.compile(step, fullgraph=True)
    x, y = batches()[0]
    compiled(x, y)
    compiled(x, y)
    program = compiled.program()
    numbers = [0.01 if "lr" in variable.name else optimizer.updates for variable in program.inputs if variable.is_number]
    arrays = {f"c{i}": np.asarray(value) for i, value in enumerate(program.captured.values())}
    np.savez(tmp_path / "in.npz", x=x.array, y=y.array, **arrays)
    (tmp_path / "program.py").write_text(compiled.source())
    (tmp_path / "main.py").write_text(
        "import sys, numpy as np\nfrom program import step\n"
        f"data = np.load('in.npz')\narrays = [data[f'c{{i}}'].copy() for i in range({len(arrays)})]\n"
        f"found = step(data['x'], data['y'], *{numbers!r}, *arrays)\n"
        "np.savez('out.npz', loss=found[0], *arrays)\nassert 'tinygrad_lite' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "main.py"], cwd=tmp_path, check=True, env={"PATH": ""})
    loss = compiled(x, y)
    out = np.load(tmp_path / "out.npz")
    np.testing.assert_allclose(out["loss"], loss.numpy(), rtol=1e-5)
    for i, value in enumerate(program.captured.values()):
        np.testing.assert_allclose(out[f"arr_{i}"], value, rtol=1e-4, atol=1e-6)


def test_explain_tells_what_was_done():
    step, _ = training(model := network(nn.Tanh()), optim.SGD(model.parameters(), lr=0.1))
    compiled = tg.compile(step)
    assert str(compiled.explain()) == "step: 0 programs"
    for batch in batches():
        compiled(*batch)
    text = str(compiled.explain())
    for part in ("1 program", "it is the first", "traced", "dead code removed", "matrix products", "measured"):
        assert part in text


def test_before_the_second_call_there_is_no_program():
    step = tg.compile(lambda x: x)
    with pytest.raises(RuntimeError, match="second call"):
        step.program()


# -- beside the rest of the language ----------------------------------------------------------------


def test_a_module_stays_a_module():
    model = network(nn.ReLU())
    compiled = tg.compile(model)
    x = batches()[0][0]
    with tg.no_grad():
        for _ in range(3):
            assert (compiled(x) == model(x)).all()
    assert compiled.compiled.explain().programs == 1
    assert [name for name, _ in compiled.named_parameters()] == ["_orig_mod." + name for name, _ in model.named_parameters()]
    assert compiled.append is not None
    compiled.eval()
    assert not model.training


def test_methods_decorators_and_nesting():
    class Trainer:
        def __init__(self):
            self.w, self.calls = tg.ones(2), 0

        @tg.compile
        def step(self, x):
            self.calls += 1
            return twice(self.w * x) * self.calls

    @tg.compile(fullgraph=True)
    def twice(x):
        return x * 2

    first, second = Trainer(), Trainer()
    for i in range(1, 5):
        assert first.step(tg.ones(2)).tolist() == [2 * i, 2 * i]
    assert second.step(tg.ones(2)).tolist() == [2, 2]
    assert first.calls == 4
    assert Trainer.step.__name__ == "step"


def double(x):
    return x * 2


def test_copies_start_anew():
    step = tg.compile(double)
    for _ in range(3):
        step(tg.ones(2))
    for other in (copy.deepcopy(step), pickle.loads(pickle.dumps(tg.compile(len)))):
        assert other.explain().programs == 0
    assert copy.deepcopy(step)(tg.ones(1)).tolist() == [2]


def test_bad_arguments():
    with pytest.raises(TypeError, match="compile: expected a module or a function, got int"):
        tg.compile(3)
    with pytest.raises(TypeError, match="static must be a collection of names"):
        tg.compile(len, static="x")
    assert tg.compile(len, disable=True) is len


def test_threads_take_turns():
    step, wrong = tg.compile(lambda x: (x * 2).sum()), []

    def work(k):
        wrong.extend(k for _ in range(200) if step(tg.ones(4) * k).item() != 8 * k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("moment", range(1, 60, 6))
def test_ctrl_c_while_a_program_is_made_changes_nothing(moment, monkeypatch):
    from tinygrad_lite.compiler.tracing import Trace

    step, objects = training(model := network(nn.Dropout(0.5)), optim.Adam(model.parameters(), lr=0.1))
    compiled = tg.compile(step, fullgraph=True)
    compiled(*batches()[0])
    before, calls = state_of(objects), []
    note = Trace._note

    def interrupted(self, call):
        calls.append(call)
        if len(calls) == moment:
            raise KeyboardInterrupt
        note(self, call)

    stream = tg.get_rng_state()
    monkeypatch.setattr(Trace, "_note", interrupted)
    with pytest.raises(KeyboardInterrupt):
        compiled(*batches()[1])
    for value, wanted in zip(state_of(objects), before, strict=True):
        np.testing.assert_array_equal(value, wanted)
    assert (tg.get_rng_state() == stream).all()
    for batch in batches():
        compiled(*batch)
    assert compiled.explain().programs == 1


# -- many small programs, each with something that was once frozen or lost --------------------------


def calls_in_turn(call, made):
    """A number to the left of a tensor, and as a power."""
    return [call(lambda x, n: (n * x, n - x, 2**n * x, n > x))(tg.ones(2), n) for n in range(made)]


class Pair:
    def __init__(self):
        self.n = 0

    def step(self, x):
        self.n += 1
        return x * self.n


def alternating_objects(call, made):
    step, pair = call(Pair.step), (Pair(), Pair())
    return [step(pair[i % 3 % 2], tg.ones(2)) for i in range(made)] + [part.n for part in pair]


def keywords(call, made):
    step = call(lambda x, scale=1.0, shift=0.0: x * scale + shift)
    return [step(tg.ones(2), **({"scale": 3.0} if i % 2 else {"shift": 3.0})) for i in range(made)]


def gradients_of_arguments(call, made):
    @tg.no_grad()
    def update(p):
        p.sub_(p.grad)

    step, parameters = call(update), [tg.ones(2, requires_grad=True) for _ in range(made)]
    for i, p in enumerate(parameters):
        p.grad = tg.ones(2) * i
        step(p)
    return parameters


def an_argument_that_is_reached(call, made):
    w = tg.ones(2) * 3
    step = call(lambda x: x * w)
    return [step(w if i % 2 else tg.ones(2) * i) for i in range(made)]


def overlapping_arguments(call, made):
    def change(a, b):
        a.add_(1)
        return b * 1

    step, x = call(change), tg.arange(5.0)
    return [(step(x[1:], x[:-1]), step(tg.ones(4), tg.ones(4))) for _ in range(made)]


def arguments_that_are_changed(call, made):
    def fill(x, out):
        out.append(x * 2)
        return out

    step = call(fill)
    return [(kept := [], step(tg.ones(2) * i, kept), len(kept)) for i in range(made)]


def draws_that_nobody_reads(call, made):
    def draw(x):
        tg.rand(2)
        return x + tg.rand(1)

    step = call(draw)
    return [step(tg.ones(1)) for _ in range(made)]


def seeding_inside(call, made):
    def draw(x):
        tg.manual_seed(0)
        return x + tg.randn(1)

    step = call(draw)
    return [step(tg.ones(1)) for _ in range(made)]


def swallowed_errors(call, made):
    def choose(x):
        try:
            return x if x.sum() > 0 else -x
        except Exception:
            return x * 0

    step = call(choose)
    return [step(tg.ones(1) * (i - 2)) for i in range(made)]


def types_of_numbers(call, made):
    step = call(lambda x, n: x * 2 if type(n) is int else x * 3)
    return [step(tg.ones(1), n) for n in range(made)]


def numbers_of_another_type(call, made):
    held = [2]
    step, found = call(lambda x: x * held[0]), []
    for value in (2, 2, 2, 2.0, True, 2)[:made]:
        held[0] = value
        found.append(step(tg.tensor([3])).dtype)
    return [str(dtype) for dtype in found]


def repetitions_with_views(call, made):
    def twice(x):
        _a, b = x.exp(), x.exp()
        return b.reshape(-1) * 2

    step = call(twice)
    return [step(tg.ones(2, 2) * i) for i in range(made)]


def swapped_data(call, made):
    a, b = tg.ones(2), tg.zeros(2)

    def swap():
        a.data, b.data = b.data, a.data

    step = call(swap)
    return [(step(), a.clone(), b.clone()) for _ in range(made)]


def parts_of_the_result(call, made):
    def parts(x):
        y = x * 2
        return y, y[0], {"same": y}

    step, found = call(parts), []
    for _ in range(made):
        y, first, others = step(tg.ones(2, 2))
        y.zero_()
        found.append((first, others["same"], others["same"] is y))
    return found


def optimizers_with_eager_steps_between(call, made):
    model = network(nn.Tanh())
    step, objects = training(model, optim.Adam(model.parameters(), lr=0.1))
    compiled = call(step)
    for i, batch in enumerate(batches(made + 4)):
        (step if 4 < i < 7 else compiled)(*batch)
    return state_of(objects)


def hooks_added_later(call, made):
    w = tg.ones(2, requires_grad=True)

    def run(x):
        w.grad = None
        (w * x).sum().backward()
        return w.grad

    step, found = call(run), []
    for i in range(made):
        if i == 3:
            w.register_hook(lambda g: g * 10)
        found.append(step(tg.ones(2)))
    return found


def parts_of_an_argument(call, made):
    step = call(lambda x, n: x[n])
    return [step(tg.arange(9.0), n) for n in range(made)]


def sizes_and_axes(call, made):
    step = call(lambda x, n: (tg.zeros(n + 1), tg.full((2,), n), x[..., :n], x.sum(n % 2), x.repeat(n, 1)))
    return [step(tg.ones(2, 9), n) for n in range(made)]


def numbers_of_numpy(call, made):
    step = call(lambda x, n: (x * np.mean([n, 1.0]), x * np.float64(n), x + n * np.array(2.0)))
    return [step(tg.ones(2), n) for n in range(made)]


def conversions(call, made):
    """Whole numbers, conditions and float64 on the way, of few and of many elements."""
    step = call(lambda x: (
        x.long().float() + 1, x.bool().float() * 2, (x > 0).to(tg.float32) - x, (x.double() / 3 * 3).float(), x.int().bool().double(),
        ((x > 0) & (x < 1)).float() + (x > 1), (x > 0).long() + (x > 1).long(), tg.where(x > 0, x > 1, x > -1).float() + 1,
    ))  # fmt: skip
    return [step(tg.linspace(-2 - i, 2 + i, size)) for i in range(made) for size in (7, 30_000)]


SMALL = (
    conversions, parts_of_an_argument, sizes_and_axes, numbers_of_numpy,
    calls_in_turn, alternating_objects, keywords, gradients_of_arguments, an_argument_that_is_reached, overlapping_arguments,
    arguments_that_are_changed, draws_that_nobody_reads, seeding_inside, swallowed_errors, types_of_numbers, numbers_of_another_type,
    repetitions_with_views, swapped_data, parts_of_the_result, optimizers_with_eager_steps_between, hooks_added_later,
)  # fmt: skip


@pytest.mark.usefixtures("asynchronous")
@pytest.mark.parametrize("program", SMALL, ids=lambda program: program.__name__.replace("_", " "))
@pytest.mark.filterwarnings("ignore:compile:UserWarning")
def test_small_programs(program):
    tg.manual_seed(0)
    expected = numbers_in(program(lambda step: step, 6))
    tg.manual_seed(0)
    found = numbers_in(program(tg.compile, 6))
    for value, wanted in zip(found, expected, strict=True):
        if value.dtype.kind in "fc":
            np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-6)
        else:
            assert (value == wanted).all()


def test_a_refused_input_has_changed_nothing():
    w, table = tg.zeros(1), tg.ones(4, 2)

    def step(i):
        w.add_(1)
        return F.embedding(i, table)

    compiled = tg.compile(step, fullgraph=True)
    for _ in range(3):
        compiled(tg.tensor([1]))
    with pytest.raises(IndexError, match="out of range"):
        compiled(tg.tensor([7]))
    assert w.item() == 3
