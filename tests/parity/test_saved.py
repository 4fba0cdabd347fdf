"""What may be changed in place between a function and its gradient, as in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
import tinygrad_lite.nn

torch = pytest.importorskip("torch")
draw = np.random.default_rng(81)
x = draw.uniform(0.2, 0.8, (3, 4))
classes = np.array([0, 3, 1])

ONE = [
    "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "softplus", "softsign", "tanhshrink", "hardtanh",
    "hardsigmoid", "hardswish", "hardshrink", "softshrink", "logsigmoid", "sigmoid", "tanh", "glu", "rrelu",
]  # fmt: skip
FUNCTIONS = {name: (lambda m, t, name=name: getattr(m.nn.functional, name)(t)) for name in ONE} | {
    "softmax": lambda m, t: m.softmax(t, 1),
    "log_softmax": lambda m, t: m.log_softmax(t, 1),
    "dropout": lambda m, t: m.nn.functional.dropout(t, 1e-12),
    "layer_norm": lambda m, t: m.nn.functional.layer_norm(t, (4,)),
    "layer_norm with weight": lambda m, t: m.nn.functional.layer_norm(t, (4,), m.ones(4, dtype=m.float64), m.ones(4, dtype=m.float64)),
    "rms_norm": lambda m, t: m.nn.functional.rms_norm(t, (4,)),
    "batch_norm": lambda m, t: m.nn.functional.batch_norm(t, None, None, training=True),
    "group_norm": lambda m, t: m.nn.functional.group_norm(t, 2),
    "instance_norm": lambda m, t: m.nn.functional.instance_norm(t[None]),
    "linear": lambda m, t: m.nn.functional.linear(t, m.ones(2, 4, dtype=m.float64)),
    "normalize": lambda m, t: m.nn.functional.normalize(t),
    "mse_loss": lambda m, t: m.nn.functional.mse_loss(t, t.detach() * 2, reduction="none"),
    "l1_loss": lambda m, t: m.nn.functional.l1_loss(t, t.detach() * 2, reduction="none"),
    "huber_loss": lambda m, t: m.nn.functional.huber_loss(t, t.detach() * 2, reduction="none"),
    "binary_cross_entropy": lambda m, t: m.nn.functional.binary_cross_entropy(t, t.detach(), reduction="none"),
    "with_logits": lambda m, t: m.nn.functional.binary_cross_entropy_with_logits(t, t.detach(), reduction="none"),
    "nll_loss": lambda m, t: m.nn.functional.nll_loss(t, m.tensor(classes), reduction="none"),
    "attention": lambda m, t: m.nn.functional.scaled_dot_product_attention(t, t, t),
}


def outcome(library, function, which):
    """The gradient after the output (or the input) was changed in place, or None where that is refused."""
    leaf = library.tensor(x, requires_grad=True)
    middle = leaf * 1
    out = function(library, middle)
    with_gradient = out.sum() if which == "neither" else None
    if which == "output":
        out.mul_(3)
        with_gradient = out.sum()
    elif which == "input":
        with_gradient = out.sum()
        middle.mul_(3)
    try:
        with_gradient.backward()
    except RuntimeError:
        return None
    return leaf.grad.numpy()


@pytest.mark.parametrize("which", ["neither", "output", "input"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_changes_in_place(name, which):
    ours, theirs = (outcome(m, FUNCTIONS[name], which) for m in (tg, torch))
    if theirs is not None:
        assert ours is not None, f"{name}: refused after a change of its {which}, PyTorch goes on"
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)
