"""Losses and distances against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from tests.parity.compare import Fixed, accepted_or_refused, compare, refused

F = "nn.functional."
pytestmark = pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")  # of kl_div
draw = np.random.default_rng(31)


def normal(*shape):
    return draw.standard_normal(shape)


x, y, z = normal(4, 5), normal(4, 5), normal(4, 5)
inside, share = draw.uniform(0.1, 0.9, (4, 5)), draw.uniform(0, 1, (4, 5))
counts = draw.integers(0, 5, (4, 5)).astype(float)
signs = np.sign(normal(4, 5))
w = draw.uniform(0.5, 2, (4, 5))
chances = np.exp(y) / np.exp(y).sum(1, keepdims=True)

ELEMENTWISE = [
    ("mse_loss", (x, y), {}), ("mse_loss", (x, y), {"weight": w}), ("l1_loss", (x, y), {}), ("l1_loss", (x, y), {"weight": w}),
    ("smooth_l1_loss", (x, y), {}), ("smooth_l1_loss", (x, y), {"beta": 0.3}), ("smooth_l1_loss", (x, y), {"beta": 0.0}),
    ("huber_loss", (x, y), {}), ("huber_loss", (x, y), {"delta": 0.4}), ("huber_loss", (x, y), {"weight": w}),
    ("binary_cross_entropy", (inside, share), {}),
    ("binary_cross_entropy", (inside, share), {"weight": Fixed(w[0])}),
    ("binary_cross_entropy_with_logits", (x, share), {}),
    ("binary_cross_entropy_with_logits", (x, share), {"weight": Fixed(w)}),
    ("binary_cross_entropy_with_logits", (x, share), {"pos_weight": Fixed(w[0])}),
    ("binary_cross_entropy_with_logits", (x, share), {"weight": Fixed(w), "pos_weight": Fixed(w[1])}),
    ("kl_div", (x, share), {}), ("kl_div", (x, y), {"log_target": True}), ("kl_div", (x, Fixed(np.abs(np.round(y)))), {}),
    ("poisson_nll_loss", (x, counts), {}), ("poisson_nll_loss", (inside, counts), {"log_input": False}),
    ("poisson_nll_loss", (x, Fixed(counts)), {"full": True}),
    ("poisson_nll_loss", (inside, counts), {"log_input": False, "eps": 0.1}),
    ("gaussian_nll_loss", (x, y, w), {}), ("gaussian_nll_loss", (x, y, w[:, 0]), {}),
    ("gaussian_nll_loss", (x, y, w[:, :1]), {"full": True}), ("gaussian_nll_loss", (x, y, w), {"eps": 1.0}),
    ("gaussian_nll_loss", (x, y, 2.0), {}), ("soft_margin_loss", (x, Fixed(signs)), {}),
    ("hinge_embedding_loss", (x, signs), {}), ("hinge_embedding_loss", (x, signs), {"margin": 0.3}),
    ("hinge_embedding_loss", (x, counts), {}), ("margin_ranking_loss", (x, y, signs), {}),
    ("margin_ranking_loss", (x, y, signs), {"margin": 0.7}),
    ("triplet_margin_loss", (x, y, z), {}), ("triplet_margin_loss", (x, y, z), {"p": 1, "swap": True, "margin": 2.0}),
    ("triplet_margin_loss", (x[0], y[0], z[0]), {}), ("triplet_margin_loss", (x, y, z), {"p": 3.0}),
    ("triplet_margin_with_distance_loss", (x, y, z), {}), ("triplet_margin_with_distance_loss", (x, y, z), {"swap": True}),
    ("cosine_embedding_loss", (x, y, signs[:, 0]), {}), ("cosine_embedding_loss", (x, y, signs[:, 0]), {"margin": -0.3}),
    ("cosine_embedding_loss", (x[0], y[0], signs[0, 0]), {}),
    ("multilabel_soft_margin_loss", (x, share), {}), ("multilabel_soft_margin_loss", (x, share), {"weight": w[0]}),
]  # fmt: skip


@pytest.mark.parametrize("name, args, kwargs", ELEMENTWISE, ids=[f"{c[0]}-{i}" for i, c in enumerate(ELEMENTWISE)])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_elementwise(name, args, kwargs, reduction):
    compare(F + name, *(np.asarray(a) if isinstance(a, np.float64) else a for a in args), reduction=reduction, **kwargs)


@pytest.mark.parametrize("name, args, kwargs", ELEMENTWISE, ids=[f"{c[0]}-{i}" for i, c in enumerate(ELEMENTWISE)])
def test_float32_and_defaults(name, args, kwargs):
    compare(F + name, *(np.asarray(a) if isinstance(a, np.float64) else a for a in args), dtype="float32", **kwargs)


OLD = [
    name for name in dict.fromkeys(c[0] for c in ELEMENTWISE)
    if name not in ("huber_loss", "gaussian_nll_loss", "triplet_margin_with_distance_loss")
]  # fmt: skip


@pytest.mark.parametrize("name", OLD)
@pytest.mark.filterwarnings("ignore:size_average")
def test_legacy_arguments(name):
    args = next(c[1] for c in ELEMENTWISE if c[0] == name)
    for size_average in (None, True, False):
        for reduce in (None, True, False):
            compare(F + name, *args, size_average=size_average, reduce=reduce, order=1)


# -- classes ------------------------------------------------------------------------------------

classes = np.array([0, 4, 2, 2])
WEIGHTS = draw.uniform(0.5, 2, 5)


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_classes(name, reduction, dtype):
    def check(x, target, **kwargs):
        compare(F + name, x, target, dtype=dtype, reduction=reduction, **kwargs)

    w5 = Fixed(WEIGHTS)

    check(x, classes)
    check(x, classes.astype("uint8"))
    check(x, classes, weight=w5)
    check(x, classes, ignore_index=2)
    check(x, np.array([0, -100, 2, -100]), weight=w5)
    check(x, np.array([-100, -100, -100, -100]))
    check(x, np.array([0, 77, 2, 77]), ignore_index=77, weight=w5)
    check(x[0], np.array(3))
    compare(F + name, x[0], np.array([3]), order=0, reduction=reduction)
    check(x[0], np.array(3), weight=w5)
    check(normal(2, 5, 3), draw.integers(0, 5, (2, 3)))
    check(normal(2, 5, 3, 2), draw.integers(0, 5, (2, 3, 2)), weight=w5, ignore_index=1)
    check(np.zeros((0, 5)), np.zeros(0, int))
    check(x * 1000, classes)
    if name == "cross_entropy":
        for smoothing in (0.1, 1.0):
            check(x, classes, label_smoothing=smoothing)
            check(x, classes, label_smoothing=smoothing, weight=w5, ignore_index=2)
            check(normal(2, 5, 3), draw.integers(0, 5, (2, 3)), label_smoothing=smoothing, weight=w5, ignore_index=0)
            check(x[0], np.array(3), label_smoothing=smoothing)
            check(x, chances, label_smoothing=smoothing)
        check(x, chances)
        check(x, chances, weight=w5)
        check(normal(2, 5, 3), normal(2, 5, 3), weight=w5)
        check(x[0], chances[0])
        check(x[0], chances[0], weight=w5)
        check(np.where(x > 0, x, -np.inf), np.argmax(x, 1))


def test_masked_logits_of_an_ignored_sample():
    logits = x.copy()
    logits[1, 0] = -np.inf
    compare(F + "cross_entropy", logits, np.array([1, -100, 2, 3]), order=1)


@pytest.mark.parametrize("name", ["cross_entropy", "nll_loss"])
def test_class_refusals(name):
    name = F + name
    refused(name, x, np.array([0, 1, 2, 5]))
    refused(name, x, np.array([0, 1, 2, -1]))
    refused(name, x, np.array([0, 1, 2]))
    refused(name, x, np.array([0.0, 1, 2, 3]))
    refused(name, x, np.array([0, 1, 2, 3], "int32"))
    refused(name, x, classes[:, None])
    refused(name, x, classes, weight=np.ones(4))
    refused(name, x, classes, weight=np.ones(5, "float32"))
    refused(name, x, classes, reduction="batchmean")
    refused(name, np.zeros((2, 0)), np.array([0, 0]))
    refused(name, np.array(1.0), np.array(0))
    refused(name, normal(2, 5, 3), np.zeros((2, 4), int))
    refused(name, x, classes, weight=[1.0] * 5)
    refused(F + "cross_entropy", x, classes, label_smoothing=1.5)
    refused(F + "cross_entropy", x, chances, ignore_index=1)
    refused(F + "cross_entropy", x, np.ones((4, 5), int))
    refused(F + "cross_entropy", np.ones((4, 5), int), classes)


def test_bad_class_leaves_everything_as_it_was():
    import tinygrad_lite as tg
    from tinygrad_lite.nn import functional

    logits = tg.tensor(x, requires_grad=True)
    with pytest.raises(IndexError, match="class 9 is out of range: 5 classes go from 0 to 4"):
        functional.cross_entropy(logits, tg.tensor([0, 9, 1, 1]))
    assert logits.grad is None
    np.testing.assert_array_equal(logits.detach().numpy(), x)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_margins_between_classes(reduction):
    for kwargs in ({}, {"p": 2}, {"margin": 0.3}):
        compare(F + "multi_margin_loss", x, classes, order=1, reduction=reduction, **kwargs)
    compare(F + "multi_margin_loss", x, classes, weight=Fixed(WEIGHTS), reduction=reduction, order=1)
    compare(F + "multi_margin_loss", x[0], np.array(2), reduction=reduction, order=1)
    compare(F + "multi_margin_loss", x[0], np.array([2]), reduction=reduction, order=1)
    lists = np.array([[0, 3, -1, 2, 2], [1, -1, -1, -1, -1], [4, 3, 2, 1, 0], [-1, 0, 0, 0, 0]])
    compare(F + "multilabel_margin_loss", x, lists, reduction=reduction, order=1)
    compare(F + "multilabel_margin_loss", x[0], lists[0], reduction=reduction, order=1)


@pytest.mark.parametrize("name", ["mse_loss", "l1_loss", "smooth_l1_loss"])
def test_distances_of_integers_from_numbers(name):
    for reduction in ("mean", "sum", "none"):
        compare(F + name, np.array([1, 2, -3]), normal(3), reduction=reduction)


@pytest.mark.parametrize("logit", [np.inf, -np.inf, 800.0, -800.0])
@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_extreme_logits(logit, target):
    logits = np.array([logit, 1.0])
    for options in ({}, {"pos_weight": Fixed(np.array([2.0]))}):
        order = 2 if np.isfinite(logit) else 1
        compare(F + "binary_cross_entropy_with_logits", logits, Fixed(np.full(2, target)), reduction="none", order=order, **options)


def test_more_refusals():
    refused(F + "multi_margin_loss", x, np.array([0, 1, 2, 5]))
    refused(F + "multi_margin_loss", x, classes, p=3)
    refused(F + "multilabel_margin_loss", x, np.full((4, 5), 5))
    refused(F + "multilabel_margin_loss", x, np.zeros((4, 4), int))
    refused(F + "mse_loss", x, y, weight=WEIGHTS)
    refused(F + "mse_loss", x, y, reduction="total")
    refused(F + "mse_loss", np.arange(3), np.arange(3))
    refused(F + "l1_loss", np.arange(3), np.arange(3))
    refused(F + "smooth_l1_loss", x, y, beta=-1)
    refused(F + "huber_loss", x, y, delta=0)
    refused(F + "binary_cross_entropy", x, share)
    refused(F + "binary_cross_entropy", inside, share[:, :1])
    refused(F + "binary_cross_entropy", inside, share + 1)
    refused(F + "binary_cross_entropy", inside, -share)
    refused(F + "binary_cross_entropy", np.where(x > 0, np.nan, inside), share)
    refused(F + "binary_cross_entropy", inside, np.ones((4, 5), int))
    refused(F + "binary_cross_entropy", inside, share, weight=np.ones(4))
    refused(F + "binary_cross_entropy_with_logits", x, share[:, :1])
    refused(F + "binary_cross_entropy_with_logits", x, np.ones((4, 5), int))
    refused(F + "binary_cross_entropy_with_logits", np.ones((4, 5), int), share)
    refused(F + "kl_div", x, np.ones((4, 5), int))
    refused(F + "gaussian_nll_loss", x, y, -w)
    refused(F + "gaussian_nll_loss", x, y, np.ones(2))
    refused(F + "margin_ranking_loss", x, y, signs[0])
    refused(F + "triplet_margin_loss", x, y, z[0])
    refused(F + "triplet_margin_loss", x, y, z, margin=-1)
    refused(F + "cosine_embedding_loss", x, y, signs)
    refused(F + "cosine_embedding_loss", normal(2, 3, 4), normal(2, 3, 4), np.ones(2))


@pytest.mark.filterwarnings("ignore")
def test_broadcast_targets():
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
        compare(F + name, x, y[:, :1])
        compare(F + name, x, y[0], reduction="none")


def test_a_target_of_another_shape_is_warned_of():
    import tinygrad_lite as tg
    from tinygrad_lite.nn import functional

    with pytest.warns(UserWarning, match=r"mse_loss: the target's shape \(4, 1\) is not the input's, \(4, 5\)"):
        functional.mse_loss(tg.tensor(x), tg.tensor(y[:, :1]))


def test_edges_of_probability():
    edge = np.array([0.0, 1.0, 0.0, 1.0, 1e-30, 0.5])
    compare(F + "binary_cross_entropy", edge, np.array([0.0, 1.0, 1.0, 0.0, 1.0, 0.3]), order=0)
    compare(F + "binary_cross_entropy", edge, Fixed([0.0, 1, 1, 0, 1, 0.3]), dtype="float32", order=1)


@pytest.mark.parametrize("size", [1000.0, 100.0, 20.0, 0.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_far_out(size, dtype):
    far = np.array([size, -size])
    for target in (0.0, 1.0, 0.5):
        compare(F + "binary_cross_entropy_with_logits", far, Fixed([target, target]), dtype=dtype)
    for name in ("softplus", "logsigmoid"):
        compare(F + name, far, dtype=dtype)
    compare(F + "log_softmax", far, 0, dtype=dtype)
    compare(F + "softmax", far, 0, dtype=dtype)
    compare("logsumexp", far, 0, dtype=dtype)


def test_nothing_has_no_mean():
    for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "binary_cross_entropy_with_logits"):
        compare(F + name, np.zeros((0, 3)), np.zeros((0, 3)), order=1)
        compare(F + name, np.zeros((0, 3)), np.zeros((0, 3)), reduction="sum")


# -- distances ----------------------------------------------------------------------------------


def test_cosine_similarity():
    compare("cosine_similarity", x, y)
    for dim in (0, 1, -1):
        compare(F + "cosine_similarity", normal(3, 4, 2), normal(3, 4, 2), dim=dim, dtype="float32")
    compare(F + "cosine_similarity", x[:, None], y[None], dim=-1)
    compare(F + "cosine_similarity", x, y[0], dim=1)
    compare(F + "cosine_similarity", x[0], y[0], dim=0)
    compare(F + "cosine_similarity", np.zeros((2, 3)), normal(2, 3), order=1)
    compare(F + "cosine_similarity", x * 1e-9, y, order=1)
    compare(F + "cosine_similarity", x, y, eps=10.0)
    refused(F + "cosine_similarity", x, y, dim=5)
    refused(F + "cosine_similarity", np.ones((3, 2), int), np.ones((3, 2), int))
    refused(F + "cosine_similarity", x, normal(4, 3))


@pytest.mark.parametrize("p", [0.0, 1.0, 2.0, 3.0, 1.5, np.inf])
def test_pairwise(p):
    order = 2 if p in (1.0, 2.0, 3.0) else 1
    compare(F + "pairwise_distance", x, y, p=p, order=order)
    compare(F + "pairwise_distance", x, y[0], p=p, keepdim=True, dtype="float32", order=order)
    compare(F + "pairwise_distance", x[0], y[0], p=p, order=order)
    compare(F + "pdist", x, p=p, order=1)
    compare(F + "normalize", x, p=p, order=order)


def test_distances_of_equal_vectors():
    compare(F + "pdist", np.ones((3, 4)), order=1)
    compare(F + "pdist", x[:1], order=0)
    compare(F + "pdist", np.zeros((0, 3)), order=0)
    compare(F + "normalize", np.zeros((2, 3)), order=1)
    compare(F + "normalize", normal(2, 3, 4), dim=2)
    refused(F + "pdist", normal(2, 3, 4))
    refused(F + "pdist", x, p=-1)
    accepted_or_refused(F + "normalize", np.arange(4).reshape(2, 2))


def test_rows_far_apart_in_half_precision():
    logits = np.array([[-7.5, -8, -9], [6, 1, 2]], dtype=np.float16)
    compare("nn.functional.cross_entropy", logits, np.array([2, 1]), order=1, rtol=1e-2, atol=1e-3)
    compare("nn.functional.cross_entropy", logits, np.array([2, 1]), ignore_index=1, order=1, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("shape", [(2, 0), (0, 0), (0,), (2, 0, 3), (0, 3)])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_cross_entropy_with_probabilities_of_no_classes(shape, reduction, label_smoothing):
    compare(
        F + "cross_entropy", np.zeros(shape), Fixed(np.zeros(shape)), reduction=reduction, label_smoothing=label_smoothing
    )
