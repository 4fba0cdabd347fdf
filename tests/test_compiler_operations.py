"""Every function on arrays and every module inside a compiled function: results, gradients, second gradients and the stream
of random numbers are those of eager execution, for other values than those that were traced; or there is no program.

Sums may be added in another order (kernels take their plain form), so values agree to a few units in the last place.
"""

from __future__ import annotations

import copy
import importlib
import pkgutil

import numpy as np
import pytest

import tests.samples
import tinygrad_lite as tg
import tinygrad_lite.nn
from tests.check_op import SAMPLES, call, record, results, wanted
from tinygrad_lite import nn
from tinygrad_lite.compiler.stand_ins import Untraceable

for module in pkgutil.iter_modules(tests.samples.__path__):
    importlib.import_module(f"tests.samples.{module.name}")

F = nn.functional
pytestmark = pytest.mark.usefixtures("asynchronous")


# -- a function called eagerly and as a program ----------------------------------------------------


def weights(tensor, wave):
    return wave(tg.arange(tensor.numel()).to(tensor.dtype)).reshape(tensor.shape)


def differentiated(function, leaves, order):
    """The results of `function()`, and the gradients of weighted sums of them and of their gradients, `order` times."""
    outs = results(function())
    found = [out.detach().clone() for out in outs]
    for k in range(order):
        roots = [out for out in outs if out is not None and out.requires_grad]
        if not roots or not leaves:
            break
        given = [weights(root, tg.sin if k else tg.cos) for root in roots]
        outs = tg.autograd.grad(roots, leaves, given, allow_unused=True, create_graph=k + 1 < order)
        found += [None if out is None else out.detach().clone() for out in outs]
    return found


def outcome(function, arguments):
    """The arrays that a call returns and the next random number, or the kind of its error."""
    tg.manual_seed(0)
    try:
        found = function(*arguments)
    except (ArithmeticError, RuntimeError, ValueError) as error:
        return type(error)
    return [None if t is None else t.detach().numpy().copy() for t in [*found, *arguments, tg.rand(1)]]


def assert_same(got, want, ulps):
    if isinstance(got, type) or isinstance(want, type):
        assert got is want
        return
    assert len(got) == len(want)
    for x, y in zip(got, want):
        assert (x is None) == (y is None)
        if y is None:
            continue
        assert (x.dtype, x.shape) == (y.dtype, y.shape)
        if y.dtype.kind != "f":
            np.testing.assert_array_equal(x, y)
        elif y.size:
            finite = np.isfinite(y)
            atol = ulps * np.finfo(y.dtype).eps * np.abs(y[finite]).max(initial=0)
            np.testing.assert_allclose(x, y, rtol=0, atol=atol)


def compare(function, arrays, differentiable, ulps, reset=lambda: None):
    """Call `function` with these arrays (one eager call, one traced), then with other values. `reset` undoes what a call has
    changed."""
    compiled = tg.compile(function, fullgraph=True)
    flipped = [np.flip(a) for a in arrays]
    for values in (arrays, arrays, flipped):
        given = [[tg.from_numpy(np.array(a, order="C")).requires_grad_(k in differentiable) for k, a in enumerate(values)] for _ in range(2)]
        reset()
        want = outcome(function, given[0])
        reset()
        assert_same(outcome(compiled, given[1]), want, ulps)
    assert len(compiled.programs) == 1 or isinstance(want, type), compiled.reasons


# -- functions on arrays ---------------------------------------------------------------------------

# The shape of the result depends on values. (Of a mask, that of `x[mask]`; writing one number there is no such case.)
BY_VALUE = {
    "bincount": (0, 1), "distinct": (0, 1), "getitem": (8, 9, 10), "into_zeros": (8, 9, 10), "replaced": (4, 5, 6),
}  # fmt: skip


CONSTANT = {"weighted_sums": (1,)}  # arguments that are always tables of this library


def as_one_call(sample, dtype):
    """A function of tensors alone that calls a sample's function, the arrays for it, and those to differentiate by."""
    arrays = []

    def placed(value, inside):
        if isinstance(value, np.ndarray):
            i = len(arrays)
            arrays.append(value.astype(dtype) if value.dtype.kind == "f" else value)
            return lambda tensors: tensors[i].array if inside else tensors[i]
        if type(value) is tuple:
            parts = [placed(part, True) for part in value]
            return lambda tensors: tuple(part(tensors) for part in parts)
        return lambda tensors: value

    fixed = CONSTANT.get(sample.name, ())
    places = [(lambda _, value=value: value) if i in fixed else placed(value, False) for i, value in enumerate(sample.args)]
    apply, writes = call(sample), record(sample).writes
    numbers = wanted(sample)
    leaves = [sum(isinstance(value, np.ndarray) for value in sample.args[:i]) for i in numbers]
    order = min(max(sample.order, 1), 2 if dtype == np.float64 else 1)

    def function(*tensors):
        arguments = [place(tensors) for place in places]
        if writes:
            arguments[0] = arguments[0].clone()
        return differentiated(lambda: apply(*arguments), [arguments[i] for i in numbers], order)

    return function, arrays, leaves


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_of_every_function(name):
    for i, sample in enumerate(SAMPLES[name]):
        for dtype, ulps in ((np.float64, 64), (np.float32, 64)):
            function, arrays, leaves = as_one_call(sample, dtype)
            if i in BY_VALUE.get(name, ()):
                with pytest.raises(Untraceable, match="the shape of a result depends on values"):
                    compare(function, arrays, leaves, ulps)
            else:
                compare(function, arrays, leaves, ulps)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.nonzero(), lambda x: tg.where(x > 0), lambda x: x.unique(), lambda x: x.masked_select(x > 0), lambda x: x[x > 0],
        lambda x: tg.unique_consecutive(x), lambda x: tg.argwhere(x), lambda x: x.long().abs().bincount(),
        lambda x: tg.repeat_interleave(x, x.long().abs()), lambda x: x.tolist(), lambda x: x.histc(3), lambda x: tg.nonzero_static(x, size=2),
        lambda x: x * 2 if x.sum() > 0 else x, lambda x: tg.zeros(int(x.sum())), lambda x: tg.linspace(x[0], 5, 3),
        lambda x: [x for _ in range(int(x.abs().max()))], lambda x: F.one_hot(x.long().abs()), lambda x: tg.equal(x, x * 2),
        lambda x: tg.allclose(x, x * 2), lambda x: x * float(x.sum()), lambda x: x.sum().item() > 1,
    ],
)  # fmt: skip
def test_what_depends_on_values_is_refused(function):
    compiled = tg.compile(function, fullgraph=True)
    x = tg.tensor([2.0, -1.0, 1.0])
    compiled(x)
    with pytest.raises(Untraceable):
        compiled(x)


# -- modules ---------------------------------------------------------------------------------------

draw = np.random.default_rng(4)
images, volumes, rows, words = (draw.standard_normal(shape) for shape in ((2, 4, 6, 6), (1, 2, 4, 4, 4), (3, 4), (2, 4, 8)))
sequence, cell = draw.standard_normal((2, 5, 4)), draw.standard_normal((2, 3))
positive, classes, signs = draw.random((3, 4)) + 0.1, np.array([0, 3, 1]), np.array([1, -1, 1])


def like(x):
    return np.cos(np.arange(x.size)).reshape(x.shape)


def unpooled(rank):
    x = (words, images, volumes)[rank - 1]
    values, places = getattr(F, f"max_pool{rank}d")(tg.tensor(x), 2, return_indices=True)
    return values.numpy(), places.numpy()


SIZES = {1: words, 2: images, 3: volumes}
CHANNELS = {1: 4, 2: 4, 3: 2}
MODULES = {
    "Identity": ((), rows), "Linear": ((4, 3), rows), "Bilinear": ((4, 4, 2), rows, like(rows)), "Flatten": ((), images),
    "Unflatten": ((1, (2, 2)), rows), "Embedding": ((5, 3), classes), "EmbeddingBag": ((5, 3), classes[None]),
    "Sequential": ((nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2)), rows), "CosineSimilarity": ((), rows, like(rows)),
    "PairwiseDistance": ((), rows, like(rows)), "Fold": (((4, 4), 2), draw.standard_normal((1, 8, 9))), "Unfold": ((2,), images),
    "PixelShuffle": ((2,), images), "PixelUnshuffle": ((2,), images), "ChannelShuffle": ((2,), images),
    "Upsample": ((None, 2, "bilinear"), images), "UpsamplingBilinear2d": ((None, 2), images), "UpsamplingNearest2d": ((None, 2), images),
    "Softmax2d": ((), images), "LocalResponseNorm": ((2,), images), "LayerNorm": ((4,), rows), "RMSNorm": ((4,), rows),
    "GroupNorm": ((2, 4), images), "RNN": ((4, 3), sequence), "LSTM": ((4, 3, 2), sequence), "GRU": ((4, 3), sequence),
    "RNNCell": ((4, 3), rows[:2], cell), "LSTMCell": ((4, 3), rows), "GRUCell": ((4, 3), rows[:2], cell),
    "MultiheadAttention": ((4, 2), sequence, sequence * 0.5, sequence), "Transformer": ((4, 2, 1, 1, 8), sequence, sequence * 0.5),
    "TransformerEncoderLayer": ((4, 2, 8), sequence), "TransformerDecoderLayer": ((4, 2, 8), sequence, sequence * 0.5),
    "TransformerEncoder": ((nn.TransformerEncoderLayer(4, 2, 8), 2, None, False), sequence),
    "TransformerDecoder": ((nn.TransformerDecoderLayer(4, 2, 8), 2), sequence, sequence * 0.5),
    **dict.fromkeys(("CELU", "ELU", "GELU", "GLU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "LogSigmoid", "Mish", "PReLU", "RReLU", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink", "Dropout", "AlphaDropout"), ((), rows)),
    **dict.fromkeys(("LogSoftmax", "Softmax", "Softmin"), ((1,), rows)), "Threshold": ((0.1, 2.0), rows), "FeatureAlphaDropout": ((), images), "FractionalMaxPool2d": ((2, 3), images),
    "FractionalMaxPool3d": ((2, 2), volumes),
    **{f"{kind}{n}d": (of(n), SIZES[n]) for n in SIZES for kind, of in {
        "AdaptiveAvgPool": lambda n: (3,), "AdaptiveMaxPool": lambda n: (3,), "AvgPool": lambda n: (2,), "MaxPool": lambda n: (2,),
        "LPPool": lambda n: (2, 2), "BatchNorm": lambda n: (CHANNELS[n],), "InstanceNorm": lambda n: (CHANNELS[n], 1e-5, 0.1, True, True),
        "Conv": lambda n: (CHANNELS[n], 3, 2), "ConvTranspose": lambda n: (CHANNELS[n], 3, 2), "Dropout": lambda n: (),
        "CircularPad": lambda n: (1,), "ConstantPad": lambda n: (1, 2.0), "ReflectionPad": lambda n: (1,), "ReplicationPad": lambda n: (1,),
        "ZeroPad": lambda n: (1,),
    }.items()},
    **{f"MaxUnpool{n}d": ((2,), *unpooled(n)) for n in SIZES},
    **{name: ((), rows, like(rows)) for name in ("HuberLoss", "L1Loss", "MSELoss", "SmoothL1Loss", "PoissonNLLLoss")},
    "BCELoss": ((), positive / 2, positive / 3), "BCEWithLogitsLoss": ((), rows, positive / 2), "CTCLoss": (
        (), draw.standard_normal((6, 2, 4)), np.array([[1, 2], [3, 1]]), np.array([6, 5]), np.array([2, 2])
    ),
    "CosineEmbeddingLoss": ((), rows, like(rows), signs), "CrossEntropyLoss": ((), rows, classes), "NLLLoss": ((), rows, classes),
    "GaussianNLLLoss": ((), rows, like(rows), positive), "HingeEmbeddingLoss": ((), rows, np.sign(rows)), "KLDivLoss": ((), rows, positive),
    "MarginRankingLoss": ((), rows[0], rows[1], np.sign(rows[2])), "MultiLabelMarginLoss": ((), rows, np.array([[0, 2, -1, 1]] * 3)),
    "MultiLabelSoftMarginLoss": ((), rows, positive.round()), "MultiMarginLoss": ((), rows, classes), "SoftMarginLoss": ((), rows, np.sign(rows)),
    "TripletMarginLoss": ((), rows, like(rows), positive), "TripletMarginWithDistanceLoss": ((), rows, like(rows), positive),
    "LinearCrossEntropyLoss": ((4, 5), rows, classes),
}  # fmt: skip
CONTAINERS = {"Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "RNNBase", "RNNCellBase", "DataParallel"}


def every_module():
    return [name for name, value in vars(nn).items() if isinstance(value, type) and issubclass(value, nn.Module)]


def test_every_module_is_tried():
    assert [name for name in every_module() if name not in MODULES and name not in CONTAINERS and "Lazy" not in name] == []


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
@pytest.mark.parametrize("name", MODULES)
def test_of_every_module(name, training):
    arguments, *inputs = MODULES[name]
    tg.manual_seed(1)
    for dtype in (tg.float64, tg.float32):
        module = getattr(nn, name)(*copy.deepcopy(arguments)).to(dtype).train(training)
        arrays = [x.astype(dtype) if x.dtype.kind == "f" else x for x in inputs]
        leaves = [i for i, x in enumerate(arrays) if x.dtype.kind == "f" and (i == 0 or "Loss" not in name)]
        parameters = list(module.parameters())
        before = copy.deepcopy(module.state_dict())

        compare(call_of(module, leaves, parameters), arrays, leaves, 128, lambda: module.load_state_dict(before))


def call_of(module, leaves, parameters):
    def function(*tensors):
        found = differentiated(lambda: flat(module(*tensors)), [*(tensors[i] for i in leaves), *parameters], 1)
        return [*found, *(buffer.clone() for buffer in module.buffers())]

    return function


def flat(value):
    return tuple(t for part in value for t in flat(part)) if isinstance(value, (tuple, list)) else () if value is None else (value,)


# -- changes in place, views, random numbers -------------------------------------------------------


def assigned(index, value):
    return lambda x, w, m: x.__setitem__(index(x, w, m), value(x, w, m))


def parts_changed(x, w, m):
    for row in x.unbind(0):
        row.mul_(2)
    a, b = x.split(2)
    a.add_(b)
    b.sub_(a)


def copies_changed(x, w, m):
    copies = [x.contiguous(), x.float(), x.to(tg.float64), tg.stack([x, w]), tg.cat([x, w]), x.T.reshape(-1), x.expand(2, 4, 3).clone()]
    for y in copies:
        y[0] = 7
    return [y for y in copies if y is not x]


IN_PLACE = {
    "an element added to": assigned(lambda x, w, m: 0, lambda x, w, m: x[0] + 1),
    "a transpose": lambda x, w, m: x.T.mul_(2), "a chunk": lambda x, w, m: x.chunk(2)[0].zero_(),
    "a mask": assigned(lambda x, w, m: m, lambda x, w, m: 5.0), "masked_fill_": lambda x, w, m: x.masked_fill_(m, 2.0),
    "data": lambda x, w, m: w.data.mul_(2), "a captured row": lambda x, w, m: w[1].copy_(x[0]),
    "a view of a view": lambda x, w, m: x.unsqueeze(0)[0, 1:3].T.copy_(w[:2].T), "a diagonal": lambda x, w, m: x.diagonal().fill_(0),
    "overlapping parts": lambda x, w, m: x[1:].add_(x[:-1]), "overlapping assignment": assigned(lambda x, w, m: slice(1, None), lambda x, w, m: x[:-1]),
    "index_fill_": lambda x, w, m: x.index_fill_(0, tg.tensor([0, 2, 0]), 1.5),
    "index_add_": lambda x, w, m: x.index_add_(0, tg.tensor([0, 0]), w[:2]), "scatter_": lambda x, w, m: x.scatter_(1, tg.tensor([[0], [1]]), 3.0),
    "as_strided": lambda x, w, m: tg.as_strided(x, (3, 2), (3, 1)).mul_(2), "a flat view": lambda x, w, m: x.view(-1)[::2].zero_(),
    "rows by number": assigned(lambda x, w, m: tg.tensor([0, 1]), lambda x, w, m: w[:2]), "unbind and split": parts_changed,
    "copies": copies_changed, "a new array": lambda x, w, m: [tg.zeros(4, 3).copy_(x)[1:].add_(1).T],
    "part of a product": lambda x, w, m: [(x.T @ w).T.reshape(-1)], "the order of reads and writes": lambda x, w, m: [x.sum(), x.zero_().sum(), x.fill_(3).sum()],
    "a parameter and its gradient": lambda x, w, m: [w.detach().clone(), w.add_(x).detach().clone()], "a 0-d index": lambda x, w, m: [x[m.sum()] * 1],
}  # fmt: skip

RANDOM = {
    **{name: lambda x, w, name=name: getattr(F, name)(x[None], 0.3, True) for name in ("dropout", "alpha_dropout", "feature_alpha_dropout", "dropout1d")},
    "dropout2d": lambda x, w: F.dropout2d(x[None, None], 0.3), "dropout3d": lambda x, w: F.dropout3d(x[None, None, None], 0.3),
    "rrelu": lambda x, w: F.rrelu(x, training=True), "gumbel_softmax": lambda x, w: F.gumbel_softmax(x, hard=True),
    "attention": lambda x, w: F.scaled_dot_product_attention(x[None], x[None], x[None], dropout_p=0.3),
    "fractional_max_pool2d": lambda x, w: F.fractional_max_pool2d(x[None, None], 2, output_size=2),
    **{name: lambda x, w, name=name: getattr(tg, name)(5) for name in ("rand", "randn", "randperm")},
    **{name: lambda x, w, name=name: getattr(tg, name)(x) for name in ("rand_like", "randn_like")},
    "randint": lambda x, w: tg.randint(0, 9, (5,)), "half precision": lambda x, w: tg.rand(5, dtype=tg.float16),
    "bernoulli": lambda x, w: tg.bernoulli(x.sigmoid()), "multinomial": lambda x, w: tg.multinomial(x.sigmoid(), 2),
    "multinomial with replacement": lambda x, w: tg.multinomial(x.sigmoid(), 5, True), "poisson": lambda x, w: tg.poisson(x.abs()),
    "normal": lambda x, w: tg.normal(x, w.abs()), "part of a tensor": lambda x, w: [x.narrow(0, 1, 2).normal_() * 1, x[0].uniform_() * 1],
    **{
        name: lambda x, w, name=name, arguments=arguments: getattr(x, name)(*arguments) * 1
        for name, arguments in {
            "normal_": (1, 2), "uniform_": (-1, 1), "exponential_": (), "geometric_": (0.3,), "log_normal_": (), "cauchy_": (), "random_": (3, 9),
            "bernoulli_": (0.3,),
        }.items()
    },
    "Normal": lambda x, w: tg.distributions.Normal(x, w.abs() + 1).rsample(), "Categorical": lambda x, w: tg.distributions.Categorical(logits=x).sample(),
    "kaiming_uniform_": lambda x, w: nn.init.kaiming_uniform_(x) * 1, "orthogonal_": lambda x, w: nn.init.orthogonal_(x) * 1,
}  # fmt: skip


def outcomes(name, compiled):
    """What four calls return, and after each their arguments, the captured tensor and the next random numbers."""
    tg.manual_seed(0)
    values = np.random.default_rng(3)
    w = tg.tensor(values.standard_normal((4, 3)), dtype=tg.float32)

    def step(x, m):
        result = IN_PLACE[name](x, w, m) if name in IN_PLACE else [RANDOM[name](x, w)]
        return result if isinstance(result, list) else []

    step = tg.compile(step, fullgraph=True) if compiled else step
    found = []
    for _ in range(4):
        x, m = tg.tensor(values.standard_normal((4, 3)), dtype=tg.float32), tg.tensor(values.random((4, 3)) > 0.8)
        found += [t.numpy().copy() for t in (*flat(step(x, m)), x, w, tg.rand(2))]
    return found


@pytest.mark.parametrize("name", [*IN_PLACE, *RANDOM])
def test_changes_in_place_and_random_numbers(name):
    assert_same(outcomes(name, True), outcomes(name, False), 16)


def test_the_source_imports_the_functions_of_this_library_that_it_calls():
    step = tg.compile(lambda x: (x.erf() @ tg.linalg.eigh(x + x.T).eigenvectors, tg.linalg.svd(x)), fullgraph=True)
    x = tg.tensor([[1.0, 2.0], [0.5, 3.0]])
    for _ in range(2):
        product, (U, S, Vh) = step(x)
    scope = {}
    exec(step.source(), scope)
    found = scope["program"](x.numpy())
    for value, expected in zip(found, (product, U, S, Vh), strict=True):
        np.testing.assert_array_equal(value, expected.numpy())
