"""Sampling images at given points, as in spatial transformers (Jaderberg et al. 2015)."""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

from tinygrad_lite.arrays import int64, namespace_of, quietly
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.kernels.interpolation import places_of_pixels
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import getitem, matmul, mul
from tinygrad_lite.ops.dependence import linear_in
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.shape import reshape
from tinygrad_lite.ops.movement.transposing import transpose
from tinygrad_lite.ops.nn.sliding_windows import constant_like
from tinygrad_lite.ops.typing import Tensor


@operation
def affine_grid(theta: Tensor, size: tuple[int, ...], align_corners: bool | None = None) -> Tensor:
    """The sampling points (N, H, W, 2) or (N, D, H, W, 3) for `grid_sample`: the points of an image of `size` (N, C, H, W)
    or (N, C, D, H, W), mapped by theta (N, 2, 3) or (N, 3, 4).

    -1 and 1 are the image's edges, or the centres of its first and last elements if `align_corners`.

    >>> import tinygrad_lite as tg
    >>> tg.nn.functional.affine_grid(tg.eye(2, 3)[None], (1, 1, 4, 5), align_corners=False).shape
    (1, 4, 5, 2)
    """
    size, rank = tuple(size), len(size) - 2
    if rank not in (2, 3):
        raise BadValue(expected="a size (N, C, H, W) or (N, C, D, H, W)", got=size)
    if theta.dtype.kind != "f":
        raise BadValue(argument="theta", expected="a floating-point theta", got=theta.dtype)
    if tuple(theta.shape) != (size[0], rank, rank + 1):
        wanted = (size[0], rank, rank + 1)
        raise BadValue(argument="theta", expected=f"a theta of shape {wanted} for {size}", got=tuple(theta.shape))
    if min(size) < 1:
        raise BadValue(expected="sizes of at least 1", got=size)
    base = constant_like(theta, places_of_pixels(size[2:], bool(align_corners), theta.dtype)[None])
    return reshape(matmul(base, transpose(theta, 1, 2)), (size[0], *size[2:], rank))


@operation
def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """`input` (N, C, H, W) sampled at the points grid (N, H', W', 2), pairs of x and y -> (N, C, H', W'). Or `input` (N, C,
    D, H, W) at (N, D', H', W', 3).

    -1 and 1 are the edges of `input`, or the centres of its first and last elements if `align_corners`. `mode`: "bilinear"
    (for volumes too), "nearest" or "bicubic" (not for volumes). `padding_mode`: outside of `input` there are "zeros", its
    "border", or its "reflection".

    >>> import tinygrad_lite as tg
    >>> tg.nn.functional.grid_sample(tg.ones(1, 1, 4, 4), tg.zeros(1, 2, 2, 2), align_corners=False).shape
    (1, 1, 2, 2)
    """
    shape, places = tuple(input.shape), tuple(grid.shape)
    rank = len(shape) - 2
    if mode not in ("bilinear", "nearest", "bicubic"):
        raise BadValue(argument="mode", expected="the mode 'bilinear', 'nearest' or 'bicubic'", got=repr(mode))
    if padding_mode not in ("zeros", "border", "reflection"):
        raise BadValue(argument="padding_mode", expected="the padding_mode 'zeros', 'border' or 'reflection'", got=repr(padding_mode))
    if rank not in (2, 3) or (rank == 3 and mode == "bicubic"):
        raise BadValue(f"mode {mode!r} takes an input of 4 dims (or 5, not 'bicubic'), got {shape}", got=shape)
    if len(places) != rank + 2 or places[-1] != rank or places[0] != shape[0]:
        wanted = f"({shape[0]}, {'..., ' * rank}{rank})"
        raise BadValue(argument="grid", expected=f"a grid {wanted} for the input {shape}", got=places)
    if 0 in shape[2:]:
        raise BadValue(expected="spatial sizes of at least 1", got=shape)
    if input.dtype.kind != "f" or grid.dtype != input.dtype:
        raise BadType(argument="input", expected="an input and a grid of one floating dtype", got=f"{input.dtype} and {grid.dtype}")
    xp, size = namespace_of(raw(input)), shape[2:]
    pixels = reshape(input, (math.prod(shape),))
    planes = xp.arange(shape[0] * shape[1]).reshape((*shape[:2], 1)) * math.prod(size)
    taps = []
    for d, n in enumerate(size):
        place = reshape(getitem(grid, (..., rank - 1 - d)), (places[0], 1, math.prod(places[1:-1])))
        taps.append(_taps(place, n, mode, padding_mode, bool(align_corners)))
    total: Any = None
    for combination in itertools.product(*taps):
        flat, inside = 0, True
        for (index, valid, _), n in zip(combination, size):
            flat, inside = flat * n + index, valid & inside
        weights = [weight for _, _, weight in combination if weight is not None]
        value = where(constant_like(input, inside), getitem(pixels, (planes + flat,)), 0.0)
        term = value * functools.reduce(mul, weights) if weights else value
        total = term if total is None else total + term
    total = reshape(total, (*shape[:2], *places[1:-1]))
    if mode == "nearest":  # the gradient of the grid is zero, not None
        place = reshape(getitem(grid, (..., 0)), (places[0], 1, *places[1:-1]))
        total = linear_in(where(constant_like(input, True), total, place), grid)
    return linear_in(total, input)


@quietly  # points may be inf or nan
def _taps(place: Any, n: int, mode: str, padding: str, align_corners: bool) -> list[tuple[Any, Any, Any]]:
    """The indices of the elements (of n) around a point, whether they exist, and their weights."""
    place = (place + 1) * ((n - 1) / 2) if align_corners else ((place + 1) * n - 1) / 2
    xp = namespace_of(raw(place))
    if mode == "bicubic":
        low = xp.floor(raw(place))
        t = place - constant_like(place, low)
        weights = [_outer(t + 1), _inner(t), _inner(1 - t), _outer(2 - t)]
        found = [raw(_padded(low + i, n, padding, align_corners)) for i in (-1, 0, 1, 2)]
    else:
        place = _padded(place, n, padding, align_corners)
        if mode == "nearest":
            found, weights = [xp.rint(raw(place))], [None]
        else:
            low = xp.floor(raw(place))
            t = place - constant_like(place, low)
            found, weights = [low, low + 1], [1 - t, t]
    valid = [(index >= 0) & (index < n) for index in found]
    return [(xp.where(v, index, 0).astype(int64), v, weight) for index, v, weight in zip(found, valid, weights)]


def _inner(t: Any) -> Any:
    """Keys' cubic convolution kernel with a = -0.75, for distances 0 to 1 and 1 to 2."""
    return (1.25 * t - 2.25) * t * t + 1


def _outer(t: Any) -> Any:
    return ((-0.75 * t + 3.75) * t - 6) * t + 3


def _padded(place: Any, n: int, padding: str, align_corners: bool) -> Any:
    """The position inside 0 to n - 1 for a point outside of it."""
    if padding == "zeros":
        return place
    array = raw(place)
    xp = namespace_of(array)
    there, slope = array, 1.0
    if padding == "reflection":
        start, span = (0.0, n - 1.0) if align_corners else (-0.5, float(n))
        if span:
            turns = xp.floor(xp.abs(array - start) / span)
            rest = xp.abs(array - start) - turns * span
            there = xp.where(turns % 2 == 0, rest, span - rest) + start
            slope = xp.where((turns % 2 == 0) == (array >= start), 1.0, -1.0).astype(array.dtype)
    inside = (there > 0) & (there < n - 1)
    there = xp.fmin(xp.fmax(there, 0), n - 1).astype(array.dtype)
    moved = place if isinstance(slope, float) else constant_like(place, slope) * place
    moved = moved + constant_like(place, xp.where(inside, there - slope * array, 0).astype(array.dtype))
    return where(constant_like(place, inside), moved, constant_like(place, there))
