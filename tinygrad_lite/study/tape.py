"""A tape with values, and what can be done with it."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.engine.walk import operations_behind
from tinygrad_lite.study.exports import Exports
from tinygrad_lite.study.notebook import of_tape
from tinygrad_lite.study.page import write_page
from tinygrad_lite.study.recorded import Recorded
from tinygrad_lite.study.recorder import Recorder
from tinygrad_lite.study.replaying import replay
from tinygrad_lite.study.stepping import Stepper

_tapes: weakref.WeakSet[Tape] = weakref.WeakSet()  # those that the program still holds


class Tape(Recorded, Exports):
    """The entries of a block in the order of recording, and its backward passes. Made by `record`."""

    def __init__(self, names: dict[int, str] | None = None):
        super().__init__(names)
        _tapes.add(self)

    def backward(self, tensor: Traced, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False) -> Stepper:
        """`tensor.backward(...)`, recorded: a `Stepper` through the pass, before its first step.

        >>> import tinygrad_lite as tg
        >>> x = tg.tensor(3.0, requires_grad=True)
        >>> with tg.study.record() as tape:
        ...     y = x * x
        >>> stepper = tape.backward(y)
        >>> stepper.next().entry.operation, x.grad
        ('mul', tensor(6.))
        """
        self.number_of(tensor)
        if threading.get_ident() != self._thread:
            raise RuntimeError("this tape was recorded in another thread: step through it there")
        before = len(self.passes)
        freed = any(node.saved is None for node in operations_behind([tensor.node]))
        try:
            with Recorder(self):
                tensor.backward(gradient, retain_graph=retain_graph, create_graph=create_graph)
        except RuntimeError:
            if not freed:
                raise
            del self.passes[before:]
            seen = "; tape.stepper() steps through that pass" if self.passes else ""
            raise RuntimeError(
                f"backward: an earlier pass has freed what the tape had saved{seen}; for a second one, pass retain_graph=True to it"
            ) from None
        return Stepper(self.entries, self.passes[before], self.number_of)

    def stepper(self, index: int = -1) -> Stepper:
        """A `Stepper` through a backward pass that the block has run."""
        if not self.passes:
            raise RuntimeError("no backward pass was recorded: call backward inside the block, or tape.backward(loss) after it")
        return Stepper(self.entries, self.passes[index], self.number_of)

    def replay(self, inputs: Mapping[Any, Any] | None = None) -> Tape:
        """The operations of the tape once more, with other leaves, on a new tape; and its backward passes, on the new leaves.

        `inputs`: new values (Tensors, arrays or numbers) by the name, number or Tensor of a leaf, or by the name of a variable with
        a Tensor that needs no gradient, such as a batch of data. Other leaves have the values that they had. Random choices, sizes
        and indices stay as recorded; hooks do not run. `tape.diff(tape.replay({...}))` shows what a change of one input does.

        >>> import tinygrad_lite as tg
        >>> x, scale = tg.tensor(3.0, requires_grad=True), tg.tensor(2.0)
        >>> with tg.study.record() as tape:
        ...     y = x * x * scale
        ...     y.backward()
        >>> again = tape.replay({"x": 5.0, "scale": 1.0})
        >>> str(again["y"].values), str(again.passes[0].gradients[0])
        ('25.', '10.')
        """
        if not isinstance(inputs or {}, Mapping):
            raise TypeError(f"replay: inputs must be a dict of new values by name, got {type(inputs).__name__}")
        return replay(self, inputs or {}, Recorder(Tape()))

    def page(self, path: str | os.PathLike[str]) -> Path:
        """Write the tape to `path` as one HTML file that needs no network: the operations and the backward passes in one
        picture, folded by module, with a slider through the steps, the program beside it, and values and gradients as heat
        maps, or histograms where they are large. The text of the program near the lines recorded is part of the file.
        Returns the path.

        >>> import tempfile
        >>> import tinygrad_lite as tg
        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> with tg.study.record() as tape:
        ...     (x * x).sum().backward()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     tape.page(folder + "/backward.html").read_text()[:15]
        '<!DOCTYPE html>'
        """
        return write_page(path, self.entries, self.passes)

    def _rows(self) -> list[list[str]]:
        """The columns that some entry uses, with their names."""
        rows = [("%", "name", "operation", "inputs", "shape", "dtype", "saved", "module", "line")]
        for e in self.entries:
            line = f"{e.calls[0].file.rpartition('/')[2]}:{e.calls[0].line}" if e.calls else ""
            inputs = " ".join(f"%{i}" for i in e.inputs)
            saved = f"{sum(e.bytes_saved.values()):,} B" if e.bytes_saved else ""
            rows.append((f"%{e.number}", e.name, e.operation, inputs, str(e.shape), e.dtype, saved, e.module, line))
        used = [i for i in range(len(rows[0])) if any(row[i] for row in rows[1:])]
        return [[row[i] for i in used] for row in rows]

    def __str__(self) -> str:
        rows = self._rows()
        widths = [max(map(len, column)) for column in zip(*rows)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        steps = [f"backward pass of {len(each.steps)} steps" for each in self.passes]
        summary = f"{len(self.entries)} entries · {' · '.join(steps) or 'no backward pass'}"
        return of_tape(summary, self._rows())


def last_tape_with(tensors: Iterable[Traced]) -> Tape | None:
    """The last tape of this thread that the program still holds and that has an entry of one of these tensors."""
    alive = [tape for tape in list(_tapes) if tape._thread == threading.get_ident()]
    given = list(tensors)
    known = [tape for tape in alive if any(x.node in tape._numbers or tape.made(x.array) is not None for x in given)]
    return max(known, key=lambda tape: tape._began, default=None)
