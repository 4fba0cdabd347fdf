"""Samples for factorizations, linear systems, matrix functions and distances."""

import numpy as np

from tests.check_op import sample

draw = np.random.default_rng(8)


def normal(*shape):
    return draw.standard_normal(shape)


def regular(*shape):
    """Well-conditioned matrices."""
    return normal(*shape) + 3 * np.eye(shape[-2], shape[-1])


def symmetric(*shape):
    x = regular(*shape)
    return x + x.swapaxes(-1, -2)


def definite(*shape):
    x = regular(*shape)
    return x @ x.swapaxes(-1, -2)


# Functions that read only one triangle of a symmetric matrix are not differentiable in all directions;
# tests/test_linalg.py tests their derivatives.
sample("cholesky", definite(2, 3, 3), reference=np.linalg.cholesky, order=0, differentiable=())
sample("eigh", symmetric(2, 3, 3), "U", reference=np.linalg.eigh, order=0, differentiable=())


def triangular_by_numpy(x, y, upper, unit):
    x = np.triu(x) if upper else np.tril(x)
    if unit:
        x = x * (1 - np.eye(x.shape[-1])) + np.eye(x.shape[-1])
    return np.linalg.solve(x, y)


for upper in (False, True):
    for unit in (False, True):
        sample("solve_triangular", regular(3, 3), normal(3, 2), upper, unit, reference=triangular_by_numpy)
sample("solve_triangular", regular(2, 3, 3), normal(3, 1), True, False, reference=triangular_by_numpy)
sample("solve_triangular", 9 * regular(70, 70), normal(70, 2), False, False, reference=triangular_by_numpy, order=1)
sample("solve_triangular", normal(70, 70) / 70, normal(70, 2), True, True, reference=triangular_by_numpy, order=1)

sample("qr", regular(3, 3), "reduced", reference=np.linalg.qr)
sample("qr", regular(2, 4, 2), "reduced", reference=np.linalg.qr)
sample("svd", regular(3, 3) * [1, 2, 4], False, reference=np.linalg.svd)
sample("svd", regular(4, 2) * [1, 2], False, reference=np.linalg.svd)
sample("svd", regular(2, 2, 4) * [[1], [2]], False, reference=np.linalg.svd)


sample("lu_factor", np.diag([5.0, 4, 3]) + normal(3, 3) / 4, reference=None)
sample("lu_factor", (np.diag([5.0, 4, 3]) + normal(2, 3, 3) / 4)[:, [2, 0, 1]], reference=None)
sample("inv", regular(2, 3, 3), True, reference=lambda x, strict: np.linalg.inv(x))
sample("solve", regular(3, 3), normal(3, 2), True, reference=lambda x, y, strict: np.linalg.solve(x, y))
sample("solve", regular(2, 1, 3, 3), normal(4, 3, 1), True, reference=lambda x, y, strict: np.linalg.solve(x, y))
sample("pinv", regular(3, 2), None, None, reference=lambda x, atol, rtol: np.linalg.pinv(x))
sample("pinv", regular(2, 2, 3), None, None, reference=lambda x, atol, rtol: np.linalg.pinv(x))
sample("pinv", regular(3, 3), None, None, reference=lambda x, atol, rtol: np.linalg.pinv(x))

sample("det", regular(2, 3, 3), reference=np.linalg.det)
sample("det", regular(1, 1), reference=np.linalg.det)
sample("slogdet", regular(2, 3, 3), reference=np.linalg.slogdet)


def exp_by_series(x):
    term = out = np.eye(x.shape[-1])
    for k in range(1, 60):
        term = term @ x / k
        out = out + term
    return out


sample("matrix_exp", normal(3, 3), reference=exp_by_series)
sample("matrix_exp", 4 * normal(2, 3, 3), reference=exp_by_series, order=2)


def distances(x, y, by_product):
    return np.linalg.norm(x[..., :, None, :] - y[..., None, :, :], axis=-1)


sample("euclidean", normal(4, 3), normal(5, 3), False, reference=distances)
sample("euclidean", normal(2, 1, 4, 3), normal(3, 2, 3), True, reference=distances)
