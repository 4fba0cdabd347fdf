"""Every schedule, step by step, against PyTorch: alone, chained, in sequence, resumed, restored."""

from __future__ import annotations

import contextlib
import warnings

import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")


class Scale:
    """A function that carries state, which state_dict keeps."""

    def __init__(self, a=0.5):
        self.a = a

    def __call__(self, k):
        return self.a / (k + 1)


SCHEDULES = {
    "lambda": lambda s, o, **kw: s.LambdaLR(o, [lambda k: 0.9**k, Scale()], **kw),
    "one lambda": lambda s, o, **kw: s.LambdaLR(o, lambda k: k // 3 + 1, **kw),
    "multiplicative": lambda s, o, **kw: s.MultiplicativeLR(o, lambda k: 1 - 0.01 * k, **kw),
    "step": lambda s, o, **kw: s.StepLR(o, 3, 0.5, **kw),
    "multistep": lambda s, o, **kw: s.MultiStepLR(o, [2, 5, 5, 9], 0.5, **kw),
    "constant": lambda s, o, **kw: s.ConstantLR(o, 0.25, 4, **kw),
    "linear": lambda s, o, **kw: s.LinearLR(o, 0.25, 0.75, 6, **kw),
    "linear to zero": lambda s, o, **kw: s.LinearLR(o, 1.0, 0.0, 6, **kw),
    "exponential": lambda s, o, **kw: s.ExponentialLR(o, 0.9, **kw),
    "polynomial": lambda s, o, **kw: s.PolynomialLR(o, 7, 2.0, **kw),
    "cosine": lambda s, o, **kw: s.CosineAnnealingLR(o, 5, 0.01, **kw),
    "cosine to zero": lambda s, o, **kw: s.CosineAnnealingLR(o, 4, **kw),
    "restarts": lambda s, o, **kw: s.CosineAnnealingWarmRestarts(o, 3, 2, 0.01, **kw),
    "equal restarts": lambda s, o, **kw: s.CosineAnnealingWarmRestarts(o, 4, **kw),
    "one cycle": lambda s, o, **kw: s.OneCycleLR(o, [0.5, 1.0], total_steps=24, **kw),
    "one cycle, three phases": lambda s, o, **kw: s.OneCycleLR(
        o, 0.5, epochs=6, steps_per_epoch=4, three_phase=True, anneal_strategy="linear", pct_start=0.25, **kw
    ),
    "one cycle, no momentum": lambda s, o, **kw: s.OneCycleLR(o, 0.5, 24, cycle_momentum=False, **kw),
    "triangular": lambda s, o, **kw: s.CyclicLR(o, 0.1, [0.5, 0.7], 3, 5, **kw),
    "triangular2": lambda s, o, **kw: s.CyclicLR(o, 0.1, 0.5, 3, mode="triangular2", **kw),
    "exp range": lambda s, o, **kw: s.CyclicLR(o, 0.1, 0.5, 3, mode="exp_range", gamma=0.9, cycle_momentum=False, **kw),
    "own scale": lambda s, o, **kw: s.CyclicLR(o, 0.1, 0.5, 3, scale_fn=Scale(), scale_mode="iterations", **kw),
    "swa": lambda s, o, **kw: s.swa(o, [0.3, 0.05], 5, **kw),
    "swa, linear": lambda s, o, **kw: s.swa(o, 0.05, 4, "linear", **kw),
    "swa, at once": lambda s, o, **kw: s.swa(o, 0.05, 0, **kw),
}
COMBINED = {
    "sequence": lambda s, o: s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.9), s.CosineAnnealingLR(o, 4)], [4, 9]
    ),
    "warm-up": lambda s, o: s.SequentialLR(o, [s.LinearLR(o, 0.1, 1.0, 5), s.CosineAnnealingWarmRestarts(o, 4)], [5]),
    "steps, then lambda": lambda s, o: s.SequentialLR(
        o, [s.StepLR(o, 2, 0.5), s.LambdaLR(o, Scale()), s.PolynomialLR(o, 6)], [3, 8]
    ),
    "chain": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.9), s.StepLR(o, 3, 0.5)], o),
    "chain of linear": lambda s, o: s.ChainedScheduler([s.LinearLR(o, 0.5, 1.0, 4), s.CosineAnnealingLR(o, 7, 0.01)]),
}


class Library:
    """A library's schedules, with SWALR among them."""

    def __init__(self, lib):
        self.lib = lib
        self.swa = lib.optim.swa_utils.SWALR

    def __getattr__(self, name):
        return getattr(self.lib.optim.lr_scheduler, name)


def optimizer(lib, name="SGD"):
    params = [lib.tensor([1.0], requires_grad=True) for _ in range(2)]
    for p in params:
        p.grad = lib.tensor([0.0])
    options = {"momentum": 0.9} if name == "SGD" else {}
    return getattr(lib.optim, name)([{"params": params[:1]}, {"params": params[1:], "lr": 0.4}], lr=0.2, **options)


def options_of(o):
    values = [group[name] for group in o.param_groups for name in ("lr", "momentum", "betas") if name in group]
    return [number for value in values for number in (value if isinstance(value, tuple) else [value])]


def rates(lib, make, name="SGD", steps=20, by_hand=None, restore=None):
    o = optimizer(lib, name)
    schedulers = Library(lib)
    s = make(schedulers, o)
    seen = []
    for k in range(steps):
        seen.append([*options_of(o), *s.get_last_lr()])
        if k == by_hand:
            for group in o.param_groups:
                group["lr"] *= 2
        if k == restore:
            saved, options = s.state_dict(), o.state_dict()
            o = optimizer(lib, name)
            s = make(schedulers, o)
            o.load_state_dict(options)
            s.load_state_dict(saved)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's, about the order after a restore
            o.step()
            s.step()
    return seen


@pytest.mark.parametrize("case", [{}, {"by_hand": 6}, {"restore": 5}, {"name": "Adam"}], ids=str)
@pytest.mark.parametrize("schedule", [*SCHEDULES, *COMBINED])
def test_rates(schedule, case):
    """Items 19 and 38: the rates of each schedule, update by update."""
    make = {**SCHEDULES, **COMBINED}[schedule]
    mine, theirs = rates(tg, make, **case), rates(torch, make, **case)
    assert mine == [pytest.approx(row, rel=1e-8, abs=1e-12) for row in theirs]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_resuming_at_an_epoch(schedule):
    def resumed(lib):
        o = optimizer(lib)
        SCHEDULES[schedule](Library(lib), o)
        s = SCHEDULES[schedule](Library(lib), o, last_epoch=4)
        seen = [options_of(o)]
        for _ in range(8):
            o.step()
            s.step()
            seen.append(options_of(o))
        return seen

    assert resumed(tg) == [pytest.approx(row, rel=1e-8, abs=1e-12) for row in resumed(torch)]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_steps_to_a_given_epoch(schedule):
    def seen(lib):
        o = optimizer(lib)
        s = SCHEDULES[schedule](Library(lib), o)
        result = []
        for epoch in (2, 5, 3, 7.5 if "restarts" in schedule else 7, 20):
            o.step()
            with contextlib.nullcontext() if "restarts" in schedule else pytest.warns(UserWarning, match="deprecated"):
                s.step(epoch)
            result.append(options_of(o))
        return result

    assert seen(tg) == [pytest.approx(row, rel=1e-8, abs=1e-12) for row in seen(torch)]


@pytest.mark.parametrize("schedule", [*SCHEDULES, *COMBINED])
def test_a_rate_that_is_a_tensor_is_filled(schedule):
    def seen(lib):
        p = lib.tensor([1.0], requires_grad=True)
        rates = [lib.tensor(0.2), lib.tensor(0.4)]
        groups = [{"params": [p], "lr": rates[0]}, {"params": [lib.tensor([1.0])], "lr": rates[1]}]
        o = lib.optim.SGD(groups, momentum=0.9)
        s = {**SCHEDULES, **COMBINED}[schedule](Library(lib), o)
        result = []
        for _ in range(20):
            last = s.get_last_lr()
            assert all(isinstance(copy, lib.Tensor) and copy is not rate for copy, rate in zip(last, rates))
            result.append([float(rate) for rate in (*rates, *last)])
            o.step()
            s.step()
        return result

    assert seen(tg) == [pytest.approx(row, rel=1e-6, abs=1e-8) for row in seen(torch)]


def test_a_scheduler_of_one_s_own():
    """It may use PyTorch's private names, as published ones do."""

    def seen(lib):
        class Warmup(lib.optim.lr_scheduler._LRScheduler):
            def get_lr(self):
                assert self._get_lr_called_within_step
                if self._is_initial or self.last_epoch > 4:
                    return [group["lr"] for group in self.optimizer.param_groups]
                return [base * self.last_epoch / 4 for base in self.base_lrs]

            def _get_closed_form_lr(self):
                return [base * min(self.last_epoch, 4) / 4 for base in self.base_lrs]

        o = optimizer(lib)
        s, result = Warmup(o), []
        for epoch in (None, None, None, 3, 9, None):
            o.step()
            with contextlib.nullcontext() if epoch is None else pytest.warns(UserWarning):
                s.step(epoch)
            result.append(options_of(o))
        assert not s._get_lr_called_within_step
        return result

    assert seen(tg) == [pytest.approx(row) for row in seen(torch)]


METRICS = [3.0, 2.0, 2.0, 1.99995, 2.5, 2.5, *[1.0] * 4, 1.1, 1.1, 0.5, *[0.6] * 6, *[-1.0] * 4]


@pytest.mark.parametrize("options", [
    {"patience": 1},
    {"patience": 0, "cooldown": 2, "factor": 0.5},
    {"patience": 1, "mode": "max", "threshold": 0.1},
    {"patience": 1, "threshold_mode": "abs", "threshold": 0.3, "min_lr": [0.05, 0.01]},
    {"patience": 1, "mode": "max", "threshold_mode": "abs", "threshold": 0.3, "eps": 0.05},
])
def test_plateau(options):
    def seen(lib):
        o = optimizer(lib)
        s = lib.optim.lr_scheduler.ReduceLROnPlateau(o, **options)
        result = []
        for i, metric in enumerate(METRICS):
            s.step(metric)
            result.append([*options_of(o), *s.get_last_lr(), s.best, s.num_bad_epochs, s.cooldown_counter])
            if i == 6:
                saved = s.state_dict()
                s = lib.optim.lr_scheduler.ReduceLROnPlateau(o, **options)
                s.load_state_dict(saved)
        return result

    assert seen(tg) == [pytest.approx(row) for row in seen(torch)]


REFUSED = {
    "not an optimizer": lambda s, o: s.StepLR(3, 1),
    "lambdas": lambda s, o: s.LambdaLR(o, [len]),
    "no function": lambda s, o: s.MultiplicativeLR(o, 0.5),
    "constant factor": lambda s, o: s.ConstantLR(o, 1.5),
    "start factor": lambda s, o: s.LinearLR(o, 0.0),
    "end factor": lambda s, o: s.LinearLR(o, 0.5, 2.0),
    "T_0": lambda s, o: s.CosineAnnealingWarmRestarts(o, 0),
    "T_mult": lambda s, o: s.CosineAnnealingWarmRestarts(o, 2, 1.5),
    "negative epoch": lambda s, o: s.CosineAnnealingWarmRestarts(o, 2).step(-1),
    "no total": lambda s, o: s.OneCycleLR(o, 0.1),
    "total": lambda s, o: s.OneCycleLR(o, 0.1, 0),
    "epochs": lambda s, o: s.OneCycleLR(o, 0.1, epochs=-1, steps_per_epoch=3),
    "pct": lambda s, o: s.OneCycleLR(o, 0.1, 5, pct_start=2.0),
    "strategy": lambda s, o: s.OneCycleLR(o, 0.1, 5, anneal_strategy="no"),
    "one rate of two": lambda s, o: s.OneCycleLR(o, [0.1], 5),
    "cyclic mode": lambda s, o: s.CyclicLR(o, 0.1, 0.2, mode="no"),
    "plateau factor": lambda s, o: s.ReduceLROnPlateau(o, factor=1.0),
    "plateau mode": lambda s, o: s.ReduceLROnPlateau(o, mode="no"),
    "threshold mode": lambda s, o: s.ReduceLROnPlateau(o, threshold_mode="no"),
    "min_lr": lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0.1]),
    "milestones": lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1)], [1]),
    "nothing in sequence": lambda s, o: s.SequentialLR(o, [], []),
    "plateau in sequence": lambda s, o: s.SequentialLR(o, [s.ReduceLROnPlateau(o), s.StepLR(o, 1)], [1]),
    "another's": lambda s, o: s.SequentialLR(o, [s.StepLR(optimizer(s.lib), 1)], []),
    "nothing chained": lambda s, o: s.ChainedScheduler([]),
    "resumed from nothing": lambda s, o: s.StepLR(o, 1, last_epoch=3),
    "swa strategy": lambda s, o: s.swa(o, 0.1, anneal_strategy="no"),
    "swa epochs": lambda s, o: s.swa(o, 0.1, anneal_epochs=-1),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    for lib in (tg, torch):
        with pytest.raises((ValueError, TypeError, KeyError)):
            REFUSED[name](Library(lib), optimizer(lib))


def test_the_wrong_order_is_pointed_out():
    for lib in (tg, torch):
        s = lib.optim.lr_scheduler.StepLR(optimizer(lib), 1)
        with pytest.warns(UserWarning, match="before"):
            s.step()
