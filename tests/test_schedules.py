"""The library's own schedules, their long-run properties, and the Robbins-Monro conditions."""

from __future__ import annotations

import copy
import math
import re

import numpy as np
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


def log_power(p, q):
    return lambda k: (k + 2.0) ** -p * math.log(k + 2.0) ** -q


@pytest.mark.parametrize("q", [-3, -1, -0.5, 0, 0.25, 0.5, 1, 2, 3])
@pytest.mark.parametrize("p", [0, 0.3, 0.45, 0.49, 0.5, 0.51, 0.55, 0.7, 0.95, 0.98, 1, 1.02, 1.05, 1.2, 2])
def test_powers_with_a_logarithm_are_told_right_or_left_undecided(p, q):
    """The sum of k^-p (log k)^-q is infinite for p < 1, and for p = 1 and q <= 1."""
    travels, squares_travel = (a < 1 or (a == 1 and b <= 1) for a, b in ((p, q), (2 * p, 2 * q)))
    verdict = robbins_monro(log_power(p, q))
    assert verdict.travels in (travels, None) and verdict.settles in (not squares_travel, None)
    if q <= 0 or p not in (0.49, 0.5, 0.51, 0.98, 1, 1.02):
        assert None not in verdict[:2]
    assert bool(verdict) == (verdict.travels is True and verdict.settles is True)


LOG = {
    "1 / (k log k)": (log_power(1, 1), None, True),
    "1 / (k log(k)^2)": (log_power(1, 2), None, True),
    "1 / (k log k log log k)": (lambda k: 1 / ((k + 3) * math.log(k + 3) * math.log(math.log(k + 20))), None, True),
    "1 / sqrt(k log k)": (log_power(0.5, 0.5), True, None),
    "log(k) / k": (log_power(1, -1), True, True),
    "a step every 1000": (lambda k: 1 / (k // 1000 + 1), True, True),
    "halved every 1000": (lambda k: 0.5 ** (k // 1000), False, True),
    "halved at powers of 2": (lambda k: 2.0 ** -int(math.log2(k + 1)), True, True),
    "spikes": (lambda k: (k + 1) ** -0.5 if k % 100 == 0 else (k + 1) ** -2.0, True, False),
    "a floor": (lambda k: 0.001 + 1 / (k + 1), True, False),
    "a late decay": (lambda k: min(1e-6 * (k + 1), 1e6 / (k + 1)), True, True),
    "that of the transformer": (lambda k: min((k + 1) ** -0.5, (k + 1) * 4000**-1.5), True, False),
    "a table": (lambda k: [0.1, 0.01, 0.001][min(k // 1000, 2)], True, False),
    "1 / 1.01^k, which overflows": (lambda k: 1 / 1.01**k, False, True),
    "1.01^k, which overflows": (lambda k: 1.01**k, True, False),
    "exp(-k^0.1)": (lambda k: math.exp(-(k**0.1)), False, True),
    "of NumPy": (lambda k: 1 / np.sqrt(np.int64(k) + 1), True, False),
    "a cosine": (lambda k: 0.1 * (1 + math.cos(2 * math.pi * k / 100)) / (k + 1), True, True),
    "by LambdaLR": (lambda k: lr_scheduler.LambdaLR(sgd(), log_power(1, 1)), None, True),
}  # fmt: skip


@pytest.mark.parametrize("name", LOG)
def test_the_verdict_on_schedules_of_many_forms(name):
    schedule, travels, settles = LOG[name]
    verdict = robbins_monro(schedule(0) if name.startswith("by ") else schedule)
    assert verdict[:2] == (travels, settles)
    words = str(verdict)
    assert words.startswith("no: " if False in verdict[:2] else "undecided" if None in verdict[:2] else "ok (")
    assert ("whether the sum of the rates is finite cannot be told" in words) == (travels is None)
    assert ("it travels a finite distance only" in words) == (travels is False)
    assert ("its noise never dies" in words) == (settles is False)


@pytest.mark.parametrize("make, travels, settles", [
    (lambda o: lr_scheduler.MultiStepLR(o, [10], gamma=0.0), False, True),
    (lambda o: lr_scheduler.PolynomialLR(o, 10, power=0.0), True, False),
    (lambda o: swa_utils.SWALR(o, 0.0), False, True),
    (lambda o: lr_scheduler.ExponentialLR(o, 1.1), True, False),
    (lambda o: lr_scheduler.ConstantLR(optim.SGD([tg.ones(1)], lr=0.0)), False, True),
])  # fmt: skip
def test_the_borders_of_the_exact_forms(make, travels, settles):
    assert robbins_monro(make(sgd()))[:2] == (travels, settles)


@pytest.mark.parametrize("make, travels", [
    (lambda o: lr_scheduler.MultiplicativeLR(o, lambda k: k / (k + 1)), True),
    (lambda o: lr_scheduler.MultiplicativeLR(o, lambda k: k / (k + 1) * math.log(k + 2) / math.log(k + 3)), None),
    (lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.ConstantLR(o), lr_scheduler.ExponentialLR(o, 0.99)]), False),
])  # fmt: skip
def test_schedulers_that_must_be_asked_step_by_step(make, travels):
    assert robbins_monro(make(sgd())).travels is travels


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
    """The formula is in its first line, or follows from the description of the arguments."""
    assert re.search(r"docs/lectures\.md#item-\d", CLASSES[name].__doc__)


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
