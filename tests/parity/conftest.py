"""Fixtures for all comparisons with PyTorch."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(scope="session", autouse=True)
def pytorch_s_switches_can_be_set():
    """PyTorch's databases of test inputs forbid it for the whole process when they are imported."""
    if "torch" in sys.modules:
        sys.modules["torch"].backends.flags_frozen.__globals__["__allow_nonbracketed_mutation_flag"] = True


@pytest.fixture(autouse=True)
def pytorch_looks_at_the_parameters_of_distributions():
    """PyTorch's compiler switches that off once it is imported."""
    if "torch.distributions" in sys.modules:
        sys.modules["torch"].distributions.Distribution.set_default_validate_args(True)
