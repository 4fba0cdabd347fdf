"""tg.linalg against torch.linalg: values, gradients, refusals. Eigenvectors, singular vectors and the like are compared
through functions that do not depend on their signs."""

import math

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.parity.compare import accepted_or_refused, compare, refused

draw = np.random.default_rng(0)
FLOATS = (np.float32, np.float64)
BATCHES = ((), (2,), (2, 1))
inf = math.inf


def normal(*shape):
    return draw.standard_normal(shape)


def regular(*shape):
    """Well-conditioned matrices."""
    return normal(*shape) + 3 * np.eye(shape[-2], shape[-1])


def in_both(call, *arrays, **options):
    """Values and first gradients in float32, and in float64 also second ones."""
    compare(call, *arrays, dtype=np.float64, rtol=1e-7, atol=1e-8, **options)
    compare(call, *arrays, dtype=np.float32, order=1, rtol=2e-3, atol=2e-4, **options)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("n", [0, 1, 3, 5])
def test_square(n, batch):
    x = regular(*batch, n, n)
    for name in ("linalg.inv", "linalg.det", "linalg.slogdet", "linalg.pinv", "logdet", "inverse", "det", "pinverse"):
        in_both(name, x)
    in_both(lambda m: lambda x: m.linalg.cholesky(x @ x.mT), x)
    in_both(lambda m: lambda x: m.linalg.cholesky(x @ x.mT, upper=True), x)
    in_both(lambda m: lambda x: m.linalg.cholesky(x @ x.mT + m.triu(x, 1)), x)  # the other triangle is not read
    in_both(lambda m: lambda x: m.cholesky_inverse(m.tril(x)), x)
    in_both(lambda m: lambda x: m.cholesky_inverse(m.triu(x), upper=True), x)
    in_both(lambda m: lambda x: m.linalg.inv_ex(x).inverse, x)
    for power in (-3, -1, 1, 2, 5):
        in_both("linalg.matrix_power", x / 3, n=power)
    compare("linalg.matrix_power", x, n=0, order=0)
    in_both("matrix_exp", x)
    in_both("matrix_exp", x / 50)


@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize("columns", [1, 3])
def test_systems(columns, batch):
    x, y = regular(*batch, 4, 4), normal(*batch, 4, columns)
    in_both("linalg.solve", x, y)
    in_both("linalg.solve", x, y.swapaxes(-1, -2).copy(), left=False)
    in_both(lambda m: lambda x, y: m.linalg.solve_ex(x, y).result, x, y)
    in_both(lambda m: lambda x, y: m.cholesky_solve(y, m.tril(x)), x, y)
    in_both(lambda m: lambda x, y: m.cholesky_solve(y, m.triu(x), upper=True), x, y)
    for upper in (False, True):
        for unit in (False, True):
            in_both("linalg.solve_triangular", x, y, upper=upper, unitriangular=unit)
            in_both("linalg.solve_triangular", x, y.swapaxes(-1, -2).copy(), upper=upper, unitriangular=unit, left=False)
    for adjoint in (False, True):
        in_both(lambda m, a=adjoint: lambda x, y: m.linalg.lu_solve(*m.linalg.lu_factor(x), y, adjoint=a), x, y)
        in_both(lambda m, a=adjoint: lambda x, y: m.linalg.lu_solve(*m.linalg.lu_factor(x), y.mT, left=False, adjoint=a), x, y)


@pytest.mark.filterwarnings("ignore:torch.lu_solve")
def test_systems_broadcast():
    in_both(lambda m: lambda x, y: m.lu_solve(y, *m.linalg.lu_factor(x)), regular(3, 3), normal(3, 2))
    in_both(lambda m: lambda x, y: y.lu_solve(*m.linalg.lu_factor(x)), regular(3, 3), normal(3, 2))
    in_both("linalg.solve", regular(3, 3), normal(2, 3, 2))
    in_both("linalg.solve", regular(2, 3, 3), normal(3, 1))
    in_both("linalg.solve", regular(2, 3, 3), normal(3))
    in_both("linalg.solve", regular(2, 3, 3), normal(2, 3))
    in_both("linalg.solve", regular(3, 3), normal(3))
    in_both("linalg.solve_triangular", regular(3, 3), normal(2, 3, 2), upper=True)
    in_both("linalg.solve_triangular", regular(2, 3, 3), normal(3, 2), upper=False)
    in_both("linalg.solve_triangular", regular(0, 0), normal(0, 2), upper=False)
    compare("linalg.solve_triangular", 20 * regular(130, 130), normal(130, 2), upper=True, order=1)
    compare("linalg.solve_triangular", np.diag([1.0, 0, 2]), np.ones((3, 1)), upper=True, order=0)


@pytest.mark.filterwarnings("ignore:torch.qr")
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 3), (2, 4, 2), (1, 2, 4), (1, 1)])
def test_qr_and_lu(shape):
    x = regular(*shape)

    def upright(m, q, r):  # the diagonal of R made positive
        sign = m.sign(m.diagonal(r, 0, -2, -1))
        return q * sign[..., None, :], r * sign[..., :, None]

    in_both(lambda m: lambda x: upright(m, *m.linalg.qr(x)), x)
    in_both(lambda m: lambda x: m.linalg.qr(x)[0] @ m.linalg.qr(x)[1], x)
    compare(lambda m: lambda x: tuple(t.shape for t in m.linalg.qr(x, "complete")), x, order=0)
    compare(lambda m: lambda x: abs(m.linalg.qr(x, mode="r").R), x, order=0)
    if shape[-2] <= shape[-1]:
        in_both(lambda m: lambda x: upright(m, *m.linalg.qr(x, mode="complete")), x)
        in_both(lambda m: lambda x: upright(m, *m.qr(x, some=False)), x)
    mixed = np.flip(x, -2) + 0.1
    in_both("linalg.lu_factor", mixed)
    in_both("linalg.lu", mixed)
    in_both(lambda m: lambda x: m.lu_unpack(*m.linalg.lu_factor_ex(x)[:2]), mixed)


def test_lu_of_larger_matrices():
    compare("linalg.lu_factor", normal(70, 70), order=1, rtol=1e-6, atol=1e-6)
    compare("linalg.lu_factor", normal(40, 70), order=0, rtol=1e-6, atol=1e-6)
    compare("linalg.lu", normal(2, 70, 40), order=0, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("batch", BATCHES)
def test_eigh(batch):
    x = regular(*batch, 4, 4)
    weights = np.arange(4.0)

    def of_projections(m, w, v):
        return (v * m.sin(w)[..., None, :]) @ v.mT, (v * v) @ m.tensor(weights, dtype=w.dtype)

    for UPLO in ("L", "U"):
        in_both(lambda m, s=UPLO: lambda x: m.linalg.eigh(x + x.mT, UPLO=s)[0], x)
        in_both(lambda m, s=UPLO: lambda x: m.linalg.eigvalsh(x + x.mT, UPLO=s), x)
        in_both(lambda m, s=UPLO: lambda x: of_projections(m, *m.linalg.eigh(x + x.mT, UPLO=s)), x)
    in_both("linalg.eigvalsh", x)  # reads one triangle; the gradient is symmetric
    in_both(lambda m: lambda x: abs(m.linalg.eigh(x).eigenvectors), x)


def test_repeated_eigenvalues():
    compare("linalg.eigvalsh", np.eye(3), order=1)
    compare(lambda m: lambda x: m.linalg.eigh(x).eigenvalues.sum(), np.eye(3), order=1)
    compare(lambda m: lambda x: m.linalg.svdvals(x).sum(), np.eye(3), order=1)
    compare("linalg.matrix_norm", np.diag([1.0, 1.0, 0.5]), ord="nuc", order=1)


@pytest.mark.filterwarnings("ignore:torch.svd")
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (2, 3, 3), (2, 4, 2), (1, 2, 4), (1, 1)])
def test_svd(shape):
    x = regular(*shape) * np.arange(1, shape[-1] + 1)

    def of_projections(m, u, s, vh):
        s = s[..., None, :]
        return (u * m.sin(s)) @ vh, (u * s) @ u.mT, (vh.mT * m.cos(s)) @ vh

    in_both(lambda m: lambda x: m.linalg.svd(x, full_matrices=False).S, x)
    in_both("linalg.svdvals", x)
    in_both(lambda m: lambda x: of_projections(m, *m.linalg.svd(x, full_matrices=False)), x)
    in_both(lambda m: lambda x: abs(m.linalg.svd(x, False)[0]), x)
    in_both(lambda m: lambda x: abs(m.linalg.svd(x, False)[2]), x)
    in_both(lambda m: lambda x: m.svd(x)[1], x)
    in_both(lambda m: lambda x: of_projections(m, *m.svd(x)[:2], m.svd(x).V.mT), x)
    for options in ({"some": False}, {"compute_uv": False}, {}):
        compare(lambda m, o=options: lambda x: tuple(t.shape for t in m.svd(x, **o)), x, order=0)
    compare(lambda m: lambda x: tuple(t.shape for t in m.linalg.svd(x)), x, order=0)
    k = min(shape[-2:])
    in_both(lambda m: lambda x: abs(m.linalg.svd(x)[0][..., :k]), x)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (0, 2, 2)])
def test_empty(shape):
    x = np.zeros(shape)
    for name in ("linalg.svdvals", "linalg.pinv", "linalg.matrix_rank"):
        compare(name, x, order=0)
    for name in ("linalg.svd", "linalg.qr"):
        compare(lambda m, n=name: lambda x: tuple(t.shape for t in getattr(m.linalg, n.split(".")[1])(x)), x, order=0)
    if shape[-1] == shape[-2]:
        for name in ("eigh", "eigvalsh", "cholesky", "lu_factor", "matrix_exp", "det", "inv"):
            compare(f"linalg.{name}", x, order=0)


@pytest.mark.parametrize("shape", [(4, 2), (2, 4), (3, 3), (2, 4, 2)])
def test_pseudo_inverse_and_least_squares(shape):
    x = regular(*shape)
    in_both("linalg.pinv", x)
    compare("linalg.pinv", x, rtol=0.5, order=0)
    compare("linalg.pinv", x, atol=1.5, order=0)
    compare("linalg.pinv", x, rcond=0.1, order=0)
    in_both(lambda m: lambda x: m.linalg.pinv(x @ x.mT + m.eye(shape[-2], dtype=x.dtype), hermitian=True), x)
    for options in ({}, {"driver": "gels"}, {"driver": "gelsd"}, {"driver": "gelss"}):
        compare("linalg.lstsq", x, normal(*shape[:-1], 2), order=0, **options)
    in_both(lambda m: lambda x, y: m.linalg.lstsq(x, y).solution, x, normal(*shape[:-1], 2))
    in_both(lambda m: lambda x, y: m.linalg.lstsq(x, y).solution, x, normal(*shape[:-1]))
    flat = normal(4, 1) @ normal(1, 3)
    compare("linalg.pinv", flat, order=0)
    compare(lambda m: lambda x, y: m.linalg.lstsq(x, y)[::2], flat, normal(4, 2), order=0)


def test_rank():
    flat = normal(4, 1) @ normal(1, 4)
    for options in ({}, {"tol": 0.1}, {"atol": 0.5}, {"rtol": 0.9}, {"atol": 0.1, "rtol": 0.2}):
        compare("linalg.matrix_rank", np.stack([flat, regular(4, 4)]), order=0, **options)
    compare("linalg.matrix_rank", flat + flat.T, hermitian=True, order=0)
    compare("linalg.matrix_rank", normal(2, 5), order=0)


def test_tensors():
    in_both("linalg.tensorinv", regular(6, 6).reshape(2, 3, 6), ind=2)
    in_both("linalg.tensorinv", regular(6, 6).reshape(6, 3, 2), ind=1)
    in_both("linalg.tensorsolve", regular(6, 6).reshape(2, 3, 6), normal(2, 3))
    in_both("linalg.tensorsolve", regular(6, 6).reshape(2, 3, 3, 2), normal(2, 3))
    in_both("linalg.tensorsolve", regular(6, 6).reshape(3, 2, 2, 3), normal(2, 3), dims=(0, 1))
    refused("linalg.tensorinv", regular(6, 6), ind=0)
    refused("linalg.tensorinv", normal(2, 3, 6), ind=1)
    refused("linalg.tensorsolve", normal(2, 3, 6), normal(2, 4))


ORDERS = [2, 1, 3, 0.5, 0, inf, -inf, -1, 2.5, 1.5, -2]


@pytest.mark.parametrize("ord", ORDERS)
def test_vector_norm(ord):
    x = draw.uniform(0.5, 2, (3, 4)) * draw.choice([-1, 1], (3, 4))
    order = 1 if ord in (0, inf, -inf, 1) else 2
    for options in ({}, {"dim": 1}, {"dim": (0, 1)}, {"dim": 0, "keepdim": True}, {"keepdim": True}):
        compare("linalg.vector_norm", x, ord, order=order, **options)
    for dtype in FLOATS:
        compare("linalg.vector_norm", x, ord, dim=1, order=order, dtype=dtype, rtol=1e-4, atol=1e-5)
    compare("linalg.vector_norm", x.astype(np.float32), ord, dtype=np.float64, order=1)
    compare("linalg.norm", x, ord, dim=1, order=order)
    if ord not in (0.5, 0, -1, -2):  # PyTorch's are nan there
        compare("linalg.vector_norm", np.array([[0.0, 0, 0], [1, -2, 2], [0, 3, -3]]), ord, dim=1, order=1)


def test_vector_norm_of_nothing():
    compare("linalg.vector_norm", np.zeros((0,)))
    compare("linalg.vector_norm", np.zeros((2, 0)), 1, dim=1)
    compare("linalg.vector_norm", np.zeros((0, 3)), inf, dim=1)
    compare("linalg.vector_norm", np.array(-3.0))
    refused("linalg.vector_norm", np.zeros((0,)), inf)
    refused("linalg.vector_norm", np.zeros((0,)), -1)
    refused("linalg.vector_norm", np.zeros((2,)), "fro")
    refused("linalg.vector_norm", np.array([1, 2]))
    refused("linalg.vector_norm", np.zeros((2,)), dim=1)
    refused("linalg.vector_norm", np.zeros((2, 2)), dim=(0, 0))


@pytest.mark.parametrize("ord", ["fro", "nuc", 2, -2, 1, -1, inf, -inf])
def test_matrix_norm(ord):
    for shape, options in [
        ((3, 4), {}), ((2, 4, 3), {}), ((2, 3, 4), {"dim": (0, 2)}), ((2, 3, 4), {"dim": (2, 0), "keepdim": True}),
        ((3, 3), {}),
    ]:  # fmt: skip
        in_both("linalg.matrix_norm", regular(*shape), ord, **options)
        in_both("linalg.norm", regular(*shape), ord, **{"dim": (-2, -1), **options})
    in_both("linalg.norm", regular(3, 2), ord)
    # For the other norms PyTorch overwrites what its own gradient needs.
    compare("linalg.cond", regular(3, 3), p=ord, order=2 if ord in (2, -2) else 0)
    if ord in (2, -2):
        in_both("linalg.cond", regular(2, 3, 4), p=ord)


def test_norm():
    in_both("linalg.norm", normal(2, 3, 4))
    in_both("linalg.norm", normal(2, 3), dim=(0, 1))
    in_both("linalg.norm", normal(2, 3, 4), dim=(0, 2))
    in_both("linalg.norm", normal(3), 3)
    in_both("linalg.cond", regular(2, 3, 3))
    compare("linalg.cond", np.zeros((2, 2)), 1, order=0)
    compare("linalg.cond", np.ones((2, 2)), "fro", order=0)
    x = normal(2, 3, 4)
    for arguments in ((x, 2), (x[0, 0], "fro"), (x, 2, (0, 1, 2)), (np.array([1, 2]),), (x[0], 3)):
        refused("linalg.norm", *arguments)
    refused("linalg.matrix_norm", normal(2, 3), 3)
    refused("linalg.matrix_norm", normal(2, 3), "x")
    refused("linalg.matrix_norm", normal(3))
    refused("linalg.matrix_norm", normal(2, 3), "fro", 0)
    refused("linalg.matrix_norm", normal(2, 3), "fro", (0, 0))
    refused("linalg.cond", normal(2, 3), "fro")


@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0), (0, 3), (3, 0), (2, 3, 0)])
@pytest.mark.parametrize("ord", ["fro", "nuc", 2, -2, 1, -1, inf, -inf])
def test_norms_of_matrices_without_elements(shape, ord):
    accepted_or_refused("linalg.matrix_norm", np.zeros(shape), ord, order=0)
    accepted_or_refused("linalg.cond", np.zeros(shape), ord, order=0)


@pytest.mark.parametrize("p", [2.0, 1.0, 3.0, 0.5, 0.0, inf, 1.5])
def test_cdist(p):
    for x, y in [
        ((4, 3), (5, 3)), ((2, 4, 3), (5, 3)), ((2, 1, 4, 3), (3, 5, 3)), ((0, 3), (4, 3)), ((4, 0), (2, 0)), ((4, 1), (2, 1)),
    ]:  # fmt: skip
        compare("cdist", normal(*x), normal(*y), p, order=1)
    x = normal(3, 4)
    if p >= 1:
        compare("cdist", x, x, p, order=1)  # zeros on the diagonal


def test_euclidean_distances():
    compare("cdist", normal(30, 3), normal(5, 3), order=1)
    compare("cdist", normal(30, 3).astype(np.float32), normal(28, 3).astype(np.float32), order=1, rtol=1e-4, atol=1e-5)
    for mode in ("use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist"):
        compare("cdist", normal(4, 3), normal(5, 3), compute_mode=mode, order=1)
    for x, y, options in [
        (normal(2, 3), normal(4, 2), {}), (normal(3), normal(3), {}), (normal(2, 3), normal(4, 3), {"p": -1}),
        (normal(2, 3), normal(4, 3).astype("f"), {}), (normal(2, 3), normal(4, 3), {"compute_mode": "x"}),
        (np.ones((2, 3), int), np.ones((2, 3), int), {}),
    ]:  # fmt: skip
        refused("cdist", x, y, **options)


def test_singular_determinants():
    """The derivative of the determinant is the matrix of cofactors, singular or not. PyTorch's is that or
    0, as the rounding of its LAPACK on the processor at hand has it, so only values are compared."""
    x = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]])
    cofactors = [[4.0, 4.0, -4.0], [-2.0, -2.0, 2.0], [0.0, 0.0, 0.0]]
    for singular, slope in ((x, cofactors), (np.zeros((1, 1)), [[1.0]]), (np.zeros((3, 3)), np.zeros((3, 3)))):
        compare("linalg.det", singular, order=0)
        tensor = tg.tensor(singular, requires_grad=True)
        tg.linalg.det(tensor).backward()
        np.testing.assert_allclose(tensor.grad.numpy(), slope, atol=1e-12)
    compare("linalg.slogdet", np.zeros((3, 3)), order=0)
    compare("logdet", np.stack([-np.eye(3), np.eye(3), np.zeros((3, 3))]), order=0)


SQUARE = ("inv", "det", "slogdet", "cholesky", "eigh", "eigvalsh", "inv_ex", "cholesky_ex", "matrix_exp")


@pytest.mark.parametrize("name", SQUARE)
def test_what_is_not_a_square_matrix_is_refused(name):
    refused(f"linalg.{name}", normal(2, 3))
    refused(f"linalg.{name}", normal(3))
    refused(f"linalg.{name}", np.eye(3, dtype=int))


def test_refused():
    refused("linalg.inv", np.ones((2, 2)))
    refused("linalg.inv", np.stack([np.eye(2), np.ones((2, 2))]))
    refused("linalg.cholesky", -np.eye(2))
    for place in ((0, 0), (1, 0), (2, 2)):
        matrix = np.eye(3)
        matrix[place] = np.nan
        refused("linalg.cholesky", matrix)
        refused("linalg.cholesky", np.stack([np.eye(3), matrix]))
    refused("linalg.solve", np.ones((2, 2)), np.ones(2))
    refused("linalg.lu_factor", np.ones((2, 2)))
    refused("linalg.matrix_power", np.ones((2, 2)), -1)
    refused("linalg.matrix_power", normal(2, 3), 2)
    refused("linalg.solve", np.eye(2), normal(3))
    refused("linalg.solve", np.eye(2), normal(2), left=False)
    refused("linalg.solve", np.eye(2), normal(2).astype(np.float32))
    refused("linalg.solve_triangular", np.eye(2), normal(2), upper=True)
    refused("linalg.solve_triangular", np.eye(2), normal(3, 1), upper=True)
    refused("linalg.qr", normal(3, 2), "x")
    refused("linalg.qr", normal(3))
    refused(lambda m: lambda x: m.linalg.qr(x, "complete")[0].sum().backward(), normal(3, 2))
    refused(lambda m: lambda x: m.linalg.qr(x, "r")[1].sum().backward(), normal(3, 2))
    refused("linalg.eigh", np.eye(2), "x")
    refused("linalg.svd", normal(3))
    refused("linalg.pinv", normal(3))
    refused("linalg.lstsq", normal(3, 2), normal(4, 2))
    refused("linalg.lstsq", normal(3, 2), normal(3, 2), driver="x")
    refused("cholesky_solve", normal(2), np.eye(2))
    refused("linalg.cholesky", np.eye(2), dtype=np.float16)


def test_what_went_wrong_as_a_number():
    definite, not_quite, not_at_all = np.eye(2), np.array([[1.0, 2.0], [2.0, 1.0]]), -np.eye(2)
    compare(lambda m: lambda x: m.linalg.cholesky_ex(x).info, np.stack([not_quite, definite, not_at_all]), order=0)
    compare(lambda m: lambda x: m.linalg.cholesky_ex(x).L, definite, order=1)
    compare(lambda m: lambda x: m.linalg.inv_ex(x).info != 0, np.stack([np.ones((2, 2)), np.eye(2)]), order=0)
    compare(lambda m: lambda x: m.linalg.solve_ex(x, x).info != 0, np.stack([np.ones((2, 2)), np.eye(2)]), order=0)
    many = np.stack([np.ones((2, 2)), np.eye(2), np.zeros((2, 2))])
    compare(lambda m: lambda x: m.linalg.lu_factor_ex(x).info, many, order=0)


def test_householder_product():
    for shape, count in (((4, 3), 3), ((4, 3), 1), ((3, 3), 0), ((2, 4, 2), 2), ((0, 3, 2), 2)):
        compare("linalg.householder_product", normal(*shape), normal(*shape[:-2], count), rtol=1e-7)
    compare("orgqr", normal(4, 3), normal(3), rtol=1e-7)
    for shape, tau in (((2, 3), (2,)), ((3, 2), (3,)), ((3,), (1,)), ((2, 3, 2), (2,)), ((3, 2), ())):
        refused("linalg.householder_product", normal(*shape), normal(*tau))
