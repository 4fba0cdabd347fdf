"""The rows of a sequence's steps, and how threads share the sequences of a batch; see recurrent.py."""

from __future__ import annotations

from tinygrad_lite.arrays.devices import Array, namespace_of
from tinygrad_lite.arrays.threads import get_num_threads


def steps(sizes: tuple[int, ...], reverse: bool) -> list[tuple[int, int]]:
    """The first row and the end of each step, in the order of processing."""
    rows, start = [], 0
    for size in sizes:
        rows.append((start, start + size))
        start += size
    return rows[::-1] if reverse else rows


def of_part(rows: list[tuple[int, int]], first: int, last: int) -> list[tuple[int, int]]:
    """The rows of each step that belong to the sequences `first` to `last`, if it has any."""
    rows = [(start + first, min(start + last, stop)) for start, stop in rows]
    return [(start, stop) for start, stop in rows if start < stop]


def sequences_each(batch: int, work: int, worth: int) -> int:
    """How many sequences of a batch a thread should take: all, if the work is less than what is `worth` two threads."""
    threads = min(get_num_threads(), batch, work * 2 // worth)
    return batch if threads < 2 else -(-batch // threads)


def beside(width: int, x: Array, biased: bool) -> Array:
    """Rows (state | x | 1): `width` columns for the state, written later, then x, then a column of ones for the biases. One
    product of such rows covers state, inputs and biases."""
    xp = namespace_of(x)
    rows = xp.empty((len(x), width + x.shape[1] + biased), x.dtype)
    rows[:, width : width + x.shape[1]] = x
    if biased:
        rows[:, -1] = 1
    return rows
