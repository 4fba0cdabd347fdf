"""Base class of the many small modules that consist of settings and a function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinygrad_lite.nn.modules.module import Module


class Configured(Module):
    """A module that keeps the arguments of its constructor as attributes.

        class LeakyReLU(Configured):
            shown = "negative_slope inplace"

            def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
                super().__init__(locals())

    `shown` names those that appear in the repr (`inplace` only if True).

    >>> from tinygrad_lite import nn
    >>> nn.LeakyReLU(0.2), nn.LeakyReLU(0.2).negative_slope
    (LeakyReLU(negative_slope=0.2), 0.2)
    """

    shown = ""

    def __init__(self, arguments: Mapping[str, Any]):
        super().__init__()
        for name, value in arguments.items():
            if name not in ("self", "__class__"):
                setattr(self, name, value)

    def extra_repr(self) -> str:
        shown = ((name, getattr(self, name)) for name in self.shown.split())
        return ", ".join(f"{name}={value!r}" for name, value in shown if name != "inplace" or value)
