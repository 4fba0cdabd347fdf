"""Linear algebra beyond the harness and the comparison with PyTorch."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_lite as tg
from tinygrad_lite.autograd import gradcheck, gradgradcheck

draw = np.random.default_rng(0)


def regular(*shape):
    return tg.from_numpy(draw.standard_normal(shape) + 3 * np.eye(shape[-2], shape[-1])).requires_grad_()


def projections(w, v):
    return w, (v * tg.sin(w)[..., None, :]) @ v.mT


SYMMETRIC = [
    lambda x: tg.linalg.cholesky(x @ x.mT),
    lambda x: tg.linalg.eigvalsh(x + x.mT),
    lambda x: projections(*tg.linalg.eigh(x + x.mT)),
    lambda x: projections(*tg.linalg.eigh(x + x.mT, UPLO="U")),
    lambda x: tg.linalg.pinv(x + x.mT, hermitian=True),
    lambda x: tg.linalg.cond(x, "fro"),
    lambda x: tg.linalg.cond(x, 1),
]


@pytest.mark.parametrize("function", SYMMETRIC)
def test_derivatives_of_functions_of_symmetric_matrices(function):
    for shape in ((3, 3), (2, 3, 3)):
        assert gradcheck(function, [regular(*shape)])
        assert gradgradcheck(function, [regular(*shape)])


def cofactors(x):
    n = len(x)
    minor = [[np.linalg.det(np.delete(np.delete(x, i, 0), j, 1)) for j in range(n)] for i in range(n)]
    return np.array(minor) * [[(-1) ** (i + j) for j in range(n)] for i in range(n)]


@pytest.mark.parametrize("rank", [3, 2, 1, 0])
def test_the_determinants_derivative_is_the_cofactors_at_any_rank(rank):
    value = draw.standard_normal((3, rank)) @ draw.standard_normal((rank, 3)) + (np.eye(3) if rank == 3 else 0)
    x = tg.from_numpy(value).requires_grad_()
    tg.linalg.det(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), cofactors(value), atol=1e-12)


def test_errors_of_linear_algebra_say_what_is_wrong():
    with pytest.raises(tg.linalg.LinAlgError, match="inv: the matrix is singular"):
        tg.linalg.inv(tg.ones(2, 2))
    with pytest.raises(RuntimeError, match="cholesky: the matrix is not positive-definite"):
        tg.linalg.cholesky(-tg.eye(2))
    with pytest.raises(ValueError, match=r"matmul: inner sizes differ: \(4, 3\) @ \(5, 2\)"):
        tg.ones(4, 3) @ tg.ones(5, 2)
    with pytest.raises(TypeError, match="matmul: both operands must have the same dtype, got float32 and float64"):
        tg.ones(2, 2) @ tg.ones(2, 2).double()
    with pytest.raises(ValueError, match=r"det: expected square matrices, got the shape \(2, 3\)"):
        tg.det(tg.ones(2, 3))
    with pytest.raises(ValueError, match="einsum: dim 'j' has the sizes 3 and 4"):
        tg.einsum("ij,jk", tg.ones(2, 3), tg.ones(4, 2))


def test_arrays_in_arrays_out():
    x = draw.standard_normal((3, 3)) + 3 * np.eye(3)
    for function in (tg.linalg.inv, tg.linalg.det, tg.linalg.svdvals, tg.linalg.eigvalsh, tg.linalg.matrix_rank, tg.matrix_exp,
                     tg.linalg.cond, tg.linalg.norm, tg.linalg.pinv, tg.trace):  # fmt: skip
        assert not isinstance(function(x), tg.Tensor)
    for result in (*tg.linalg.svd(x), *tg.linalg.qr(x), *tg.linalg.lu(x), tg.kron(x, x), tg.cdist(x, x)):
        assert isinstance(result, np.ndarray)


def test_results_have_names():
    x = regular(3, 3)
    assert tg.linalg.svd(x)._fields == ("U", "S", "Vh")
    assert tg.svd(x)._fields == ("U", "S", "V")
    assert tg.linalg.qr(x)._fields == ("Q", "R")
    assert tg.linalg.eigh(x)._fields == ("eigenvalues", "eigenvectors")
    assert tg.linalg.slogdet(x)._fields == ("sign", "logabsdet")
    assert tg.linalg.lu_factor(x)._fields == ("LU", "pivots")
    assert tg.linalg.lstsq(x, x)._fields == ("solution", "residuals", "rank", "singular_values")
    assert tg.linalg.inv_ex(x)._fields == ("inverse", "info")


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_einsum_is_numpys(data):
    sizes = {c: data.draw(st.integers(1, 3)) for c in "abcd"}
    terms = data.draw(st.lists(st.text("abcd", max_size=3), min_size=1, max_size=3))
    letters = sorted(set("".join(terms)))
    out = "".join(data.draw(st.lists(st.sampled_from(letters), unique=True))) if letters else ""
    equation = f"{','.join(terms)}->{out}"
    arrays = [np.asarray(draw.standard_normal([sizes[c] for c in term])) for term in terms]
    inputs = [tg.from_numpy(a).requires_grad_() for a in arrays]
    result = tg.einsum(equation, *inputs)
    np.testing.assert_allclose(result.detach().numpy(), np.einsum(equation, *arrays), atol=1e-12)
    # It is linear in each operand: what the gradient says of one is its whole value.
    gradients = tg.autograd.grad(result.sum(), inputs)
    for x, g in zip(arrays, gradients):
        assert math.isclose(float((x * g.numpy()).sum()), result.sum().item(), rel_tol=1e-9, abs_tol=1e-9)


@given(st.integers(1, 40), st.integers(1, 40))
@settings(deadline=None, max_examples=25)
def test_lu_of_any_shape(rows, columns):
    x = draw.standard_normal((2, rows, columns))
    P, L, U = tg.linalg.lu(tg.from_numpy(x))
    np.testing.assert_allclose((P @ L @ U).numpy(), x, atol=1e-9)
    assert (abs(L.numpy()) <= 1 + 1e-12).all()


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("unit", [False, True])
def test_triangular_systems_without_scipy(upper, unit, monkeypatch):
    x, y = draw.standard_normal((2, 70, 70)) / 70 + np.eye(70), draw.standard_normal((70, 3))
    expected = tg.linalg.solve_triangular(x, y, upper=upper, unitriangular=unit)
    monkeypatch.setattr("tinygrad_lite.arrays.kernels.factorizations._lapack", lambda: None)
    np.testing.assert_allclose(tg.linalg.solve_triangular(x, y, upper=upper, unitriangular=unit), expected, atol=1e-12)
    x[0, 3, 3] = 0
    found = tg.linalg.solve_triangular(x[0, :5, :5], y[:5], upper=upper)
    assert np.isinf(found).any() and not np.isnan(found[4 if upper else 0]).any()


def test_a_gradient_of_the_weight_is_contiguous():
    """The engine takes it as .grad without a copy."""
    x, weight, bias = regular(8, 3), regular(4, 3), regular(4, 4)[0].detach().requires_grad_()
    tg.nn.functional.linear(x, weight, bias).sum().backward()
    for tensor in (x, weight, bias):
        assert tensor.grad.is_contiguous()
