"""Every program of this folder, stepped through: the gradients at the end are those of backward, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from tests.parity import test_programs, test_programs_of_science, test_programs_of_trainers
from tests.parity.programs import Start
from tinygrad_lite import Tensor, study
from tinygrad_lite.arrays.devices import to_numpy
from tinygrad_lite.autograd.observing import observe, observe_no_more
from tinygrad_lite.engine.context import Observer
from tinygrad_lite.study import values

PROGRAMS = [*test_programs.PROGRAMS, *test_programs_of_science.PROGRAMS, *test_programs_of_trainers.PROGRAMS]


class Gradients(Observer):
    """What each backward pass of a program has found, in the order in which the passes began."""

    def __init__(self):
        self.passes, self.running = [], []

    def started(self, roots):
        self.running.append(len(self.passes))
        self.passes.append([])

    def finished(self, found):
        arrays = [g.array if isinstance(g, Tensor) else g for g in (found or {}).values()]
        self.passes[self.running.pop()] = [np.array(to_numpy(array)) for array in arrays]


def same(a, b):
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("function", PROGRAMS, ids=lambda f: f.__name__)
def test_gradients_after_the_last_step_are_those_of_backward(function, monkeypatch):
    monkeypatch.setattr(values, "MOST", 10**9)  # all elements are compared
    start, seen = Start(), Gradients()
    observe(seen)
    try:
        expected = start.run(function, "tinygrad_lite")
    finally:
        observe_no_more(seen)
    with study.record() as tape:
        results = start.run(function, "tinygrad_lite")
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, wanted)
    assert seen.passes and len(seen.passes) == len(tape.passes)
    for index, found in enumerate(seen.passes):
        stepper, sums = tape.stepper(index), {}
        while (stop := stepper.next()) is not None:
            for sent in stop.sent:
                number, part = sent.to.number, sent.gradient.array
                sums[number] = sums[number] + part if number in sums else part
                same(sums[number], sent.total.array)
        for number, wanted in zip(tape.passes[index].gradients, found, strict=True):
            same(stepper.gradients()[number].array, wanted)
