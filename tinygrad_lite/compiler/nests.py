"""Calls on arrays that have their places, as nests of loops over elements."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lite.arrays.loop_functions import KINDS
from tinygrad_lite.arrays.loops import Unsupported
from tinygrad_lite.arrays.memory import address_range, start_of


@dataclass(eq=False)
class Piece:
    """A call on arrays in their places. `name`: an elementwise operation, or "sum", "max", "min" or "dot".

    `last`: the number of the last call that reads the result's memory; -1 if the result is needed after the run. `dtype`: that
    of all its floats.
    """

    name: str
    out: np.ndarray
    operands: tuple[Any, ...]
    number: int
    last: int = -1
    axes: tuple[int, ...] = ()

    @property
    def dtype(self) -> np.dtype:
        return next(a.dtype for a in (self.out, *self.operands) if isinstance(a, np.ndarray) and a.dtype in KINDS)


class Nest:
    """Loops over `shape`, and what happens in the innermost one. `arrays`: those it reads and writes, each with its strides
    in bytes along these loops."""

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape
        self.accumulates = False  # whether the result is added to, so that its nest is by itself
        # Operation, operands and result (places in `arrays`, or numbers), and the piece whose result this is.
        self.steps: list[tuple[str, list[Any], int, Piece | None]] = []
        self.arrays: list[tuple[np.ndarray, tuple[int, ...]]] = []
        self.starts: list[int] = []
        self.spans: list[tuple[int, int]] = []  # the addresses that each may touch
        self._places: dict[Any, int] = {}

    def place(self, array: np.ndarray, strides: tuple[int, ...]) -> int:
        """The number of an array."""
        strides = tuple(0 if size == 1 else stride for size, stride in zip(self.shape, strides))
        start = start_of(array)
        key = start, strides, array.dtype
        if key not in self._places:
            self._places[key] = len(self.arrays)
            self.arrays.append((array, strides))
            self.starts.append(start)
            self.spans.append(address_range(array))
        return self._places[key]

    def written(self) -> set[int]:
        """The ids of the arrays that it writes."""
        return {id(self.arrays[out][0]) for _, _, out, _ in self.steps}


def _broadcast(array: np.ndarray, shape: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_to(array, shape).strides
    except ValueError:  # an assignment may drop dims of size 1
        raise Unsupported("shapes") from None


def nests_of(piece: Piece) -> list[Nest]:
    """The nests of a piece."""
    out, operands = piece.out, piece.operands
    if piece.name == "dot":
        a, b = operands
        a2, b2 = a.reshape(1, -1) if a.ndim == 1 else a, b.reshape(-1, 1) if b.ndim == 1 else b
        (m, k), n = a2.shape, b2.shape[1]
        c = out.reshape(m, n)
        if not np.may_share_memory(c, out) and c.size:
            raise Unsupported("dot")
        (ai, ak), (bk, bj), (ci, cj) = a2.strides, b2.strides, c.strides
        if n > 1 and m and k and cj == out.itemsize:
            return _matrix_product(a2, b2, c)
        main = Nest((m, n, k))
        places = [main.place(array, its) for array, its in zip((a2, b2, c), [(ai, 0, ak), (0, bj, bk), (ci, cj, 0)])]
        main.steps.append(("product", places[:2], places[2], piece))
        main.accumulates = True
        return [_filled(c, 0.0), main]
    if piece.name in ("sum", "max", "min"):
        (x,) = operands
        start = {"sum": 0.0, "max": -math.inf, "min": math.inf}[piece.name]
        kept = [d for d in range(x.ndim) if d not in piece.axes]
        order = sorted(range(x.ndim), key=lambda d: -abs(x.strides[d]))
        main = Nest(tuple(x.shape[d] for d in order))
        flat = out.reshape([x.shape[d] for d in kept])
        if flat.size and not np.may_share_memory(flat, out):
            raise Unsupported("reduction")
        its = dict(zip(kept, flat.strides))
        places = [main.place(x, tuple(x.strides[d] for d in order)), main.place(out, tuple(its.get(d, 0) for d in order))]
        main.steps.append(({"sum": "total", "max": "maximum", "min": "minimum"}[piece.name], [places[1], places[0]], places[1], piece))
        main.accumulates = True
        return [_filled(out, start), main]
    nest = Nest(out.shape)
    places_or_numbers = [nest.place(a, _broadcast(a, out.shape)) if isinstance(a, np.ndarray) else float(a) for a in operands]
    nest.steps.append((piece.name, places_or_numbers, nest.place(out, out.strides), piece))
    return [nest]


def _matrix_product(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> list[Nest]:
    """The nests of a product of matrices whose second one may have to be packed first: elements of its rows are then neighbours."""
    nests = []
    if b.strides[1] != b.itemsize:
        packed = np.empty(b.shape, b.dtype)
        nests.append(Nest(b.shape))
        nests[0].steps.append(("copy", [nests[0].place(b, b.strides)], nests[0].place(packed, packed.strides), None))
        b = packed
    main = Nest((*a.shape, c.shape[1]))
    (ai, ak), (bk, bj), (ci, cj) = a.strides, b.strides, c.strides
    operands = [main.place(a, (ai, ak, 0)), main.place(b, (0, bk, bj))]
    main.steps.append(("matrix product", operands, main.place(c, (ci, 0, cj)), None))
    main.accumulates = True
    return [*nests, main]


def _filled(out: np.ndarray, value: float) -> Nest:
    nest = Nest(out.shape)
    nest.steps.append(("assign", [value], nest.place(out, out.strides), None))
    return nest


def _may_join(first: Nest, second: Nest) -> bool:
    """Whether the steps of `second` may follow those of `first` in the same loops."""
    if first.shape != second.shape or first.accumulates or second.accumulates:
        return False
    mine, others = first.written(), second.written()
    for i, (a, its) in enumerate(first.arrays):
        for j, (b, theirs) in enumerate(second.arrays):
            are_one = its == theirs and first.starts[i] == second.starts[j]
            if not are_one and overlap(first.spans[i], second.spans[j]) and (id(a) in mine or id(b) in others):
                return False
    return True


def overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def joined(nests: Sequence[Nest]) -> list[Nest]:
    found: list[Nest] = []
    for nest in nests:
        if found and _may_join(found[-1], nest):
            last = found[-1]
            for name, operands, out, piece in nest.steps:
                places = [last.place(*nest.arrays[o]) if isinstance(o, int) else o for o in operands]
                last.steps.append((name, places, last.place(*nest.arrays[out]), piece))
        else:
            found.append(nest)
    return found
