"""The primitives from which every other operation is composed, each with its derivative.

A rule's parameter names say what the tape saves for it: `g` is the gradient of the result, `out` the result, any other name
an argument (`input_shape`: only the shape of `input`). Rules need not undo broadcasting; the engine does. If the public
operation takes more arguments than the primitive (such as `add` with its `alpha`), it is in the folder of its theme.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from tinygrad_lite.arrays import DType, add_up, extreme, int8, namespace_of, only_numbers, product, promote, promote_floats, refuse_bools
from tinygrad_lite.arrays.indexing import read, replaced_at
from tinygrad_lite.arrays.kernels.layout import copied, expanded, joined, stacked
from tinygrad_lite.arrays.kernels.power import log_of_number, power
from tinygrad_lite.arrays.kernels.products import of_matrices
from tinygrad_lite.arrays.kernels.scatter import zeros_with
from tinygrad_lite.arrays.kernels.where import selected
from tinygrad_lite.arrays.shapes import with_ones
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.dependence import zeros
from tinygrad_lite.ops.ufuncs import binary, unary

__all__ = ["abs", "cos", "exp", "log", "matmul", "maximum", "minimum", "mul", "neg", "pow", "sign", "sin", "sqrt", "tanh"]

# -- arithmetic ---------------------------------------------------------------------------------


@primitive
def add(input, other):
    input, other = promote(input, other)
    return input + other


add.vjp(input=lambda g: g,
        other=lambda g: g)


@primitive
def sub(input, other):
    a, b = promote(input, other)
    if a is not input or b is not other:
        refuse_bools(input, other)
    return a - b


sub.vjp(input=lambda g: g,
        other=lambda g: -g)


@primitive
def mul(input, other):
    """`input * other`, broadcast.

    >>> import tinygrad_lite as tg
    >>> tg.mul(tg.tensor([1.0, 2.0]), tg.tensor([[10.0], [20.0]]))
    tensor([[10., 20.],
            [20., 40.]])
    """
    input, other = promote(input, other)
    return input * other


mul.vjp(input=lambda g, other: g * other,
        other=lambda g, input: g * input)


@primitive
def div(input, other):
    input, other = promote_floats(input, other)
    return input / other


div.vjp(input=lambda g, other: g / other,
        other=lambda g, input, other: -g * ((input / other) / other))  # input / other**2 would overflow earlier


@primitive
def neg(input):
    """`-input`.

    >>> import tinygrad_lite as tg
    >>> tg.neg(tg.tensor([1, -2]))
    tensor([-1,  2])
    """
    return -input  # NumPy refuses bools


neg.vjp(input=lambda g: -g)


@primitive
def pow(input, exponent):
    """`input ** exponent`, broadcast.

    >>> import tinygrad_lite as tg
    >>> tg.pow(tg.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    return power(input, exponent)


def _pow_input(g: Any, input: Any, exponent: Any) -> Any:
    if isinstance(exponent, (int, float)):
        return g * (2 * input) if exponent == 2 else g * (exponent * pow(input, exponent - 1)) if exponent else zeros(g)
    return where(exponent == 0, 0.0, g * (exponent * pow(input, exponent - 1)))


def _log(x: Any) -> Any:
    return log_of_number(x) if isinstance(x, (int, float)) else log(x)


pow.vjp(input=_pow_input,
        exponent=lambda g, input, exponent, out: g * where((input == 0) & (exponent >= 0), 0.0, out * _log(input)))


# -- elementwise functions -----------------------------------------------------------------------

exp = unary(np.exp, lambda g, out: g * out, "e to the power of each element.")
log = unary(np.log, lambda g, input: g / input, "Natural logarithm.")
sqrt = unary(np.sqrt, lambda g, out: g / (2 * out), "The square root; its derivative at 0 is inf.")
cos: Any  # which the rule of sin names
sin = unary(np.sin, lambda g, input: g * cos(input), "Sine (of radians).")
cos = unary(np.cos, lambda g, input: -g * sin(input), "Cosine (of radians).")
tanh = unary(np.tanh, lambda g, out: g * (1 - out * out), "Hyperbolic tangent.")


@primitive
def abs(input):
    """The absolute value of each element; its derivative at 0 is 0.

    >>> import tinygrad_lite as tg
    >>> tg.abs(tg.tensor([-2.0, 3.0]))
    tensor([2., 3.])
    """
    if input.dtype.kind == "b":
        only_numbers(input)
    return namespace_of(input).abs(input)


@primitive
def sign(input):
    """-1, 0 or 1 as each element is negative, zero or positive; 0 for nan.

    >>> import tinygrad_lite as tg
    >>> tg.sign(tg.tensor([-2.0, 0.0, 3.0]))
    tensor([-1.,  0.,  1.])
    """
    # NumPy's sign of nan is nan, which would make the gradient of abs nan where a nan was masked out.
    return namespace_of(input).subtract(input > 0, input < 0, dtype=int8).astype(input.dtype)


abs.vjp(input=lambda g, input: g * sign(input))
sign.vjp(input=lambda g: zeros(g))


# -- selection ----------------------------------------------------------------------------------


@primitive
def where(condition, input, other):
    return selected(condition, input, other)


where.vjp(input=lambda g, condition: where(condition, g, 0.0),
          other=lambda g, condition: where(condition, 0.0, g))

maximum = binary(
    np.maximum,
    lambda g, input, other: where(input == other, g / 2, where(input < other, 0.0, g)),
    lambda g, input, other: where(input == other, g / 2, where(other < input, 0.0, g)),
    "The elementwise maximum, broadcast; nan if either is nan. Ties share the gradient.",
)
minimum = binary(
    np.minimum,
    lambda g, input, other: where(input == other, g / 2, where(input > other, 0.0, g)),
    lambda g, input, other: where(input == other, g / 2, where(other > input, 0.0, g)),
    "The elementwise minimum, broadcast; nan if either is nan. Ties share the gradient.",
)

# -- reductions ---------------------------------------------------------------------------------
# `axes` as in NumPy: None for all dims, an int, or a tuple.


def restored(g: Any, shape: tuple[int, ...], axes: Any) -> Any:
    """A reduction's gradient (or result) repeated over the reduced dims."""
    return expand(g if axes is None and not g.shape else reshape(g, with_ones(shape, axes)), shape)


@primitive
def sum(input, axes, keepdim):
    return add_up(input, axes, keepdim)


sum.vjp(input=lambda g, input_shape, axes: restored(g, input_shape, axes))


@primitive
def amax(input, axes, keepdim):
    return extreme("maximum", input, axes, keepdim)


@primitive
def amin(input, axes, keepdim):
    return extreme("minimum", input, axes, keepdim)


def shared_evenly(g: Any, input: Any, out: Any, axes: Any) -> Any:
    """The gradient of an extreme, shared evenly among the elements that attain it."""
    shape = with_ones(input.shape, axes)
    out = reshape(out, shape)
    attained = input == out
    if axes is None:  # max(): if the result is nan, to the nan elements; amax(): nan to all
        attained = attained | ((input != input) & (out != out))
    attained = to_dtype(attained, g.dtype)
    return (reshape(g, shape) / sum(attained, axes, True)) * attained


amax.vjp(input=shared_evenly)
amin.vjp(input=shared_evenly)


# -- matrix products ----------------------------------------------------------------------------


@primitive
def matmul(input, other):
    """Matrix product: (..., n, k) @ (..., k, m) -> (..., n, m), with the leading dims broadcast.

    A 1-d operand is a row on the left or a column on the right, and its dim is dropped from the result. Both operands must
    have the same dtype.

    >>> import tinygrad_lite as tg
    >>> tg.matmul(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1.0, 10.0]))
    tensor([21., 43.])
    """
    return product(input, other)


def times(x: Any, y: Any) -> Any:
    """`x @ y` in a rule: arrays go directly to BLAS, which saves 1 us."""
    if isinstance(x, Traced):
        return matmul(x, y)
    return of_matrices(x, y) if x.ndim == 2 == y.ndim and x.dtype.char != "e" else product(x, y)


def _rows(x: Any) -> Any:
    """`x` as a matrix, all dims but the last flattened."""
    return x if x.ndim == 2 else x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))


def times_over_rows(x: Any, y: Any) -> Any:
    """`x.T @ y` with all dims but the last flattened."""
    return times(x.T, y) if x.ndim == 2 else times(_rows(x).T, _rows(y))


def _matmul_input(g: Any, input_shape: tuple[int, ...], other: Any) -> Any:
    if len(other.shape) == 1:
        return g.reshape((*g.shape, 1)) * other
    if len(input_shape) == 1:
        return times(other, g.reshape((*g.shape, 1))).reshape(other.shape[:-1])
    return times(g, other.mT)


def _matmul_other(g: Any, input: Any, other_shape: tuple[int, ...]) -> Any:
    if len(input.shape) == 1:
        return input * g if len(other_shape) == 1 else input.reshape((-1, 1)) * g.reshape((*g.shape[:-1], 1, g.shape[-1]))
    if len(other_shape) == 1:
        return times(_rows(input).T, g.reshape((-1,)))
    if len(other_shape) == 2:
        return times_over_rows(input, g)
    return times(input.mT, g)


matmul.vjp(input=_matmul_input,
           other=_matmul_other)


# -- shape and order ----------------------------------------------------------------------------


@primitive(view=True)
def reshape(input, shape):
    return input.reshape(shape)


reshape.vjp(input=lambda g, input_shape: reshape(g, input_shape))


@primitive(view=True)
def permute(input, dims):
    """`input` with its dims in the order `dims`; None: reversed."""
    return input.transpose(dims)


permute.vjp(input=lambda g, dims: permute(g, dims and tuple(sorted(range(len(dims)), key=dims.__getitem__))))


@primitive(view=True)
def expand(input, shape):
    return expanded(input, shape)


expand.vjp(input=lambda g: g)  # the engine undoes the broadcast


@primitive
def copy(input, dtype, order="K"):
    return copied(input, dtype, order)


copy.vjp(input=lambda g: g)  # the engine casts a gradient to its input's dtype


def to_dtype(x: Any, dtype: DType) -> Any:
    """A copy of `x` in another dtype; no gradient flows through integers."""
    return copy(traced(x.array) if isinstance(x, Traced) and dtype.kind not in "fc" else x, dtype)


# -- indexing -----------------------------------------------------------------------------------


@primitive(view=True)
def getitem(input, index):
    return read(input, index)


@primitive
def into_zeros(input, shape, index):
    """Zeros of `shape` with `input` added at `index`: the transpose of `getitem`."""
    return zeros_with(input, shape, index)


@primitive
def replaced(input, value, index):
    """`input` with the elements at `index` replaced by `value`."""
    return replaced_at(input, index, value)


getitem.vjp(input=lambda g, input_shape, index: into_zeros(g, input_shape, index))
into_zeros.vjp(input=lambda g, index: getitem(g, index))
replaced.vjp(input=lambda g, index: replaced(g, 0, index),
             value=lambda g, index: getitem(g, index))


# -- joining -----------------------------------------------------------------------------------


@primitive
def cat(dim, *tensors):
    return joined(tensors, dim)


@cat.fused_vjp("tensors")
def _(needs, g, dim, tensors_shape):
    ends = list(itertools.accumulate((shape[dim] for shape in tensors_shape), initial=0))
    before = (slice(None),) * dim
    return [None, *(getitem(g, (*before, slice(a, b), ...)) if need else None for a, b, need in zip(ends, ends[1:], needs[1:]))]


@primitive
def stack(dim, *tensors):
    return stacked(tensors, dim)


stack.vjp(tensors=lambda g, i, dim: getitem(g, (*(slice(None),) * dim, i, ...)))
