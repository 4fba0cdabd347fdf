"""The accelerator of this machine: a GPU through CuPy, or none."""

from __future__ import annotations

from typing import Any

from tinygrad_lite import cuda
from tinygrad_lite.arrays import Device

__all__ = ["current_accelerator", "current_device_index", "device_count", "is_available", "set_device_index", "synchronize"]


def is_available() -> bool:
    """Whether tensors can live on an accelerator.

    >>> is_available() == (device_count() > 0)
    True
    """
    return cuda.is_available()


def current_accelerator(check_available: bool = False) -> Device | None:
    """`device("cuda")`, or None without an accelerator. (`check_available` has no effect: without CuPy and a GPU there is
    no accelerator to name.)"""
    return Device("cuda") if cuda.is_available() else None


def device_count() -> int:
    """The number of accelerators."""
    return cuda.device_count()


def current_device_index() -> int:
    """The index of the accelerator that "cuda" refers to."""
    return cuda.current_device()


def set_device_index(device: Any) -> None:
    """Make "cuda" refer to another accelerator."""
    cuda.set_device(device)


def synchronize(device: Any = None) -> None:
    """Wait until the accelerator has finished all its work."""
    cuda.synchronize(device)
