"""Every primitive of the registry against the harness."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import tests.samples
import tinygrad_lite.nn  # noqa: F401  its primitives
from tests.check_op import SAMPLES, check_op
from tinygrad_lite.autograd import REGISTRY

for module in pkgutil.iter_modules(tests.samples.__path__):
    importlib.import_module(f"tests.samples.{module.name}")

CASES = [(s, f"{name}-{i}") for name, samples in sorted(SAMPLES.items()) for i, s in enumerate(samples)]


@pytest.mark.parametrize("sample", [s for s, _ in CASES], ids=[label for _, label in CASES])
def test_primitive(sample, device):
    check_op(sample, device)


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_every_primitive_has_samples(name):
    assert name in SAMPLES, f"{name} has no samples: add some to tests/samples/"
