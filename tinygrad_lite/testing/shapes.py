"""Other shapes for the arguments of an elementwise operation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.arrays import to_numpy
from tinygrad_lite.testing.cases import Case, is_float, results

BROADCAST = "in dims that were broadcast"


def broadcast_shapes(args: Sequence[Any]) -> tuple[int, ...]:
    """The shape to which the arrays among arguments are broadcast."""
    return np.broadcast_shapes(*(a.shape for a in args if isinstance(a, np.ndarray)))


def is_elementwise(case: Case) -> bool:
    """Whether an element of the result depends on the same element of each array alone, as far as trying shows."""
    arrays = [i for i, a in enumerate(case.args) if isinstance(a, np.ndarray)]
    if not arrays or any(isinstance(a, (tuple, list)) for a in case.args):
        return False
    try:
        shape = broadcast_shapes(case.args)
    except ValueError:
        return False
    outs = results(case.call(*case.tensors()))
    if len(outs) != 1 or outs[0].array.shape != shape or int(np.prod(shape)) < 2:
        return False
    before = to_numpy(outs[0].array).copy()
    for i in arrays:
        value = case.args[i]
        if not is_float(value) or not value.size:
            return False
        for number in {*np.linspace(0, value.size - 1, 8).astype(int).tolist(), 1 % value.size}:
            place = np.unravel_index(number, value.shape)
            mask = np.zeros(value.shape, bool)
            mask[place] = True
            moved = [np.where(mask, value * 1.01 + 1e-3, value) if k == i else a for k, a in enumerate(case.args)]
            after = to_numpy(results(case.call(*case.on(moved, "").tensors()))[0].array)
            if after.shape != shape or (after != before)[~np.broadcast_to(mask, shape)].any():
                return False
    return True


def other_shapes(case: Case) -> Iterator[tuple[tuple[Any, ...], str]]:
    """The arguments with their arrays 0-d, empty and broadcast against each other, each with these words."""
    arrays = [i for i, a in enumerate(case.args) if isinstance(a, np.ndarray)]

    def with_shapes(*shapes: tuple[int, ...]) -> tuple[Any, ...]:
        args = list(case.args)
        for i, shape in zip(arrays, shapes):
            args[i] = np.resize(case.args[i].ravel(), int(np.prod(shape))).reshape(shape).copy()
        return tuple(args)

    n = len(arrays)
    yield with_shapes(*[()] * n), "on 0-d arrays"
    yield with_shapes(*[(0,)] * n), "on empty arrays"
    yield with_shapes(*[(2, 0, 3)] * n), "on empty arrays"
    for i in range(n if n > 1 else 0):
        yield with_shapes(*[(3, 1, 2) if k == i else (4, 1) for k in range(n)]), BROADCAST
        yield with_shapes(*[(2, 3) if k == i else () for k in range(n)]), BROADCAST
        yield with_shapes(*[(1,) if k == i else (0,) for k in range(n)]), "on empty arrays"
