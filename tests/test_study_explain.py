"""`study.explain` names the cause of each planted fault, and says "nothing wrong" of each sound program."""

from __future__ import annotations

import contextlib
import gc
import importlib
import linecache
import sys
import weakref

import pytest

import tinygrad_lite as tg
import tinygrad_lite.nn.functional as F
from tinygrad_lite import nn, study

FAULTS, SOUND = [], []


def fault(state, kind, line=""):
    """A row of the table: a program that returns the tensor to explain, its fault, and the text of the line to blame."""

    def add(program):
        FAULTS.append(pytest.param(program, state, kind, line, id=program.__name__))
        return program

    return add


def sound(program):
    SOUND.append(pytest.param(program, id=program.__name__))
    return program


def leaf(*values):
    return tg.tensor(list(values), requires_grad=True)


class Saved(tg.autograd.Function):
    """x times y, with a chosen gradient."""

    gradients = staticmethod(lambda x, y, g: (g * y, g * x))

    @staticmethod
    def forward(ctx, x, y):
        ctx.save_for_backward(x, y)
        return x * y

    @classmethod
    def backward(cls, ctx, g):
        return cls.gradients(*ctx.saved_tensors, g)


# -- in functions of other files -------------------------------------------------------------------

HELPER = """\
import tinygrad_lite as tg

def stop(h):
    return h.detach()

def deep(h):
    k = stop(h)
    return k + 1

@tg.no_grad()
def decorated(h):
    return h * 2

def hard(h):
    return h.argmax(-1)

def logged(h):
    m = h.detach().mean()
    assert m.ndim == 0
    return h * 2
"""


@pytest.fixture
def helper(tmp_path, monkeypatch):
    (tmp_path / "attack_helper.py").write_text(HELPER)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("attack_helper")
    del sys.modules["attack_helper"]


@pytest.mark.parametrize(
    "operation, kind, line", [("stop", "detached", 4), ("deep", "detached", 4), ("decorated", "no_grad", 10), ("hard", "integer", 15)]
)
def test_the_line_of_a_helper_in_another_file_is_named(helper, operation, kind, line):
    def of(source):
        variables = {"tg": tg, "study": study}
        file = str(helper.__file__).replace("attack_helper", f"program_{operation}")
        linecache.cache[file] = (len(source), None, source.splitlines(True), file)
        exec(compile(source, file, "exec"), variables)
        return variables["why"]

    for first in ("w * 3", "w"):
        why = of(f"""\
from attack_helper import {operation} as cut
w, b = tg.tensor([1.0, 2.0], requires_grad=True), tg.ones(2, requires_grad=True)
with study.record() as tape:
    h = {first}
    k = cut(h)
    loss = (k * b).sum()
    loss.backward()
why = study.explain(w, tape)
""")
        assert why.state == "None" and why.cause == kind, first
        assert why.causes[0].place.endswith(f"attack_helper.py:{line}")


def test_a_leaf_that_an_operation_took_detached_is_not_said_to_be_required_too_late():
    w, b = leaf(1.0, 2.0), leaf(1.0, 1.0)
    with study.record() as tape:
        k = w.detach()
        (k * b).sum().backward()
    why = study.explain(w, tape)
    assert why.cause == "detached" and why.causes[0].source == "k = w.detach()"
    w, k = tg.ones(2), None
    with study.record() as tape:
        k = w * b
        w.requires_grad_()
        k.sum().backward()
    assert study.explain(w, tape).cause == "required too late"

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.layer = nn.Parameter(tg.ones(3)), nn.Linear(3, 3)

        def forward(self, x):
            return self.layer(x) * self.scale.detach()

    model = Scaled()
    with study.record(model) as tape:
        model(tg.ones(2, 3)).sum().backward()
    assert study.explain(model, tape)[0].cause == "detached"


def test_a_helper_that_detaches_only_what_it_looks_at_is_not_blamed(helper):
    w, b = leaf(1.0, 2.0), leaf(1.0, 1.0)
    with study.record() as tape:
        k = helper.logged(w)
        b.sum().backward()
    why = study.explain(w, tape)
    assert k.requires_grad and why.cause == "not behind the loss"


# -- there is none ---------------------------------------------------------------------------------


@fault("None", "not required")
def a_plain_tensor():
    x = tg.tensor([1.0, 2.0])
    (x * leaf(1.0, 1.0)).sum().backward()
    return x


@fault("None", "integer")
def an_integer_tensor():
    x = tg.tensor([1, 2])
    (x * leaf(1.0, 1.0)).sum().backward()
    return x


@fault("None", "integer", "best = scores.argmax()")
def the_place_of_a_maximum():
    scores = leaf(1.0, 3.0)
    best = scores.argmax()
    (scores * 2).sum().backward()
    return study.explain(best)


@fault("None", "frozen")
def a_frozen_parameter():
    layer = nn.Linear(2, 1)
    layer.weight.requires_grad_(False)
    layer(tg.ones(1, 2)).sum().backward()
    return layer.weight


@fault("None", "frozen")
def a_parameter_made_frozen():
    scale = nn.Parameter(tg.ones(2), requires_grad=False)
    (scale * leaf(1.0, 2.0)).sum().backward()
    return scale


@fault("None", "detached", "h = x.exp().detach()")
def the_result_is_detached():
    x = leaf(1.0, 2.0)
    h = x.exp().detach()
    (x * h).sum().backward()
    return h


@fault("None", "detached", "middle = h.detach()")
def detached_on_the_way():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    h = x.tanh()
    middle = h.detach()
    (middle * w).sum().backward()
    return x


@fault("None", "detached", "y = h.data * w")
def data_on_the_way():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    h = x.tanh()
    y = h.data * w
    y.sum().backward()
    return x


@fault("None", "detached", "copy = nn.Parameter(h)")
def a_parameter_made_of_a_result():
    x = leaf(1.0, 2.0)
    h = x.exp()
    copy = nn.Parameter(h)
    (copy * 2).sum().backward()
    return x


@fault("None", "no_grad", "h = x.exp()")
def made_under_no_grad():
    x = leaf(1.0, 2.0)
    with tg.no_grad():
        h = x.exp()
    (x * h).sum().backward()
    return study.explain(h)


@fault("None", "no_grad", "features = h * 2")
def used_under_no_grad():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    h = x.sin()
    with tg.no_grad():
        features = h * 2
    (features * w).sum().backward()
    return x


@fault("None", "no_grad", "return encoder(x)")
def a_module_under_no_grad():
    encoder, head = nn.Linear(2, 2), nn.Linear(2, 1)

    @tg.no_grad()
    def encoded(x):
        return encoder(x)

    with study.record(nn.Sequential(encoder, head)) as tape:
        head(encoded(tg.ones(1, 2))).sum().backward()
    return encoder.weight, tape


@fault("None", "converted", "k = tg.tensor(h.tolist())")
def through_a_list():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    h = x.sin()
    k = tg.tensor(h.tolist())
    (k * w).sum().backward()
    return x


@fault("None", "converted", "loss = w.sum() * total.item()")
def through_a_number():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    total = x.sum()
    loss = w.sum() * total.item()
    loss.backward()
    return x


@fault("None", "integer", "chosen = (h > 0).float()")
def through_a_comparison():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    h = x.sin()
    chosen = (h > 0).float()
    (chosen * w).sum().backward()
    return x


@fault("None", "not retained")
def not_a_leaf():
    x = leaf(1.0, 2.0)
    h = x * 2
    h.sum().backward()
    return h


@fault("None", "not retained")
def a_leaf_lost_by_a_conversion():
    w = tg.ones(2, requires_grad=True).to(tg.float64)
    (w * w).sum().backward()
    return w


@fault("None", "not behind the loss", "unused = x.sin()")
def not_behind_the_loss():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    unused = x.sin()  # noqa: F841
    (w * w).sum().backward()
    return x


@fault("None", "not behind the loss", "mean = unused.mean().item()")
def not_behind_the_loss_although_it_is_detached_for_a_log():
    log = []
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    unused = x.sin()
    log.append(unused.detach())
    mean = unused.mean().item()
    (w * w).sum().backward()
    assert mean and log
    return x


@fault("None", "not used")
def a_layer_that_forward_leaves_out():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    model[0](tg.ones(1, 2)).sum().backward()
    return model[1].weight


@fault("None", "required too late", "y = x * w")
def required_too_late():
    x, w = tg.ones(2), leaf(3.0, 4.0)
    y = x * w
    x.requires_grad_()
    y.sum().backward()
    return x


@fault("None", "no backward")
def backward_is_never_called():
    x = leaf(1.0, 2.0)
    (x * x).sum()
    return x


@fault("None", "not among the inputs")
def backward_asked_for_others():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (x * w).sum().backward(inputs=[w])
    return x


@fault("None", "cleared")
def cleared_after_backward():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    tg.optim.SGD([x], lr=0.1).zero_grad()
    return x


@fault("None", "cleared")
def grad_instead_of_backward():
    x = leaf(1.0, 2.0)
    tg.autograd.grad((x * x).sum(), x)
    return x


@fault("None", "backward raised")
def backward_raises():
    x = leaf(1.0, 2.0)
    h = x.exp()
    y = (h * h).sum()
    with tg.no_grad():
        h.zero_()
    with contextlib.suppress(RuntimeError):
        y.backward()
    return x


@fault("None", "function", "y = Half.apply(x, w)")
def a_function_that_returns_none():
    class Half(Saved):
        gradients = staticmethod(lambda x, y, g: (None, g * x))

    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = Half.apply(x, w)
    y.sum().backward()
    return x


@fault("None", "detached", "h = h.detach()")
def truncated_backpropagation_through_time():
    cell, h = nn.RNNCell(4, 4), tg.zeros(2, 4)
    inputs = [tg.ones(2, 4, requires_grad=True) for _ in range(4)]
    for i, x in enumerate(inputs):
        h = cell(x, h)
        if i == 1:
            h = h.detach()
    h.sum().backward()
    return inputs[0]


@fault("None", "sampled", "k = drawn.sample()")
def a_sample():
    logits, w = leaf(1.0, 2.0, 3.0), leaf(1.0)
    p = logits.softmax(0)
    drawn = tg.distributions.Categorical(probs=p)
    k = drawn.sample()
    (k * w).sum().backward()
    return logits


@fault("None", "no create_graph", "(g,) = tg.autograd.grad(y, x)")
def a_gradient_that_cannot_be_differentiated():
    x, w = leaf(1.0, 2.0), leaf(1.0)
    y = (x**3).sum()
    (g,) = tg.autograd.grad(y, x)
    (g * w).sum().backward()
    return study.explain(g)


@fault("None", "no create_graph", "g = x.grad")
def the_grad_of_a_first_backward():
    x, w = leaf(1.0, 2.0), leaf(1.0)
    (x**3).sum().backward()
    g = x.grad
    (g * w).sum().backward()
    return study.explain(g)


@fault("None", "not behind the loss", "a, b = x.split(1)")
def one_of_several_results():
    x = leaf(1.0, 2.0)
    a, b = x.split(1)
    a.sum().backward()
    return b


# -- it is zero ------------------------------------------------------------------------------------


@fault("zero", "dead relu", "h = F.relu(z)")
def a_dead_relu():
    x = leaf(-1.0, -2.0)
    z = x * 3
    h = F.relu(z)
    (h + 1).sum().backward()
    return x


@fault("zero", "dead relu", "return self.out(F.relu(self.hidden(x)))")
def a_dead_layer_before_the_last():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.out = nn.Linear(3, 4), nn.Linear(4, 1)

        def forward(self, x):
            return self.out(F.relu(self.hidden(x)))

    net = Net()
    with tg.no_grad():
        net.hidden.bias.fill_(-100)
    (net(tg.ones(2, 3)) - 1).square().mean().backward()
    return net.out.weight


@fault("zero", "dead relu", "h = F.relu6(x)")
def a_dead_relu6():
    x = leaf(-1.0, -2.0)
    h = F.relu6(x)
    h.sum().backward()
    return x


@fault("zero", "dead relu", "h.relu_()")
def a_dead_relu_in_place():
    x = leaf(-1.0, -2.0)
    h = x * 1
    h.relu_()
    (h + 1).sum().backward()
    return x


@fault("zero", "dead relu", "return (z * 2).relu() + 1")
def a_dead_relu_in_a_checkpoint():
    def block(z):
        return (z * 2).relu() + 1

    x = leaf(-1.0, -2.0)
    tg.utils.checkpoint.checkpoint(block, x, use_reentrant=False).sum().backward()
    return x


@fault("zero", "dead relu", "h = F.relu(x)")
def a_dead_relu_before_several_outputs():
    x = leaf(-1.0, -2.0)
    h = F.relu(x)
    a, b = h.split(1)
    (a + b).sum().backward()
    return x


@fault("zero", "zero derivative")
def a_penalty_on_the_gradient_of_a_relu():
    x = leaf(1.0, 2.0)
    (g,) = tg.autograd.grad(F.relu(x).sum(), x, create_graph=True)
    x.grad = None
    ((g - 2) ** 2).sum().backward()
    return x


@fault("zero", "saturated sigmoid", "p = x.sigmoid()")
def a_saturated_sigmoid():
    x = leaf(200.0, 300.0)
    p = x.sigmoid()
    (p * p).sum().backward()
    return x


@fault("zero", "saturated tanh", "h = tg.tanh(10 * x)")
def a_saturated_tanh():
    x = leaf(20.0, -30.0)
    h = tg.tanh(10 * x)
    (h * 2).sum().backward()
    return x


@fault("zero", "saturated softmax", "p = (1000 * x).softmax(0)")
def a_saturated_softmax():
    x = leaf(1.0, 2.0, 3.0)
    p = (1000 * x).softmax(0)
    (p * tg.tensor([1.0, 2.0, 3.0])).sum().backward()
    return x


@fault("zero", "masked", "kept = tg.where(x > 5, x, 0.0)")
def masked_out_by_where():
    x = leaf(1.0, 2.0)
    kept = tg.where(x > 5, x, 0.0)
    kept.sum().backward()
    return x


@fault("zero", "masked", "h = x * mask")
def masked_out_by_a_product():
    x, mask = leaf(1.0, 2.0, 3.0), tg.tensor([0.0, 0.0, 1.0])
    h = x * mask
    h[:2].sum().backward()
    return x


@fault("zero", "masked", "h = F.dropout(x, p=1.0)")
def everything_dropped():
    x = leaf(1.0, 2.0, 3.0)
    h = F.dropout(x, p=1.0)
    (h + 1).sum().backward()
    return x


@fault("zero", "max elsewhere", "tg.cat([x, y]).max()")
def max_of_another_that_is_joined_to_it():
    x, y = leaf(1.0, 2.0), leaf(5.0, 4.0)
    tg.cat([x, y]).max().backward()
    return x


@fault("zero", "not selected", "(tg.cat([y, x])")
def a_slice_of_another_that_is_joined_to_it():
    x, y = leaf(1.0, 2.0), leaf(5.0, 4.0)
    (tg.cat([y, x]).reshape(4)[:2] * 3).sum().backward()
    return x


@fault("zero", "max elsewhere", "top = tg.maximum(x, floor)")
def the_maximum_is_elsewhere():
    x, floor = leaf(1.0, 2.0), tg.tensor([5.0, 5.0])
    top = tg.maximum(x, floor)
    top.sum().backward()
    return x


@fault("zero", "multiplied by zero", "y = x * weight")
def multiplied_by_zero():
    x, weight = leaf(1.0, 2.0), tg.zeros(2)
    y = x * weight
    (y + 1).sum().backward()
    return x


@fault("zero", "multiplied by zero", "y = model[1](h)")
def a_layer_initialized_to_zero():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    nn.init.zeros_(model[1].weight)
    h = model[0](tg.ones(4, 2))
    y = model[1](h)
    (y - 1).square().mean().backward()
    return model[0].weight


@fault("zero", "step function", "r = x.round()")
def rounded():
    x = leaf(1.2, 2.7)
    r = x.round()
    (r * r).sum().backward()
    return x


@fault("zero", "clamped", "c = x.clamp(0, 1)")
def clamped():
    x = leaf(1.2, -2.7)
    c = x.clamp(0, 1)
    (c + c).sum().backward()
    return x


@fault("zero", "not selected", "large = x[x > 5]")
def nothing_is_selected():
    x = leaf(1.0, 2.0)
    large = x[x > 5]
    large.sum().backward()
    return x


@fault("zero", "overwritten", "h[:] = 0.0")
def overwritten_in_place():
    x = leaf(1.0, 2.0)
    h = x * 2
    h[:] = 0.0
    (h + 1).sum().backward()
    return x


@fault("zero", "not selected", "loss = F.cross_entropy(x, tg.tensor([-100, -100]))")
def all_targets_are_ignored():
    x = tg.ones(2, 3, requires_grad=True)
    loss = F.cross_entropy(x, tg.tensor([-100, -100]))
    loss.backward()
    return x


@fault("zero", "dead relu", "m = nn.functional.max_pool2d(F.relu(x - 1), 2)")
def a_dead_relu_before_a_pooling():
    x = tg.zeros(1, 1, 4, 4, requires_grad=True)
    m = nn.functional.max_pool2d(F.relu(x - 1), 2)
    m.sum().backward()
    return x


@fault("zero", "cancelled")
def cancelled():
    x = leaf(1.0, 2.0)
    (x * 3 - x - x - x).sum().backward()
    return x


@fault("zero", "cancelled", "p = x.softmax(0)")
def the_sum_of_a_softmax():
    x = leaf(0.0, 0.0)
    p = x.softmax(0)
    p.sum().backward()
    return x


@fault("zero", "cancelled", "h = norm(x)")
def a_normalization_over_one_value():
    x, norm = tg.ones(3, 1, requires_grad=True), nn.LayerNorm(1)
    h = norm(x)
    (h * h + h).sum().backward()
    return x


@fault("zero", "minimum", "loss = F.mse_loss(x, target)")
def the_target_is_the_prediction():
    x, target = leaf(1.0, 2.0), tg.tensor([1.0, 2.0])
    loss = F.mse_loss(x, target)
    loss.backward()
    return x


@fault("zero", "zero derivative", "y = (x ** 2).sum()")
def a_power_at_zero():
    x = leaf(0.0, 0.0)
    y = (x ** 2).sum()
    y.backward()
    return x


@fault("zero", "zero gradient passed")
def a_zero_cotangent():
    x = leaf(1.0, 2.0)
    (x * x).backward(tg.zeros(2))
    return x


@fault("zero", "underflow", "a = x * 1e-30")
def underflow():
    x = leaf(1.0, 2.0)
    a = x * 1e-30
    b = a * 1e-30
    b.sum().backward()
    return x


@fault("zero", "hook", "h = x * 2")
def a_hook_that_zeroes():
    x = leaf(1.0, 2.0)
    h = x * 2
    h.register_hook(lambda g: g * 0)
    h.sum().backward()
    return x


@fault("zero", "function", "y = Nothing.apply(x, w)")
def a_function_that_returns_zeros():
    class Nothing(Saved):
        gradients = staticmethod(lambda x, y, g: (g * 0, g * x))

    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = Nothing.apply(x, w)
    y.sum().backward()
    return x


# -- it is not finite ------------------------------------------------------------------------------


@fault("nan", "nan made by log", "y = (x - 1.5).log()")
def the_logarithm_of_a_negative_number():
    x = leaf(1.0, 2.0)
    y = (x - 1.5).log()
    y.mul(2).sum().square().backward()
    return x


@fault("nan", "nan made by log", "return (z - 5).log() * z")
def a_logarithm_in_a_checkpoint():
    def block(z):
        return (z - 5).log() * z

    x = leaf(1.0, 2.0)
    tg.utils.checkpoint.checkpoint(block, x, use_reentrant=False).sum().backward()
    return x


@fault("nan", "inf made by the rule of sqrt", "n = (x * x).sum().sqrt()")
def the_norm_of_zero_times_zero():
    x = leaf(0.0, 0.0)
    n = (x * x).sum().sqrt()
    n.backward()
    return x


@fault("inf", "inf made by exp", "y = (x * 100).exp()")
def an_exponential_overflows():
    x = leaf(1.0, 2.0)
    y = (x * 100).exp()
    y.sum().backward()
    return x


@fault("nan", "nan made by div", "y = x / x")
def zero_over_zero():
    x = leaf(0.0, 2.0)
    y = x / x
    y.sum().backward()
    return x


@fault("inf", "inf made by the rule of sqrt", "d = x.sqrt()")
def the_root_of_zero():
    x = leaf(0.0, 4.0)
    d = x.sqrt()
    d.sum().backward()
    return x


@fault("nan", "nan made by the rule of sqrt", "d = x.sqrt()")
def a_root_behind_where():
    x = leaf(0.0, 4.0)
    d = x.sqrt()
    tg.where(x > 0, d, 0.0).sum().backward()
    return x


@fault("inf", "inf made by the rule of pow", "y = x ** 0.5")
def a_fractional_power_of_zero():
    x = leaf(0.0, 4.0)
    y = x ** 0.5
    y.sum().backward()
    return x


@fault("nan", "nan in the data", "h = layer(batch)")
def nan_in_the_data():
    layer, batch = nn.Linear(2, 1), tg.tensor([[1.0, float("nan")]])
    h = layer(batch)
    h.square().sum().backward()
    return layer.weight


@fault("inf", "nan in the data", "h = layer(batch)")
def infinity_in_the_data():
    layer, batch = nn.Linear(2, 1), tg.tensor([[1.0, float("inf")]])
    h = layer(batch)
    h.square().mean().backward()
    return layer.weight


@fault("nan", "inf made by mse", "loss = F.mse_loss(model(x), y)")
def training_that_blows_up():
    tg.manual_seed(0)
    model, x, y = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1)), tg.randn(8, 4), tg.randn(8, 1)
    optimizer = tg.optim.SGD(model.parameters(), lr=1e4)
    for _ in range(12):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
    return model[0].weight


@fault("nan", "nan in a parameter")
def nan_in_a_parameter():
    layer = nn.Linear(2, 1)
    with tg.no_grad():
        layer.weight[0, 0] = float("nan")
    layer(tg.ones(1, 2)).square().sum().backward()
    return layer.bias


@fault("nan", "nan made by var", "s = x.std()")
def the_deviation_of_one_value():
    x = leaf(3.0)
    s = x.std()
    (x / s).sum().backward()
    return x


@fault("nan", "nan made by softmax", "p = scores.softmax(-1)")
def a_row_that_is_all_masked():
    x, mask = tg.ones(2, 3, requires_grad=True), tg.tensor([[True, True, True], [False, True, False]])
    scores = x.masked_fill(mask, -float("inf"))
    p = scores.softmax(-1)
    v = tg.ones(3, 2, requires_grad=True)
    (p @ v).sum().backward()
    return v


@fault("nan", "inf made by mul", "h = x * 60000")
def half_precision_overflows():
    x = tg.tensor([2.0, 3.0], dtype=tg.float16, requires_grad=True)
    h = x * 60000
    (h - h).sum().square().backward()
    return x


@fault("nan", "non-finite gradient passed")
def a_cotangent_with_nan():
    x = leaf(1.0, 2.0)
    (x * x).backward(tg.tensor([1.0, float("nan")]))
    return x


@fault("nan", "hook", "h = x * 2")
def a_hook_that_makes_nan():
    x = leaf(1.0, 2.0)
    h = x * 2
    h.register_hook(lambda g: g * float("nan"))
    h.sum().backward()
    return x


@fault("nan", "nan made by the rule of Broken", "y = Broken.apply(x, w)")
def a_function_that_makes_nan():
    class Broken(Saved):
        gradients = staticmethod(lambda x, y, g: (g / (x - x), g * x))

    x, w = leaf(0.0, 2.0), leaf(3.0, 4.0)
    y = Broken.apply(x, w)
    (y * tg.tensor([0.0, 1.0])).sum().backward()
    return x


# -- it is huge or tiny ----------------------------------------------------------------------------


def deep(layers, scale, activation, loss=tg.mean):
    tg.manual_seed(0)
    model = nn.Sequential(*[part for _ in range(layers) for part in (nn.Linear(16, 16), activation())])
    with tg.no_grad():
        for parameter in model.parameters():
            parameter.mul_(scale)
    loss(model(tg.randn(8, 16))).backward()
    return model[0].weight


@fault("huge", "exploding")
def weights_that_are_too_large():
    return deep(20, 6, nn.ReLU)


@fault("huge", "exploding")
def values_that_grow():
    return deep(20, 6, nn.ReLU, lambda y: y.square().mean())


@fault("tiny", "vanishing")
def a_deep_chain_of_sigmoids():
    return deep(20, 1, nn.Sigmoid)


@fault("tiny", "vanishing")
def weights_that_are_too_small():
    return deep(12, 0.1, nn.Tanh)


@fault("tiny", "vanishing", "h = cell(x, h)")
def a_recurrent_network_that_forgets():
    tg.manual_seed(0)
    cell, h = nn.RNNCell(4, 4), None
    with tg.no_grad():
        cell.weight_hh.mul_(0.5)
    inputs = [tg.randn(2, 4, requires_grad=True) for _ in range(20)]
    for x in inputs:
        h = cell(x, h)
    h.sum().backward()
    return inputs[0]


@fault("huge", "exploding", "h = cell(x, h)")
def a_recurrent_network_that_explodes():
    tg.manual_seed(0)
    cell, h = nn.RNNCell(4, 4, nonlinearity="relu"), None
    with tg.no_grad():
        cell.weight_hh.copy_(2.5 * tg.eye(4))
        cell.bias_hh.fill_(1)
    inputs = [tg.randn(2, 4, requires_grad=True) for _ in range(30)]
    for x in inputs:
        h = cell(x, h)
    h.mean().backward()
    return inputs[0]


@fault("huge", "multiplied by a large number", "loss = ((x - 1) * 1e8).sum()")
def a_loss_that_is_scaled_up():
    x = leaf(1.0, 2.0)
    loss = ((x - 1) * 1e8).sum()
    loss.backward()
    return x


@fault("huge", "divided by a tiny number", "y = x / eps")
def a_division_by_almost_zero():
    x, eps = leaf(1.0, 2.0), tg.tensor([1e-9, 1.0])
    y = x / eps
    y.sum().backward()
    return x


@fault("huge", "steep", "y = x.sqrt()")
def a_root_close_to_zero():
    x = leaf(1e-20, 1.0)
    y = x.sqrt()
    y.sum().backward()
    return x


@fault("tiny", "saturated sigmoid", "p = x.sigmoid()")
def an_almost_saturated_sigmoid():
    x = tg.tensor([-30.0, -25.0], dtype=tg.float64, requires_grad=True)
    p = x.sigmoid()
    p.sum().backward()
    return x


@fault("tiny", "multiplied by a tiny number", "y = x * scale")
def a_tiny_factor():
    x, scale = leaf(1.0, 2.0), tg.tensor(1e-9)
    y = x * scale
    y.sum().backward()
    return x


@fault("tiny", "cancelled", "h = layer(tg.randn(64, 4))")
def a_bias_before_a_normalization():
    tg.manual_seed(0)
    layer, norm = nn.Linear(4, 4), nn.BatchNorm1d(4)
    h = layer(tg.randn(64, 4))
    (norm(h) * tg.randn(64, 4)).mean().backward()
    return layer.bias


@fault("tiny", "cancelled", "h = norm(100 * layer(tg.randn(64, 4)))")
def a_loss_that_a_normalization_makes_constant():
    tg.manual_seed(0)
    layer, norm = nn.Linear(4, 4), nn.LayerNorm(4)
    h = norm(100 * layer(tg.randn(64, 4)))
    (h * h).mean().backward()
    return layer.weight


@fault("tiny", "cancelled")
def contributions_that_almost_cancel():
    x = tg.tensor([1.0, 2.0], dtype=tg.float64, requires_grad=True)
    (x * 0.3 - x * 0.1 - x * 0.1 - x * 0.1).sum().backward()
    return x


@fault("wrong", "accumulated")
def gradients_that_add_up():
    x = leaf(1.0, 2.0)
    for _ in range(3):
        (x * x).sum().backward()
    return x


# -- nothing is wrong ------------------------------------------------------------------------------


def trained(model, batch, loss=lambda y: y.square().mean()):
    loss(model(batch)).backward()
    return next(model.parameters())


@sound
def a_product():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    return x


@sound
def a_perceptron():
    return trained(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1)), tg.randn(16, 4))


@sound
def a_classifier():
    model = nn.Sequential(nn.Linear(20, 64), nn.Tanh(), nn.Linear(64, 10))
    return trained(model, tg.randn(32, 20), lambda y: F.cross_entropy(y, tg.randint(0, 10, (32,))))


@sound
def a_convolution():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 2))
    return trained(model, tg.randn(4, 1, 8, 8))


@sound
def a_normalized_network_without_bias():
    return trained(nn.Sequential(nn.Linear(4, 8, bias=False), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1)), tg.randn(16, 4))


@sound
def an_attention_with_a_mask_of_minus_infinity():
    q = tg.randn(1, 5, 4, requires_grad=True)
    mask = tg.full((5, 5), -float("inf")).triu(1)
    scores = q @ q.transpose(1, 2) + mask
    (scores.softmax(-1) @ q).square().sum().backward()
    return q


@sound
def a_transformer_layer():
    target = tg.randn(5, 3, 8)
    return trained(nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1), tg.randn(5, 3, 8), lambda y: F.mse_loss(y, target))


@sound
def an_lstm():
    return trained(nn.LSTM(3, 6), tg.randn(9, 2, 3), lambda y: y[0].square().mean())


@sound
def an_embedding():
    table = nn.Embedding(50, 4)
    table(tg.tensor([1, 2, 3])).square().sum().backward()
    return table.weight


@sound
def dropout():
    return trained(nn.Sequential(nn.Linear(4, 16), nn.Dropout(0.5), nn.Linear(16, 1)), tg.randn(8, 4))


@sound
def a_logarithm_of_probabilities():
    x = leaf(0.1, 2.0, -1.0)
    (-x.log_softmax(0)[1]).backward()
    return x


@sound
def a_safe_where():
    x = leaf(0.0, 4.0)
    safe = tg.where(x > 0, x, 1.0)
    tg.where(x > 0, safe.sqrt(), 0.0).sum().backward()
    return x


@sound
def a_gradient_that_is_meant_to_stop_elsewhere():
    x = leaf(1.0, 2.0)
    (x * x.exp().detach()).sum().backward()
    return x


@sound
def a_straight_through_estimator():
    x = leaf(1.2, 2.7)
    ((x + (x.round() - x).detach()) ** 2).sum().backward()
    return x


@sound
def a_function():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    Saved.apply(x, w).sum().backward()
    return x


@sound
def a_checkpoint():
    x = leaf(1.0, 2.0)
    tg.utils.checkpoint.checkpoint(lambda v: v.sin().exp().tanh(), x, use_reentrant=False).sum().backward()
    return x


@sound
def a_hook_that_clips():
    x = leaf(1.0, 20.0)
    h = x * x
    h.register_hook(lambda g: g.clamp(-0.5, 0.5))
    h.sum().backward()
    return x


@sound
def an_operation_in_place():
    x = leaf(1.0, 2.0)
    h = x * 2
    h.add_(1).mul_(3)
    h[0] = 5.0
    h.sum().backward()
    return x


@sound
def several_outputs():
    x = leaf(3.0, 1.0, 2.0)
    values, _ = x.sort()
    a, b, c = values.split(1)
    (a * b + c).sum().backward()
    return x


@sound
def a_penalty_on_the_gradient():
    x = leaf(1.0, 2.0)
    (g,) = tg.autograd.grad((x**3).sum(), x, create_graph=True)
    (g * g).sum().backward()
    return x


@sound
def a_retained_gradient():
    x = leaf(1.0, 2.0)
    h = x.exp()
    h.retain_grad()
    (h * h).sum().backward()
    return h


@sound
def half_precision():
    w = tg.randn(8, 4, dtype=tg.float16, requires_grad=True)
    (tg.randn(16, 4, dtype=tg.float16) @ w.T).square().mean().backward()
    return w


@sound
def a_deep_residual_network():
    x = h = tg.randn(4, 16, requires_grad=True)
    for layer in [nn.Linear(16, 16) for _ in range(30)]:
        h = h + F.gelu(layer(F.layer_norm(h, (16,))))
    h.square().mean().backward()
    return x


@sound
def accumulation_over_two_batches_that_were_cleared():
    w = leaf(1.0, 2.0)
    for _ in range(3):
        w.grad = None
        (w * w).sum().backward()
    return w


@sound
def a_sum_over_a_large_batch():
    return trained(nn.Linear(10, 1), tg.randn(5000, 10), lambda y: (y - 3).square().sum())


def explained(program):
    with study.record() as tape:
        found = program()
    if isinstance(found, study.Explanation):  # without a recording
        return found
    return study.explain(*found) if isinstance(found, tuple) else study.explain(found, tape)


@pytest.mark.parametrize("program, state, kind, line", FAULTS)
def test_a_planted_fault_is_named_with_its_line(program, state, kind, line):
    why = explained(program)
    assert (why.state, why.cause) == (state, kind), why
    if line:
        assert why.causes[0].source.startswith(line), why
    assert why.causes[0].cure and kind in str(why)


@fault("wrong", "cleared")
def set_to_zero_after_backward():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    tg.optim.SGD([x], lr=0.1).zero_grad(set_to_none=False)
    return x


@fault("wrong", "changed")
def nan_that_was_there_before():
    x = leaf(1.0, 2.0)
    x.grad = tg.tensor([float("nan"), 0.0])
    (x * x).sum().backward()
    return x


@sound
def a_gradient_that_is_clipped_afterwards():
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    nn.utils.clip_grad_norm_([x], 0.1)
    return x


UNRECORDED = []


def unrecorded(state, kind, line=""):
    """A row of the table of what can be said without a recording."""

    def add(program):
        UNRECORDED.append(pytest.param(program, state, kind, line, id=program.__name__))
        return program

    return add


@unrecorded("None", "not required")
def a_new_tensor():
    data = [1.0, 2.0]
    x = tg.tensor(data)
    return study.explain(x)


@unrecorded("None", "integer", "classes = logits.argmax(1)")
def classes_of_logits():
    logits = tg.ones(2, 3, requires_grad=True)
    classes = logits.argmax(1)
    return study.explain(classes)


@unrecorded("None", "detached", "h = x.exp().detach()")
def a_detached_result():
    x = leaf(1.0)
    h = x.exp().detach()
    return study.explain(h)


@unrecorded("None", "converted", "y = tg.tensor(float(x.sum()))")
def a_number_of_a_tensor():
    x = leaf(1.0)
    y = tg.tensor(float(x.sum()))
    return study.explain(y)


@unrecorded("None", "no_grad", "y = x * 2")
def a_result_without_recording():
    x = leaf(1.0)
    with tg.no_grad():
        y = x * 2
    return study.explain(y)


@unrecorded("None", "frozen")
def a_frozen_layer():
    layer = nn.Linear(2, 1).requires_grad_(False)
    return study.explain(layer.weight)


@unrecorded("None", "not retained")
def a_result_in_between():
    h = leaf(1.0) * 2
    h.sum().backward()
    return study.explain(h)


@unrecorded("None", "no backward")
def a_leaf_before_backward():
    x = leaf(1.0)
    return study.explain(x, loss=(x * x).sum())


@unrecorded("None", "no backward")
def a_leaf_of_which_nothing_is_known():
    return study.explain(leaf(1.0))


@unrecorded("None", "not behind the loss")
def another_loss():
    x, w = leaf(1.0), leaf(2.0)
    loss = (w * w).sum()
    loss.backward()
    return study.explain(x, loss=loss)


@unrecorded("None", "detached", "y = (h.detach() * w).sum()")
def detached_before_the_loss():
    x, w = leaf(1.0), leaf(2.0)
    h = x.exp()
    y = (h.detach() * w).sum()
    y.backward()
    return study.explain(x, loss=y)


@unrecorded("None", "not behind the loss")
def detached_for_a_log():
    x, w = leaf(1.0), leaf(2.0)
    log = [x.item()]
    loss = (w * w).sum()
    loss.backward()
    assert log
    return study.explain(x, loss=loss)


@unrecorded("None", "loss without a tape")
def a_loss_that_is_a_constant():
    x = leaf(1.0)
    return study.explain(x, loss=tg.tensor(1.0))


@unrecorded("zero", "not recorded")
def a_zero_gradient():
    x = leaf(-1.0)
    x.relu().sum().backward()
    return study.explain(x)


@unrecorded("nan", "not recorded")
def a_gradient_that_is_nan():
    x = leaf(0.0)
    (x.sqrt() * 0).sum().backward()
    return study.explain(x)


@unrecorded("sound", "")
def a_gradient_that_is_there():
    x = leaf(1.0)
    (x * x).sum().backward()
    return study.explain(x)


@pytest.mark.parametrize("program, state, kind, line", UNRECORDED)
def test_what_a_tensor_tells_without_a_recording(program, state, kind, line):
    why = program()
    assert (why.state, why.cause) == (state, kind), why
    assert not line or why.causes[0].source == line


def test_a_power_that_overflows_is_not_said_to_be_fractional():
    for values, text in (([-1e35, 1.0], "overflows"), ([0.0, 1e35], "overflows"), ([-1.0, 1e30], "overflows")):
        x = tg.tensor(values, requires_grad=True)
        with study.record() as tape:
            (x.square() * 0 + 1).sum().backward()
        assert text in str(study.explain(x, tape)), values
    x = tg.tensor([0.0, 1.0], requires_grad=True)
    with study.record() as tape:
        (x**-1.0).sum().backward()
    assert "zero to a negative power" in str(study.explain(x, tape))


def test_an_entry_can_be_named_instead_of_its_tensor():
    x = leaf(-1.0, 2.0)
    with study.record() as tape:
        h = x * 3
        k = h.relu()
        loss = (k * 0 + 1).sum()
        loss.backward()
    for entry in (tape["h"].number, "h"):
        assert (study.explain(entry, tape).state, study.explain(entry, tape).cause) == ("zero", "multiplied by zero")
    assert study.explain("h", tape, loss=loss).cause == study.explain(h, tape).causes[1].kind
    assert study.explain(h, tape).cause == "not retained"


def test_a_tape_is_freed_without_the_garbage_collector():
    def step():
        model = nn.Linear(2, 1)
        with study.record(model) as tape:
            model(tg.ones(1, 2)).sum().backward()
        assert study.explain(model, tape).sound
        return weakref.ref(tape)

    gc.disable()
    try:
        assert step()() is None
    finally:
        gc.enable()


def test_the_last_recording_that_knows_the_tensor_is_used():
    x, y = leaf(-1.0), leaf(-1.0)
    with study.record() as first:
        x.relu().sum().backward()
    x.grad = None
    with study.record() as second:
        x.round().sum().backward()
    with study.record() as third:
        (y * y).sum().backward()
    assert study.explain(x).cause == study.explain(x, second).cause == "step function"
    assert study.explain(x, first).causes[0].kind == "dead relu" and study.explain(y).sound and len(third) == 3
    del second
    assert study.explain(x).cause == "dead relu"
    del first
    assert study.explain(x).cause == "not recorded"


def test_the_loss_selects_the_pass():
    x = leaf(1.0, 2.0)
    with study.record() as tape:
        sound_loss, dead_loss = (x * x).sum(), (-x).relu().sum()
        sound_loss.backward()
        x.grad = None
        dead_loss.backward()
    assert study.explain("x", tape).cause == "dead relu"
    assert study.explain("x", tape, loss=dead_loss).cause == "dead relu"
    assert study.explain("x", tape, loss=sound_loss).sound


def test_several_causes_are_listed_the_largest_first():
    x = leaf(-1.0, -2.0)
    with study.record() as tape:
        ((5 * x.relu()) + x.round()).sum().backward()
    assert [cause.kind for cause in study.explain(x, tape).causes] == ["dead relu", "step function"]


def test_the_chain_goes_from_the_loss_to_the_tensor():
    x = leaf(0.5, -1.0)
    with study.record() as tape:
        h = x.tanh()
        (h * 3).sum().backward()
    why = study.explain(x, tape)
    assert [link.sender.operation for link in why.chain] == ["sum", "mul", "tanh"] and why.chain[-1].to is tape["x"]
    assert "h = tanh" in str(why) and "h = x.tanh()" in str(why)


def test_all_parameters_of_a_model_are_explained_at_once():
    tg.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1), nn.Linear(1, 1))
    with tg.no_grad():
        model[0].bias.fill_(-100)
    with study.record(model) as tape:
        model[:3](tg.ones(2, 3)).sum().backward()
    found = study.explain(model, tape)
    assert [each.cause for each in found] == ["dead relu"] * 3 + [""] + ["not used"] * 2 and not found.sound
    assert str(found).count("dead relu:") == 1 and "2.bias: nothing wrong" in str(found)
    model.zero_grad()
    assert {each.cause for each in study.explain(model)} == {"cleared", "not used"}
    del tape
    assert {each.cause for each in study.explain(model)} == {"no backward"}


def test_explaining_changes_nothing():
    x = leaf(1.0, 2.0)
    with study.record() as tape:
        h = x * x
        h.sum().backward()
    entries, grad = len(tape), x.grad
    study.explain(x, tape)
    study.explain(h, tape)
    assert len(tape) == entries and x.grad is grad and h._grad is None


def test_refusals():
    x = leaf(1.0)
    with study.record() as tape:
        (x * x).sum().backward()
    with pytest.raises(TypeError, match="explain: expected a Tensor or a Module as x, got str"):
        study.explain("x")
    with pytest.raises(TypeError, match="expected a Tensor, a Module, or the name or number of an entry as x, got float"):
        study.explain(1.0, tape)
    with pytest.raises(TypeError, match="tape must be what study.record"):
        study.explain(x, [])
    with pytest.raises(TypeError, match="loss must be a Tensor, got float"):
        study.explain(x, loss=1.0)
    with pytest.raises(KeyError, match="no entry of the tape is named 'y'"):
        study.explain("y", tape)


@pytest.mark.parametrize("program", SOUND)
def test_a_sound_program_is_said_to_be_sound(program):
    tg.manual_seed(0)
    why = explained(program)
    assert why.sound and why.state == "sound" and "nothing wrong" in str(why), why


def test_the_table_is_long_enough():
    assert len(FAULTS) >= 40 and len(SOUND) >= 20


def test_asking_keeps_no_local_variable_alive():
    w = leaf(1.0, 2.0)
    with study.record() as tape:
        y = w * 2
        y.sum().backward()
    array = weakref.ref(y.array)
    assert study.explain(w, tape).sound
    del y, tape
    assert array() is None
