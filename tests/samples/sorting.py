"""Samples for sorting."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(14)
x = draw.standard_normal((3, 5, 2))
ties = np.round(x)
many = np.round(draw.standard_normal((3, 900)), 1)  # enough for the sort by integer keys


def order(x, axis, descending, first):
    places = np.argsort(-x if descending else x, axis=axis, kind="stable")
    return places.take(range(x.shape[axis] if first is None else first), axis=axis)


for descending in (False, True):
    sample("order", ties, 1, descending, None, reference=order)
    sample("order", ties, 0, descending, 2, reference=order)
    sample("order", many, 1, descending, 7, reference=order)


def place_of_rank(x, axis, keepdim, rank, skip_nan):
    value = np.sort(x, axis=axis).take([(x.shape[axis] - 1) // 2 if rank is None else rank], axis=axis)
    return np.argmax(x == value, axis=axis, keepdims=keepdim)


sample("place_of_rank", ties, 1, True, None, False, reference=place_of_rank)
sample("place_of_rank", ties, 1, False, 1, False, reference=place_of_rank)
sample("median", x, False, reference=lambda x, skip_nan: np.sort(x, axis=None)[(x.size - 1) // 2])


def place_of_mode(x, axis, keepdim):
    def of_row(row):
        values, counts = np.unique(row, return_counts=True)
        return np.nonzero(row == values[np.argmax(counts)])[0][-1:]

    out = np.apply_along_axis(of_row, axis, x)
    return out if keepdim else out.squeeze(axis)


sample("place_of_mode", ties, 1, True, reference=place_of_mode)
sample("place_of_mode", many, 1, False, reference=place_of_mode)

edges = np.array([-1.0, 0.0, 1.0])
sample("searchsorted", edges, ties, "left", None, reference=np.searchsorted)
sample("searchsorted", edges[::-1].copy(), ties, "right", np.array([2, 1, 0]), reference=np.searchsorted)


def distinct(x, axis, in_place):
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, axis=axis)
    return values, inverse.reshape(x.shape if axis is None else -1), counts


sample("distinct", ties, None, False, reference=distinct, differentiable=[])
sample("distinct", np.round(x[:, 0] / 9), 0, False, reference=distinct, differentiable=[])
