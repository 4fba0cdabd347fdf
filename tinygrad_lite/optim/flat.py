"""Several parameters as one vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.arrays.changes import changed_in_place


class Flat:
    """The parameters' values and gradients as 1-d arrays, and back."""

    def __init__(self, params: Sequence[Any]):
        self.params = list(params)
        self.xp = namespace_of(self.params[0].array)

    def values(self) -> Any:
        return self.join([p.array for p in self.params])

    def gradient(self) -> Any:
        """All gradients, zeros for the parameters without one."""
        return self.join([self.xp.zeros_like(p.array) if p.grad is None else p.grad.array for p in self.params])

    def join(self, arrays: Sequence[Any]) -> Any:
        return self.xp.concatenate([array.reshape(-1) for array in arrays])

    def split(self, vector: Any) -> list[Any]:
        """The parts of a vector that belong to each parameter, in their shapes."""
        parts, start = [], 0
        for p in self.params:
            parts.append(vector[start : start + p.array.size].reshape(p.array.shape))
            start += p.array.size
        return parts

    def write(self, vector: Any, operation: str) -> None:
        """Give the parameters the values in `vector`; `operation` is who did it."""
        for p, part in zip(self.params, self.split(vector)):
            p.array[...] = part
            changed_in_place(p.array, operation)
