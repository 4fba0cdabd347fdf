"""Activations, dropout and losses as modules, against PyTorch's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.parity.compare import Fixed
from tests.parity.modules import compare_module, refused

torch = pytest.importorskip("torch")

x2, x4 = (4, 6), (2, 6, 3, 4)
positive = np.random.default_rng(1).uniform(0.05, 0.95, x2)
targets = np.random.default_rng(2).uniform(0, 1, x2)
signs = np.sign(np.random.default_rng(3).standard_normal(4))
classes = np.array([0, 5, 2, 1])

ACTIVATIONS = [
    "ReLU()", "ReLU(inplace=False)", "ReLU6()", "SELU()", "SiLU()", "Mish()", "Hardsigmoid()", "Hardswish()", "Tanh()",
    "Sigmoid()", "LogSigmoid()", "Softsign()", "Tanhshrink()", "LeakyReLU()", "LeakyReLU(0.3)", "PReLU()", "PReLU(6, init=0.1)",
    "ELU()", "ELU(0.5)", "CELU(2.0)", "GELU()", "GELU('tanh')", "GLU()", "GLU(1)", "Softplus()", "Softplus(2.0, 1.0)",
    "Hardtanh()", "Hardtanh(-0.5, 2)", "Threshold(0.1, 20)", "Hardshrink()", "Hardshrink(0.2)", "Softshrink()",
    "Softshrink(0.2)", "Softmax(dim=1)", "Softmax(-1)", "Softmin(dim=1)", "LogSoftmax(dim=0)", "Softmax2d()", "Dropout(0)",
    "Dropout1d(0)", "AlphaDropout(0)", "FeatureAlphaDropout(0)", "RReLU(0.2, 0.2)",
]  # fmt: skip


@pytest.mark.parametrize("text", ACTIVATIONS)
def test_activation(text):
    shape = x4 if text in ("Softmax2d()", "GLU(1)") else (2, 6, 3) if "1d" in text or "Feature" in text else x2
    compare_module(text, shape)


@pytest.mark.parametrize(
    "text", ["RReLU()", "Dropout(0.5)", "Dropout2d()", "Dropout3d()", "AlphaDropout()", "FeatureAlphaDropout()"]
)
def test_random_layers_in_evaluation(text):
    compare_module(text, (2, 6, 3, 4, 2) if "3d" in text else x4, modes=(False,))


@pytest.mark.parametrize("text", ["ReLU(inplace=True)", "ELU(inplace=True)", "Hardtanh(inplace=True)", "LeakyReLU(0.1, True)",
                                  "SiLU(True)", "Threshold(0.1, 2.0, True)", "Dropout(0.0, True)"])  # fmt: skip
def test_in_place(text):
    values = np.random.default_rng(0).standard_normal(x2)
    for m in (tg, torch):
        layer = eval(f"m.nn.{text}", {"m": m})
        x = m.from_numpy(values.copy())
        assert layer(x).data_ptr() == x.data_ptr()
        leaf = m.from_numpy(values.copy()).requires_grad_()
        y = leaf * 1
        layer(y).sum().backward()
        if m is tg:
            mine = leaf.grad.numpy(), y.detach().numpy(), repr(layer)
        else:
            np.testing.assert_allclose(mine[0], leaf.grad.numpy())
            np.testing.assert_allclose(mine[1], y.detach().numpy())
            assert mine[2] == repr(layer)


def test_rrelu_draws_its_slopes():
    tg.manual_seed(0)
    x = -tg.ones(10000, requires_grad=True)
    y = tg.nn.RReLU(0.1, 0.5)(x)
    y.sum().backward()
    assert -0.5 <= y.min().item() < -0.49 and -0.11 < y.max().item() <= -0.1
    assert abs(y.mean().item() + 0.3) < 0.01


@pytest.mark.parametrize(
    "name, shape, whole",
    [
        ("Dropout", (100, 100), 0),
        ("Dropout1d", (50, 40, 6), 1),
        ("Dropout2d", (50, 40, 3, 4), 2),
        ("Dropout3d", (50, 40, 2, 3, 2), 3),
    ],
)
def test_dropout_in_training(name, shape, whole):
    tg.manual_seed(0)
    layer = getattr(tg.nn, name)(0.3)
    x = tg.ones(*shape, requires_grad=True)
    y = layer(x)
    assert set(np.unique(y.detach().numpy()).tolist()) == {0.0, np.float32(1 / 0.7).item()}
    assert abs(y.mean().item() - 1) < 0.05
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.detach().numpy())
    channels = y.detach().numpy().reshape(*shape[: len(shape) - whole], -1)
    assert (channels == channels[..., :1]).all()
    assert layer.eval()(x) is x or (layer(x) == x).all()


def test_alpha_dropout_keeps_mean_and_variance():
    tg.manual_seed(0)
    x = tg.randn(200, 500)
    for layer in (tg.nn.AlphaDropout(0.2), tg.nn.FeatureAlphaDropout(0.2)):
        y = layer(x)
        assert abs(y.mean().item()) < 0.03 and abs(y.std().item() - 1) < 0.03


LOSSES = [
    ("MSELoss", x2, targets),
    ("L1Loss", x2, targets),
    ("SmoothL1Loss", x2, targets),
    ("SmoothL1Loss(beta=0.3", x2, targets),
    ("HuberLoss(delta=0.5", x2, targets),
    ("CrossEntropyLoss", x2, classes),
    ("CrossEntropyLoss(label_smoothing=0.2, ignore_index=5", x2, classes),
    ("CrossEntropyLoss(weight=m.linspace(0.1, 1, 6)", x2, classes),
    ("CrossEntropyLoss", (2, 6, 3), np.array([[0, 1, 5], [2, 3, 4]])),
    ("CrossEntropyLoss", x2, targets / targets.sum(1, keepdims=True)),
    ("NLLLoss", x2, classes),
    ("NLLLoss(weight=m.linspace(0.1, 1, 6), ignore_index=2", x2, classes),
    ("BCELoss", positive, targets),
    ("BCELoss(weight=m.linspace(0.1, 1, 6)", positive, targets),
    ("BCEWithLogitsLoss", x2, targets),
    ("BCEWithLogitsLoss(pos_weight=m.linspace(0.1, 2, 6)", x2, targets),
    ("BCEWithLogitsLoss(weight=m.linspace(0.1, 2, 6)", x2, targets),
    ("KLDivLoss(log_target=True", x2, np.log(targets)),
    ("PoissonNLLLoss", x2, np.floor(targets * 5)),
    ("PoissonNLLLoss(log_input=False, full=True", positive, np.floor(targets * 5)),
    ("GaussianNLLLoss", x2, targets, positive),
    ("GaussianNLLLoss(full=True, eps=1e-3", x2, targets, positive),
    ("HingeEmbeddingLoss", x2, np.sign(targets - 0.5)),
    ("HingeEmbeddingLoss(margin=0.4", x2, np.sign(targets - 0.5)),
    ("SoftMarginLoss", x2, np.sign(targets - 0.5)),
    ("MultiLabelMarginLoss", x2, np.array([[0, 3, -1, 1, 1, 1], [5, 4, 3, 2, 1, 0], [-1, 0, 0, 0, 0, 0], [2, -1, 3, 4, 0, 0]])),
    ("MultiLabelSoftMarginLoss", x2, np.round(targets)),
    ("MultiLabelSoftMarginLoss(weight=m.linspace(0.1, 2, 6)", x2, np.round(targets)),
    ("MultiMarginLoss", x2, classes),
    ("MultiMarginLoss(p=2, margin=0.5, weight=m.linspace(0.1, 2, 6)", x2, classes),
    ("MarginRankingLoss(margin=0.2", (4,), (4,), signs),
    ("CosineEmbeddingLoss", x2, x2, signs),
    ("CosineEmbeddingLoss(margin=0.3", x2, x2, signs),
    ("TripletMarginLoss", x2, x2, x2),
    ("TripletMarginLoss(margin=0.5, p=1, swap=True", x2, x2, x2),
    ("TripletMarginWithDistanceLoss", x2, x2, x2),
    ("TripletMarginWithDistanceLoss(distance_function=lambda x, y: (x - y).abs().sum(-1), margin=2.0, swap=True", x2, x2, x2),
]  # fmt: skip


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides")
@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case[0])
def test_loss(case, reduction):
    name, *inputs = case
    text = f"{name}{', ' if '(' in name else '('}reduction={reduction!r})"
    if name.startswith("Triplet") and "swap" in name:
        inputs = [np.random.default_rng(i).standard_normal(x2) for i in range(3)]
    inputs[1:] = [Fixed(x) if isinstance(x, np.ndarray) and x is not positive else x for x in inputs[1:]]
    compare_module(text, *inputs, modes=(True,))


def test_batchmean_and_the_old_arguments():
    compare_module("KLDivLoss(reduction='batchmean')", x2, targets, modes=(True,))
    for average in (None, True, False):
        for reduce in (None, True, False):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs = torch.nn.MSELoss(average, reduce).reduction
            assert tg.nn.MSELoss(average, reduce).reduction == theirs


@pytest.mark.parametrize(
    "text", ["CTCLoss()", "CTCLoss(blank=2, reduction='sum')", "CTCLoss(reduction='none', zero_infinity=True)"]
)
def test_ctc_loss(text):
    log_probs = np.log(np.random.default_rng(0).dirichlet(np.ones(5), (8, 3)))
    labels = np.array([[1, 3, 3, 4], [4, 1, 0, 0], [3, 1, 0, 0]])
    lengths, label_lengths = np.array([8, 7, 2]), np.array([4, 2, 1])
    compare_module(text, log_probs, labels, lengths, label_lengths, modes=(True,))


def test_the_weight_of_a_loss_is_a_buffer():
    compare = [list(m.nn.CrossEntropyLoss(weight=m.ones(3)).state_dict()) for m in (tg, torch)]
    assert compare[0] == compare[1] == ["weight"]


REFUSED = [
    ("Softmax2d()", (2, 3)),
    ("GLU()", (2, 3)),
    ("PReLU(3)", (2, 4)),
    ("Hardtanh(1, -1)",),
    ("GELU('erf')", x2),
    ("Dropout(-0.1)",),
    ("MSELoss(reduction='average')", x2, x2),
    ("L1Loss()", (2, 3), (4, 3)),
    ("CrossEntropyLoss()", x2, np.array([0, 6, 2, 1])),
    ("CrossEntropyLoss()", x2, np.array([0, 2, 1])),
    ("CrossEntropyLoss(weight=m.ones(5))", x2, classes),
    ("NLLLoss()", x2, np.array([0, -1, 2, 1])),
    ("BCELoss()", np.full(x2, 1.5), targets),
    ("BCELoss()", positive, targets[:2]),
    ("BCEWithLogitsLoss()", x2, targets[:, :2]),
    ("MultiMarginLoss(p=3)",),
    ("TripletMarginLoss(margin=-1)",),
    ("MultiLabelMarginLoss()", x2, np.zeros((4, 5), np.int64)),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case[0])
def test_refused(case):
    refused(*case)
