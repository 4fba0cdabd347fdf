"""The primitives that every other operation is composed of, each with its derivative.

A rule's parameter names say what the tape keeps for it: `g` is the gradient of the result, `out` the result, any
other name an argument (`x_shape`: only the shape of `x`). Rules need not undo broadcasting; the engine does. Where
the public operation takes more arguments than the primitive (`add` with its `alpha`, say), it stands with its theme.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_lite.arrays import (
    BLOCK,
    add_up,
    as_array,
    as_float,
    choose,
    device_of,
    extreme,
    in_order,
    is_array,
    mapped,
    namespace_of,
    on_device,
    only_numbers,
    product,
    promote,
    promote_floats,
    promote_tensors,
    to_device,
)
from tinygrad_lite.arrays.kernels.layout import channels_come_last, copied, expanded
from tinygrad_lite.arrays.kernels.power import power
from tinygrad_lite.arrays.kernels.scatter import zeros_with
from tinygrad_lite.arrays.regions import read, write
from tinygrad_lite.arrays.rules import no_gradient
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.calling import named, raw
from tinygrad_lite.ops.dependence import constant_in

__all__ = ["abs", "cos", "exp", "log", "matmul", "maximum", "minimum", "mul", "neg", "pow", "sign", "sin", "sqrt", "tanh"]


def unary(forward: np.ufunc, rule: Callable[..., Any], doc: str, name: str = "") -> Any:
    """The primitive of a function of each element that NumPy has (and CuPy, under the same name)."""

    def apply(x):
        if type(x) is not ndarray or x.dtype.kind != "f":
            x = as_float(x)
            return getattr(namespace_of(x), forward.__name__)(x)
        return forward(x) if x.size < 2 * BLOCK else mapped(forward, x)  # in threads

    return _defined(apply, name or forward.__name__, doc, x=rule)


def binary(
    forward: np.ufunc, x_rule: Callable[..., Any], y_rule: Callable[..., Any], doc: str, *, meet: Any = promote_tensors, name: str = ""
) -> Any:  # fmt: skip
    """The same for a function of two tensors; `meet(x, y)` checks them and gives them one dtype."""

    def apply(x, y):
        x, y = meet(x, y)
        return forward(x, y) if type(x) is ndarray else getattr(namespace_of(x), forward.__name__)(x, y)

    return _defined(apply, name or forward.__name__, doc, x=x_rule, y=y_rule)


def _defined(apply: Any, name: str, doc: str, **rules: Callable[..., Any]) -> Any:
    apply.__module__ = next(iter(rules.values())).__module__  # the file that defines it, where pickle looks for it
    result = primitive(named(name, doc)(apply))
    result.vjp(**rules)
    return result


def zeros(g: Any) -> Any:
    """Zeros like a gradient: the rule of what is constant piece by piece."""
    array = raw(g)
    with on_device(device_of(array)):
        out = namespace_of(array).zeros(array.shape, array.dtype)
    return traced(out) if isinstance(g, Traced) else out


# -- arithmetic ---------------------------------------------------------------------------------


@primitive
def add(x, y):
    x, y = promote(x, y)
    return x + y


add.vjp(x=lambda g: g,
        y=lambda g: g)


@primitive
def sub(x, y):
    a, b = promote(x, y)
    if (a is not x or b is not y) and any(getattr(v, "dtype", np.dtype(type(v))).kind == "b" for v in (x, y)):
        raise TypeError("a bool tensor cannot be subtracted; use ~ or logical_xor")
    return a - b


sub.vjp(x=lambda g: g,
        y=lambda g: -g)


@primitive
def mul(x, y):
    """`x * y`, broadcast.

    >>> import tinygrad_lite as tg
    >>> tg.mul(tg.tensor([1.0, 2.0]), tg.tensor([[10.0], [20.0]]))
    tensor([[10., 20.],
            [20., 40.]])
    """
    x, y = promote(x, y)
    return x * y


mul.vjp(x=lambda g, y: g * y,
        y=lambda g, x: g * x)


@primitive
def div(x, y):
    x, y = promote_floats(x, y)
    return x / y


div.vjp(x=lambda g, y: g / y,
        y=lambda g, x, y: -g * ((x / y) / y))  # x / (y y) would overflow sooner


@primitive
def neg(x):
    """`-x`.

    >>> import tinygrad_lite as tg
    >>> tg.neg(tg.tensor([1, -2]))
    tensor([-1,  2])
    """
    return -x  # NumPy refuses bools by itself


neg.vjp(x=lambda g: -g)


@primitive
def pow(x, y):
    """`x ** y`, broadcast.

    >>> import tinygrad_lite as tg
    >>> tg.pow(tg.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    return power(x, y)


def _pow_x(g: Any, x: Any, y: Any) -> Any:
    if isinstance(y, (int, float)):
        return g * (2 * x) if y == 2 else g * (y * pow(x, y - 1)) if y else zeros(g)
    return where(y == 0, 0.0, g * (y * pow(x, y - 1)))


def _log(x: Any) -> Any:
    """log, of a Python number in its full precision."""
    if not isinstance(x, (int, float)):
        return log(x)
    return math.log(x) if x > 0 else -math.inf if x == 0 else math.nan


pow.vjp(x=_pow_x,
        y=lambda g, x, y, out: g * where((x == 0) & (y >= 0), 0.0, out * _log(x)))


# -- functions of each element ------------------------------------------------------------------

exp = unary(np.exp, lambda g, out: g * out, "e to the power of each element.")
log = unary(np.log, lambda g, x: g / x, "Natural logarithm.")
sqrt = unary(np.sqrt, lambda g, out: g / (2 * out), "The square root; its derivative at 0 is inf.")
cos: Any  # which the rule of sin names
sin = unary(np.sin, lambda g, x: g * cos(x), "Sine (of radians).")
cos = unary(np.cos, lambda g, x: -g * sin(x), "Cosine (of radians).")
tanh = unary(np.tanh, lambda g, out: g * (1 - out * out), "Hyperbolic tangent.")


@primitive
def abs(x):
    """The absolute value of each element; its derivative at 0 is 0.

    >>> import tinygrad_lite as tg
    >>> tg.abs(tg.tensor([-2.0, 3.0]))
    tensor([2., 3.])
    """
    if x.dtype.kind == "b":
        only_numbers(x)
    return namespace_of(x).abs(x)


@primitive
def sign(x):
    """-1, 0 or 1 as each element is negative, zero or positive; 0 for nan.

    >>> import tinygrad_lite as tg
    >>> tg.sign(tg.tensor([-2.0, 0.0, 3.0]))
    tensor([-1.,  0.,  1.])
    """
    # NumPy's sign of nan is nan, and with it the gradient of abs where a nan was masked out.
    return namespace_of(x).subtract(x > 0, x < 0, dtype=np.int8).astype(x.dtype)


abs.vjp(x=lambda g, x: g * sign(x))
sign.vjp(x=zeros)


# -- choice -------------------------------------------------------------------------------------


@primitive
def where(condition, x, y):
    if not (is_array(x) or is_array(y)):  # two numbers, for the condition's device
        x, y = (to_device(value, device_of(condition)) for value in promote(x, y))
    return choose(condition, *promote(x, y))


where.vjp(x=lambda g, condition: where(condition, g, 0.0),
          y=lambda g, condition: where(condition, 0.0, g))

maximum = binary(
    np.maximum,
    lambda g, x, y: where(x == y, g / 2, where(x < y, 0.0, g)),
    lambda g, x, y: where(x == y, g / 2, where(y < x, 0.0, g)),
    "The larger of each two, broadcast; nan where one is nan. Equal ones share the gradient.",
)
minimum = binary(
    np.minimum,
    lambda g, x, y: where(x == y, g / 2, where(x > y, 0.0, g)),
    lambda g, x, y: where(x == y, g / 2, where(y > x, 0.0, g)),
    "The smaller of each two, broadcast; nan where one is nan. Equal ones share the gradient.",
)


@primitive
def _linear_in(out, x):
    return out


_linear_in.vjp(out=lambda g: g,
               x=no_gradient)
constant_in(_linear_in, out="x")


def linear_in(out: Any, *inputs: Any) -> Any:
    """`out`, a composition that is linear in `inputs`, at least piece by piece. Its gradient is constant in them
    and yet counts as a function of them, as where PyTorch has the whole gradient as one function of the input."""
    for x in inputs:
        if getattr(x, "node", None) is not None:
            out = _linear_in(out, x)
    return out


# -- over dims ----------------------------------------------------------------------------------
# `axes` as the arrays take them: None for all dims, an int, or a tuple.


def kept(shape: tuple[int, ...], axes: Any) -> tuple[int, ...]:
    """`shape` with size 1 in the reduced dims."""
    if type(axes) is int:
        return (*shape[:axes], 1, *shape[axes + 1 :])
    return tuple(1 if axes is None or i in axes else n for i, n in enumerate(shape))


def count(shape: tuple[int, ...], axes: Any) -> int:
    """How many elements a reduction over `axes` makes one of."""
    if type(axes) is int:
        return shape[axes]
    return math.prod(shape if axes is None else [shape[i] for i in axes])


def restored(g: Any, shape: tuple[int, ...], axes: Any) -> Any:
    """A reduction's gradient (or result) repeated over the dims it was reduced over."""
    return expand(g if axes is None and not g.shape else reshape(g, kept(shape, axes)), shape)


@primitive
def sum(x, axes, keepdim):
    # Integers add up in int64, as in PyTorch; uint8 would stay unsigned in NumPy. Half precision
    # is added up in single.
    kind = x.dtype.kind
    if kind == "f":
        return add_up(x, axes, keepdim) if x.itemsize > 2 else add_up(x.astype(np.float32), axes, keepdim).astype(x.dtype)
    return in_order(x.sum(axis=axes, keepdims=keepdim, dtype=x.dtype if kind == "c" else np.int64))


sum.vjp(x=lambda g, x_shape, axes: restored(g, x_shape, axes))


def require_some(x: Any, axes: Any) -> None:
    """A reduction that has no value for nothing refuses it."""
    if not count(x.shape, axes):
        raise IndexError(f"nothing to choose from: size 0 over {'all dims' if axes is None else f'dim {axes}'}")


@primitive
def amax(x, axes, keepdim):
    if not x.size:
        require_some(x, axes)
    return extreme("maximum", x, axes, keepdim)


@primitive
def amin(x, axes, keepdim):
    if not x.size:
        require_some(x, axes)
    return extreme("minimum", x, axes, keepdim)


def shared_evenly(g: Any, x: Any, out: Any, axes: Any) -> Any:
    """An extreme's gradient, in equal parts to the elements that attain it."""
    shape = kept(x.shape, axes)
    out = reshape(out, shape)
    attained = x == out
    if axes is None:  # max(): where the result is nan, the elements that are nan; amax(): nan to all
        attained = attained | ((x != x) & (out != out))
    attained = to_dtype(attained, g.dtype)
    return (reshape(g, shape) / sum(attained, axes, True)) * attained


amax.vjp(x=shared_evenly)
amin.vjp(x=shared_evenly)


# -- products of matrices -----------------------------------------------------------------------


@primitive
def matmul(x, y):
    """Matrix product: (..., n, k) @ (..., k, m) -> (..., n, m), the leading dims broadcast.

    A 1-d operand is a row on the left and a column on the right, and its dim is dropped from the
    result. Both operands have the same dtype.

    >>> import tinygrad_lite as tg
    >>> tg.matmul(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1.0, 10.0]))
    tensor([21., 43.])
    """
    return product(x, y)


def times(x: Any, y: Any) -> Any:
    """`x @ y` in a rule: arrays go straight to BLAS (1 us less than through the primitive)."""
    if isinstance(x, Traced):
        return matmul(x, y)
    return x.dot(y) if x.ndim == 2 == y.ndim and x.dtype.char != "e" else product(x, y)


def _rows(x: Any) -> Any:
    """`x` as a matrix: all dims but the last made one."""
    return x if x.ndim == 2 else x.reshape((math.prod(x.shape[:-1]), x.shape[-1]))


def times_over_rows(x: Any, y: Any) -> Any:
    """`x.T @ y` with all dims but the last made one."""
    return times(x.T, y) if x.ndim == 2 else times(_rows(x).T, _rows(y))


def _matmul_x(g: Any, x_shape: tuple[int, ...], y: Any) -> Any:
    if len(y.shape) == 1:
        return g.reshape((*g.shape, 1)) * y
    if len(x_shape) == 1:
        return times(y, g.reshape((*g.shape, 1))).reshape(y.shape[:-1])
    return times(g, y.mT)


def _matmul_y(g: Any, x: Any, y_shape: tuple[int, ...]) -> Any:
    if len(x.shape) == 1:
        return x * g if len(y_shape) == 1 else x.reshape((-1, 1)) * g.reshape((*g.shape[:-1], 1, g.shape[-1]))
    if len(y_shape) == 1:
        return times(_rows(x).T, g.reshape((-1,)))
    if len(y_shape) == 2:
        return times_over_rows(x, g)
    return times(x.mT, g)


matmul.vjp(x=_matmul_x,
           y=_matmul_y)


# -- shape and order ----------------------------------------------------------------------------


@primitive(view=True)
def reshape(x, shape):
    return x.reshape(shape)


reshape.vjp(x=lambda g, x_shape: reshape(g, x_shape))


@primitive(view=True)
def permute(x, dims):
    """`x` with its dims in the order `dims`; None: reversed."""
    return x.transpose(dims)


permute.vjp(x=lambda g, dims: permute(g, dims and tuple(sorted(range(len(dims)), key=dims.__getitem__))))


@primitive(view=True)
def expand(x, shape):
    return expanded(x, shape)


expand.vjp(x=lambda g: g)  # undoing the broadcast is the engine's


@primitive
def copy(x, dtype, order="K"):
    return copied(x, dtype, order)


copy.vjp(x=lambda g: g)  # the engine gives a gradient its input's dtype


def to_dtype(x: Any, dtype: np.dtype) -> Any:
    """`x` in another dtype (a copy); no gradient goes through integers."""
    return copy(traced(x.array) if isinstance(x, Traced) and dtype.kind not in "fc" else x, dtype)


# -- parts --------------------------------------------------------------------------------------


@primitive(view=True)
def getitem(x, index):
    return read(x, index)


@primitive
def into_zeros(x, shape, index):
    """Zeros of `shape` with `x` added at `index`: what `getitem` does to gradients."""
    return zeros_with(x, shape, index)


@primitive
def replaced(x, value, index):
    """`x` with the elements at `index` replaced by `value`."""
    out = as_array(x).copy("C")
    write(out, index, value)
    return out


getitem.vjp(x=lambda g, x_shape, index: into_zeros(g, x_shape, index))
into_zeros.vjp(x=lambda g, index: getitem(g, index))
replaced.vjp(x=lambda g, index: replaced(g, 0, index),
             value=lambda g, index: getitem(g, index))


# -- several to one -----------------------------------------------------------------------------


@primitive
def cat(dim, *tensors):
    out = namespace_of(tensors[0]).concatenate(tensors, axis=dim)
    return out if out.flags.c_contiguous or all(map(channels_come_last, tensors)) else in_order(out)


@cat.fused_vjp("tensors")
def _(needs, g, dim, tensors_shape):
    ends = list(itertools.accumulate((shape[dim] for shape in tensors_shape), initial=0))
    before = (slice(None),) * dim
    return [None, *(getitem(g, (*before, slice(a, b), ...)) if need else None for a, b, need in zip(ends, ends[1:], needs[1:]))]


@primitive
def stack(dim, *tensors):
    return in_order(namespace_of(tensors[0]).stack(tensors, axis=dim))


stack.vjp(tensors=lambda g, i, dim: getitem(g, (*(slice(None),) * dim, i, ...)))
