"""Curvature by Hessian-vector products, and optimizers that use it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.test_optim_lectures import descend, positive, vector
from tinygrad_lite import optim
from tinygrad_lite.optim.curvature import GaussNewton, Hessian, conjugate_gradients, diagonal, hvp, matrix_of, spectrum


def test_newton_solves_a_quadratic_in_one_step():
    """Item 18."""
    for method in (optim.Newton, optim.CGNewton):
        np.testing.assert_allclose(descend(method, 1)[-1], 0, atol=1e-8)


def test_damping():
    a, start = positive().numpy(), vector().detach().numpy()
    for method in (optim.Newton, optim.CGNewton):
        path = descend(lambda p, method=method: method(p, lr=0.5, damping=0.7), 1)
        np.testing.assert_allclose(path[-1], start - 0.5 * np.linalg.solve(a + 0.7 * np.eye(4), a @ start), rtol=1e-8)


def test_newton_on_several_parameters_and_an_unused_one():
    x, y, z = (tg.tensor(v, dtype=tg.float64, requires_grad=True) for v in ([1.0, 2.0], 3.0, [5.0]))
    optimizer = optim.CGNewton([x, y, z])
    optimizer.step(lambda: (x * x).sum() + (y - x[0]) ** 2)
    np.testing.assert_allclose([*x.tolist(), y.item(), z.item()], [0, 0, 0, 5], atol=1e-8)
    with pytest.raises(RuntimeError, match="singular"):
        optim.Newton([x, y, z]).step(lambda: (x * x).sum() + (y - x[0]) ** 2)


def test_cg_goes_on_where_the_curvature_is_negative():
    p = tg.tensor([0.5], dtype=tg.float64, requires_grad=True)
    optimizer = optim.CGNewton([p], lr=0.1)
    optimizer.step(lambda: -(p * p).sum())
    assert p.item() == pytest.approx(0.6)


def test_newton_refuses():
    p = vector()
    for method in (optim.Newton, optim.CGNewton):
        with pytest.raises(ValueError, match="damping"):
            method([p], damping=-1)
        with pytest.raises(ValueError, match="one parameter group"):
            method([{"params": [p]}, {"params": [vector()]}])
    with pytest.raises(ValueError, match="curvature"):
        optim.CGNewton([p], curvature="fisher")


def model(weights, x):
    return tg.tanh(x @ weights[0]) @ weights[1]


def network():
    draw = np.random.default_rng(0)
    weights = [tg.tensor(draw.normal(size=s), requires_grad=True) for s in ((3, 4), (4, 2))]
    return weights, tg.tensor(draw.normal(size=(7, 3))), tg.tensor(draw.normal(size=(7, 2)))


def test_hessian_products():
    weights, x, y = network()
    hessian = Hessian(((model(weights, x) - y) ** 2).sum(), weights)
    whole = hessian.matrix()
    np.testing.assert_allclose(whole, whole.T, atol=1e-10)
    gradient, eps = hessian.gradient, 1e-6
    direction = tg.tensor(np.random.default_rng(1).normal(size=gradient.size)).array
    start = hessian.flat.values()
    hessian.flat.write(start + eps * direction, "test")
    moved = Hessian(((model(weights, x) - y) ** 2).sum(), weights).gradient
    np.testing.assert_allclose((moved - gradient) / eps, whole @ direction, rtol=1e-3)


def test_hvp_is_pytorch_s_shape():
    x = tg.tensor([[1.0, 2.0]], dtype=tg.float64, requires_grad=True)
    (product,) = hvp((x**3).sum(), [x], [tg.tensor([[1.0, 1.0]], dtype=tg.float64)])
    assert product.tolist() == [[6.0, 12.0]]


def test_gauss_newton_products():
    weights, x, y = network()
    outputs = model(weights, x)
    product = GaussNewton(outputs, lambda z: ((z - y) ** 2).sum() / 2, weights)
    rows = []
    for i in range(outputs.numel()):
        one = np.zeros(outputs.shape)
        one.flat[i] = 1
        found = tg.autograd.grad(outputs, weights, tg.tensor(one), retain_graph=True)
        rows.append(product.flat.join([g.array for g in found]).tolist())
    jacobian = np.array(rows)
    np.testing.assert_allclose(product.matrix(), jacobian.T @ jacobian, atol=1e-10)
    np.testing.assert_allclose(product.gradient, jacobian.T @ (outputs - y).detach().numpy().reshape(-1), atol=1e-10)
    optimizer = optim.CGNewton(weights, damping=1.0, curvature="gauss-newton", max_iter=30)
    losses = [optimizer.step(lambda: (model(weights, x), lambda z: ((z - y) ** 2).sum() / 2)).item() for _ in range(10)]
    assert losses[-1] < 0.5 * losses[0]
    assert optimizer.products <= 300


def test_conjugate_gradients():
    a, b = positive(8).numpy(), np.arange(8.0)
    solution = conjugate_gradients(lambda v: a @ v, b)
    np.testing.assert_allclose(a @ solution.x, b, atol=1e-6)
    assert solution.positive and solution.steps <= 16
    assert not conjugate_gradients(lambda v: -v, b).positive
    assert conjugate_gradients(lambda v: a @ v, 0 * b).x.tolist() == [0.0] * 8


def test_spectrum_and_diagonal():
    a = positive(10).numpy()
    values = np.linalg.eigvalsh(a)
    ends = spectrum(lambda v: a @ v, np.zeros(10))
    assert (ends.smallest, ends.largest) == pytest.approx((values[0], values[-1]))
    assert ends.condition == pytest.approx(values[-1] / values[0])
    np.testing.assert_allclose(a @ ends.vector, ends.largest * ends.vector, atol=1e-8)
    tg.manual_seed(0)
    np.testing.assert_allclose(diagonal(lambda v: a @ v, np.zeros(10), 4000), np.diag(a), atol=0.15 * a.max())
    np.testing.assert_array_equal(matrix_of(lambda v: a @ v, np.zeros(10)), a)


def test_cg_newton_needs_memory_for_vectors_only():
    """Item 78: the Hessian of 2,000 numbers alone would take 32 million bytes."""
    p = tg.tensor(np.linspace(0, 3, 2000), requires_grad=True)
    optimizer = optim.CGNewton([p], max_iter=30)

    def closure():
        return ((p[1:] - p[:-1]) ** 2).sum() + (p**4).mean() + ((p - 1) ** 2).sum()

    optimizer.step(closure)
    tracemalloc.start()
    optimizer.step(closure)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * p.array.nbytes
    assert optimizer.products <= 60


@pytest.mark.parametrize("method", [optim.Newton, optim.CGNewton])
def test_newton_leaves_frozen_parameters_alone(method):
    x, y = (tg.tensor([v], dtype=tg.float64, requires_grad=True) for v in (1.0, 2.0))
    optimizer = method([x, y])
    y.requires_grad_(False)
    optimizer.step(lambda: (x * x * y).sum())
    assert (x.tolist(), y.tolist()) == (pytest.approx([0], abs=1e-9), [2])
    y.requires_grad_(True)
    optimizer.step(lambda: ((x - 1) ** 2 + y * y).sum())
    assert (x.tolist(), y.tolist()) == (pytest.approx([1]), pytest.approx([0], abs=1e-9))
