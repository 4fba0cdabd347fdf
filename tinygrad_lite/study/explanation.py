"""What `explain` answers with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tinygrad_lite.study.entries import Entry
from tinygrad_lite.study.flow import Link, norm
from tinygrad_lite.study.leaving import Leaving
from tinygrad_lite.study.program import source_line
from tinygrad_lite.study.values import Values


@dataclass(frozen=True, eq=False)
class Cause:
    """One reason. `kind`: in a word or two; `text`: a sentence; `cure`: what to do; `entry` or `leaving`: where.

    The kinds of a gradient that is None: not required, frozen, integer, detached, no_grad, converted, sampled, no create_graph,
    required too late, not retained, not used, not behind the loss, not among the inputs, function, no derivative, cleared,
    no backward, backward raised, loss without a tape. Zero: dead relu, saturated sigmoid (tanh, softmax, ...), clamped, masked,
    max elsewhere, multiplied by zero, step function, not selected, overwritten, cancelled, minimum, zero derivative,
    underflow, function, zero gradient passed. NaN or infinite: nan (or inf) made by log, nan made by the rule of sqrt, and so
    on for every operation; nan in the data, nan in a parameter, non-finite gradient passed, sum. Huge: exploding, multiplied
    by a large number, divided by a tiny number, steep. Tiny: vanishing, multiplied by a tiny number, tiny derivative, and those
    of zero. Any of these: hook. `.grad` is another: accumulated, cleared, changed. Without a recording: not recorded.
    """

    kind: str
    text: str
    cure: str = ""
    entry: Entry | None = None
    leaving: Leaving | None = None

    @property
    def place(self) -> str:
        """`file:line`, or ""."""
        if self.leaving is not None:
            return f"{self.leaving.file}:{self.leaving.line}"
        return self.entry.place if self.entry is not None else ""

    @property
    def source(self) -> str:
        if self.leaving is not None:
            return source_line(self.leaving.file, self.leaving.line)
        return self.entry.source if self.entry is not None else ""

    @property
    def module(self) -> str:
        return self.entry.module if self.entry is not None else ""


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a gradient is as it is. `state`: "None", "zero", "nan", "inf", "huge", "tiny", "wrong" if `.grad` is not the gradient
    that the pass has found, or "sound"; `causes`: the reasons, the most important first, none if nothing is wrong; `gradient`:
    what the pass has found; `chain`: the way it took from the loss, along the largest contributions."""

    subject: str
    state: str
    causes: tuple[Cause, ...] = ()
    gradient: Values | None = None
    chain: Sequence[Link] = field(default=())
    notes: tuple[str, ...] = ()

    @property
    def cause(self) -> str:
        """The kind of the first cause; "" if nothing is wrong."""
        return self.causes[0].kind if self.causes else ""

    @property
    def sound(self) -> bool:
        return not self.causes

    def __str__(self) -> str:
        lines = [f"{self.subject}: {_HEADLINES[self.state]}"]
        if self.gradient is not None:
            lines.append(f"  gradient: {self.gradient}")
        lines += [line for cause in self.causes for line in _said(cause)]
        lines += [f"  {note}" for note in self.notes]
        if self.chain:
            lines += ["  from the loss back to it:", *_rows(self.chain)]
        return "\n".join(lines)

    __repr__ = __str__


def _said(cause: Cause) -> list[str]:
    lines = [f"  {cause.kind}: {cause.text}"]
    if cause.place:
        lines.append(f"    {f'in {cause.module}, ' if cause.module else ''}{cause.place}: {cause.source}")
    if cause.cure:
        lines.append(f"    what to do: {cause.cure}")
    return lines


class Explanations(tuple[Explanation, ...]):
    """Those of several tensors, such as the parameters of a model. Printing them shows what is wrong, once for each cause."""

    __slots__ = ()

    @property
    def sound(self) -> bool:
        return all(each.sound for each in self)

    def __str__(self) -> str:
        alike: dict[tuple[str, str, str], list[Explanation]] = {}
        for each in self:
            key = (each.state, each.cause, each.causes[0].place if each.causes else "")
            alike.setdefault(key, []).append(each)
        lines = []
        for (state, _, _), group in sorted(alike.items(), key=lambda item: item[0][0] == "sound"):
            names = ", ".join(each.subject for each in group[:_MOST]) + (f" and {len(group) - _MOST} more" if len(group) > _MOST else "")
            lines.append(f"{names}: {_HEADLINES[state]}")
            lines += [line for cause in group[0].causes for line in _said(cause)]
        return "\n".join(lines) or "nothing to explain"

    __repr__ = __str__


_HEADLINES = {
    "None": "it has no gradient",
    "zero": "its gradient is zero",
    "nan": "its gradient has NaN",
    "inf": "its gradient is infinite",
    "huge": "its gradient is huge",
    "tiny": "its gradient is tiny",
    "wrong": "its .grad is not the gradient of this loss",
    "sound": "nothing wrong",
}
_MOST = 16  # rows of a chain


def _rows(chain: Sequence[Link]) -> list[str]:
    rows = []
    for link in chain:
        entry = link.sender
        line = f"{entry.calls[0].file.rpartition('/')[2]}:{entry.calls[0].line}" if entry.calls else ""
        bad = "".join(f", {count} {word}" for count, word in ((link.sent.nan, "nan"), (link.sent.inf, "inf")) if count)
        zero = f", {link.sent.zero:.0%} zero" if link.sent.zero >= 0.005 else ""
        rows.append([entry.label, entry.module, line, f"sends {norm(link.sent):.3g}{bad}{zero}", entry.source])
    if len(rows) > _MOST:
        rows = [*rows[: _MOST // 2], [f"... {len(rows) - _MOST} more", "", "", "", ""], *rows[-_MOST // 2 :]]
    rows.append([chain[-1].to.label, "", "", "", ""])
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return ["    " + "  ".join([*(row[i].ljust(widths[i]) for i in range(4) if widths[i]), row[4]]).rstrip() for row in rows]
