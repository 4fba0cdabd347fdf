"""Differences of neighbours, and integrals and derivatives from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_lite.arrays import is_array, only_numbers
from tinygrad_lite.arrays.errors import BadIndex, BadType, BadValue
from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.ops.arguments import canonical_dim, canonical_dims, integer, operation
from tinygrad_lite.ops.calculus import getitem
from tinygrad_lite.ops.movement.copying import clone
from tinygrad_lite.ops.movement.joining import cat
from tinygrad_lite.ops.movement.shape import reshape
from tinygrad_lite.ops.reduction.cumulative import cumsum, part
from tinygrad_lite.ops.reduction.sums import sum
from tinygrad_lite.ops.typing import Tensor

__all__ = ["cumulative_trapezoid", "diff", "gradient", "trapezoid", "trapz"]


def _both_ends(x: Any, axis: int) -> tuple[Any, Any]:
    """All elements but the last, and all but the first."""
    return getitem(x, part(axis, None, -1)), getitem(x, part(axis, 1, None))


@operation
def diff(input: Tensor, n: int = 1, dim: int = -1, prepend: Tensor | None = None, append: Tensor | None = None) -> Tensor:
    """The differences of neighbours along `dim`, taken `n` times; `prepend` and `append` are joined to `input` first.

    >>> import tinygrad_lite as tg
    >>> tg.diff(tg.tensor([1, 2, 4, 7]))
    tensor([1, 2, 3])
    """
    if not input.ndim:
        raise BadValue(expected="a tensor of at least one dim", got="a 0-d one")
    n = integer("n", n)
    if n < 0:
        raise BadValue(expected="n of 0 or more", got=n)
    axis = canonical_dim(dim, input.ndim)
    given = input
    parts = [t for t in (prepend, input, append) if t is not None]
    for t in parts:
        if t.ndim != input.ndim:
            raise BadValue(f"prepend and append must have {input.ndim} dims as the input has, got {t.ndim}", got=t.ndim)
    if len(parts) > 1 and n:
        input = cat(parts, axis)
    for _ in range(min(n, input.shape[axis])):
        low, high = _both_ends(input, axis)
        input = low ^ high if input.dtype.kind == "b" else high - low
    return clone(input) if input is given else input


# -- integrals ----------------------------------------------------------------------------------


def _areas(y: Any, x: Any, dx: Any, dim: int) -> tuple[Any, int]:
    """Twice the area of each trapezoid, and their axis."""
    if not y.ndim:
        raise BadIndex(expected="a tensor of at least one dim", got="a 0-d one")
    if x is not None and dx is not None:
        raise BadType("give x or dx, not both")
    axis = canonical_dim(dim, y.ndim)
    low, high = _both_ends(y, axis)
    if x is None:
        return (low + high) * (1 if dx is None else dx), axis
    if not (isinstance(x, Traced) or is_array(x)):
        raise BadType(expected="a Tensor as x", got=type(x).__name__, hint="a number is given as dx=")
    if x.ndim == 1:
        if x.shape[0] != y.shape[axis]:
            raise BadValue(expected=f"an x for each of the {y.shape[axis]} points along dim {dim}", got=x.shape[0])
        x = reshape(x, (-1,) + (1,) * (y.ndim - axis - 1))
    x = reshape(x, (1,) * (y.ndim - x.ndim) + tuple(x.shape))
    return (low + high) * diff(x, 1, axis - y.ndim), axis


@operation
def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The integral of `y` along `dim` by the trapezoidal rule, at the points `x` or at distances `dx` (1).

    >>> import tinygrad_lite as tg
    >>> tg.trapezoid(tg.tensor([0.0, 1.0, 4.0]), dx=0.5)
    tensor(1.5000)
    """
    areas, axis = _areas(y, x, dx, dim)
    return sum(areas, axis) / 2


def trapz(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """Same as `trapezoid`.

    >>> import tinygrad_lite as tg
    >>> tg.trapz(tg.tensor([1.0, 2.0, 3.0]))
    tensor(4.)
    """
    return trapezoid(y, x, dx=dx, dim=dim)


@operation
def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: float | None = None, dim: int = -1) -> Tensor:
    """The integral of `y` from the first point along `dim` to each other point, as by `trapezoid`.

    >>> import tinygrad_lite as tg
    >>> tg.cumulative_trapezoid(tg.tensor([0.0, 1.0, 4.0]))
    tensor([0.5000, 3.0000])
    """
    only_numbers(y, *(() if x is None else (x,)))
    areas, axis = _areas(y, x, dx, dim)
    return cumsum(areas, axis) / 2


# -- derivatives --------------------------------------------------------------------------------


@operation
def gradient(input: Tensor, *, spacing: Any = None, dim: int | Sequence[int] | None = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """The derivative of sampled values along each of `dim` (None: all), as a tuple: central differences, exact for
    parabolas, and one-sided differences of order `edge_order` (1 or 2) at the ends.

    `spacing`: the distance between samples (default 1), or one per dim, or a tuple of 1-d coordinate tensors.

    >>> import tinygrad_lite as tg
    >>> tg.gradient(tg.tensor([1.0, 4.0, 9.0, 16.0]))
    (tensor([3., 4., 6., 7.]),)
    """
    if edge_order not in (1, 2):
        raise BadValue(argument="edge_order", expected="an edge_order of 1 or 2", got=edge_order)
    if isinstance(spacing, Traced) or is_array(spacing):
        raise BadType(argument="spacing", expected="a number or a sequence as spacing", got="a Tensor", hint="coordinates go into a tuple")
    spacing = 1 if spacing is None else spacing
    axes = tuple(range(input.ndim)) if dim is None else canonical_dims(dim, input.ndim)
    spacings = list(spacing) if isinstance(spacing, (tuple, list)) else [spacing] * len(axes)
    if len(spacings) != len(axes):
        raise BadValue(argument="spacing", expected=f"a spacing for each of {len(axes)} dims", got=len(spacings))
    if any(input.shape[axis] <= edge_order for axis in axes):
        raise BadValue(
            f"edge_order {edge_order} needs {edge_order + 1} samples along a dim, got {tuple(input.shape)}", got=tuple(input.shape)
        )
    return tuple(_slope(input, h, axis, edge_order) for h, axis in zip(spacings, axes))


def _slope(x: Any, h: Any, axis: int, edge_order: int) -> Any:
    n = x.shape[axis]
    low, high = _both_ends(x, axis)
    steps, share = h, 0.5
    if isinstance(h, Traced) or is_array(h):
        if h.shape != (n,):
            raise BadValue(expected=f"{n} coordinates for dim {axis}", got=f"the shape {tuple(h.shape)}")
        steps = reshape(diff(h), (-1,) + (1,) * (x.ndim - axis - 1))
    slopes = (high - low) / steps  # between neighbours
    before, after = _both_ends(slopes, axis)
    if steps is not h:  # weight each slope by the distance on the other side
        left, right = _both_ends(steps, 0)
        share = right / (left + right)
    middle = before * share + after * (1 - share)
    first, last = getitem(slopes, part(axis, None, 1)), getitem(slopes, part(axis, n - 2, None))
    if edge_order == 2:  # a parabola's slope is linear, and `first` is its value halfway between the end and `middle`
        first = 2 * first - getitem(middle, part(axis, None, 1))
        last = 2 * last - getitem(middle, part(axis, n - 3, None))
    return cat([first, middle, last], axis)
