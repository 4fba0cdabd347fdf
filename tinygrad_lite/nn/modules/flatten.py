"""Layers that only reshape."""

from __future__ import annotations

from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadType
from tinygrad_lite.nn.modules.settings import Configured

__all__ = ["Flatten", "Unflatten"]


class Flatten(Configured):
    """Merges dims start_dim to end_dim into one; by default all but the first.

    >>> from tinygrad_lite import nn, ones
    >>> nn.Flatten()(ones(2, 3, 4, 5)).shape, nn.Flatten(0, 1)(ones(2, 3, 4, 5)).shape
    ((2, 60), (6, 4, 5))
    """

    shown = "start_dim end_dim"

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)


class Unflatten(Configured):
    """Splits dim `dim` into dims of the sizes `unflattened_size`.

    >>> from tinygrad_lite import nn, ones
    >>> nn.Unflatten(1, (3, 4))(ones(2, 12)).shape
    (2, 3, 4)
    """

    shown = "dim unflattened_size"

    def __init__(self, dim: int, unflattened_size: Any):
        sizes = unflattened_size if isinstance(unflattened_size, (tuple, list)) else ()
        if not isinstance(dim, int) or not sizes or not all(isinstance(n, int) for n in sizes):
            raise BadType(function="Unflatten", expected="an int dim and int sizes", got=f"{dim!r} and {unflattened_size!r}")
        super().__init__(locals())

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)
