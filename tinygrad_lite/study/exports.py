"""The forms in which a tape leaves the program: table, LaTeX, Mermaid, DOT, SVG, JSON; and its comparison with another."""

from __future__ import annotations

from typing import Any, TypeVar

from tinygrad_lite.study import as_json, derivation, differences, drawing
from tinygrad_lite.study.entries import Entry, Pass
from tinygrad_lite.study.svg import svg

T = TypeVar("T", bound="Exports")


class Exports:
    """What a `Tape` can be written as. `index` chooses the backward pass whose gradients are shown, by default the last; without
    one, only values are."""

    entries: list[Entry]
    passes: list[Pass]

    def table(self, form: str = "text", index: int = -1) -> str:
        """The Wengert list: each entry's variable, expression, value and adjoint, as "text" or as a "markdown" table.

        >>> import tinygrad_lite as tg
        >>> x = tg.tensor(2.0, requires_grad=True)
        >>> with tg.study.record() as tape:
        ...     y = x * x + 1
        ...     y.backward()
        >>> print(tape.table())
        %   variable  expression  value  adjoint
        %0  x         leaf        2.     4.
        %1            %0 * %0     4.     1.
        %2  y         %1 + 1      5.     1.
        """
        return derivation.table(self.entries, self._pass(index), form)

    def latex(self, index: int = -1, most: int = derivation.MOST) -> str:
        r"""The computation and its derivation, line by line, as an `align*` for amsmath; refused beyond `most` entries.

        An entry is called by its variable where that is unique, otherwise v and its number; the gradient of x is \bar{x}. A
        contribution to an input that was broadcast is to be summed over the dims that were added.

        >>> import tinygrad_lite as tg
        >>> x = tg.tensor(2.0, requires_grad=True)
        >>> with tg.study.record() as tape:
        ...     y = x * x
        ...     y.backward()
        >>> print(tape.latex())
        \begin{align*}
        x &= 2 \\
        y &= x^{2} = 4 \\
        &\text{and backwards:} \\
        \bar{y} &= 1 \\
        \bar{x} &= \bar{y} \, x = 2 \\
        \bar{x} &\mathrel{+}= \bar{y} \, x = 2
        \end{align*}
        """
        return derivation.derivation(self.entries, self._pass(index), most)

    def mermaid(self, index: int = -1, most: int = 200) -> str:
        """A Mermaid flowchart, with a box for each module; refused beyond `most` entries (Mermaid's own limit is 500 edges)."""
        return drawing.mermaid(self.entries, self._pass(index), most)

    def dot(self, index: int = -1) -> str:
        """A Graphviz digraph, with a cluster for each module."""
        return drawing.dot(self.entries, self._pass(index))

    def svg(self, index: int = -1, most: int = 100, title: str = "The tape") -> str:
        """A picture, drawn without other programs: values forward, gradients backward; refused beyond `most` entries."""
        return svg(self.entries, self._pass(index), most, title)

    def json(self, indent: int | None = None) -> str:
        """The tape as JSON, in the form that `tinygrad_lite/study/as_json.py` documents."""
        return as_json.to_json(self.entries, self.passes, indent)

    @classmethod
    def from_json(cls: type[T], text: str) -> T:
        """The tape that `json` wrote: to be read, drawn, compared and stepped through, but not walked again.

        >>> import tinygrad_lite as tg
        >>> x = tg.tensor(2.0, requires_grad=True)
        >>> with tg.study.record() as tape:
        ...     (x * x).backward()
        >>> again = tg.study.Tape.from_json(tape.json())
        >>> again.stepper().next().sent[0].rule.formula
        'g * other'
        """
        tape = cls()
        tape.entries, tape.passes = as_json.from_json(text)
        return tape

    def diff(self, other: Any, rtol: float = 1e-5, atol: float = 1e-8) -> differences.Difference:
        """What differs between this tape and another: of another run, or of another model.

        Entries correspond if the operations are in the same order, from the beginning and from the end; of up to 2,000 entries in
        between, the longest common sequence is taken. Values and gradients (of the last backward passes) differ if they are further
        apart than `atol + rtol * abs(value)`; of large arrays, their mean, standard deviation, smallest and largest element are
        compared.

        >>> import tinygrad_lite as tg
        >>> def run(x):
        ...     with tg.study.record() as tape:
        ...         (x * 2).exp().backward()
        ...     return tape
        >>> print(run(tg.tensor(1.0, requires_grad=True)).diff(run(tg.tensor(1.0, requires_grad=True))))
        no difference in 3 entries
        >>> found = run(tg.tensor(1.0, requires_grad=True)).diff(run(tg.tensor(2.0, requires_grad=True)))
        >>> found.first("values").before.operation, found.first("gradient").before.operation
        ('leaf', 'mul')
        """
        if not isinstance(other, Exports):
            raise TypeError(f"diff: expected a Tape, got {type(other).__name__}")
        return differences.difference(self.entries, other.entries, (self._pass(-1), other._pass(-1)), rtol, atol)

    def _pass(self, index: int) -> Pass | None:
        if not self.passes and index == -1:
            return None
        try:
            return self.passes[index]
        except IndexError:
            raise IndexError(f"index: the tape has {len(self.passes)} backward passes, no number {index}") from None
