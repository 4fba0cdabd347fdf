"""Image resizing by interpolation, one dim after another."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays import Array, float64, namespace_of, uint8
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.kernels.interpolation import fixed_point, nearest_places, weights_of
from tinygrad_lite.arrays.kernels.windows import Windows
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import getitem, to_dtype
from tinygrad_lite.ops.math.clamping import clamp
from tinygrad_lite.ops.math.rounding import floor
from tinygrad_lite.ops.movement.copying import unshared
from tinygrad_lite.ops.nn.adaptive_pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from tinygrad_lite.ops.nn.pooling import _spread
from tinygrad_lite.ops.nn.sliding_windows import _weighted_sums
from tinygrad_lite.ops.typing import Tensor

# For each mode, the numbers of spatial dims it supports.
NEAREST = {"nearest": (1, 2, 3), "nearest-exact": (1, 2, 3)}
SMOOTH = {"linear": (1,), "bilinear": (2,), "trilinear": (3,), "bicubic": (2,), "lanczos": (2,)}
MODES = {**NEAREST, "area": (1, 2, 3), **SMOOTH}


def _nearest(x: Any, places: list[tuple[Array, int]]) -> Any:
    """The elements of x (N, C, *size) at the given positions in each spatial dim."""
    size, times = tuple(x.shape[2:]), tuple(k for _, k in places)
    if all(times):
        # Adjacent windows: their gradient takes a tenth of the time of that of `expand`.
        count = tuple(n * k for n, k in zip(size, times))
        w = Windows(count, times, times, (1,) * len(size), (0,) * len(size), size)
        return _spread(x, w)
    for d, (p, _) in enumerate(places, 2):
        x = getitem(x, (*(slice(None),) * d, namespace_of(raw(x)).asarray(p)))
    return x


def _sizes(x: Any, size: Any, scale_factor: Any, recompute: bool | None) -> tuple[list[int], list[float | None]]:
    """The spatial size of the result, and the requested scale factors, if given."""
    rank, spatial = len(x.shape) - 2, x.shape[2:]
    if (size is None) == (scale_factor is None):
        raise BadValue(argument="scale_factor", expected="either size or scale_factor", got=f"{size} and {scale_factor}")
    given = size if scale_factor is None else scale_factor
    values = list(given) if isinstance(given, (tuple, list)) else [given] * rank
    if len(values) != rank:
        expected = f"one number or {rank} of them for an input {tuple(x.shape)}"
        raise BadValue(expected=expected, got=given)
    if scale_factor is None:
        if recompute:
            raise BadValue("recompute_scale_factor has no meaning with a size")
        if any(isinstance(n, bool) or not hasattr(n, "__index__") for n in values):
            raise BadType(argument="size", expected="ints", got=size)
        return [n.__index__() for n in values], [None] * rank
    if any(not isinstance(f, (int, float)) for f in values):
        raise BadType(argument="scale_factor", expected="numbers", got=scale_factor)
    return [math.floor(n * f) for n, f in zip(spatial, values)], [None if recompute else float(f) for f in values]


@operation
def interpolate(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Tensor:  # fmt: skip
    """`input` (N, C, L), (N, C, H, W) or (N, C, D, H, W) resized to `size`, or by `scale_factor`.

    `mode`: "nearest" (by the elements' corners), "nearest-exact" (by their centres), "area" (means), "linear", "bilinear",
    "trilinear", "bicubic" or, with `antialias`, "lanczos". `align_corners`: align the centres, not the edges, of the first
    and last elements. `recompute_scale_factor`: use the factor given by the rounded size. `antialias`: when shrinking,
    average over all elements around each result.

    >>> import tinygrad_lite as tg
    >>> tg.nn.functional.interpolate(tg.tensor([[[0.0, 4.0]]]), size=4, mode="linear")
    tensor([[[0., 1., 3., 4.]]])
    """
    shape = tuple(input.shape)
    rank = len(shape) - 2
    if mode not in MODES or rank not in MODES[mode]:
        raise BadValue(argument="input", expected="an input of 3 to 5 dims and a mode for it", got=f"{shape} and {mode!r}")
    count, factors = _sizes(input, size, scale_factor, recompute_scale_factor)
    if (align_corners is not None and mode not in SMOOTH) or (align_corners and mode == "lanczos"):
        raise BadValue(f"mode {mode!r} takes no align_corners")
    if (antialias and mode not in ("bilinear", "bicubic", "lanczos")) or (mode == "lanczos" and not antialias):
        raise BadValue(f"antialias goes with the modes 'bilinear', 'bicubic' and 'lanczos' only, got {mode!r}", got=repr(mode))
    if 0 in shape[1:] or min(count) < 1:
        raise BadValue(f"sizes must be at least 1, got an input {shape} and the size {tuple(count)}")
    of_bytes = input.dtype == uint8 and rank == 2 and mode != "area"
    if input.dtype.kind != "f" and not (of_bytes or (input.dtype == uint8 and mode in NEAREST)):
        raise BadType(expected="a floating-point tensor (or an image of uint8)", got=input.dtype)
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[rank - 1](input, tuple(count))
    if mode in NEAREST:
        return _nearest(input, [nearest_places(mode, rank, n, m, f) for n, m, f in zip(shape[2:], count, factors)])
    kind = {"bicubic": "cubic", "lanczos": "lanczos"}.get(mode, "linear")
    dims = list(enumerate(zip(shape[2:], count, factors), 2))
    given, input = input, to_dtype(input, float64) if of_bytes else input
    for d, (n, m, factor) in reversed(dims) if of_bytes else dims:
        step = (n - 1) / max(m - 1, 1) if align_corners else 1 / factor if factor else n / m
        matrix = weights_of(n, m, step, kind, bool(align_corners), antialias)
        if matrix is not None:
            input = _rounded(_weighted_sums(input, fixed_point(matrix), d)) if of_bytes else _weighted_sums(input, matrix, d)
    return to_dtype(input, uint8) if of_bytes else unshared(input, given)


def _rounded(x: Any) -> Any:
    """Sums converted to bytes, rounding half up."""
    return clamp(floor(x + 0.5), 0, 255)


@operation
def upsample(input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None) -> Tensor:
    """`interpolate` under its older name.

    >>> import tinygrad_lite as tg
    >>> upsample(tg.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    """
    return interpolate(input, size, scale_factor, mode, align_corners)


@operation
def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` with the nearest element.

    >>> import tinygrad_lite as tg
    >>> upsample_nearest(tg.tensor([[[1.0, 2.0]]]), size=6)
    tensor([[[1., 1., 1., 2., 2., 2.]]])
    """
    return interpolate(input, size, scale_factor)


@operation
def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """Bilinear `interpolate` with aligned corners.

    >>> import tinygrad_lite as tg
    >>> upsample_bilinear(tg.tensor([[[[0.0, 2.0], [4.0, 6.0]]]]), size=(3, 3))
    tensor([[[[0., 1., 2.],
              [2., 3., 4.],
              [4., 5., 6.]]]])
    """
    return interpolate(input, size, scale_factor, "bilinear", True)
