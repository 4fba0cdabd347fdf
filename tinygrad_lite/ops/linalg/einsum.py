"""Einstein summation: `einsum` and `tensordot`, which permute, multiply and sum over any dims.

A spec is three strings of letters, one letter per dim: those of x, of y and of the result. The derivative of such a product
is another one, with the letters of the result and of an operand swapped, so a single primitive suffices.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from typing import Any

from tinygrad_lite.arrays import product, promote
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import canonical_dims, operation
from tinygrad_lite.ops.calculus import permute, to_dtype
from tinygrad_lite.ops.movement.copying import contiguous
from tinygrad_lite.ops.movement.diagonals import diagonal
from tinygrad_lite.ops.typing import AnyTensor, Tensor

__all__ = ["einsum", "tensordot"]

Spec = tuple[str, str, str]


@primitive
def _contract(input, other, spec):
    # Every letter appears in two or three of the strings, at most once in each.
    swapped, x_order, y_order, inner, free, order = _recipe(spec)
    input, other = promote(input, other)
    if not inner:
        input = input.transpose(x_order).reshape(_at(input.shape, x_order, free[0]))
        return input * other.transpose(y_order).reshape(_at(other.shape, y_order, free[1]))
    if input.dtype.kind == "b":
        raise BadType("bool tensors have no product", hint="convert them with .to(dtype)")
    input, other = (other, input) if swapped else (input, other)
    input, other = input.transpose(x_order), other.transpose(y_order)
    batch = len(x_order) - free[0] - inner
    shape = input.shape[: batch + free[0]] + other.shape[batch + inner :]
    if free[0] != 1 or inner != 1:
        at = batch + free[0]
        input = input.reshape(*input.shape[:batch], math.prod(input.shape[batch:at]), math.prod(input.shape[at:]))
    if free[1] != 1 or inner != 1:
        at = batch + inner
        other = other.reshape(*other.shape[:batch], math.prod(other.shape[batch:at]), math.prod(other.shape[at:]))
    out = product(input, other).reshape(shape)
    return out if order is None else out.transpose(order)


_contract.vjp(input=lambda g, other, spec: _contract(g, other, (spec[2], spec[1], spec[0])),
              other=lambda g, input, spec: _contract(g, input, (spec[2], spec[0], spec[1])))


@functools.lru_cache(maxsize=1024)
def _recipe(spec: Spec) -> tuple[Any, ...]:
    """How to compute a spec as a batched matrix product: whether to swap x and y; the orders of their dims; how many dims
    are summed over; how many are free in each; the order of the result's dims.

    If nothing is summed over, `free` says for each dim of the result whether x (and y) has it.
    """
    x, y, out = spec
    inner = [c for c in x if c in y and c not in out]
    if not inner:
        orders = (tuple(s.index(c) for c in out if c in s) for s in (x, y))
        return False, *orders, 0, tuple(tuple(c in s for c in out) for s in (x, y)), None
    batch = [c for c in out if c in x and c in y]
    own = [c for c in out if c not in batch]
    # The operand whose free dims come first in the result goes left, so that the result is contiguous.
    swapped = bool(own) and own[0] in y
    if swapped:
        x, y = y, x
    free = [c for c in own if c in x], [c for c in own if c in y]
    made = batch + free[0] + free[1]
    order = tuple(made.index(c) for c in out)
    return (
        swapped,
        tuple(x.index(c) for c in batch + free[0] + inner),
        tuple(y.index(c) for c in batch + inner + free[1]),
        len(inner),
        (len(free[0]), len(free[1])),
        None if order == tuple(range(len(order))) else order,
    )


def _at(shape: tuple[int, ...], order: tuple[int, ...], has: tuple[bool, ...]) -> tuple[int, ...]:
    """The sizes of an operand in the order of the result's dims, 1 where it has none."""
    sizes = iter([shape[i] for i in order])
    return tuple(next(sizes) if present else 1 for present in has)


@operation
def einsum(*args: Any) -> AnyTensor:
    """The sum of products given by `equation`: `einsum("ij,jk->ik", x, y)` is `x @ y`.

    Letters name each operand's dims; equal letters are multiplied together, and letters missing after `->` are summed over.
    A letter repeated in one operand takes its diagonal; `...` stands for any further dims, which broadcast. Without `->`
    the result has `...` and then the letters that appear once, in alphabetical order. Also
    `einsum(x, [0, 1], y, [1, 2], [0, 2])`.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    >>> tg.einsum("ii", x), tg.einsum("ij,j->i", x, tg.tensor([1.0, 10.0]))
    (tensor(5.), tensor([21., 43.]))
    """
    equation, operands = _equation(args)
    terms, steps = _plan(equation, tuple([tuple(x.shape) for x in operands]))
    operands = [x if term is None else _single(x, *term) for x, term in zip(operands, terms)]
    for i, j, spec in steps:
        x, y = operands[i], operands.pop(j)
        if x.dtype != y.dtype and _recipe(spec)[3]:  # something is summed over
            raise BadType(f"operands that are summed over must have the same dtype, got {x.dtype} and {y.dtype}")
        operands[i] = _contract(x, y, spec)
    return contiguous(operands[0]) if len(steps) > 1 else operands[0]  # for three operands, PyTorch's order of products differs


def _equation(args: tuple[Any, ...]) -> tuple[str, list[Any]]:
    """The equation and the operands, from either form of call."""
    if not args:
        raise BadType(expected="an equation and operands")
    if isinstance(args[0], str):
        operands = args[1] if len(args) == 2 and isinstance(args[1], (list, tuple)) else args[1:]
        equation = args[0]
    else:
        operands, sublists = args[0 : len(args) // 2 * 2 : 2], args[1::2]
        equation = ",".join(map(_letters, sublists))
        if len(args) % 2:
            equation += "->" + _letters(args[-1])
    if not operands:
        raise BadValue(expected="at least one operand")
    for x in operands:
        if not hasattr(x, "shape"):
            raise BadType(expected="a Tensor as an operand", got=type(x).__name__)
    return equation, list(operands)


_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def _letters(sublist: Any) -> str:
    if not isinstance(sublist, (list, tuple)):
        raise BadType(expected="a list of dims after each operand", got=type(sublist).__name__)
    for i in sublist:
        if i is not Ellipsis and not (isinstance(i, int) and 0 <= i < len(_ALPHABET)):
            raise BadValue(f"dims are named by integers from 0 to {len(_ALPHABET) - 1} or by ..., got {i!r}", got=repr(i))
    return "".join("..." if i is Ellipsis else _ALPHABET[i] for i in sublist)


@functools.lru_cache(maxsize=1024)
def _plan(equation: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[list[Any], list[tuple[int, int, Spec]]]:
    """What to do with each single operand, and which pairs to contract then."""
    terms, out = _parse(equation, shapes)
    sizes: dict[str, int] = {}
    for i, (term, shape) in enumerate(zip(terms, shapes)):
        for c, n in zip(term, shape):
            if n != shape[term.index(c)]:
                raise BadValue(f"{_spoken(c)} appears twice in operand {i}, of shape {shape}, with two sizes")
            if sizes.setdefault(c, n) == 1:
                sizes[c] = n
            elif n not in (1, sizes[c]):
                listed = ", ".join(map(str, shapes))
                raise BadValue(f"{_spoken(c)} has the sizes {sizes[c]} and {n} in {equation!r} of shapes {listed}")
    # Dims of size 1 that broadcast are dropped, so each letter has one size from here on.
    kept = ["".join(dict.fromkeys(c for c, n in zip(t, shape) if n == sizes[c])) for t, shape in zip(terms, shapes)]
    count = Counter("".join(kept) + out)
    left = ["".join(c for c in term if count[c] > 1) for term in kept]
    # A single operand that is summed gets the order of the result, as in PyTorch.
    left = [rest if rest == term else "".join(sorted(rest, key=(out + rest).index)) for rest, term in zip(left, kept)]
    if len(terms) == 1:
        left = [out]
    singles = [None if term == rest else (term, tuple(n == sizes[c] for c, n in zip(term, shape)), rest)
               for term, shape, rest in zip(terms, shapes, left)]  # fmt: skip
    steps: list[tuple[int, int, Spec]] = []
    while len(left) > 1:
        i, j, result = min(_pairs(left, out), key=lambda pair: _growth(left[pair[0]], left[pair[1]], pair[2], sizes))
        steps.append((i, j, (left[i], left[j], result)))
        left[i] = result
        del left[j]
    return singles, steps


def _pairs(terms: list[str], out: str) -> Any:
    """Every pair of terms, with the letters of its product that are still needed."""
    if len(terms) == 2:
        yield 0, 1, out
        return
    for j in range(len(terms)):
        for i in range(j):
            needed = {*out, *(c for k, term in enumerate(terms) if k not in (i, j) for c in term)}
            yield i, j, "".join(c for c in dict.fromkeys(terms[i] + terms[j]) if c in needed)


def _growth(x: str, y: str, out: str, sizes: dict[str, int]) -> int:
    """The increase in the number of elements by contracting x and y to out."""
    of_x, of_y, of_out = (math.prod(sizes[c] for c in term) for term in (x, y, out))
    return of_out - of_x - of_y


def _parse(equation: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[list[str], str]:
    """The letters of each operand and of the result; the dims of an ellipsis get digits, counted from the last, so that
    they broadcast."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise BadValue(f"{equation!r} is for {len(terms)} operands, got {len(shapes)}", got=len(shapes))
    for part in (*terms, right):
        rest = part.replace("...", "", 1)
        if not (rest.isascii() and (rest.isalpha() or not rest)):
            raise BadValue(expected="letters and at most one '...' for each operand", got=f"{part!r} in {equation!r}")
    spelled = []
    widest = 0
    for i, (term, shape) in enumerate(zip(terms, shapes)):
        named = len(term.replace("...", ""))
        if len(shape) < named or (len(shape) > named and "..." not in term):
            raise BadValue(f"operand {i} of shape {shape} does not have the dims {term!r} in {equation!r}")
        widest = max(widest, len(shape) - named)
        spelled.append(term.replace("...", _digits(len(shape) - named)))
    if arrow:
        out = right.replace("...", _digits(widest))
    else:
        count = Counter("".join(spelled))
        out = _digits(widest) + "".join(sorted(c for c in count if count[c] == 1 and c.isalpha()))
    known = set("".join(spelled))
    for c in out:
        if c not in known:
            raise BadValue(f"{c!r} of the result appears in no operand: {equation!r}")
        if out.count(c) > 1:
            raise BadValue(f"{c!r} appears twice in the result: {equation!r}")
    return spelled, out


def _digits(count: int) -> str:
    return "".join(chr(0x2460 + k) for k in reversed(range(count)))


def _spoken(c: str) -> str:
    return f"dim {c!r}" if c.isascii() else "a dim of '...'"


def _single(x: Any, term: str, kept: tuple[bool, ...], rest: str) -> Any:
    """A single operand: size-1 dims that broadcast dropped, diagonals taken, letters not in `rest` summed over, and the
    dims in that order."""
    if not all(kept):
        x = x.reshape(tuple(n for n, keep in zip(x.shape, kept) if keep))
        term = "".join(c for c, keep in zip(term, kept) if keep)
    for c in dict.fromkeys(term):
        while term.count(c) > 1:
            i = term.index(c)
            j = term.index(c, i + 1)
            x = diagonal(x, 0, i, j)
            term = term[:i] + term[i + 1 : j] + term[j + 1 :] + c
    order = *map(term.index, rest), *(i for i, c in enumerate(term) if c not in rest)
    if order != tuple(range(len(term))):
        x = permute(x, order)  # before summing, so that the sums are contiguous
    return x if len(rest) == len(term) else x.sum(axis=tuple(range(len(rest), len(term))))


@operation
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """The sum of products over the last `dims` dims of a and the first of b, or over pairs of dims given as two lists.

    >>> import tinygrad_lite as tg
    >>> x, y = tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([[1.0, 0.0], [0.0, 10.0]])
    >>> tg.tensordot(x, y, dims=([0], [1]))
    tensor([[ 1., 30.],
            [ 2., 40.]])
    """
    if a.dtype != b.dtype:
        raise BadType(f"both tensors must have the same dtype, got {a.dtype} and {b.dtype}")
    ranks = a.ndim, b.ndim
    if hasattr(dims, "__index__"):
        count = dims.__index__()
        if not 0 <= count <= min(ranks):
            raise BadValue(expected=f"dims from 0 to {min(ranks)}, the smaller number of dims", got=count)
        over_a, over_b = tuple(range(ranks[0] - count, ranks[0])), tuple(range(count))
    else:
        over_a, over_b = ((canonical_dims(d, rank) if d else ()) for d, rank in zip(dims, ranks))
    if len(over_a) != len(over_b):
        raise BadValue(argument="dims", expected="as many dims of a as of b", got=dims)
    letters = [chr(97 + i) for i in range(sum(ranks))]
    x, y = letters[: ranks[0]], letters[ranks[0] :]
    for i, j in zip(over_a, over_b):
        if a.shape[i] != b.shape[j] and 1 not in (a.shape[i], b.shape[j]):
            raise BadValue(f"dim {i} of a has size {a.shape[i]}, dim {j} of b has size {b.shape[j]}")
        y[j] = x[i]
    out = [c for i, c in enumerate(x) if i not in over_a] + [c for j, c in enumerate(y) if j not in over_b]
    result = einsum(f"{''.join(x)},{''.join(y)}->{''.join(out)}", a, b)
    return result if result.dtype == a.dtype else to_dtype(result, a.dtype)  # integer sums are wider
