"""Schedules of this library's own, what is known about any before training, and the conditions of Robbins and Monro."""

from __future__ import annotations

import copy
import math
import re

import pytest

import tinygrad_lite as tg
from tinygrad_lite import optim
from tinygrad_lite.optim import lr_scheduler, swa_utils
from tinygrad_lite.optim.lr_scheduler import picture, preview, robbins_monro


def sgd(lr=0.1):
    p = tg.tensor([0.0], requires_grad=True)
    p.grad = tg.tensor([0.0])
    return optim.SGD([p], lr=lr)


@pytest.mark.parametrize(("options", "expected"), [
    ({}, [0.1 / k for k in range(1, 6)]),
    ({"power": 0.5}, [0.1 / k**0.5 for k in range(1, 6)]),
    ({"delay": 4}, [0.4 / (4 + k) for k in range(5)]),
    ({"strong_convexity": 2.0}, [1 / (2 * k) for k in range(1, 6)]),
])
def test_inverse_time(options, expected):
    optimizer = sgd()
    schedule = lr_scheduler.InverseTimeLR(optimizer, **options)
    rates = []
    for _ in range(5):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx(expected)
    with pytest.raises(ValueError, match="InverseTimeLR"):
        lr_scheduler.InverseTimeLR(optimizer, power=-1)


VERDICTS = [  # (schedule, the sum of rates is infinite, that of squares finite)
    (lambda o: lr_scheduler.InverseTimeLR(o), True, True),
    (lambda o: lr_scheduler.InverseTimeLR(o, power=0.6), True, True),
    (lambda o: lr_scheduler.InverseTimeLR(o, power=0.5), True, False),
    (lambda o: lr_scheduler.InverseTimeLR(o, power=1.1), False, True),
    (lambda o: lr_scheduler.ExponentialLR(o, 0.9), False, True),
    (lambda o: lr_scheduler.StepLR(o, 10), False, True),
    (lambda o: lr_scheduler.ConstantLR(o), True, False),
    (lambda o: lr_scheduler.CosineAnnealingLR(o, 10), True, False),
    (lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 10), True, False),
    (lambda o: lr_scheduler.PolynomialLR(o), False, True),
    (lambda o: lr_scheduler.LinearLR(o, end_factor=0.0), False, True),
    (lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.LinearLR(o), lr_scheduler.InverseTimeLR(o)], [5]), True, True),
    (lambda o: 0.1, True, False),
    (lambda o: lambda k: 1 / (k + 1), True, True),
    (lambda o: lambda k: (k + 1) ** -0.7, True, True),
    (lambda o: lambda k: (k + 1) ** -1.2, False, True),
    (lambda o: lambda k: (k + 1) ** -0.4, True, False),
    (lambda o: lambda k: 0.999**k, False, True),
    (lambda o: lambda k: 0.0, False, True),
    (lambda o: lambda k: 0.1 + 0.05 * math.sin(k), True, False),
    (lambda o: lambda k: (1 + (k % 2)) / (k + 1), True, True),
]


@pytest.mark.parametrize("i", range(len(VERDICTS)))
def test_robbins_and_monro(i):
    """Items 35, 36 and 74."""
    make, travels, settles = VERDICTS[i]
    verdict = robbins_monro(make(sgd()))
    assert (verdict.travels, verdict.settles) == (travels, settles)
    assert bool(verdict) == (travels and settles)
    assert str(verdict).startswith("ok" if verdict else "no: ")


def test_a_scheduler_without_a_known_form_is_tested_numerically():
    verdict = robbins_monro(lr_scheduler.LambdaLR(sgd(), lambda k: 1 / (k + 1)))
    assert verdict.how == "numerical" and verdict and verdict.power == pytest.approx(1, abs=0.01)


SCHEDULERS = {
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda k: 1 / (k + 1)),
    "MultiplicativeLR": lambda s, o: s.MultiplicativeLR(o, lambda k: 0.9),
    "StepLR": lambda s, o: s.StepLR(o, 3),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [2, 5]),
    "ConstantLR": lambda s, o: s.ConstantLR(o, 0.5, 4),
    "LinearLR": lambda s, o: s.LinearLR(o, 0.5, 1.0, 4),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.5),
    "PolynomialLR": lambda s, o: s.PolynomialLR(o, 8, 2.0),
    "InverseTimeLR": lambda s, o: s.InverseTimeLR(o, power=0.6),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 6),
    "CosineAnnealingWarmRestarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, 2),
    "CyclicLR": lambda s, o: s.CyclicLR(o, 0.01, 0.1, 3),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.1, 20),
    "SequentialLR": lambda s, o: s.SequentialLR(o, [s.LinearLR(o), s.InverseTimeLR(o)], [4]),
    "ChainedScheduler": lambda s, o: s.ChainedScheduler([s.LinearLR(o), s.ExponentialLR(o, 0.9)], o),
    "SWALR": lambda s, o: swa_utils.SWALR(o, 0.02, 5),
}
PUBLIC = [getattr(lr_scheduler, name) for name in lr_scheduler.__all__ if name.endswith(("LR", "Scheduler", "Plateau", "Restarts"))]
CLASSES = {cls.__name__: cls for cls in (*PUBLIC, swa_utils.SWALR) if cls is not lr_scheduler.LRScheduler}


def test_every_scheduler_is_in_this_table():
    assert CLASSES.keys() == SCHEDULERS.keys() | {"ReduceLROnPlateau"}


@pytest.mark.parametrize("name", CLASSES)
def test_a_docstring_names_the_source(name):
    """The formula stands in its first line, or in words that the arguments make a formula of."""
    assert re.search(r"\bitems? \d", CLASSES[name].__doc__)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_a_preview_is_what_comes_and_changes_nothing(name):
    optimizer = sgd()
    schedule = SCHEDULERS[name](lr_scheduler, optimizer)
    before = copy.deepcopy((schedule.state_dict(), optimizer.state_dict()["param_groups"]))
    rates, drawn = preview(schedule, 15), picture(schedule, 15, width=12, height=5)
    assert (schedule.state_dict(), optimizer.state_dict()["param_groups"]) == before
    assert drawn.count("*") == 12 and f"{max(rates):.3g} |" in drawn
    seen = []
    for _ in range(15):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates == seen


def test_a_picture():
    assert picture(0.5, 3, height=1).startswith("0.5 |")
    assert len(picture(lambda k: 1 / (k + 1), 30, width=20, height=5).splitlines()) == 6


@pytest.mark.parametrize("ask", [robbins_monro, lambda schedule: preview(schedule, 3), lambda schedule: picture(schedule, 3)])
def test_what_depends_on_losses_cannot_be_told_before(ask):
    with pytest.raises(TypeError, match="ReduceLROnPlateau: .* depend on the losses"):
        ask(lr_scheduler.ReduceLROnPlateau(sgd()))


def test_exponential_decay_stops_short():
    """Item 74: eta^t travels a finite distance, 1/t does not."""
    reached = []
    for make in (lambda o: lr_scheduler.ExponentialLR(o, 0.5), lambda o: lr_scheduler.InverseTimeLR(o)):
        p = tg.tensor([0.0], requires_grad=True)
        optimizer = optim.SGD([p], lr=1.0)
        schedule = make(optimizer)
        for _ in range(1000):
            p.grad = tg.tensor([-1.0])
            optimizer.step()
            schedule.step()
        reached.append(p.item())
    assert reached[0] == pytest.approx(2, abs=1e-4) and reached[1] > 7
