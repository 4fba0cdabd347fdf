"""Options and fixtures of the whole suite."""

from __future__ import annotations

import numpy as np
import pytest


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="the device the suite runs on: cpu or cuda")


@pytest.fixture(scope="session")
def device(request):
    return request.config.getoption("--device")


@pytest.fixture
def draw():
    """A NumPy generator with a fixed seed."""
    return np.random.default_rng(0)
