"""Interpolation and sampling against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from tests.parity.compare import compare, refused

F = "nn.functional."
draw = np.random.default_rng(51)


def normal(*shape):
    return draw.standard_normal(shape)


x1, x2, x3 = normal(2, 3, 7), normal(2, 2, 5, 6), normal(1, 2, 3, 4, 5)

SIZES = [
    (x1, {"size": 10}), (x1, {"size": (3,)}), (x1, {"size": 1}), (x1, {"size": 7}), (x1, {"scale_factor": 2}),
    (x1, {"scale_factor": 1.7}), (x1, {"scale_factor": [0.6]}), (x1, {"scale_factor": 1.7, "recompute_scale_factor": True}),
    (x2, {"size": (10, 12)}), (x2, {"size": (7, 3)}), (x2, {"size": [5, 9]}), (x2, {"scale_factor": 2.0}), (x2, {"scale_factor": 3}),
    (x2, {"scale_factor": (1.3, 0.5)}), (x2, {"scale_factor": (2.5, 0.7), "recompute_scale_factor": True}),
    (x2[:0], {"size": 4}), (x3, {"size": (4, 3, 7)}), (x3, {"scale_factor": 2}), (x3, {"scale_factor": (0.7, 1.5, 1.0)}),
]  # fmt: skip


@pytest.mark.parametrize("x, size", SIZES)
def test_interpolation(x, size):
    smooth = {3: ["linear"], 4: ["bilinear", "bicubic"], 5: ["trilinear"]}[x.ndim]
    for mode in ("nearest", "nearest-exact", "area"):
        compare(F + "interpolate", x, mode=mode, **size)
    for mode in smooth:
        for align_corners in (None, True, False):
            compare(F + "interpolate", x, mode=mode, align_corners=align_corners, **size)
        compare(F + "interpolate", x, mode=mode, dtype="float32", order=1, **size)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("x, size", [s for s in SIZES if s[0].ndim == 4])
def test_antialias(x, size, mode):
    for align_corners in (None, False) if mode == "lanczos" else (None, True):
        compare(F + "interpolate", x, mode=mode, antialias=True, align_corners=align_corners, order=1, **size)


def test_large_images():
    compare(F + "interpolate", normal(1, 2, 150, 90), size=(300, 70), mode="bilinear", order=1)
    compare(F + "interpolate", normal(1, 1, 90, 150), scale_factor=(0.31, 2.7), mode="bicubic", order=1)
    for size in (97, 200, 255):
        compare(F + "interpolate", np.arange(100.0).reshape(1, 1, 100), size=size, mode="nearest", dtype="float32", order=0)
        compare(F + "interpolate", np.arange(100.0).reshape(1, 1, 100), size=size, mode="nearest-exact", dtype="float32", order=0)


def test_other_names_and_dtypes():
    compare(F + "interpolate", np.arange(12, dtype=np.uint8).reshape(1, 1, 3, 4), 5, order=0)
    compare(F + "interpolate", x2, size=(7, 3), mode="bilinear", dtype="float16", order=1, rtol=5e-3, atol=5e-3)
    with pytest.warns(UserWarning, match="deprecated"):
        compare(F + "upsample", x2, None, 2)
        compare(F + "upsample", x2, (4, 4), mode="bilinear", align_corners=True)
        compare(F + "upsample_nearest", x2, scale_factor=2)
        compare(F + "upsample_bilinear", x2, size=(4, 7))


def places(*shape):
    """Points inside and outside, none halfway between two elements or on an edge."""
    return draw.uniform(-1.7, 1.7, shape)


GRIDS = [
    (x2, places(2, 4, 3, 2)),
    (x2, places(2, 1, 7, 2)),
    (x2[:, :, :1], places(2, 3, 3, 2)),
    (x3, places(1, 2, 3, 4, 3)),
    (x2[:0], places(0, 2, 2, 2)),
]


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("x, grid", GRIDS)
def test_grid_sample(x, grid, mode, padding_mode, align_corners):
    if x.ndim == 5 and mode == "bicubic":
        refused(F + "grid_sample", x, grid, mode, padding_mode, align_corners)
        return
    order = 2 if x.ndim == 4 and mode == "bilinear" else 1
    compare(F + "grid_sample", x, grid, mode, padding_mode, align_corners, order=order)
    compare(F + "grid_sample", x, grid, mode=mode, padding_mode=padding_mode, align_corners=align_corners, dtype="float32", order=0)


@pytest.mark.parametrize("padding_mode", ["zeros", "border", "reflection"])
def test_places_on_the_edges(padding_mode):
    edge = np.array([-1, -0.5, 0.0, 0.5, 1.0])
    grid = np.stack(np.meshgrid(edge, edge), axis=-1)[None]
    for align_corners in (True, False):
        compare(F + "grid_sample", normal(1, 2, 5, 5), grid, "bilinear", padding_mode, align_corners, order=1)
        compare(F + "grid_sample", normal(1, 2, 5, 5), grid, "nearest", padding_mode, align_corners, order=1)
        compare(F + "grid_sample", normal(1, 2, 5, 5), np.where(grid < 0, -np.inf, np.inf), "bilinear", padding_mode, align_corners, order=0)
        compare(F + "grid_sample", normal(1, 2, 5, 5), np.full_like(grid, np.nan), "bilinear", padding_mode, align_corners, order=0)


def test_affine_grid():
    for align_corners in (True, False):
        compare(F + "affine_grid", normal(2, 2, 3), (2, 1, 4, 5), align_corners)
        compare(F + "affine_grid", normal(2, 2, 3), [2, 3, 2, 5], align_corners, dtype="float32")
        compare(F + "affine_grid", normal(2, 3, 4), (2, 1, 3, 2, 4), align_corners)


image, grid = np.ones((1, 1, 3, 4)), np.zeros((1, 2, 2, 2))
REFUSED = [
    ("interpolate", (image,), {}),
    ("interpolate", (image, 2, 2), {}),
    ("interpolate", (image, (2,)), {}),
    ("interpolate", (image, None, (2,)), {}),
    ("interpolate", (image, 0), {}),
    ("interpolate", (image, None, 0.1), {}),
    ("interpolate", (image, None, -1.0), {}),
    ("interpolate", (image, 2.5), {}),
    ("interpolate", (image, 4), {"recompute_scale_factor": True}),
    ("interpolate", (image, 4), {"align_corners": True}),
    ("interpolate", (image, 4), {"align_corners": False, "mode": "area"}),
    ("interpolate", (image, 4), {"mode": "linear"}),
    ("interpolate", (image, 4), {"mode": "trilinear"}),
    ("interpolate", (image[0], 4), {"mode": "bilinear"}),
    ("interpolate", (image[0, 0], 4), {}),
    ("interpolate", (image, 4), {"mode": "cubic"}),
    ("interpolate", (image, 4), {"mode": "lanczos"}),
    ("interpolate", (image, 4), {"mode": "lanczos", "antialias": True, "align_corners": True}),
    ("interpolate", (image, 4), {"antialias": True}),
    ("interpolate", (image.astype(np.int64), 4), {}),
    ("interpolate", (image.astype(np.int64), 4), {"mode": "bilinear"}),
    ("interpolate", (image[:, :0], 4), {}),
    ("interpolate", (image[:, :, :0], 4), {}),
    ("grid_sample", (image, np.zeros((2, 2, 2, 2))), {}),
    ("grid_sample", (image, np.zeros((1, 2, 2, 3))), {}),
    ("grid_sample", (image, grid.astype(np.float32)), {}),
    ("grid_sample", (image.astype(np.int64), grid.astype(np.int64)), {}),
    ("grid_sample", (image, grid), {"mode": "cubic"}),
    ("grid_sample", (image, grid), {"padding_mode": "circular"}),
    ("grid_sample", (image[0], grid), {}),
    ("grid_sample", (image[:, :, :0], grid), {}),
    ("affine_grid", (np.ones((1, 2, 3)), (2, 1, 2, 3)), {}),
    ("affine_grid", (np.ones((2, 3)), (1, 1, 2, 3)), {}),
    ("affine_grid", (np.ones((1, 3, 4)), (1, 1, 2, 3)), {}),
    ("affine_grid", (np.ones((1, 2, 3)), (1, 1, 0, 3)), {}),
    ("affine_grid", (np.ones((1, 2, 3)), (1, 1, 2)), {}),
    ("affine_grid", (np.ones((1, 2, 3), np.int64), (1, 1, 2, 3)), {}),
]


@pytest.mark.parametrize("shape", [(3,), (3, 4), (3, 4, 5)])
@pytest.mark.parametrize("factor", [1.3, 2.3])
def test_nearest_by_a_factor_that_does_not_change_the_rounded_size(shape, factor):
    """Of an image it is as if nothing had been asked; else places go by the factor, which PyTorch's gradient forgets."""
    compare(F + "interpolate", normal(2, 2, *shape), scale_factor=factor, order=0)


@pytest.mark.filterwarnings("ignore:Default grid_sample", "ignore:Default affine_grid")
@pytest.mark.parametrize("name, args, options", REFUSED)
def test_refused(name, args, options):
    refused(F + name, *args, **options)


@pytest.mark.parametrize("antialias", [False, True])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_images_of_bytes_agree_to_the_last_bit(mode, antialias):
    image = np.random.default_rng(0).integers(0, 256, (1, 2, 9, 7)).astype(np.uint8)
    for size in ((5, 12), (20, 3)):
        compare(F + "interpolate", image, size, mode=mode, antialias=antialias, order=0)
