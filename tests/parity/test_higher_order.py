"""Second derivatives through whole networks."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")


def mlp(lib, activation):
    nn = lib.nn
    return nn.Sequential(nn.Linear(5, 7), activation(nn), nn.Linear(7, 6), activation(nn), nn.Linear(6, 3)).to(lib.float64)


def hessian_vector_product(lib, model, x, y, vectors, loss_of):
    loss = loss_of(lib.nn.functional)(model(x), y)
    parameters = list(model.parameters())
    gradients = lib.autograd.grad(loss, parameters, create_graph=True)
    product = sum((g * v).sum() for g, v in zip(gradients, vectors))
    return lib.autograd.grad(product, parameters, allow_unused=True)


@pytest.mark.parametrize("activation", ["Tanh", "ReLU", "GELU", "Sigmoid", "Softplus"])
@pytest.mark.parametrize("loss", ["cross_entropy", "mse_loss"])
def test_hessian_vector_products_through_an_mlp(activation, loss, draw):
    theirs = mlp(torch, lambda nn: getattr(nn, activation)())
    ours = mlp(tg, lambda nn: getattr(nn, activation)())
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    x = draw.standard_normal((4, 5))
    y = draw.integers(0, 3, 4) if loss == "cross_entropy" else draw.standard_normal((4, 3))
    vectors = [draw.standard_normal(tuple(p.shape)) for p in theirs.parameters()]
    results = []
    for lib, model in ((tg, ours), (torch, theirs)):
        there = [lib.from_numpy(v.copy()) for v in vectors]
        found = hessian_vector_product(lib, model, lib.from_numpy(x), lib.from_numpy(y), there, lambda F: getattr(F, loss))
        results.append([None if g is None else g.detach().numpy() for g in found])
    for name, mine, reference in zip(theirs.state_dict(), *results):
        if reference is None:
            assert mine is None or not mine.any(), name
        else:
            np.testing.assert_allclose(mine, reference, rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_gradient_penalty_trains_the_same(draw):
    """The norm of the input's gradient in the loss: gradients of gradients in every update."""
    theirs = mlp(torch, lambda nn: nn.Tanh())
    ours = mlp(tg, lambda nn: nn.Tanh())
    ours.load_state_dict({name: value.numpy() for name, value in theirs.state_dict().items()})
    x = draw.standard_normal((8, 5))

    def losses(lib, model):
        optimizer = lib.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        values = []
        for _ in range(10):
            inputs = lib.from_numpy(x.copy()).requires_grad_()
            out = model(inputs).sum()
            (g,) = lib.autograd.grad(out, inputs, create_graph=True)
            loss = ((g.norm(dim=1) - 1) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            values.append(loss.item())
        return values

    np.testing.assert_allclose(losses(tg, ours), losses(torch, theirs), rtol=1e-10)
