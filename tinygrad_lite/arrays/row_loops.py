"""Functions of rows as machine code: softmax, normalization and their like in one loop over the rows of matrices.

Such a function is written on terms, which only note what is asked of them:

    def softmax(row, x, out):
        e = row.exp(x - row.max(x))
        out[...] = e
        out *= 1 / row.sum(e)

    run(softmax, each=[x, out])

A term is an element of a matrix (`each`), a number of a row (`one`: a sum, a maximum) or an element of a vector that every
row meets (`column`: a weight). A row is gone through once for each sum that depends on another; meanwhile it stays in
the first cache. What has been written into a matrix is read from there again, all else is worked out anew.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.arrays.loop_functions import KINDS, functions_of
from tinygrad_lite.arrays.loops import Unsupported, Writer, available, load
from tinygrad_lite.arrays.threads import get_num_threads, in_threads

# An operation: its name, the places of its operands (arguments and earlier results from 0, numbers from -1 down), and the
# argument that it writes into, or None.
Step = tuple[str, tuple[int, ...], int | None]

EACH, ONE, COLUMN = "each", "one", "column"


class Notes:
    """What a function of rows does: its steps, and the numbers among their operands."""

    def __init__(self, kinds: Sequence[str]):
        self.kinds, self.steps, self.numbers = list(kinds), [], []  # type: ignore[var-annotated]
        self.terms = [Term(self, place) for place in range(len(kinds))]

    def place(self, value: Any) -> int:
        if isinstance(value, Term):
            return value.place
        if isinstance(value, np.generic):
            value = value.item()
        self.numbers.append(float(value))
        return -len(self.numbers)

    def add(self, name: str, *operands: Any, kind: str = "", out: Term | None = None) -> Any:
        places = tuple(map(self.place, operands))
        self.steps.append((name, places, None if out is None else out.place))
        if out is not None:
            return out
        self.kinds.append(kind or (ONE if all(p < 0 or self.kinds[p] == ONE for p in places) else EACH))
        return Term(self, len(self.kinds) - 1)


class Term:
    """What a function of rows is given in the place of an array."""

    def __init__(self, notes: Notes, place: int):
        self.notes, self.place = notes, place

    def __setitem__(self, index: Any, value: Any) -> None:
        self.notes.add("assign", value, out=self)

    def __neg__(self) -> Term:
        return self.notes.add("negative", self)

    def __add__(self, other: Any) -> Term:
        return self.notes.add("add", self, other)

    def __sub__(self, other: Any) -> Term:
        return self.notes.add("subtract", self, other)

    def __rsub__(self, other: Any) -> Term:
        return self.notes.add("subtract", other, self)

    def __mul__(self, other: Any) -> Term:
        return self.notes.add("multiply", self, other)

    def __truediv__(self, other: Any) -> Term:
        return self.notes.add("true_divide", self, other)

    def __rtruediv__(self, other: Any) -> Term:
        return self.notes.add("true_divide", other, self)

    def __imul__(self, other: Any) -> Term:
        return self.notes.add("multiply", self, other, out=self)

    __radd__, __rmul__ = __add__, __mul__


class Row:
    """The functions that there are besides operators."""

    def __init__(self, notes: Notes):
        self.exp, self.log, self.sqrt = (functools.partial(notes.add, name) for name in ("exp", "log", "sqrt"))
        self.sum, self.max = (functools.partial(notes.add, name, kind=ONE) for name in ("sum", "max"))
        self.where, self.equal = functools.partial(notes.add, "where"), functools.partial(notes.add, "equal")
        self.notes = notes

    def add_up(self, column: Term, x: Term) -> None:
        """Add the elements of all rows of `x` to those of a column."""
        self.notes.add("add_up", x, out=column)


# -- in LLVM's language ----------------------------------------------------------------------------

_REDUCTIONS = {
    "sum": ("fadd reassoc contract {t} {0}, {1}", "0.0"),
    "max": ("call {t} @llvm.maximum.{s}({t} {0}, {t} {1})", "0xFFF0000000000000"),
}


def text_of(kinds: Sequence[str], count: int, numbers: int, steps: Sequence[Step], dtype: np.dtype) -> str:
    """The loop over rows: `count` arguments of these kinds, then `numbers` numbers."""
    t = KINDS[dtype]
    levels = [0] * count  # in which pass over a row a term can be worked out first
    made: list[int | None] = [None] * count  # the step that makes it
    content = list(range(count))  # the place of what an argument holds by now
    stored: dict[int, tuple[int, int]] = {}  # where a term has been written, and in which pass
    work: list[tuple[int, str, int, int]] = []  # the pass; "reduce", "store" or "add_up"; the term and the place or argument

    def level_of(places: Sequence[int]) -> int:
        return max((levels[content[p] if p < count else p] for p in places if p >= 0), default=0)

    def current(places: Sequence[int]) -> tuple[int, ...]:
        return tuple(content[p] if 0 <= p < count else p for p in places)

    operands: dict[int, tuple[str, tuple[int, ...]]] = {}
    kind_of = list(kinds[:count])
    place = count
    for name, places, out in steps:
        level, now = level_of(places), current(places)
        if name == "add_up":
            work.append((level, "add_up", now[0], out or 0))
            continue
        if name == "assign":
            found = now[0]
            if found < 0:
                raise Unsupported(name)
        else:
            found = len(levels)
            kind = kinds[place] if out is None else (ONE if all(p < 0 or kind_of[p] == ONE for p in now) else EACH)
            operands[found] = name, now
            levels.append(level + 1 if name in _REDUCTIONS else level)
            kind_of.append(kind)
            made.append(found)
            if name in _REDUCTIONS:
                work.append((level, "reduce", now[0], found))
        if out is None:
            content.append(found)
            place += 1
        else:
            content[out] = found
            work.append((levels[found], "store", found, out))
            stored.setdefault(found, (out, levels[found]))

    # Terms are found by what `content` says of the places that the steps name.
    passes = max(levels) + 1
    writer = Writer(t)
    blocks: list[str] = []
    ones: dict[int, str] = {}

    def scalar(place: int) -> str:
        """A number of this row."""
        if place < 0:
            return f"%n{-1 - place}"
        if place not in ones:
            if place < count:
                ones[place] = writer.line(f"load {t}, ptr %one{place}")
            else:
                name, of = operands[place]
                ones[place] = writer.step(name, [scalar(p) for p in of])
        return ones[place]

    def expression(place: int, here: int, memo: dict[int, str]) -> str:
        """An element of this row, in pass `here`."""
        if place < 0 or kind_of[place] == ONE:
            return scalar_names[place] if place in scalar_names else scalar(place)
        if place not in memo:
            where = stored.get(place)
            if place < count or (where is not None and levels[place] < here and where[1] < here):
                at = place if place < count else where[0]  # type: ignore[index]
                memo[place] = writer.line(f"load {t}, ptr {writer.line(f'getelementptr {t}, ptr %row{at}, i64 %j{here}')}")
            else:
                name, of = operands[place]
                if levels[place] < here and name in ("exp", "log", "tanh"):
                    raise Unsupported(f"{name}, worked out twice")
                memo[place] = writer.step(name, [expression(p, here, memo) for p in of])
        return memo[place]

    scalar_names: dict[int, str] = {}
    label = "row"
    for here in range(passes):
        mine = [item for item in work if item[0] == here]
        loops = [item for item in mine if item[1] in ("reduce", "add_up") or kind_of[item[2]] != ONE]
        if loops:
            # Numbers of the row that the pass needs are worked out before it.
            writer.lines = []
            needed: set[int] = set()

            def collect(place: int, here: int = here, needed: set[int] = needed) -> None:
                if place < 0:
                    return
                if kind_of[place] == ONE:
                    needed.add(place)
                elif place >= count and not (place in stored and levels[place] < here and stored[place][1] < here):
                    for p in operands[place][1]:
                        collect(p)

            for _, _, term, _ in loops:
                collect(term)
            for p in sorted(needed):
                scalar(p)
            blocks.append("\n".join(writer.lines))
            blocks.append(f"  br label %pass{here}\npass{here}:")
            writer.lines = []
            phis, ends = [], []
            memo: dict[int, str] = {}
            after: list[str] = []
            for i, (_, what, term, target) in enumerate(loops):
                element = writer.number(expression(term, here, memo))
                if what == "reduce":
                    form, start = _REDUCTIONS[operands[target][0]]
                    phis.append(f"  %acc{here}_{i} = phi {t} [ {start}, %{label} ], [ %new{here}_{i}, %pass{here} ]")
                    writer.lines.append(f"  %new{here}_{i} = " + form.format(f"%acc{here}_{i}", element, t=t, s=writer.suffix))
                    ends.append((target, f"%new{here}_{i}"))
                elif what == "add_up":
                    pointer = writer.line(f"getelementptr {t}, ptr %row{target}, i64 %j{here}")
                    total = writer.line(f"fadd {t} {writer.line(f'load {t}, ptr {pointer}')}, {element}")
                    after.append(f"  store {t} {total}, ptr {pointer}")
                else:
                    pointer = writer.line(f"getelementptr {t}, ptr %row{target}, i64 %j{here}")
                    after.append(f"  store {t} {element}, ptr {pointer}")
            head = [f"  %j{here} = phi i64 [ 0, %{label} ], [ %next{here}, %pass{here} ]", *phis]
            tail = [
                *after, f"  %next{here} = add nuw nsw i64 %j{here}, 1", f"  %more{here} = icmp slt i64 %next{here}, %width",
                f"  br i1 %more{here}, label %pass{here}, label %after{here}", f"after{here}:",
            ]  # fmt: skip
            blocks.append("\n".join([*head, *writer.lines, *tail]))
            label = f"after{here}"
            ones.update(ends)
        writer.lines = []
        for _, what, term, target in mine:
            if what == "store" and kind_of[term] == ONE:
                writer.lines.append(f"  store {t} {writer.number(scalar(term))}, ptr %one{target}")
        # Numbers stored later than in the pass that they wait for.
        blocks.append("\n".join(writer.lines))
    pointers, values = [f"ptr noalias %a{i}" for i in range(count)], [f"{t} %n{i}" for i in range(numbers)]
    arguments = ", ".join(["i64 %rows", "i64 %width", *pointers, *values])
    rows = "\n".join(
        f"  %row{i} = getelementptr {t}, ptr %a{i}, i64 %offset" if kinds[i] == EACH
        else f"  %one{i} = getelementptr {t}, ptr %a{i}, i64 %i" if kinds[i] == ONE
        else f"  %row{i} = getelementptr {t}, ptr %a{i}, i64 0"
        for i in range(count)
    )  # fmt: skip
    body = "\n".join(block for block in blocks if block)
    return f"""{functions_of(dtype)}
declare {t} @llvm.maximum.{writer.suffix}({t}, {t})
define void @loop({arguments}) {{
entry:
  %some = icmp sgt i64 %rows, 0
  br i1 %some, label %row, label %end
row:
  %i = phi i64 [ 0, %entry ], [ %following, %{label} ]
  %offset = mul i64 %i, %width
{rows}
{body}
  %following = add nuw nsw i64 %i, 1
  %rest = icmp slt i64 %following, %rows
  br i1 %rest, label %row, label %end
end:
  ret void
}}
"""


# -- at work ---------------------------------------------------------------------------------------

SMALLEST = 1 << 11  # elements of a matrix
WIDEST = 1 << 14  # sums of longer rows lose digits; NumPy adds them up in blocks
_SHARE = 1 << 15  # elements for a thread at least


@functools.lru_cache(maxsize=512)
def _compiled(
    function: Callable[..., None], kinds: tuple[str, ...], numbers: int, flags: tuple[bool, ...], dtype: np.dtype
) -> tuple[Callable[..., None] | None, tuple[float, ...]]:
    """The loop (None where there is none), and the numbers that the function itself names."""
    notes = Notes(kinds)
    notes.numbers = [0.0] * numbers
    given = [Term(notes, -1 - i) for i in range(numbers)]
    function(Row(notes), *notes.terms, *given, *flags)
    try:
        loop = load(text_of(notes.kinds, len(kinds), len(notes.numbers), notes.steps, dtype), dtype, 2, len(kinds), len(notes.numbers))
    except Unsupported:
        return None, ()
    return loop, tuple(notes.numbers[numbers:])


def run(
    function: Callable[..., None], each: Sequence[np.ndarray], one: Sequence[np.ndarray] = (), column: Sequence[np.ndarray] = (),
    totals: Sequence[np.ndarray] = (), numbers: Sequence[float] = (), flags: tuple[bool, ...] = (), threads: bool = True,
) -> bool:  # fmt: skip
    """`function(row, *each, *one, *column, *totals, *numbers, *flags)` for every row, if it can be done; whether it was.

    `each`: matrices (rows, width), `one`: vectors (rows,), `column`: vectors (width,) that are read, `totals`: such that
    are added to. All are contiguous, of one dtype, and do not overlap. `flags`: by which the function may branch.
    """
    first = each[0]
    if type(first) is not np.ndarray or first.dtype not in KINDS or not available():
        return False
    rows, width = first.shape
    if first.size < SMALLEST or not 0 < width <= WIDEST:
        return False
    arrays = [*each, *one, *column, *totals]
    if any(type(a) is not np.ndarray or a.dtype != first.dtype or not a.flags.c_contiguous for a in arrays):
        return False
    kinds = (EACH,) * len(each) + (ONE,) * len(one) + (COLUMN,) * (len(column) + len(totals))
    loop, own = _compiled(function, kinds, len(numbers), flags, first.dtype)
    if loop is None:
        return False
    item = first.itemsize
    starts = [a.__array_interface__["data"][0] for a in arrays]
    steps = [width * item] * len(each) + [item] * len(one) + [0] * (len(column) + len(totals))
    workers = max(1, min(get_num_threads(), first.size // _SHARE, rows)) if threads else 1
    share = -(-rows // workers)
    parts = [list(totals)] + [[np.zeros_like(total) for total in totals] for _ in range(workers - 1)]

    def go(worker: int) -> None:
        begin = worker * share
        addresses = [start + begin * step for start, step in zip(starts, steps)]
        if worker:
            addresses[len(addresses) - len(totals) :] = [total.__array_interface__["data"][0] for total in parts[worker]]
        loop(min(share, rows - begin), width, *addresses, *numbers, *own)

    in_threads([functools.partial(go, worker) for worker in range(-(-rows // share))])
    for part in parts[1:]:
        for total, mine in zip(totals, part):
            total += mine
    return True
