"""Consecutive calls on small arrays as one compiled function.

A call on arrays that have their places is a nest of loops over the elements of its result. For small arrays, calling NumPy
takes longer than the loops do. So each nest of a run of such calls becomes a function in LLVM IR, with what a nest over the
same elements does next in the same loops, where intermediate values stay in registers. Equal nests, as of equal layers, are
one function. A table of these functions and their arrays is the program; one call goes through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lite.arrays.compiling import InTurn, fields, functions_in
from tinygrad_lite.arrays.loop_functions import KINDS, functions_of
from tinygrad_lite.arrays.loops import CONDITIONS, Unsupported
from tinygrad_lite.arrays.memory import start_of
from tinygrad_lite.compiler.nest_ir import text_of
from tinygrad_lite.compiler.nests import Nest, Piece, joined, nests_of

LARGEST = 1 << 13  # elements of an array in a function of many calls
MOST_FLOPS = 1 << 20  # of a product in it; above, BLAS is faster
MOST_NESTS = 32  # that are compiled together: the time of LLVM grows faster than what it compiles
_BOOL = np.dtype(bool)

Text = tuple[str, int]  # the function of a nest, and the number of its arrays


def is_small(piece: Piece) -> bool:
    """Whether a piece is worth putting into a function of many calls."""
    arrays = [a for a in (piece.out, *piece.operands) if isinstance(a, np.ndarray)]
    flops = 2 * piece.out.size * piece.operands[0].shape[-1] if piece.name == "dot" else 0
    return max(a.size for a in arrays) <= LARGEST and flops <= MOST_FLOPS


def is_supported(piece: Piece) -> bool:
    """Whether a piece can be part of a function."""
    try:
        return all(text_of(nest, piece.dtype) for nest in nests_of(piece))
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


class Function(InTurn):
    """Pieces as one compiled function. `addresses`: of their arrays, which it reads in each call."""

    def __init__(self, nests: Sequence[Nest], functions: Sequence[int]):
        self.addresses = np.array([address for nest in nests for address in nest.starts], np.uint64)
        firsts = np.cumsum([0, *(len(nest.starts) for nest in nests[:-1])])
        arguments = start_of(self.addresses) + self.addresses.itemsize * firsts
        super().__init__(np.array(functions, np.uint64), arguments.astype(np.uint64), [array for nest in nests for array, _ in nest.arrays])


def function_of(pieces: Sequence[Piece]) -> Function | None:
    """The pieces, which are consecutive calls, as one compiled function; None if that is not possible."""
    dtype = pieces[0].dtype
    try:
        nests = joined([nest for piece in pieces for nest in nests_of(piece)])
        texts = [(text_of(nest, dtype), len(nest.starts)) for nest in nests]
    except Unsupported:
        return None
    distinct = list(dict.fromkeys(texts))
    functions: dict[Text, int] = {}
    for first in range(0, len(distinct), MOST_NESTS):
        some = distinct[first : first + MOST_NESTS]
        functions.update(zip(some, functions_in(_module(some, dtype), tuple(f"nest{i}" for i in range(len(some))))))
    return Function(nests, [functions[text] for text in texts])


def _module(texts: Sequence[Text], dtype: np.dtype) -> str:
    """The functions of some nests, each called with the address of its arrays' addresses."""
    lines = [functions_of(dtype)]
    for i, (text, count) in enumerate(texts):
        names = [f"p{k}" for k in range(count)]
        arguments = ", ".join(f"ptr %{name}" for name in names)
        lines += [text.replace("@nest(", f"@loops{i}(", 1), f"define void @nest{i}(ptr %args) {{", fields(names, names)]
        lines += [f"  call void @loops{i}({arguments})", "  ret void", "}"]
    return "\n".join([*lines, ""])
