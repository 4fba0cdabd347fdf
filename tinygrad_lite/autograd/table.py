"""The tape as a table: a Wengert list of the operations behind a tensor."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from tinygrad_lite.arrays import is_array
from tinygrad_lite.autograd.function import Context
from tinygrad_lite.autograd.graph import _Handle, _Packed
from tinygrad_lite.autograd.observing import observe, observe_no_more
from tinygrad_lite.engine.context import Observer
from tinygrad_lite.engine.tape import Leaf, Node, Traced
from tinygrad_lite.engine.walk import operations_behind

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Entry(NamedTuple):
    """One line of the table. `inputs`: the numbers of the entries it was computed from. `name`: of a parameter."""

    number: int
    operation: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: str
    bytes_kept: int
    line: str
    name: str = ""


class Tape(tuple[Entry, ...]):
    """The entries behind a tensor, oldest first. `print` it for a table.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([3.0], requires_grad=True)
    >>> tape = tg.autograd.tape_of((x * x).exp())
    >>> len(tape), [entry.operation for entry in tape]
    (3, ['leaf', 'mul', 'exp'])
    """

    __slots__ = ()

    def __str__(self) -> str:
        lines, names = (any(getattr(entry, field) for entry in self) for field in ("line", "name"))
        head = ["%", "operation", *["name"] * names, "inputs", "shape", "dtype", "kept", *["line"] * lines]
        rows = [head]
        for e in self:
            inputs = " ".join(f"%{i}" for i in e.inputs)
            row = [f"%{e.number}", e.operation, *[e.name] * names, inputs, str(e.shape), e.dtype, _size(e.bytes_kept)]
            rows.append(row + [e.line] * lines)
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)

    __repr__ = __str__


def _size(count: int) -> str:
    return f"{count} B" if count < 10_000 else f"{count / 1024:.0f} KiB" if count < 10_000_000 else f"{count / 2**20:.0f} MiB"


def tape_of(*tensors: Any) -> Tape:
    """The tape behind `tensors`: every operation and leaf their gradients would pass through.

    `bytes_kept` counts the arrays that an entry's rules, or the `ctx` of a Function, hold on to (where
    hooks have packed them, those in what the hooks made of them); an array that several entries hold is
    counted at the first. Lines of the program are there for what ran under `tape_lines()`. Beside tensors a
    module, or a dict of tensors by name, may be given: its parameters' names are shown.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> print(tape_of((x * x).sum()))
    %   operation  inputs  shape  dtype    kept
    %0  leaf               (2,)   float32  0 B
    %1  mul        %0 %0   (2,)   float32  8 B
    %2  sum        %1      ()     float32  0 B
    >>> layer = tg.nn.Linear(2, 1)
    >>> print(tape_of(layer(x), layer))
    %   operation  name    inputs    shape   dtype    kept
    %0  leaf                         (2,)    float32  0 B
    %1  leaf       weight            (1, 2)  float32  0 B
    %2  leaf       bias              (1,)    float32  0 B
    %3  linear             %0 %1 %2  (1,)    float32  16 B
    """
    names: dict[Any, str] = {}
    nodes = []
    for given in tensors:
        if isinstance(given, Traced):
            nodes.append(given.node)
        elif isinstance(given, dict) or hasattr(given, "named_parameters"):
            named = given if isinstance(given, dict) else dict(given.named_parameters())
            names.update((tensor.node, name) for name, tensor in named.items())
        else:
            raise TypeError(f"tape_of: expected Tensors, a Module or a dict of Tensors by name, got {type(given).__name__}")
    order = entries_behind([node for node in nodes if node is not None])
    number = {node: i for i, node in enumerate(order)}
    counted: set[int] = set()
    return Tape(
        Entry(
            number[node],
            node.name,
            tuple(number[parent] for parent in node.parents),
            node.shape,
            str(node.dtype) if not isinstance(node.dtype, tuple) else ", ".join(map(str, node.dtype)),
            _bytes_kept(node, counted),
            getattr(node, "line", ""),
            names.get(node, ""),
        )
        for node in order
    )


def entries_behind(nodes: list[Any]) -> list[Any]:
    """Every leaf and operation that `nodes` depend on, oldest first."""
    operations = operations_behind(nodes)
    met = [*nodes, *(parent for node in reversed(operations) for parent in node.parents)]
    return [*dict.fromkeys(node for node in met if type(node) is Leaf), *operations]


def _bytes_kept(node: Node | Leaf, counted: set[int]) -> int:
    total = 0
    for array in _arrays(node.saved):
        if id(array) not in counted:
            counted.add(id(array))
            total += array.nbytes
    return total


def _arrays(value: Any) -> Iterator[Any]:
    """The arrays in what an entry has saved."""
    if is_array(value):
        yield value
    elif isinstance(value, Traced):
        yield value.array
    elif isinstance(value, Context):
        yield from _arrays(list(vars(value).values()))
    elif isinstance(value, _Packed):
        yield from _arrays(value.values)
    elif isinstance(value, _Handle):
        yield from _arrays(value.packed)
    elif isinstance(value, (tuple, list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _arrays(item)


@contextlib.contextmanager
def tape_lines() -> Iterator[None]:
    """Note for each operation recorded inside the line of the program that asked for it.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([3.0], requires_grad=True)
    >>> with tape_lines():
    ...     y = x.exp()
    >>> bool(tg.autograd.tape_of(y)[-1].line)
    True
    """
    lines = Lines()
    observe(lines)
    try:
        yield
    finally:
        observe_no_more(lines)


class Lines(Observer):
    """Notes on each entry the line of the program that is asking for the operation being recorded."""

    def recorded(self, node: Node, arguments: Any, result: Any) -> None:
        frame, _ = _program()
        if frame is not None:
            node.line = f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


def depth_of_the_program() -> int:
    """The `stacklevel` with which the caller's warning shows the line of the program that called the package."""
    return _program()[1] - 1


def _program() -> tuple[Any, int]:
    """The frame of the program that called the package, and how many calls it is away from here."""
    frame: Any = sys._getframe(1)
    depth = 1
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame, depth = frame.f_back, depth + 1
    return frame, depth
