"""The accelerator of this machine, whatever its kind: a GPU through CuPy, or none."""

from __future__ import annotations

from typing import Any

from tinygrad_lite import cuda
from tinygrad_lite.arrays import Device

__all__ = ["current_accelerator", "current_device_index", "device_count", "is_available", "set_device_index", "synchronize"]


def is_available() -> bool:
    """Whether tensors can be put on an accelerator.

    >>> is_available() == (device_count() > 0)
    True
    """
    return cuda.is_available()


def current_accelerator(check_available: bool = False) -> Device | None:
    """`device("cuda")`, or None where there is none (`check_available` changes nothing: without CuPy and
    a GPU there is no accelerator to name)."""
    return Device("cuda") if cuda.is_available() else None


def device_count() -> int:
    """How many there are."""
    return cuda.device_count()


def current_device_index() -> int:
    """The number of the one that "cuda" stands for."""
    return cuda.current_device()


def set_device_index(device: Any) -> None:
    """Let "cuda" stand for another one."""
    cuda.set_device(device)


def synchronize(device: Any = None) -> None:
    """Wait until it has done all it was given."""
    cuda.synchronize(device)
