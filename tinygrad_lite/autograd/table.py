"""The tape as a table: a Wengert list of the operations behind a tensor."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

from tinygrad_lite.arrays import is_array
from tinygrad_lite.autograd.node import Leaf, Node, Traced
from tinygrad_lite.autograd.recording import listen, listen_no_more
from tinygrad_lite.autograd.walk import entries_behind

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Entry(NamedTuple):
    """One line of the table. `inputs`: the numbers of the entries it was computed from."""

    number: int
    operation: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: str
    bytes_kept: int
    line: str


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
        lines = any(entry.line for entry in self)
        head = ["%", "operation", "inputs", "shape", "dtype", "kept"] + ["line"] * lines
        rows = [head]
        for e in self:
            inputs = " ".join(f"%{i}" for i in e.inputs)
            rows.append([f"%{e.number}", e.operation, inputs, str(e.shape), e.dtype, _size(e.bytes_kept)] + [e.line] * lines)
        widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)

    __repr__ = __str__


def _size(count: int) -> str:
    return f"{count} B" if count < 10_000 else f"{count / 1024:.0f} KiB" if count < 10_000_000 else f"{count / 2**20:.0f} MiB"


def tape_of(*tensors: Any) -> Tape:
    """The tape behind `tensors`: every operation and leaf their gradients would pass through.

    `bytes_kept` counts the arrays that an entry's rules hold on to; an array that several entries
    hold is counted at the first. Lines of the program are there for what ran under `tape_lines()`.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> print(tape_of((x * x).sum()))
    %   operation  inputs  shape  dtype    kept
    %0  leaf               (2,)   float32  0 B
    %1  mul        %0 %0   (2,)   float32  8 B
    %2  sum        %1      ()     float32  0 B
    """
    for tensor in tensors:
        if not isinstance(tensor, Traced):
            raise TypeError(f"tape_of: expected Tensors, got {type(tensor).__name__}")
    order = entries_behind([tensor.node for tensor in tensors if tensor.node is not None])
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
        )
        for node in order
    )


def _bytes_kept(node: Node | Leaf, counted: set[int]) -> int:
    total = 0
    for value in node.saved if isinstance(node.saved, (tuple, list)) else ():  # not what hooks have packed
        for array in value if type(value) is tuple else (value,):
            if is_array(array) and id(array) not in counted:
                counted.add(id(array))
                total += array.nbytes
    return total


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
    listen(note_line)
    try:
        yield
    finally:
        listen_no_more(note_line)


def note_line(node: Node) -> None:
    """Note the line of the program that is asking for the operation being recorded."""
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
