"""Arrays that a plan gives away and uses again."""

from __future__ import annotations

from collections.abc import Iterable
from sys import getrefcount

import numpy as np

from tinygrad_lite.arrays.memory import start_of
from tinygrad_lite.compiler.native import Function

_ALONE = next(map(getrefcount, [object()]))  # the references to what is in a list alone


class Lent:
    """Arrays in which runs leave results for others. A run uses those of the last one again if nobody else holds them, and has new
    ones otherwise."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self._alone: list[int] = []
        self._places: list[list[tuple[np.ndarray, np.ndarray]]] = []  # addresses in compiled functions, and which of them are an array's

    def add(self, array: np.ndarray) -> int:
        """Lend an array; returns its number."""
        self.arrays.append(array)
        self._alone.append(_ALONE)
        return len(self.arrays) - 1

    def bind(self, functions: Iterable[Function]) -> None:
        """Note which compiled functions have the addresses of the arrays."""
        known = list(functions)
        self._places = [[(f.addresses, places) for f in known if len(places := f.places(array))] for array in self.arrays]

    def renew(self) -> None:
        """Replace those that somebody else holds."""
        if list(map(getrefcount, self.arrays)) == self._alone:
            return
        for i, count in enumerate(map(getrefcount, self.arrays)):
            if count > _ALONE:
                self.arrays[i] = new = np.empty_like(self.arrays[i])
                for addresses, places in self._places[i]:
                    addresses[places] = start_of(new)

    def copy(self, i: int, array: np.ndarray) -> None:
        """Leave the values of an array in the one of number `i`."""
        np.copyto(self.arrays[i], array)
