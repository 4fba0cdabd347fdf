"""Consecutive calls on small arrays as one compiled function, and chains on large ones as one loop.

A call on arrays that have their places is a nest of loops over the elements of its result. For small arrays, calling NumPy
takes longer than the loops do. So a run of such calls becomes one function in LLVM IR: nests over the same elements are
one nest, whose intermediate values stay in registers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lite.arrays.compiling import load_table
from tinygrad_lite.arrays.loop_functions import KINDS, constant, functions_of
from tinygrad_lite.arrays.loops import CONDITIONS, Unsupported, Writer
from tinygrad_lite.arrays.memory import address_range, start_of

LARGEST = 1 << 13  # elements of an array in a function of many calls
MOST_FLOPS = 1 << 20  # of a product in it; above, BLAS is faster
_BOOL = np.dtype(bool)


@dataclass(eq=False)
class Piece:
    """A call on arrays in their places. `name`: an elementwise operation, or "sum", "max", "min" or "dot".

    `last`: the number of the last call that reads the result's memory; -1 if the result is needed after the run. `dtype`: that
    of all its floats.
    """

    name: str
    out: np.ndarray
    operands: tuple[Any, ...]
    number: int
    last: int = -1
    axes: tuple[int, ...] = ()

    @property
    def dtype(self) -> np.dtype:
        return next(a.dtype for a in (self.out, *self.operands) if isinstance(a, np.ndarray) and a.dtype in KINDS)


def is_small(piece: Piece) -> bool:
    """Whether a piece is worth putting into a function of many calls."""
    arrays = [a for a in (piece.out, *piece.operands) if isinstance(a, np.ndarray)]
    flops = 2 * piece.out.size * piece.operands[0].shape[-1] if piece.name == "dot" else 0
    return max(a.size for a in arrays) <= LARGEST and flops <= MOST_FLOPS


# -- nests -----------------------------------------------------------------------------------------


class Nest:
    """Loops over `shape`, and what happens in the innermost one. `arrays`: those it reads and writes, each with its strides
    in bytes along these loops."""

    def __init__(self, shape: tuple[int, ...]):
        self.shape = shape
        self.accumulates = False  # whether the result is added to, so that its nest is by itself
        # Operation, operands and result (places in `arrays`, or numbers), and the piece whose result this is.
        self.steps: list[tuple[str, list[Any], int, Piece | None]] = []
        self.arrays: list[tuple[np.ndarray, tuple[int, ...]]] = []
        self.starts: list[int] = []
        self.spans: list[tuple[int, int]] = []  # the addresses that each may touch
        self._places: dict[Any, int] = {}

    def place(self, array: np.ndarray, strides: tuple[int, ...]) -> int:
        """The number of an array."""
        strides = tuple(0 if size == 1 else stride for size, stride in zip(self.shape, strides))
        start = start_of(array)
        key = start, strides, array.dtype
        if key not in self._places:
            self._places[key] = len(self.arrays)
            self.arrays.append((array, strides))
            self.starts.append(start)
            self.spans.append(address_range(array))
        return self._places[key]

    def written(self) -> set[int]:
        """The ids of the arrays that it writes."""
        return {id(self.arrays[out][0]) for _, _, out, _ in self.steps}


def _broadcast(array: np.ndarray, shape: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_to(array, shape).strides
    except ValueError:  # an assignment may drop dims of size 1
        raise Unsupported("shapes") from None


def nests_of(piece: Piece) -> list[Nest]:
    """The nests of a piece."""
    out, operands = piece.out, piece.operands
    if piece.name == "dot":
        a, b = operands
        a2, b2 = a.reshape(1, -1) if a.ndim == 1 else a, b.reshape(-1, 1) if b.ndim == 1 else b
        (m, k), n = a2.shape, b2.shape[1]
        c = out.reshape(m, n)
        if not np.may_share_memory(c, out) and c.size:
            raise Unsupported("dot")
        (ai, ak), (bk, bj), (ci, cj) = a2.strides, b2.strides, c.strides
        by_rows = bj == cj == out.itemsize and n > 1
        shape = (m, k, n) if by_rows else (m, n, k)
        main = Nest(shape)
        strides = [(ai, ak, 0), (0, bk, bj), (ci, 0, cj)] if by_rows else [(ai, 0, ak), (0, bj, bk), (ci, cj, 0)]
        places = [main.place(array, its) for array, its in zip((a2, b2, c), strides)]
        main.steps.append(("product", places[:2], places[2], piece))
        main.accumulates = True
        return [_filled(c, 0.0), main]
    if piece.name in ("sum", "max", "min"):
        (x,) = operands
        start = {"sum": 0.0, "max": -math.inf, "min": math.inf}[piece.name]
        kept = [d for d in range(x.ndim) if d not in piece.axes]
        order = sorted(range(x.ndim), key=lambda d: -abs(x.strides[d]))
        main = Nest(tuple(x.shape[d] for d in order))
        flat = out.reshape([x.shape[d] for d in kept])
        if flat.size and not np.may_share_memory(flat, out):
            raise Unsupported("reduction")
        its = dict(zip(kept, flat.strides))
        places = [main.place(x, tuple(x.strides[d] for d in order)), main.place(out, tuple(its.get(d, 0) for d in order))]
        main.steps.append(({"sum": "total", "max": "maximum", "min": "minimum"}[piece.name], [places[1], places[0]], places[1], piece))
        main.accumulates = True
        return [_filled(out, start), main]
    nest = Nest(out.shape)
    places_or_numbers = [nest.place(a, _broadcast(a, out.shape)) if isinstance(a, np.ndarray) else float(a) for a in operands]
    nest.steps.append((piece.name, places_or_numbers, nest.place(out, out.strides), piece))
    return [nest]


def _filled(out: np.ndarray, value: float) -> Nest:
    nest = Nest(out.shape)
    nest.steps.append(("assign", [value], nest.place(out, out.strides), None))
    return nest


def _may_join(first: Nest, second: Nest) -> bool:
    """Whether the steps of `second` may follow those of `first` in the same loops."""
    if first.shape != second.shape or first.accumulates or second.accumulates:
        return False
    mine, others = first.written(), second.written()
    for i, (a, its) in enumerate(first.arrays):
        for j, (b, theirs) in enumerate(second.arrays):
            are_one = its == theirs and first.starts[i] == second.starts[j]
            if not are_one and _overlap(first.spans[i], second.spans[j]) and (id(a) in mine or id(b) in others):
                return False
    return True


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _joined(nests: Sequence[Nest]) -> list[Nest]:
    found: list[Nest] = []
    for nest in nests:
        if found and _may_join(found[-1], nest):
            last = found[-1]
            for name, operands, out, piece in nest.steps:
                places = [last.place(*nest.arrays[o]) if isinstance(o, int) else o for o in operands]
                last.steps.append((name, places, last.place(*nest.arrays[out]), piece))
        else:
            found.append(nest)
    return found


# -- LLVM IR ---------------------------------------------------------------------------------------


def _collapsed(nest: Nest) -> tuple[list[int], list[list[int]]]:
    """The sizes of the loops, those of one element left out and neighbours made one where all arrays allow it, and the
    strides of each array."""
    sizes: list[int] = []
    strides: list[list[int]] = [[] for _ in nest.arrays]
    for d, size in enumerate(nest.shape):
        if size == 1:
            continue
        if sizes and all(its[-1] == array[1][d] * size for its, array in zip(strides, nest.arrays)):
            sizes[-1] *= size
            for its, array in zip(strides, nest.arrays):
                its[-1] = array[1][d]
        else:
            sizes.append(size)
            for its, array in zip(strides, nest.arrays):
                its.append(array[1][d])
    return (sizes, strides) if sizes else ([1], [[0] for _ in nest.arrays])


def _text_of(nest: Nest, name: str, dtype: np.dtype) -> str:
    """The function of a nest. Values that nothing outside reads are not stored."""
    kind = KINDS[dtype]
    writer = Writer(kind)
    parameters = ", ".join(f"ptr noalias %p{a}" for a in range(len(nest.arrays)))
    if not math.prod(nest.shape):
        return f"define internal void @{name}({parameters}) {{\n  ret void\n}}"
    sizes, strides = _collapsed(nest)
    depth = len(sizes)
    written = nest.written()
    for k, (a, _) in enumerate(nest.arrays):
        if a.dtype not in (dtype, _BOOL):
            raise Unsupported(str(a.dtype))
        for other, (b, _) in enumerate(nest.arrays[:k]):
            if _overlap(nest.spans[k], nest.spans[other]) and (id(a) in written or id(b) in written):
                raise Unsupported("overlapping memory")
    inside = [writer.line(f"mul i64 %i{d}, {its[d]}") for its in strides for d in range(depth)]
    pointers = []
    for k, its in enumerate(strides):
        pointer = f"%p{k}"
        for d in range(depth):
            if its[d]:
                pointer = writer.line(f"getelementptr i8, ptr {pointer}, i64 {inside[k * depth + d]}")
        pointers.append(pointer)
    values: dict[int, str] = {}

    def value(operand: Any) -> str:
        if isinstance(operand, float):
            return constant(operand, dtype)
        if operand not in values:
            if nest.arrays[operand][0].dtype == _BOOL:
                values[operand] = writer.boolean(f"trunc i8 {writer.line(f'load i8, ptr {pointers[operand]}')} to i1")
            else:
                values[operand] = writer.line(f"load {kind}, ptr {pointers[operand]}")
        return values[operand]

    total = ""
    for step, operands, out, _ in nest.steps:
        if step in ("product", "total"):
            if step == "product":
                term = writer.line(f"fmul contract {kind} {value(operands[0])}, {value(operands[1])}")
            else:
                term = writer.number(value(operands[1]))
            if strides[out][-1] == 0 and sizes[-1] > 1:  # the innermost loop adds up
                total = writer.line(f"fadd reassoc contract {kind} %total, {term}")
                values[out] = total
            else:
                values[out] = writer.line(f"fadd contract {kind} {value(out)}, {term}")
        else:
            values[out] = writer.step(step, [value(operand) for operand in operands])
    number = max((piece.number for *_, piece in nest.steps if piece is not None), default=-1)
    makers = {out: piece for _, _, out, piece in nest.steps}  # the last one of each
    stores = [out for out, piece in makers.items() if nest.accumulates or piece is None or not 0 <= piece.last <= number]
    if not total:
        for out in stores:
            if nest.arrays[out][0].dtype == _BOOL:
                writer.lines.append(f"  store i8 {writer.line(f'zext i1 {values[out]} to i8')}, ptr {pointers[out]}")
            else:
                writer.lines.append(f"  store {kind} {writer.number(values[out])}, ptr {pointers[out]}")
    lines = [f"define internal void @{name}({parameters}) {{", "entry:", "  br label %loop0"]
    for d in range(depth):
        before = "entry" if d == 0 else f"loop{d - 1}"
        lines += [f"loop{d}:", f"  %i{d} = phi i64 [ 0, %{before} ], [ %next{d}, %end{d} ]"]
        if d < depth - 1:
            if total and d == depth - 2:
                lines += _before_total(nest, strides, depth, kind)
            lines.append(f"  br label %loop{d + 1}")
    inner = depth - 1
    if total:
        start = f"loop{inner - 1}" if inner else "entry"
        lines.append(f"  %total = phi {kind} [ {'%first' if inner else constant(0.0, dtype)}, %{start} ], [ {total}, %end{inner} ]")
    lines += [*writer.lines, f"  br label %end{inner}"]
    for d in reversed(range(depth)):
        lines += [f"end{d}:"]
        if total and d == inner - 1:
            lines.append(f"  store {kind} {total}, ptr %sum")
        lines += [f"  %next{d} = add nuw nsw i64 %i{d}, 1", f"  %more{d} = icmp ult i64 %next{d}, {sizes[d]}"]
        lines.append(f"  br i1 %more{d}, label %loop{d}, label %{f'end{d - 1}' if d else 'done'}")
    lines.append("done:")
    if total and not inner:
        lines.append(f"  store {kind} {total}, ptr %p{nest.steps[0][2]}")
    return "\n".join([*lines, "  ret void", "}"])


def _before_total(nest: Nest, strides: list[list[int]], depth: int, kind: str) -> list[str]:
    """Where the sum of the innermost loop is kept, and what is there."""
    out, lines, pointer = nest.steps[0][2], [], f"%p{nest.steps[0][2]}"
    for d in range(depth - 1):
        lines += [f"  %o{d} = mul i64 %i{d}, {strides[out][d]}", f"  %q{d} = getelementptr i8, ptr {pointer}, i64 %o{d}"]
        pointer = f"%q{d}"
    return [*lines, f"  %sum = getelementptr i8, ptr {pointer}, i64 0", f"  %first = load {kind}, ptr %sum"]


def is_supported(piece: Piece) -> bool:
    """Whether a piece can be part of a function."""
    try:
        return all(_text_of(nest, "nest", piece.dtype) for nest in nests_of(piece))
    except Unsupported:
        return False


def piece_of(function: str, arguments: tuple[Any, ...], keywords: dict[str, Any], out: np.ndarray) -> Piece | None:
    """A call, whose result goes to `out`, as a piece; None if it cannot be one."""
    piece = _piece_of(function, arguments, keywords, out)
    return piece if piece is not None and _is_in_one_dtype(piece) else None


def _is_in_one_dtype(piece: Piece) -> bool:
    """Whether a piece computes in one floating-point dtype, beside conditions. Registers know no other conversions: an
    intermediate value that is not stored would keep what its dtype does not hold."""
    dtypes = {a.dtype for a in (piece.out, *piece.operands) if isinstance(a, np.ndarray)}
    conditions = piece.out.dtype != _BOOL or piece.name in CONDITIONS
    return len(dtypes - {_BOOL}) == 1 and dtypes <= {*KINDS, _BOOL} and conditions


def _piece_of(function: str, arguments: tuple[Any, ...], keywords: dict[str, Any], out: np.ndarray) -> Piece | None:
    if function in (".dot", "@") and not keywords and all(isinstance(a, np.ndarray) and 0 < a.ndim < 3 for a in arguments):
        if len(arguments) == 2 and all(a.dtype == out.dtype for a in arguments):
            return Piece("dot", out, arguments, 0)
        return None
    if function in (".sum", ".max", ".min") and set(keywords) <= {"axis", "keepdims"} and len(arguments) == 1:
        (x,) = arguments
        axis = keywords.get("axis")
        axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        return Piece(function[1:], out, arguments, 0, axes=tuple(a % x.ndim for a in axes)) if x.ndim and x.dtype == out.dtype else None
    if function in ("np.ones_like", "np.zeros_like"):
        return Piece("assign", out, (float(function == "np.ones_like"),), 0)
    name = {".copy": "copy", ".astype": "copy", "np.where": "where"}.get(function)
    if name is None and (ufunc := ufunc_of(function, len(arguments))) is not None and not set(keywords) - {"out"}:
        name = ufunc.__name__
    elif name is None or not (function != ".copy" or not keywords):
        return None
    operands = arguments[:1] if name == "copy" else arguments
    return Piece({"divide": "true_divide"}.get(str(name), str(name)), out, operands, 0) if all(map(_is_operand, operands)) else None


def _is_operand(value: Any) -> bool:
    return isinstance(value, np.ndarray) or type(value) in (int, float) or isinstance(value, np.floating)


_UFUNCS = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.true_divide, "//": np.floor_divide, "%": np.remainder, "**": np.power,
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
    "&": np.bitwise_and, "|": np.bitwise_or, "^": np.bitwise_xor, "<<": np.left_shift, ">>": np.right_shift, "@": np.matmul,
    "abs": np.absolute, "~": np.invert,
}  # fmt: skip


def ufunc_of(function: str, count: int) -> np.ufunc | None:
    """The ufunc that a call of `count` operands is, if it is one."""
    if function == "-":
        return np.subtract if count == 2 else np.negative
    if function.startswith("np."):
        ufunc = getattr(np, function[3:], None)
        return ufunc if isinstance(ufunc, np.ufunc) and ufunc.nout == 1 else None
    return _UFUNCS.get(function)


def function_of(pieces: Sequence[Piece]) -> Callable[[], None] | None:
    """The pieces, which are consecutive calls, as one compiled function; None if that is not possible."""
    dtype = pieces[0].dtype
    try:
        nests = _joined([nest for piece in pieces for nest in nests_of(piece)])
        texts = [_text_of(nest, f"nest{i}", dtype) for i, nest in enumerate(nests)]
    except Unsupported:
        return None
    addresses: list[int] = []
    body = []
    for i, nest in enumerate(nests):
        arguments: list[str] = []
        for address in nest.starts:
            if address not in addresses:
                addresses.append(address)
            body.append(f"  %t{i}_{len(arguments)} = getelementptr ptr, ptr %table, i64 {addresses.index(address)}")
            body.append(f"  %a{i}_{len(arguments)} = load ptr, ptr %t{i}_{len(arguments)}")
            arguments.append(f"ptr %a{i}_{len(arguments)}")
        body.append(f"  call void @nest{i}({', '.join(arguments)})")
    text = "\n".join([functions_of(dtype), *texts, "define void @loop(ptr %table) {", *body, "  ret void", "}", ""])
    table = np.array(addresses, np.uint64)
    keep = [array for nest in nests for array, _ in nest.arrays]
    return load_table(text, table, keep)
