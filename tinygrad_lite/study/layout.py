"""The layered layout of an acyclic graph: rows, the order in each row, and horizontal positions.

The method of Sugiyama, Tagawa and Toda (1981): every node goes one row below the lowest of its sources, edges that pass
rows have a bend in each, rows are sorted by the mean position of their neighbours, and then placed as near below and above
them as there is room.
"""

from __future__ import annotations

from bisect import bisect, insort
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

_BENDS = 20_000  # in one picture; where they end, the rest of an edge is drawn straight
_SWEEPS = 4


class Line(NamedTuple):
    """The edges from one node that carry the same thing: one trunk, which passes `bends`, one in each row, with a branch to
    each of `targets`, sorted by row."""

    label: int
    source: int
    bends: list[int]
    targets: list[int]


class Layout(NamedTuple):
    """`rows`: the nodes of each row from left to right; those from `len(widths)` on are bends of lines. `centres`: of each."""

    rows: list[list[int]]
    centres: list[float]
    lines: list[Line]


def layered(
    widths: Sequence[float], edges: Sequence[tuple[int, int, int]], gap: float = 24, top: Iterable[int] = (), bottom: Iterable[int] = ()
) -> Layout:
    """Lay out nodes of these widths. Every edge (u, v, label) has u < v; those of one source and label make one line. The
    nodes of `top`, which have no sources, and of `bottom`, which have no targets, share the first and the last row.

    >>> layered([10, 10, 10], [(0, 1, 0), (1, 2, 1), (0, 2, 0)], gap=5).rows
    [[0], [3, 1], [2]]
    """
    row_of = _rows(len(widths), edges, set(top), set(bottom))
    lines = _lines(row_of, edges)
    sizes = [*widths, *[0.0] * (len(row_of) - len(widths))]
    above: list[list[int]] = [[] for _ in row_of]
    below: list[list[int]] = [[] for _ in row_of]
    for line in lines:
        trunk = [line.source, *line.bends]
        branches = [(trunk[min(row_of[v] - row_of[line.source], len(trunk)) - 1], v) for v in line.targets]
        for u, v in [*pairwise(trunk), *branches]:
            above[v].append(u)
            below[u].append(v)
    rows: list[list[int]] = [[] for _ in range(max(row_of, default=-1) + 1)]
    for node, row in enumerate(row_of):
        rows[row].append(node)
    rows = _sorted(rows, above, below)
    return Layout(rows, _centres(rows, sizes, above, below, len(widths), gap), lines)


def _rows(count: int, edges: Sequence[tuple[int, int, int]], top: set[int], bottom: set[int]) -> list[int]:
    """The row of each node: below all its sources. A node without any is directly above the first of its targets."""
    sources: list[list[int]] = [[] for _ in range(count)]
    targets: list[list[int]] = [[] for _ in range(count)]
    for u, v, _ in edges:
        if u >= v:
            raise ValueError(f"layered: an edge must go from a smaller number to a larger, got ({u}, {v})")
        sources[v].append(u)
        targets[u].append(v)
    first = 1 if top else 0
    row = [0] * count
    for v in range(count):
        row[v] = 0 if v in top else max((row[u] + 1 for u in sources[v]), default=first)
    for u in range(count):
        if u not in top and not sources[u] and targets[u]:
            row[u] = max(first, min(row[v] for v in targets[u]) - 1)
    last = max((row[v] for v in range(count) if v not in bottom), default=-1) + 1
    for v in bottom:
        row[v] = last
    return row


def _lines(row_of: list[int], edges: Sequence[tuple[int, int, int]]) -> list[Line]:
    """The edges as lines. `row_of` gets the rows of their bends."""
    targets: dict[tuple[int, int], list[int]] = {}
    for u, v, label in edges:
        targets.setdefault((u, label), []).append(v)
    lines, left = [], _BENDS
    for (u, label), found in targets.items():
        found.sort(key=row_of.__getitem__)
        passed = min(max(row_of[found[-1]] - row_of[u] - 1, 0), left)
        left -= passed
        lines.append(Line(label, u, list(range(len(row_of), len(row_of) + passed)), found))
        row_of += range(row_of[u] + 1, row_of[u] + 1 + passed)
    return lines


def _sorted(rows: list[list[int]], above: list[list[int]], below: list[list[int]]) -> list[list[int]]:
    """Sort each row by the mean position of the neighbours in the row before, down and up in turn; the order found that has
    the fewest crossings."""
    position = [0.0] * len(above)
    for row, lower in zip(reversed(rows), [[], *reversed(rows)]):  # at first in the order in which those below name them
        first = {node: i for i, node in enumerate(dict.fromkeys(u for v in lower for u in above[v]))}
        row.sort(key=lambda node: first.get(node, len(first)))
        _place(row, position)
    best, fewest = [list(row) for row in rows], _crossings(rows, position, below)
    for sweep in range(2 * _SWEEPS):
        if not fewest:
            break
        neighbours = below if sweep % 2 else above
        for row in reversed(rows) if sweep % 2 else rows:
            row.sort(key=lambda node: _mean([position[other] for other in neighbours[node]], position[node]))
            _place(row, position)
        crossings = _crossings(rows, position, below)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _crossings(rows: list[list[int]], position: list[float], below: list[list[int]]) -> int:
    """How many pairs of edges between neighbouring rows cross."""
    count = 0
    for row in rows:
        seen: list[float] = []
        for node in row:
            ends = [position[other] for other in below[node]]
            count += sum(len(seen) - bisect(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return count


def _place(row: list[int], position: list[float]) -> None:
    """Positions from -1 to 1, so that those of rows of different lengths compare."""
    for i, node in enumerate(row):
        position[node] = (2 * i + 1) / len(row) - 1


def _mean(values: list[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _centres(
    rows: list[list[int]], sizes: list[float], above: list[list[int]], below: list[list[int]], count: int, gap: float
) -> list[float]:
    """Each node at the mean of its neighbours, as far as those beside it in the row leave room. Bends weigh more, which keeps
    long edges straight."""
    centres = [0.0] * len(sizes)
    weights = [1.0 if node < count else 8.0 for node in range(len(sizes))]
    for sweep in range(2 * _SWEEPS + 1):
        neighbours = below if sweep % 2 else above
        for row in reversed(rows) if sweep % 2 else rows:
            wanted = [_mean([centres[other] for other in neighbours[node]], centres[node]) for node in row]
            placed = spread(wanted, [sizes[node] for node in row], gap, [weights[node] for node in row])
            for node, centre in zip(row, placed):
                centres[node] = centre
    left = min((centre - size / 2 for centre, size in zip(centres, sizes)), default=0.0)
    return [centre - left for centre in centres]


def spread(wanted: Sequence[float], widths: Sequence[float], gap: float, weights: Sequence[float]) -> list[float]:
    """The centres nearest to `wanted`, in weighted least squares, at which neighbours do not overlap: isotonic regression by
    pooling adjacent violators.

    >>> spread([0, 0], [10, 10], 2, [1, 1])
    [-6.0, 6.0]
    """
    offsets, offset = [], 0.0
    for i, width in enumerate(widths):
        offset += width / 2 + (gap + widths[i - 1] / 2 if i else 0)
        offsets.append(offset)
    pools: list[tuple[float, float, int]] = []  # the mean of each, its weight, and how many it holds
    for want, offset, weight in zip(wanted, offsets, weights):
        value, held = want - offset, 1
        while pools and pools[-1][0] >= value:
            before, heavy, many = pools.pop()
            value = (value * weight + before * heavy) / (weight + heavy)
            weight, held = weight + heavy, held + many
        pools.append((value, weight, held))
    values = [value for value, _, held in pools for _ in range(held)]
    return [value + offset for value, offset in zip(values, offsets)]
