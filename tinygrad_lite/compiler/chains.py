"""Consecutive elementwise calls on large arrays as one compiled loop, shared among threads."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lite.arrays.loops import SMALLEST, loop_of, run_in_threads
from tinygrad_lite.arrays.memory import start_of
from tinygrad_lite.compiler.actions import Action
from tinygrad_lite.compiler.nests import Piece

ALONE = 1 << 17  # elements; a call on larger arrays is worth a loop by itself, whose parts threads share
_OTHERS = ("sum", "max", "min", "dot")


def is_link(piece: Piece) -> bool:
    """Whether a piece may be part of a chain."""
    out = piece.out
    if piece.name in _OTHERS or out.size < SMALLEST or not _is_dense(out):
        return False
    return all(_is_number(a) or (a.shape == out.shape and a.strides == _strides_of(a, out)) for a in piece.operands)


def _strides_of(array: np.ndarray, like: np.ndarray) -> tuple[int, ...]:
    return tuple(stride // like.itemsize * array.itemsize for stride in like.strides)


def _is_dense(array: np.ndarray) -> bool:
    return array.flags.c_contiguous or array.flags.f_contiguous or array.transpose(np.argsort(array.strides)[::-1]).flags.c_contiguous


def _is_number(value: Any) -> bool:
    return not isinstance(value, np.ndarray) or not value.ndim


def may_follow(first: Piece, second: Piece) -> bool:
    """Whether two pieces may be parts of one chain."""
    return first.dtype == second.dtype and first.out.shape == second.out.shape and _strides_of(first.out, second.out) == first.out.strides


class _Chain:
    """The steps of a chain for loops.py: arrays have the numbers from 0 up, what the steps make those after them."""

    def __init__(self, pieces: Sequence[Piece]):
        number = pieces[-1].number
        self.arrays: list[np.ndarray] = []
        self.numbers: list[Any] = []
        last = {start_of(piece.out): piece for piece in pieces}
        made: set[int] = set()
        for piece in pieces:
            for operand in piece.operands:
                if not _is_number(operand) and start_of(operand) not in made:
                    self._add(operand)
            made.add(start_of(piece.out))
        stored = [piece for piece in last.values() if not 0 <= piece.last <= number]
        for piece in stored:
            self._add(piece.out)
        self.dtype = pieces[0].dtype
        count = len(self.arrays)
        values = {start_of(array): i for i, array in enumerate(self.arrays)}
        self.steps: list[tuple[str, tuple[int, ...], int | None]] = []
        for piece in pieces:
            operands = tuple(self._number(a) if _is_number(a) else values[start_of(a)] for a in piece.operands)
            place = next((i for i, array in enumerate(self.arrays) if start_of(array) == start_of(piece.out)), None)
            is_final = last[start_of(piece.out)] is piece and piece in stored
            if is_final:
                self.steps.append((piece.name, operands, place))
                values[start_of(piece.out)] = place  # type: ignore[assignment]
            else:
                self.steps.append((piece.name, operands, None))
                values[start_of(piece.out)] = count
                count += 1

    def _add(self, array: np.ndarray) -> None:
        if all(start_of(known) != start_of(array) for known in self.arrays):
            self.arrays.append(array)

    def _number(self, value: Any) -> int:
        self.numbers.append(value)
        return -len(self.numbers)


@dataclass(frozen=True)
class Slots:
    """The arrays that each run makes: `numbers` in `slots`, by the ids of the arrays that stand for them, and the ids of those
    that are made when a call writes to them."""

    slots: list[Any]
    numbers: Mapping[int, int]
    made: Container[int]


def chain_of(pieces: Sequence[Piece], late: Slots, instead: Sequence[Action]) -> Callable[[], None] | None:
    """The pieces, which are consecutive calls, as one loop; None if that is not possible. A run in which an array has another
    layout than the one that stands for it does the calls `instead`."""
    chain = _Chain(pieces)
    starts = sorted((start_of(array), array.nbytes) for array in chain.arrays)
    overlap = any(start + size > following for (start, size), (following, _) in itertools.pairwise(starts))
    if overlap or any(array.dtype != chain.dtype for array in chain.arrays):
        return None
    loop = loop_of(len(chain.arrays), len(chain.numbers), tuple(chain.steps), (), chain.dtype)
    if loop is None:
        return None
    places, items = list(map(start_of, chain.arrays)), [array.itemsize for array in chain.arrays]
    numbers = [float(value) for value in chain.numbers]
    cells = [(i, value) for i, value in enumerate(chain.numbers) if isinstance(value, np.ndarray)]
    arrays = chain.arrays
    slots, outs = late.slots, {id(piece.out) for piece in pieces}
    given, made = [], []
    for i, array in enumerate(arrays):
        if id(array) in outs and id(array) in late.made:
            made.append((i, late.numbers[id(array)], array))
        elif id(array) in late.numbers:
            given.append((i, late.numbers[id(array)], array.strides))

    def run() -> None:
        for i, cell in cells:
            numbers[i] = cell.item()
        for i, slot, strides in given:
            if slots[slot].strides != strides:
                for function, arguments in instead:
                    function(*arguments)
                return
            places[i] = start_of(slots[slot])
        for i, slot, like in made:
            slots[slot] = new = np.empty_like(like)
            places[i] = start_of(new)
        run_in_threads(loop, arrays[0].size, places, items, numbers)

    return run
