"""Every function on arrays, with a gradient and without, against the harness."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import tests.samples
import tinygrad_lite as tg
import tinygrad_lite.nn  # its primitives
from tests.check_op import SAMPLES, call, check_op, is_float, results, tensors
from tinygrad_lite.autograd import NONDIFFERENTIABLE, REGISTRY

for module in pkgutil.iter_modules(tests.samples.__path__):
    importlib.import_module(f"tests.samples.{module.name}")

CASES = [(s, f"{name}-{i}") for name, samples in sorted(SAMPLES.items()) for i, s in enumerate(samples)]


@pytest.mark.parametrize("sample", [s for s, _ in CASES], ids=[label for _, label in CASES])
def test_primitive(sample, device):
    check_op(sample, device)


@pytest.mark.parametrize("name", sorted(REGISTRY | NONDIFFERENTIABLE))
def test_every_function_has_samples(name):
    assert name in SAMPLES, f"{name} has no samples: add some to tests/samples/"


def test_every_primitive_has_a_rule():
    without = [name for name, primitive in REGISTRY.items() if not primitive.differentiable]
    assert not without, "they belong among the functions without a gradient"


@pytest.mark.parametrize("name", sorted(NONDIFFERENTIABLE))
def test_results_without_a_gradient_have_no_place_on_the_tape(name, device):
    for s in SAMPLES[name]:
        floating = [i for i, value in enumerate(s.args) if is_float(value)]
        for result in results(call(s)(*tensors(s.args, device, floating))):
            assert not result.requires_grad
            assert type(result) is tg.Tensor
