"""Initialization, clipping, reparametrization and fusion against PyTorch's."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.parity.modules import LIMITS, built, outcome, pair

torch = pytest.importorskip("torch")


def both(function):
    """The outcome of a function of the library, here and in PyTorch, as arrays."""
    return [[np.asarray(t.detach().numpy() if hasattr(t, "detach") else t) for t in function(m)] for m in (tg, torch)]


def agree(function, **limits):
    for got, want in zip(*both(function), strict=True):
        assert got.dtype == want.dtype and got.shape == want.shape
        np.testing.assert_allclose(got, want, **(limits or {"rtol": 1e-5, "atol": 1e-6}))


# -- initialization ------------------------------------------------------------------------------

GAINS = [("linear",), ("conv2d",), ("sigmoid",), ("tanh",), ("relu",), ("leaky_relu",), ("leaky_relu", 0.3), ("selu",)]


@pytest.mark.parametrize("arguments", GAINS, ids=str)
def test_gains(arguments):
    assert tg.nn.init.calculate_gain(*arguments) == torch.nn.init.calculate_gain(*arguments)


def test_fixed_values():
    agree(lambda m: [m.nn.init.constant_(m.empty(2, 3), 4.5), m.nn.init.ones_(m.empty(2)), m.nn.init.zeros_(m.empty(2))])
    agree(lambda m: [m.nn.init.eye_(m.empty(2, 3)), m.nn.init.eye_(m.empty(3, 2))])
    agree(lambda m: [m.nn.init.dirac_(m.empty(s), g) for s, g in (((3, 2, 3), 1), ((4, 2, 3, 4), 2), ((2, 3, 1, 2, 3), 1))])


DRAWS = [
    ("uniform_", (), {"a": -1, "b": 3}),
    ("normal_", (), {"mean": 1, "std": 0.5}),
    ("trunc_normal_", (), {}),
    ("trunc_normal_", (), {"mean": 1, "std": 2, "a": 0, "b": 1.5}),
    ("xavier_uniform_", (), {"gain": 2}),
    ("xavier_normal_", (), {}),
    ("kaiming_uniform_", (), {}),
    ("kaiming_uniform_", (), {"a": 5**0.5, "mode": "fan_out"}),
    ("kaiming_normal_", (), {"nonlinearity": "relu"}),
    ("kaiming_normal_", (), {"a": 0.2, "mode": "fan_out"}),
    ("sparse_", (0.3,), {"std": 0.1}),
]


@pytest.mark.parametrize("name, arguments, options", DRAWS, ids=str)
def test_distributions(name, arguments, options):
    tg.manual_seed(0)
    torch.manual_seed(0)
    shape = (120, 500) if name == "sparse_" else (60, 20, 5, 10)
    moments = []
    for m in (tg, torch):
        t = getattr(m.nn.init, name)(m.empty(shape), *arguments, **options).numpy().ravel()
        moments.append([t.mean(), t.std(), t.min(), t.max(), np.median(t), np.quantile(t, 0.9), (t == 0).mean()])
    scale = moments[1][1]
    bounded = "normal_" not in name or "trunc" in name  # the extremes of the normal vary
    for i, (got, want) in enumerate(zip(*moments)):
        if bounded or i not in (2, 3):
            assert abs(got - want) < 0.03 * scale + 0.02 * abs(want) + (
                0.5 * scale if name == "sparse_" and i in (2, 3) else 0
            ), i


def test_scaled_normal():
    tg.manual_seed(0)
    t = tg.nn.init.scaled_normal_(tg.empty(400, 100), sigma=2.0)
    assert abs(t.std().item() - 0.2) < 0.002


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3), (4, 2, 3)])
def test_orthogonal(shape):
    tg.manual_seed(0)
    t = tg.nn.init.orthogonal_(tg.empty(shape, dtype=tg.float64), gain=2.0).numpy().reshape(shape[0], -1)
    small = t @ t.T if t.shape[0] <= t.shape[1] else t.T @ t
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-10)


LAYERS = [
    "Linear(50, 200)",
    "Linear(50, 2000, bias=True)",
    "Bilinear(8, 9, 100)",
    "Conv2d(8, 64, 5, groups=2)",
    "ConvTranspose2d(16, 32, 3)",
    "Embedding(200, 50)",
    "EmbeddingBag(200, 50)",
    "LSTM(30, 60)",
    "GRUCell(30, 60)",
    "MultiheadAttention(64, 4, add_bias_kv=True)",
    "MultiheadAttention(64, 4, kdim=30, vdim=20)",
    "PReLU(3)",
    "BatchNorm2d(7)",
    "LayerNorm(9)",
    "RMSNorm(5)",
    "TransformerEncoderLayer(64, 4, 128)",
    "Transformer(32, 4, 1, 1, 64)",
]


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("text", LAYERS)
def test_layers_start_from_the_same_distributions(text):
    tg.manual_seed(1)
    torch.manual_seed(1)
    ours, theirs = built(tg, text).state_dict(), built(torch, text).state_dict()
    for key, want in theirs.items():
        got, want = ours[key].numpy().astype(float), want.numpy().astype(float)
        if want.std() == 0 or not want.size:
            np.testing.assert_array_equal(got, want)
            continue
        allowed = 6 * want.std() / want.size**0.5
        assert abs(got.mean() - want.mean()) < allowed, key
        assert abs(got.std() - want.std()) < allowed, key
        normal = abs(np.abs(want).max() / want.std() - 3**0.5) > 0.25
        if not normal and want.size > 500:
            assert abs(np.abs(got).max() / np.abs(want).max() - 1) < 0.02, key


def test_a_seed_fixes_the_start(device):
    def weights():
        tg.manual_seed(7)
        return np.concatenate([p.detach().numpy().ravel() for p in tg.nn.TransformerEncoderLayer(8, 2, 16).parameters()])

    np.testing.assert_array_equal(weights(), weights())
    generators = [tg.Generator(device).manual_seed(3) for _ in range(2)]
    a, b = (tg.nn.init.kaiming_normal_(tg.empty(4, 5), generator=g) for g in generators)
    np.testing.assert_array_equal(a.numpy(), b.numpy())


MISUSES = [
    lambda m: m.nn.init.xavier_uniform_(m.empty(3)),
    lambda m: m.nn.init.eye_(m.empty(3)),
    lambda m: m.nn.init.dirac_(m.empty(3, 3)),
    lambda m: m.nn.init.dirac_(m.empty(3, 3, 3), groups=2),
    lambda m: m.nn.init.sparse_(m.empty(3), 0.5),
    lambda m: m.nn.init.orthogonal_(m.empty(3)),
    lambda m: m.nn.init.kaiming_normal_(m.empty(3, 3), mode="fan_avg"),
    lambda m: m.nn.init.calculate_gain("gelu"),
    lambda m: m.nn.init.calculate_gain("leaky_relu", "steep"),
    lambda m: m.nn.init.uniform_(m.empty(3), 2, 1),
]


@pytest.mark.parametrize("misuse", MISUSES)
def test_initialization_refused(misuse):
    for m in (tg, torch):
        with pytest.raises((ValueError, RuntimeError)):
            misuse(m)


def test_initialization_is_not_recorded():
    layer = tg.nn.Linear(2, 2)
    for fill in (tg.nn.init.ones_, tg.nn.init.orthogonal_, tg.nn.init.trunc_normal_):
        assert fill(layer.weight) is layer.weight
    assert layer.weight.is_leaf and layer.weight.requires_grad


# -- clipping and vectors --------------------------------------------------------------------------


def with_gradients(m, *gradients):
    parameters = [m.nn.Parameter(m.zeros(2)) for _ in gradients]
    for p, g in zip(parameters, gradients):
        p.grad = None if g is None else m.tensor(g)
    return parameters


@pytest.mark.parametrize("norm_type", [2, 1, 2.5, float("inf"), 0])
@pytest.mark.parametrize(
    "gradients",
    [([3.0, 4.0], [1.0, -2.0]), ([0.1, 0.0],), ([0.0, 0.0],), (None, [1.0, 2.0]), ([float("inf"), 1.0], [1.0, 2.0])],
)
def test_clip_grad_norm(gradients, norm_type):
    def clipped(m):
        parameters = with_gradients(m, *gradients)
        total = m.nn.utils.clip_grad_norm_(parameters, 1.5, norm_type)
        return [total, *(p.grad for p in parameters if p.grad is not None)]

    agree(clipped)


def test_clip_grad_value_and_total_norm():
    def clipped(m):
        parameters = with_gradients(m, [3.0, -4.0], None, [0.2, float("nan")])
        total = m.nn.utils.get_total_norm([m.ones(2), m.ones(3)], 3.0)
        m.nn.utils.clip_grad_value_(parameters, 0.5)
        m.nn.utils.clip_grad_value_(parameters[0], 0.4)
        return [total, *(p.grad for p in parameters if p.grad is not None), m.nn.utils.clip_grad_norm_([], 1.0)]

    agree(clipped)
    for m in (tg, torch):
        with pytest.raises(RuntimeError):
            m.nn.utils.clip_grad_norm_(with_gradients(m, [float("nan"), 1.0]), 1.0, error_if_nonfinite=True)


def test_parameters_as_a_vector():
    def there_and_back(m):
        layer = m.nn.Linear(2, 3)
        m.nn.utils.vector_to_parameters(m.arange(9.0), layer.parameters())
        return [m.nn.utils.parameters_to_vector(layer.parameters()), layer.weight, layer.bias]

    agree(there_and_back)
    with pytest.raises(ValueError):
        tg.nn.utils.vector_to_parameters(tg.ones(4), tg.nn.Linear(2, 3).parameters())


# -- fusion ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "layers",
    [
        ("Conv2d(3, 4, 3)", "BatchNorm2d(4)"),
        ("Conv1d(3, 4, 3, bias=False)", "BatchNorm1d(4, affine=False)"),
        ("ConvTranspose2d(3, 4, 3)", "BatchNorm2d(4, eps=0.1)"),
        ("Linear(3, 4)", "BatchNorm1d(4)"),
        ("Linear(3, 4, bias=False)", "BatchNorm1d(4)"),
    ],
    ids=str,
)
def test_fusion(layers):
    ours, theirs = pair(f"Sequential(nn.{layers[0]}, nn.{layers[1]})")
    x = np.random.default_rng(0).standard_normal((5, 3, 8, 8)[: 4 if "2d" in layers[0] else 3 if "1d" in layers[0] else 2])
    for m, module in ((tg, ours), (torch, theirs)):
        module.train()(m.from_numpy(x))
        module.eval()
    found = []
    for m, module in ((tg, ours), (torch, theirs)):
        utils = m.nn.utils
        if "Linear" in layers[0]:
            fused = utils.fuse_linear_bn_eval(*module)
        else:
            fused = utils.fuse_conv_bn_eval(*module, transpose="Transpose" in layers[0])
        found.append([fused.weight.detach().numpy(), fused.bias.detach().numpy(), fused(m.from_numpy(x)).detach().numpy()])
        np.testing.assert_allclose(found[-1][2], module(m.from_numpy(x)).detach().numpy(), rtol=1e-7, atol=1e-9)
        with pytest.raises((AssertionError, ValueError)):
            utils.fuse_conv_bn_eval(module[0].train(), module[1])
    for got, want in zip(*found):
        np.testing.assert_allclose(got, want, rtol=1e-8)


# -- reparametrization -----------------------------------------------------------------------------

NORMED = [
    ("parametrizations.weight_norm", "Linear(3, 4)", {}, (2, 3)),
    ("parametrizations.weight_norm", "Conv2d(2, 3, 2)", {"dim": None}, (2, 2, 4, 4)),
    ("parametrizations.weight_norm", "Conv1d(2, 3, 2)", {"dim": 1}, (2, 2, 5)),
    ("weight_norm", "Linear(3, 4)", {}, (2, 3)),
    ("weight_norm", "Conv1d(2, 3, 2)", {"dim": 1}, (2, 2, 5)),
    ("weight_norm", "LSTM(3, 2)", {"name": "weight_hh_l0"}, (4, 2, 3)),
    ("parametrizations.spectral_norm", "Linear(3, 4)", {}, (2, 3)),
    ("parametrizations.spectral_norm", "Conv2d(2, 3, 2)", {"n_power_iterations": 3}, (2, 2, 4, 4)),
    ("parametrizations.spectral_norm", "ConvTranspose2d(2, 3, 2)", {}, (2, 2, 4, 4)),
    ("spectral_norm", "Linear(3, 4)", {}, (2, 3)),
    ("spectral_norm", "ConvTranspose1d(2, 3, 2)", {"n_power_iterations": 2}, (2, 2, 5)),
    ("parametrizations.spectral_norm", "Linear(3, 4)", {"name": "bias"}, (2, 3)),
]


@pytest.mark.filterwarnings("ignore:.torch.nn.utils.weight_norm")
@pytest.mark.parametrize("how, layer, options, shape", NORMED, ids=str)
def test_normed_weights(how, layer, options, shape):
    torch.manual_seed(0)
    modules = []
    for m in (torch, tg):
        apply = m.nn.utils
        for name in how.split("."):
            apply = getattr(apply, name)
        modules.append(apply(built(m, layer).to(m.float64), **options))
    theirs, ours = modules
    assert repr(ours) == repr(theirs)
    assert [(k, tuple(v.shape)) for k, v in ours.state_dict().items()] == [
        (k, tuple(v.shape)) for k, v in theirs.state_dict().items()
    ]
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()})
    x = np.random.default_rng(0).standard_normal(shape)
    for training in (True, True, False):
        ours.train(training)
        theirs.train(training)
        for (name, got), (_, want) in zip(
            outcome(tg, ours, [x], {}, "float64"), outcome(torch, theirs, [x], {}, "float64"), strict=True
        ):
            np.testing.assert_allclose(got, want, **LIMITS["float64"], err_msg=name)


@pytest.mark.filterwarnings("ignore:.torch.nn.utils.weight_norm")
def test_parametrizations_removed_again():
    def values(m):
        utils = m.nn.utils
        layer = m.nn.Linear(3, 4).double()
        layer.load_state_dict({"weight": m.arange(12.0).reshape(4, 3), "bias": m.ones(4)})
        other = copy.deepcopy(layer)
        utils.parametrizations.weight_norm(layer)
        assert utils.parametrize.is_parametrized(layer) and utils.parametrize.is_parametrized(layer, "weight")
        layer.weight = m.ones(4, 3).double()
        changed = layer.weight.clone()
        utils.parametrize.remove_parametrizations(layer, "weight")
        assert type(layer) is m.nn.Linear and not utils.parametrize.is_parametrized(layer)
        utils.weight_norm(other)
        utils.remove_weight_norm(other)
        utils.spectral_norm(other)
        with pytest.raises(RuntimeError):
            utils.spectral_norm(other)
        utils.remove_spectral_norm(other.eval())
        with pytest.raises(ValueError):
            utils.remove_weight_norm(other)
        names = [[name for name, _ in x.named_parameters()] for x in (layer, other)]
        return [changed, layer.weight, np.asarray(names == [["bias", "weight"], ["bias", "weight"]])]

    agree(values)


def test_a_parametrization_of_ones_own():
    def values(m):
        class Symmetric(m.nn.Module):
            def forward(self, x):
                return x.triu() + x.triu(1).transpose(-1, -2)

        class Doubled(m.nn.Module):
            def forward(self, x):
                return 2 * x

            def right_inverse(self, x):
                return x / 2

        parametrize = m.nn.utils.parametrize
        layer = m.nn.Linear(3, 3)
        with m.no_grad():
            layer.weight.copy_(m.arange(9.0).reshape(3, 3))
        parametrize.register_parametrization(layer, "weight", Symmetric())
        parametrize.register_parametrization(layer, "weight", Doubled())
        with parametrize.cached():
            assert layer.weight is layer.weight
        layer.weight.sum().backward()
        copied = copy.deepcopy(layer)
        with pytest.raises((ValueError, KeyError)):
            parametrize.register_parametrization(layer, "nothing", Doubled())
        original = layer.parametrizations.weight.original
        return [
            layer.weight,
            original.grad,
            copied.weight,
            np.asarray(list(layer.state_dict()) == ["bias", "parametrizations.weight.original"]),
        ]

    agree(values)
