"""`paths`: a gradient as the sum of what comes along each path through the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lite.arrays.changes import check_saved
from tinygrad_lite.arrays.devices import to_numpy
from tinygrad_lite.arrays.errstate import quietly
from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.engine.walk import _fitted, _prepared, operations_behind
from tinygrad_lite.roots import roots_of
from tinygrad_lite.study.tape import Tape
from tinygrad_lite.study.values import Values, values_of

MOST = 1000  # paths that are enumerated one by one


@dataclass(frozen=True, eq=False)
class Path:
    """`steps`: what it goes through, from the loss on; `share`: its part of the gradient, in the gradient's direction;
    `gradient`: what comes along it."""

    steps: tuple[str, ...]
    share: float
    gradient: Values

    def __str__(self) -> str:
        steps = self.steps if len(self.steps) <= 12 else (*self.steps[:5], f"... {len(self.steps) - 10} more", *self.steps[-5:])
        return f"{self.share:>8.1%}  {' < '.join(steps)}"


@dataclass(frozen=True, eq=False)
class Layer:
    """A part of the graph that all paths enter at `start` and leave at `end`. `paths`: the largest of its `count` paths, or,
    if these are too many (`by_sender`), what the operations send that its end is an argument of. The shares of `paths` and
    `rest`, that of all others together, sum to 1."""

    start: str
    end: str
    count: int
    paths: tuple[Path, ...]
    rest: float
    others: int
    by_sender: bool = False

    def __str__(self) -> str:
        lines = [f"  {path}" for path in self.paths]
        if self.others:
            lines.append(f"  {self.rest:>8.1%}  {self.others} others")
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Paths:
    """The gradient of a loss as a sum. `count`: how many paths there are; `layers`: one, if they could be enumerated."""

    gradient: Values
    count: int
    layers: tuple[Layer, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The largest paths from the loss to `x`. Raises if there are too many to enumerate."""
        if len(self.layers) != 1 or self.layers[0].by_sender:
            raise RuntimeError(f"paths: there are {self.count:,} paths, too many to enumerate; see .layers")
        return self.layers[0].paths

    def __iter__(self) -> Iterator[Path]:
        return iter(self.paths)

    def __str__(self) -> str:
        count = f"{self.count:,}" if self.count < 10**12 else f"about 10^{len(str(self.count)) - 1}"
        lines = [f"gradient: {self.gradient}; {count} path{'s' if self.count != 1 else ''}"]
        for layer in self.layers:
            if len(self.layers) > 1 or layer.by_sender:
                how = ", by what sends it" if layer.by_sender else ""
                lines.append(f"from {layer.start} to {layer.end}{how}:")
            lines.append(str(layer))
        return "\n".join(lines)

    __repr__ = __str__


@quietly
def paths(loss: Traced, x: Traced, top: int = 5, tape: Tape | None = None) -> Paths:
    """The gradient of the scalar `loss` with respect to `x` as a sum over the paths between them, the largest `top` first.

    The share of a path is the part of the gradient that comes along it, in the gradient's direction: <path, gradient> over
    <gradient, gradient>. Shares sum to 1, and paths that cancel have shares of both signs. More than 1,000 paths are taken by
    layer, between the tensors that all paths go through, each with shares that sum to 1: so a residual block shows what comes
    through its branch and what past it, and a recurrent weight what each time step contributes. Call it before backward,
    which frees the graph, or with retain_graph=True. Hooks are left out. A `tape` gives names and lines.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> h = x * 3
    >>> print(paths((h * h.detach() + x).sum(), x))
    gradient: [10., 19.]; 2 paths
         93.7%  sum < add < mul < mul < x
          6.3%  sum < add < x
    """
    if not isinstance(x, Traced):
        raise TypeError(f"paths: expected a Tensor as x, got {type(x).__name__}")
    if not isinstance(top, int) or top < 1:
        raise ValueError(f"paths: top must be a positive int, got {top!r}")
    ((root, g),) = roots_of("paths", loss, None, False)
    graph = _Graph(root, x.node, tape)
    if root not in graph.to_x:
        raise RuntimeError("paths: the loss does not depend on x: explain(x, loss=loss) says more")
    ends = graph.cuts() if graph.to_x[root] > MOST else [x.node]
    cotangents = {root: g, **graph.cotangents(root, g, {*ends, x.node})}
    whole = cotangents[x.node]
    starts = [root, *ends[:-1]]
    layers = [
        _layer(graph, start, end, cotangents[start], whole, top)
        for start, end in zip(starts, ends)
        if len(ends) == 1 or graph.to_x[start] != graph.to_x[end]  # otherwise one path leads from one to the other
    ]
    return Paths(values_of(whole), graph.to_x[root], tuple(layers))


class _Graph:
    """The nodes on a way from `root` to `x`."""

    def __init__(self, root: Any, x: Any, tape: Tape | None):
        self.root, self.x, self.tape = root, x, tape
        self.to_x: dict[Any, int] = {x: 1}  # by node, the number of paths from it
        self.order: list[Any] = []  # oldest first
        for node in operations_behind([root]):
            count = sum(self.to_x.get(parent, 0) for parent in node.parents)
            if count and node is not x:
                self.to_x[node] = count
                self.order.append(node)

    def cuts(self) -> list[Any]:
        """The nodes after the root that every path goes through, the nearest to it first."""
        total, reached = self.to_x[self.root], {self.root: 1}
        found = []
        for node in [*reversed(self.order), self.x]:
            count = reached.get(node, 0)
            if count * self.to_x[node] == total and node is not self.root:
                found.append(node)
            for parent in node.parents if node is not self.x else ():
                if parent in self.to_x:
                    reached[parent] = reached.get(parent, 0) + count
        return found

    def sent(self, node: Any, g: Any) -> list[tuple[Any, Any]]:
        """What the rules of a node send for the cotangent `g`, by parent: the inside of the engine's walk."""
        check_saved(node)
        gradients: dict[Any, Any] = {}
        plan, saved, rules = node.plan, node.saved, node.plan.rules
        if plan.fused is not None or type(g) is list or not rules:
            g, saved, rules = _prepared(node, g, gradients, False)
        found = list(gradients.items())  # of one result of several, to the others'
        for parent, (rule, place, pick) in zip(node.parents, rules):
            if parent in self.to_x:
                part = rule(g, saved[place]) if place is not None else rule(g) if pick is None else rule(g, *pick(saved))
                if part is not None:
                    found.append((parent, _fitted(part, parent, node, False)))
        return found

    def cotangents(self, start: Any, g: Any, ends: set[Any], sending: Callable[[Any, Any, Any], None] | None = None) -> dict[Any, Any]:
        """The cotangents of the nodes `ends`, for the cotangent `g` of `start`. `sending` is called with a node, one that it
        has sent to, and what."""
        gradients, found = {start: g}, {}
        for node in [*reversed(self.order), self.x]:
            g = gradients.pop(node, None)
            if g is None:
                continue
            if node in ends:
                found[node] = g
            if node is self.x or len(found) == len(ends):
                break
            for parent, part in self.sent(node, g):
                if sending is not None:
                    sending(node, parent, part)
                gradients[parent] = _sum(gradients.get(parent), part)
        return found

    def between(self, start: Any, end: Any, g: Any) -> Iterator[tuple[list[Any], Any]]:
        """Every path from `start` to `end`, with what comes along it."""
        waiting: list[tuple[Any, Any, Any]] = [(start, g, None)]
        while waiting:
            node, g, before = waiting.pop()
            trail = (node, before)
            if node is end:
                steps = []
                while trail is not None:
                    steps.append(trail[0])
                    trail = trail[1]
                yield steps[::-1], g
            elif node is not self.x:
                waiting += [(parent, part, trail) for parent, part in reversed(self.sent(node, g))]

    def label(self, node: Any) -> str:
        if self.tape is not None and node in self.tape._numbers:
            return self.tape.entries[self.tape._numbers[node]].label
        return "x" if node is self.x else node.name


def _layer(graph: _Graph, start: Any, end: Any, g: Any, whole: Any, top: int) -> Layer:
    count = graph.to_x[start] // graph.to_x[end]
    found: Iterable[tuple[list[Any], Any]]
    if count > MOST:
        senders: dict[Any, Any] = {}

        def note(sender: Any, parent: Any, part: Any) -> None:
            if parent is end:
                senders[sender] = _sum(senders.get(sender), part)

        graph.cotangents(start, g, {end}, note)
        found = [([sender, end], part) for sender, part in senders.items()]
    else:
        found = graph.between(start, end, g)
    square = _dot(whole, whole)
    kept: list[tuple[float, float, list[Any], Any]] = []
    total, others = 0.0, 0
    for steps, part in found:
        part = graph.cotangents(end, part, {graph.x})[graph.x]
        share = _dot(part, whole) / square if square else 0.0
        kept.append((share, _dot(part, part), steps, part))
        kept.sort(key=lambda each: (-abs(each[0]), -each[1]))
        if len(kept) > top:
            total += kept.pop()[0]
            others += 1
    shown = tuple(Path(tuple(map(graph.label, steps)), share, values_of(part)) for share, _, steps, part in kept)
    return Layer(graph.label(start), graph.label(end), count, shown, total, others, count > MOST)


def _sum(known: Any, part: Any) -> Any:
    """The sum of two cotangents, each of one result or a list of several."""
    if known is None:
        return part
    if type(part) is list:
        return [b if a is None else a if b is None else a + b for a, b in zip(known, part)]
    return known + part


def _dot(a: Any, b: Any) -> float:
    return float(np.vdot(np.asarray(to_numpy(a), np.float64), np.asarray(to_numpy(b), np.float64)))
