"""Options and fixtures of the whole suite."""

from __future__ import annotations

import os

# Before NumPy is imported: several test processes with several BLAS threads each wait for one
# another. Three epochs of the digits took 12 s that way beside other work, 0.4 s with one thread.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

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
