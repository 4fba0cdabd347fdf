"""Writing to parts of a tensor, out of place: the result is new, and `input` does not change."""

from __future__ import annotations

import math
import operator
from typing import Any

from tinygrad_lite.arrays import int64, limits, namespace_of, number_for
from tinygrad_lite.arrays.deferred_checks import left_to_program
from tinygrad_lite.arrays.errors import BadIndex, Refusal
from tinygrad_lite.arrays.gpu import is_symbol
from tinygrad_lite.arrays.indexing import ALL
from tinygrad_lite.arrays.indices import checked_index, checked_slice
from tinygrad_lite.arrays.kernels.scatter import scatter_reduce as combine
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.ops.arguments import canonical_dim, integer, number, operation, raw
from tinygrad_lite.ops.calculus import add, getitem, into_zeros, mul, replaced, to_dtype, where
from tinygrad_lite.ops.creation.factories import ones_like
from tinygrad_lite.ops.dependence import linear_in
from tinygrad_lite.ops.movement.broadcasting import expand
from tinygrad_lite.ops.movement.copying import clone
from tinygrad_lite.ops.movement.diagonals import diagonal_region
from tinygrad_lite.ops.movement.indexing import index_along, steps
from tinygrad_lite.ops.movement.masking import as_value, same_dtype
from tinygrad_lite.ops.movement.shape import reshape
from tinygrad_lite.ops.movement.strides import strided_region
from tinygrad_lite.ops.typing import Tensor

__all__ = [
    "as_strided_scatter", "diagonal_scatter", "index_add", "index_copy", "index_fill", "index_put", "index_reduce", "put",
    "scatter", "scatter_add", "scatter_reduce", "select_scatter", "slice_scatter",
]  # fmt: skip


# -- an index for each element ------------------------------------------------------------------


def _scattered(name: str, x: Any, dim: int, index: Any, src: Any) -> tuple[Any, Any, Any]:
    """`x` with at least one dim, the index to write at, and the values."""
    whole, index = _at_least_1d(x), _at_least_1d(index)
    place = index_along(name, tuple(whole.shape), dim, index)
    if not hasattr(src, "shape"):
        return whole, place, as_value(name, x, src)
    same_dtype(name, x, src)
    src = _at_least_1d(src)
    if math.prod(index.shape) and (len(src.shape) != len(index.shape) or any(n > m for n, m in zip(index.shape, src.shape))):
        raise Refusal(f"the index of shape {tuple(index.shape)} reaches beyond src of shape {tuple(src.shape)}")
    if tuple(src.shape) != tuple(index.shape):
        src = getitem(src, tuple(slice(0, n) for n in index.shape))
    return whole, place, src


def _at_least_1d(x: Any) -> Any:
    return x if len(x.shape) else reshape(x, (1,))


def _back(out: Any, x: Any) -> Any:
    return out if len(x.shape) else reshape(out, ())


@operation
def scatter(input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None) -> Tensor:
    """`input` after `out[index[i, j, k], j, k] = src[i, j, k]` (for dim 0); `src` may be a number.

    `reduce`: "add" or "multiply" combines values instead of replacing.

    >>> import tinygrad_lite as tg
    >>> tg.scatter(tg.zeros(2, 3), 1, tg.tensor([[2], [0]]), 1.0)
    tensor([[0., 0., 1.],
            [1., 0., 0.]])
    """
    if reduce not in (None, "add", "multiply"):
        raise Refusal(argument="reduce", expected="reduce None, 'add' or 'multiply'", got=repr(reduce))
    whole, place, src = _scattered("scatter", input, dim, index, value if src is None else src)
    if not math.prod(index.shape):
        return clone(input)
    if reduce is None:
        return _back(replaced(whole, src, place), input)
    if not hasattr(src, "shape"):
        array = raw(input)
        src = namespace_of(array).full(tuple(index.shape), src, array.dtype)
    return _back(_combined(whole, place, src, "sum" if reduce == "add" else "prod"), input)


@operation
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """`input` after `out[index[i, j, k], j, k] += src[i, j, k]` (for dim 0).

    >>> import tinygrad_lite as tg
    >>> tg.scatter_add(tg.zeros(3), 0, tg.tensor([0, 0, 2]), tg.ones(3))
    tensor([2., 0., 1.])
    """
    return scatter_reduce(input, dim, index, src, "sum")


@operation
def scatter_reduce(input: Tensor, dim: int, index: Tensor, src: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """`scatter` that combines the values for one position: `reduce` is "sum", "prod", "mean", "amax" or "amin";
    `include_self` includes the value of `input`.

    Ties for the largest (smallest) share the gradient.

    >>> import tinygrad_lite as tg
    >>> tg.scatter_reduce(tg.zeros(2), 0, tg.tensor([0, 0, 1]), tg.tensor([1.0, 3.0, 2.0]), "amax")
    tensor([3., 2.])
    """
    same_dtype("scatter_reduce", input, src)
    whole, place, src = _scattered("scatter_reduce", input, dim, index, src)
    if not math.prod(index.shape):
        return clone(input)
    return _back(_combined(whole, place, src, reduce, include_self), input)


def _combined(x: Any, place: Any, src: Any, reduce: str, include_self: bool = True) -> Any:
    """`x` with `src` combined into it at `place`."""
    if reduce not in _NEUTRAL:
        raise Refusal(argument="reduce", expected=f"reduce among {', '.join(map(repr, _NEUTRAL))}", got=repr(reduce))
    if not include_self:
        neutral = _NEUTRAL[reduce]
        if x.dtype.kind == "b":
            neutral = neutral > 0
        elif x.dtype.kind in "iu" and abs(neutral) == math.inf:
            neutral = limits(x.dtype)[neutral > 0]
        x = replaced(x, neutral, place)
    if reduce in ("sum", "mean"):
        total = add(x, into_zeros(src, tuple(x.shape), place))
        if reduce == "sum":
            return total
        array = raw(src)
        xp = namespace_of(array)
        count = into_zeros(xp.ones(array.shape, int64), tuple(x.shape), place)
        count = xp.maximum(count + include_self, 1).astype(total.dtype, copy=False)
        return total / count if x.dtype.kind == "f" else total // count
    out = _scatter_reduce(x, src, place, reduce)
    return linear_in(out, x) if reduce == "prod" else out


_NEUTRAL = {"sum": 0, "prod": 1, "mean": 0, "amax": -math.inf, "amin": math.inf}
_UFUNC = {"prod": "multiply", "amax": "maximum", "amin": "minimum"}


@primitive
def _scatter_reduce(input, src, index, reduce):
    out = input.copy("C")
    combine(_UFUNC[reduce], out, index, src)
    return out


@_scatter_reduce.fused_vjp("input", "src")
def _(needs, g, out, input, src, index, reduce):
    if reduce == "prod":
        others = _scatter_reduce(ones_like(input), src, index, reduce)  # the product without input
        zeros = into_zeros(to_dtype(src == 0, g.dtype), tuple(input.shape), index)
        if isinstance(g, Traced):
            several = raw(zeros) > 1
            problem = "the second gradient of a product with two zeros of src in one place is not implemented"
            if not left_to_program(several, Refusal, problem) and bool(several.any()):
                raise Refusal(problem)
        # The product without src: the whole divided by it or, if it is the only zero, the product of the others.
        divisor = where(src == 0, 1.0, src)
        without = _scatter_reduce(input, divisor, index, reduce)[index] * (zeros[index] == 1)
        rest = where(src == 0, without, out[index] / divisor)
        return [g * others, g[index] * rest, None, None]
    gx, gs = to_dtype(input == out, g.dtype), to_dtype(src == out[index], g.dtype)
    share = g / (gx + into_zeros(gs, tuple(input.shape), index))
    return [share * gx, share[index] * gs, None, None]


# -- an index for each slice --------------------------------------------------------------------


def _slices(name: str, x: Any, dim: int, index: Any, source: Any) -> tuple[Any, Any, Any]:
    """`x` with at least one dim, the index of its slices, and `source` in their shape."""
    same_dtype(name, x, source)
    whole = _at_least_1d(x)
    dim = canonical_dim(dim, len(whole.shape))
    index = _checked_line(name, index, whole.shape[dim])
    shape = (*whole.shape[:dim], index.size, *whole.shape[dim + 1 :])
    if (tuple(source.shape) or (1,)) != shape or (len(source.shape) != len(x.shape) and name != "index_copy"):
        raise BadIndex(function=name, argument="source", expected=f"a source of shape {shape if x.shape else ()}", got=tuple(source.shape))
    return whole, (*[ALL] * dim, index), reshape(source, shape)


def _checked_line(name: str, index: Any, size: int, negative: bool = False) -> Any:
    """The array of a slice index, which must have one dim."""
    index = checked_index(name, raw(index), size, negative)
    if index.ndim > 1:
        raise BadIndex(argument="index", expected="an index of at most 1 dim", got=f"the shape {index.shape}")
    return index.reshape(-1)


@operation
def index_add(input: Tensor, dim: int, index: Tensor, source: Tensor, *, alpha: Any = 1) -> Tensor:
    """`input` with `alpha * source[i]` added to its slice `index[i]` along `dim`.

    >>> import tinygrad_lite as tg
    >>> tg.index_add(tg.zeros(3), 0, tg.tensor([0, 0, 2]), tg.ones(3))
    tensor([2., 0., 1.])
    """
    alpha = number("alpha", alpha)
    whole, place, source = _slices("index_add", input, dim, index, source)
    return _back(_combined(whole, place, source if alpha == 1 else mul(source, number_for(input.dtype, alpha)), "sum"), input)


@operation
def index_reduce(input: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True) -> Tensor:
    """`scatter_reduce` for whole slices: `reduce` is "prod", "mean", "amax" or "amin".

    >>> import tinygrad_lite as tg
    >>> tg.index_reduce(tg.ones(2), 0, tg.tensor([0, 0]), tg.tensor([2.0, 3.0]), "prod")
    tensor([6., 1.])
    """
    if reduce == "sum":
        raise Refusal(argument="reduce", expected="reduce 'prod', 'mean', 'amax' or 'amin'", hint="for the sum there is index_add()")
    whole, place, source = _slices("index_reduce", input, dim, index, source)
    return _back(_combined(whole, place, source, reduce, include_self), input)


@operation
def index_copy(input: Tensor, dim: int, index: Tensor, source: Tensor) -> Tensor:
    """`input` with its slice `index[i]` along `dim` replaced by `source[i]`.

    >>> import tinygrad_lite as tg
    >>> tg.index_copy(tg.zeros(3), 0, tg.tensor([2, 0]), tg.tensor([5.0, 6.0]))
    tensor([6., 0., 5.])
    """
    whole, place, source = _slices("index_copy", input, dim, index, source)
    return _back(replaced(whole, source, place), input)


@operation
def index_fill(input: Tensor, dim: int, index: Tensor, value: Any) -> Tensor:
    """`input` with its slices `index` along `dim` filled with `value`.

    >>> import tinygrad_lite as tg
    >>> tg.index_fill(tg.tensor([[1, 2], [3, 4]]), 1, tg.tensor([0]), 9)
    tensor([[9, 2],
            [9, 4]])
    """
    whole = _at_least_1d(input)
    dim = canonical_dim(dim, len(whole.shape))
    index = _checked_line("index_fill", index, whole.shape[dim], negative=True)
    if is_symbol(index):  # a program: how many there are is not known
        here = namespace_of(index).zeros((whole.shape[dim], *[1] * (whole.ndim - dim - 1)), bool)
        here[index % whole.shape[dim]] = True
        return _back(where(here, as_value("index_fill", input, value), whole), input)
    place = (*[ALL] * dim, namespace_of(index).unique(index % whole.shape[dim]))  # each slice counts once in value's gradient
    return _back(replaced(whole, as_value("index_fill", input, value), place), input)


@operation
def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """`input` after `input[indices] = values`, or `+=` if `accumulate`, where repeated positions add up.

    >>> import tinygrad_lite as tg
    >>> tg.index_put(tg.zeros(3), (tg.tensor([2, 0]),), tg.tensor([5.0, 6.0]))
    tensor([6., 0., 5.])
    """
    same_dtype("index_put", input, values)
    *views, place = steps(input, tuple(_at_least_1d(i) if hasattr(i, "shape") and i.dtype.kind != "b" else i for i in indices))
    whole = input
    for view in views:  # each 0-d mask adds a dim
        whole = getitem(whole, view)
    if not accumulate:
        out = replaced(whole, values, place)
    else:
        shape = tuple(getitem(raw(whole), place).shape)
        out = _combined(whole, place, expand(values, shape), "sum")
    return reshape(out, tuple(input.shape)) if views else out


@operation
def put(input: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """`input` with the elements at flat `index` replaced by those of `source` (or these added, if `accumulate`).

    >>> import tinygrad_lite as tg
    >>> tg.zeros(2, 2).put(tg.tensor([3]), tg.tensor([5.0]))
    tensor([[0., 0.],
            [0., 5.]])
    """
    same_dtype("put", input, source)
    places = checked_index("put", raw(index), math.prod(input.shape), negative=True)
    if places.size != math.prod(source.shape):
        raise BadIndex(f"{places.size} indices for {math.prod(source.shape)} elements")
    values, flat = reshape(source, (-1,)), reshape(input, (-1,))
    return reshape(index_put(flat, (places.reshape(-1),), values, accumulate), tuple(input.shape))


# -- the region of a view -----------------------------------------------------------------------


def _with_part(x: Any, src: Any, place: Any) -> Any:
    part = getitem(x.detach() if isinstance(x, Traced) else x, place)
    if tuple(part.shape) != tuple(src.shape):
        raise Refusal(argument="src", expected=f"a src of shape {tuple(part.shape)}", got=tuple(src.shape))
    return replaced(x, src, place)


@operation
def select_scatter(input: Tensor, src: Tensor, dim: int, index: int) -> Tensor:
    """`input` with `input.select(dim, index)` replaced by `src`.

    >>> import tinygrad_lite as tg
    >>> tg.select_scatter(tg.zeros(2, 2), tg.ones(2), 0, 1)
    tensor([[0., 0.],
            [1., 1.]])
    """
    dim = canonical_dim(dim, len(input.shape))
    return _with_part(input, src, (*[ALL] * dim, operator.index(index), Ellipsis))


@operation
def slice_scatter(input: Tensor, src: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    """`input` with `start:end:step` along `dim` replaced by `src`.

    >>> import tinygrad_lite as tg
    >>> tg.slice_scatter(tg.zeros(4), tg.ones(2), start=1, end=3)
    tensor([0., 1., 1., 0.])
    """
    dim = canonical_dim(dim, len(input.shape))
    start, end = (at if at is None else integer(name, at) for name, at in (("start", start), ("end", end)))
    step = integer("step", step)
    return _with_part(input, src, (*[ALL] * dim, checked_slice(slice(start, end, step)), Ellipsis))


@operation
def diagonal_scatter(input: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """`input` with `input.diagonal(offset, dim1, dim2)` replaced by `src`.

    >>> import tinygrad_lite as tg
    >>> tg.diagonal_scatter(tg.zeros(2, 2), tg.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    return _with_part(input, src, diagonal_region(tuple(input.shape), offset, dim1, dim2))


@operation
def as_strided_scatter(input: Tensor, src: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """`input` with `input.as_strided(size, stride, storage_offset)` replaced by `src`."""
    return _with_part(input, src, strided_region(input, size, stride, storage_offset))
