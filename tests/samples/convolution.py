"""Samples for convolution, pooling, folding and interpolation."""

import itertools

import numpy as np

from tests.check_op import sample
from tinygrad_lite.arrays.kernels.windows import Windows

draw = np.random.default_rng(15)


def normal(*shape):
    return draw.standard_normal(shape)


def meetings(w):
    """Each window and tap, and the element inside the image under it."""
    for window in itertools.product(*map(range, w.count)):
        for tap in itertools.product(*map(range, w.kernel)):
            place = tuple(o * s + t * d - b for o, t, s, d, b in zip(window, tap, w.stride, w.dilation, w.before))
            if all(0 <= p < n for p, n in zip(place, w.size)):
                yield window, tap, place


def grouped(weight, groups):
    """The weight of one group as that of all channels: zeros between groups."""
    out = np.zeros((len(weight), weight.shape[1] * groups, *weight.shape[2:]))
    share = len(weight) // groups
    for g in range(groups):
        out[g * share : (g + 1) * share, g * weight.shape[1] : (g + 1) * weight.shape[1]] = weight[g * share : (g + 1) * share]
    return out


def convolution(x, weight, bias, w, groups):
    weight = grouped(weight, groups)
    out = np.zeros((len(x), len(weight), *w.count))
    for window, tap, place in meetings(w):
        out[(..., *window)] += x[(..., *place)] @ weight[(..., *tap)].T
    return out if bias is None else out + bias.reshape(-1, *[1] * len(w.count))


def convolution_input(y, weight, w, groups):
    weight = grouped(weight, groups)
    out = np.zeros((len(y), weight.shape[1], *w.size))
    for window, tap, place in meetings(w):
        out[(..., *place)] += y[(..., *window)] @ weight[(..., *tap)]
    return out


def convolution_weight(y, x, w, groups):
    out = np.zeros((y.shape[1], x.shape[1], *w.kernel))
    for window, tap, place in meetings(w):
        out[(..., *tap)] += y[(..., *window)].T @ x[(..., *place)]
    out = out.reshape(groups, y.shape[1] // groups, groups, x.shape[1] // groups, *w.kernel)
    return np.concatenate([out[g, :, g] for g in range(groups)])


for w, groups in [
    (Windows((5,), (3,), (1,), (1,), (1,), (5,)), 1),
    (Windows((4, 5), (3, 2), (1, 1), (1, 2), (1, 0), (4, 3)), 2),
    (Windows((5, 6), (2, 3), (2, 3), (2, 1), (1, 2), (2, 3)), 1),
    (Windows((3, 2, 4), (2, 1, 3), (1, 1, 2), (1, 1, 1), (0, 0, 1), (2, 2, 2)), 1),
    (Windows((3, 3), (2, 2), (1, 1), (1, 1), (2, 0), (5, 2)), 1),
]:
    x, weight, y = normal(2, 2 * groups, *w.size), normal(3 * groups, 2, *w.kernel), normal(2, 3 * groups, *w.count)
    sample("convolution", x, weight, normal(3 * groups), w, groups, reference=convolution)
    sample("convolution", x, weight, None, w, groups, reference=convolution, order=1)
    sample("convolution_input", y, weight, w, groups, reference=convolution_input, order=2)
    sample("convolution_weight", y, x, w, groups, reference=convolution_weight, order=2)


def max_pool(x, w):
    out = np.full((*x.shape[:2], *w.count), -np.inf)
    for window, _, place in meetings(w):
        out[(..., *window)] = np.maximum(out[(..., *window)], x[(..., *place)])
    return out


for w in [
    Windows((5,), (2,), (2,), (1,), (0,), (2,)),
    Windows((4, 6), (2, 2), (2, 2), (1, 1), (0, 0), (2, 3)),
    Windows((5, 6), (3, 2), (2, 1), (1, 2), (1, 1), (3, 6)),
    Windows((2, 3, 3), (2, 2, 2), (1, 1, 1), (1, 1, 1), (0, 1, 0), (1, 4, 2)),
]:
    sample("max_pool", draw.permutation(2 * 2 * np.prod(w.size)).reshape(2, 2, *w.size) * 0.1, w, reference=max_pool)


def unpool(y, places, shape, repeated):
    out = np.zeros((*shape[:2], np.prod(shape[2:])))
    for n, c in np.ndindex(*shape[:2]):
        np.add.at(out[n, c], places[n, c].reshape(-1), y[n, c].reshape(-1))
    return out.reshape(shape)


sample("unpool", normal(1, 2, 2), np.array([[[1, 3], [0, 2]]]), (1, 2, 4), False, reference=unpool)
sample("unpool", normal(2, 1, 3), np.array([[[3, 3, 1]], [[0, 2, 0]]]), (2, 1, 4), True, reference=unpool)


def windows_of(x, w):
    out = np.zeros((*x.shape[:2], *w.kernel, *w.count))
    for window, tap, place in meetings(w):
        out[(..., *tap, *window)] = x[(..., *place)]
    return out


def window_sums(x, w):
    return windows_of(x, w).sum(axis=tuple(range(2, 2 + len(w.kernel))))


def spread(y, w):
    ones = np.ones((*w.kernel, *w.count))
    return sum_of_windows(y.reshape(*y.shape[:2], *(1,) * len(w.kernel), *w.count) * ones, w)


def sum_of_windows(y, w):
    out = np.zeros((*y.shape[:2], *w.size))
    for window, tap, place in meetings(w):
        out[(..., *place)] += y[(..., *tap, *window)]
    return out


for w in [
    Windows((4, 5), (3, 2), (1, 2), (1, 1), (1, 0), (4, 2)),
    Windows((5, 5), (2, 2), (2, 1), (1, 2), (0, 1), (2, 5)),
    Windows((4, 5), (2, 2), (2, 2), (1, 1), (0, 0), (2, 2)),
    Windows((5, 3), (3, 2), (1, 1), (1, 1), (1, 1), (5, 4)),
]:
    sample("windows_of", normal(2, 3, *w.size), w, reference=windows_of, order=2)
    sample("window_sums", normal(2, 3, *w.size), w, reference=window_sums, order=2)
    sample("spread", normal(2, 3, *w.count), w, reference=spread, order=2)
    sample("sum_of_windows", normal(2, 3, *w.kernel, *w.count), w, reference=sum_of_windows, order=2)


def weighted_sums(x, matrix, dim):
    return np.moveaxis(np.tensordot(matrix, x, (1, dim)), 0, dim)


band = np.tri(70, 150, 60) * (1 - np.tri(70, 150, 50)) * 0.5
sample("weighted_sums", normal(2, 4, 3), normal(5, 4), 1, reference=weighted_sums, order=2, differentiable=[0])
sample("weighted_sums", normal(2, 150), band, 1, reference=weighted_sums, order=1, differentiable=[0])
sample("jointly", normal(2, 3, 4), normal(2, 5), normal(5, 3), reference=lambda out, x, weight: out)
