"""Samples for cumulative sums, products and extremes."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(12)
x = draw.standard_normal((3, 5, 2))


def running(name):
    def reference(x, axis, reverse):
        x = np.flip(x, axis) if reverse else x
        out = getattr(np, name)(x, axis=axis)
        return np.flip(out, axis) if reverse else out

    return reference


def recurrence(a, b, axis, reverse):
    h, previous = np.zeros(b.shape), 0.0
    a, b, rows = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0), np.moveaxis(h, axis, 0)
    for t in range(len(b))[:: -1 if reverse else 1]:
        previous = rows[t] = a[t] * previous + b[t]
    return h


zeros = x.copy()
zeros[0, 1] = zeros[1, 1, 0] = zeros[1, 3, 0] = 0
for axis in (0, 1, 2):
    for reverse in (False, True):
        sample("cumsum", x, axis, reverse, reference=running("cumsum"))
        sample("cumprod", x, axis, reverse, reference=running("cumprod"))
        sample("cumprod", zeros, axis, reverse, reference=running("cumprod"))
        sample("recurrence", x, draw.standard_normal(x.shape), axis, reverse, reference=recurrence)

for axis in (0, 1, 2):
    sample("logcumsumexp", x, axis, reference=lambda x, axis: np.logaddexp.accumulate(x, axis=axis))


def place_so_far(x, axis, name):
    rows = np.moveaxis(x, axis, 0)
    keep = {"maximum": np.greater_equal, "minimum": np.less_equal}[name]
    out = np.zeros(rows.shape, np.int64)
    for t in range(1, len(rows)):
        out[t] = np.where(keep(rows[t], np.take_along_axis(rows, out[t - 1 : t], 0)[0]), t, out[t - 1])
    return np.moveaxis(out, 0, axis)


for name in ("maximum", "minimum"):
    sample("place_so_far", np.round(x), 1, name, reference=place_so_far)
