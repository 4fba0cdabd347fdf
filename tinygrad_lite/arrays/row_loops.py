"""Functions of the rows of matrices, as one compiled loop: softmax, layer normalization and the like.

Such a function describes the work on one row with operators, which are traced, and a few functions of `row`:

    def softmax(row, x, out):
        e = row.exp(x - row.max(x))
        out[...] = e
        out *= 1 / row.sum(e)

    run(softmax, [x, out])

Each row goes through all passes while it is in the first-level cache, where NumPy reads and writes a whole matrix per
operation. row_ir.py describes the loop.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.arrays.compiling import Loop, available, load
from tinygrad_lite.arrays.loop_functions import KINDS
from tinygrad_lite.arrays.loops import Unsupported
from tinygrad_lite.arrays.memory import start_of
from tinygrad_lite.arrays.row_ir import MATRIX, SCALAR, VECTOR, RowLoop, Trace, Value
from tinygrad_lite.arrays.threads import get_num_threads
from tinygrad_lite.arrays.workers import PARTS, share

# -- tracing ---------------------------------------------------------------------------------------

Operator = Callable[["Term", Any], "Term"]


def _operators(operation: str) -> tuple[Operator, Operator, Operator]:
    """What Python calls for `x + y`, for `y + x` where y is no Term, and for `x += y`."""
    return (
        lambda self, other: self.apply(operation, self, other),
        lambda self, other: self.apply(operation, other, self),
        lambda self, other: self.assign(self.apply(operation, self, other)),
    )


class Term:
    """Stands in for an argument or an intermediate value while a function is traced."""

    def __init__(self, trace: Trace, value: Value, argument: int | None = None):
        self.trace, self.value, self.argument = trace, value, argument

    def apply(self, operation: str, *operands: Any) -> Term:
        """The result of an operation on Terms and numbers."""
        return Term(self.trace, self.trace.apply(operation, *map(_value, operands)))

    def assign(self, other: Any) -> Term:
        """Replace the value by another; an argument's is stored in its array."""
        self.value = _value(other)
        if self.argument is not None:
            self.trace.store(self.argument, self.value)
        return self

    def __setitem__(self, index: Any, other: Any) -> None:
        if self is not other:  # Python ends `x[...] += y` with such an assignment
            self.assign(other)

    def __neg__(self) -> Term:
        return self.apply("negative", self)

    __add__, __radd__, __iadd__ = _operators("add")
    __sub__, __rsub__, __isub__ = _operators("subtract")
    __mul__, __rmul__, __imul__ = _operators("multiply")
    __truediv__, __rtruediv__, __itruediv__ = _operators("true_divide")


def _value(operand: Any) -> Value:
    return operand.value if isinstance(operand, Term) else Value("constant", (), SCALAR, constant=float(operand))


class Row:
    """The functions that a traced function may call besides operators."""

    def exp(self, x: Term) -> Term:
        return x.apply("exp", x)

    def log(self, x: Term) -> Term:
        return x.apply("log", x)

    def sqrt(self, x: Term) -> Term:
        return x.apply("sqrt", x)

    def sum(self, x: Term) -> Term:
        """The sum of the row."""
        return x.apply("sum", x)

    def max(self, x: Term) -> Term:
        """The maximum of the row, nan if there is one."""
        return x.apply("max", x)

    def equal(self, x: Term, other: Any) -> Term:
        return x.apply("equal", x, other)

    def less_equal(self, x: Term, other: Any) -> Term:
        return x.apply("less_equal", x, other)

    def where(self, condition: Term, x: Any, other: Any) -> Term:
        return condition.apply("where", condition, x, other)

    def store_late(self, argument: Term, x: Term) -> None:
        """Store x in an argument in the pass of the last store before, so that all passes can read what it overwrites."""
        assert argument.argument is not None
        argument.trace.store(argument.argument, x.value, late=True)

    def add_up(self, total: Term, x: Term) -> None:
        """Add the row to a total, which so receives the sum of each column."""
        assert total.argument is not None
        total.trace.store(total.argument, x.value, add=True)


@functools.lru_cache(maxsize=512)
def _compiled(
    function: Callable[..., None], kinds: tuple[str, ...], numbers: int, flags: tuple[bool, ...], dtype: np.dtype
) -> Loop | None:
    """The loop for a function: it takes the number of rows, the width, the addresses and the numbers. None if there is none."""
    trace = Trace(kinds, numbers)
    arguments = [Term(trace, value, i) for i, value in enumerate(trace.arguments)]
    given = [Term(trace, Value("number", (), SCALAR, index=i)) for i in range(numbers)]
    try:
        function(Row(), *arguments, *given, *flags)
        return load(RowLoop(trace, dtype).text(), dtype, 2, len(kinds), numbers)
    except Unsupported:
        return None


# -- running a loop --------------------------------------------------------------------------------

SMALLEST = 1 << 11  # elements of a matrix; with fewer, NumPy is as fast
WIDEST = 1 << 14  # longer sums lose digits, while NumPy adds pairwise
_SHARE = 1 << 14  # the fewest elements worth a part


def run(
    function: Callable[..., None], matrices: Sequence[np.ndarray], scalars: Sequence[np.ndarray] = (),
    vectors: Sequence[np.ndarray] = (), totals: Sequence[np.ndarray] = (), numbers: Sequence[float] = (),
    flags: tuple[bool, ...] = (), threads: bool = True,
) -> bool:  # fmt: skip
    """Call `function(row, *matrices, *scalars, *vectors, *totals, *numbers, *flags)` for every row, as a compiled loop.
    Returns False if that is not possible; then nothing has changed.

    `matrices` (rows, width) and `scalars` (rows,) are read or written, `vectors` (width,) read, `totals` (width,) added to.
    All are contiguous, of one dtype, and do not overlap. The function may branch on `flags`, not on `numbers`.
    """
    arrays = [*matrices, *scalars, *vectors, *totals]
    if not _suitable(arrays) or not available():
        return False
    kinds = (MATRIX,) * len(matrices) + (SCALAR,) * len(scalars) + (VECTOR,) * (len(vectors) + len(totals))
    loop = _compiled(function, kinds, len(numbers), flags, arrays[0].dtype)
    if loop is None:
        return False
    _share_rows(loop, arrays, kinds, totals, numbers, threads)
    return True


def _suitable(arrays: Sequence[np.ndarray]) -> bool:
    first = arrays[0]
    if type(first) is not np.ndarray or first.dtype not in KINDS or first.size < SMALLEST or not 0 < first.shape[1] <= WIDEST:
        return False
    return all(type(a) is np.ndarray and a.dtype == first.dtype and a.flags.c_contiguous for a in arrays)


def _share_rows(
    loop: Loop, arrays: Sequence[np.ndarray], kinds: Sequence[str], totals: Sequence[np.ndarray], numbers: Sequence[float], threads: bool
) -> None:
    """Run the loop, sharing the rows among threads. Each part adds to totals of its own."""
    rows, width = arrays[0].shape
    parts = max(1, min(PARTS * get_num_threads(), arrays[0].size // _SHARE, rows)) if threads and get_num_threads() > 1 else 1
    if parts < 2:
        loop(rows, width, *map(start_of, arrays), *numbers)
        return
    item = arrays[0].itemsize
    strides = {MATRIX: width * item, SCALAR: item, VECTOR: 0}
    read = len(arrays) - len(totals)
    each = -(-rows // parts)
    parts = -(-rows // each)
    own = np.zeros((len(totals), parts, width), arrays[0].dtype)
    places = [(start_of(array), strides[kind], 0) for array, kind in zip(arrays[:read], kinds)]
    places += [(start_of(total), 0, total.strides[0]) for total in own]
    share(loop, rows, each, (width,), places, numbers)
    for total, its_parts in zip(totals, own):
        for part in its_parts:
            total += part
