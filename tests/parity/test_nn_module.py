"""Module, its containers and its state: the same programs here and in PyTorch, with the same outcome."""

from __future__ import annotations

import copy
import operator
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")

PROGRAMS = []


def program(function):
    """A function of the library that returns plain values, or raises."""
    PROGRAMS.append(function)
    return function


@pytest.mark.filterwarnings("ignore:Full backward hook")
@pytest.mark.parametrize("function", PROGRAMS, ids=lambda f: f.__name__)
def test_same_outcome(function):
    assert plain(function(tg)) == plain(function(torch))


def plain(value):
    """A value that can be compared: tensors as lists, modules and errors as text."""
    if isinstance(value, (tg.Tensor, torch.Tensor)):
        return value.detach().numpy().round(5).tolist()
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain(v) for v in value]
    if isinstance(value, (tg.nn.Module, torch.nn.Module)):
        return repr(value)
    return value


def error_of(function, *args, **kwargs):
    try:
        return function(*args, **kwargs)
    except Exception as error:
        return type(error).__name__


def filled(m, module):
    """The module with parameters 0, 1, 2, ..."""
    with m.no_grad():
        for parameter in module.parameters():
            parameter.copy_(m.arange(parameter.numel()).reshape(parameter.shape))
    return module


def net(m):
    class Net(m.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = m.nn.Parameter(m.ones(2))
            self.first = m.nn.Linear(2, 3)
            self.register_buffer("count", m.zeros(1))
            self.register_buffer("passing", m.zeros(4), persistent=False)
            self.blocks = m.nn.ModuleList([m.nn.Linear(3, 3), m.nn.BatchNorm1d(3)])
            self.register_parameter("absent", None)
            self.last = m.nn.Sequential(OrderedDict(relu=m.nn.ReLU(), out=m.nn.Linear(3, 1, bias=False)))

        def forward(self, x):
            x = self.first(x * self.scale)
            for block in self.blocks:
                x = block(x)
            return self.last(x)

    return filled(m, Net())


@program
def registration(m):
    module = net(m)
    return [
        [name for name, _ in module.named_parameters()],
        [name for name, _ in module.named_parameters(prefix="a", recurse=False)],
        [name for name, _ in module.named_buffers()],
        [(name, type(child).__name__) for name, child in module.named_modules()],
        [(name, type(child).__name__) for name, child in module.named_children()],
        list(module._parameters), list(module._buffers), list(module._modules),
        list(module.state_dict()), list(module.state_dict(prefix="x.")),
        module.absent is None, "absent" in module._parameters, len(list(module.modules())), len(list(module.buffers())),
    ]  # fmt: skip


@program
def representation(m):
    return net(m)


@program
def reassignment(m):
    module = m.nn.Module()
    module.a = None
    module.b = m.nn.Parameter(m.ones(1))
    module.a = m.nn.Parameter(m.ones(2))
    module.b = m.nn.Parameter(m.zeros(1))
    order = [name for name, _ in module.named_parameters()]
    module.b = None
    module.layer = m.nn.Linear(1, 1)
    module.layer = m.nn.Tanh()
    layers = dict(module.named_modules())
    module.layer = None
    module.register_buffer("state", m.ones(1))
    module.state = m.zeros(3)
    module.number = 3
    module.number = m.nn.Linear(1, 1)
    module.a = m.nn.Parameter(m.zeros(1))
    del module.a
    held = list(module._parameters.items()), list(module._modules)
    return order, held, list(layers), module.state, hasattr(module, "a"), module


@program
def what_may_be_assigned(m):
    def attempt(action):
        module = m.nn.Module()
        module.p = m.nn.Parameter(m.ones(1))
        module.layer = m.nn.Linear(1, 1)
        module.register_buffer("b", m.ones(1))
        return error_of(action, module)

    actions = [
        lambda x: setattr(x, "p", m.ones(1)), lambda x: setattr(x, "p", 1), lambda x: setattr(x, "p", m.nn.Linear(1, 1)),
        lambda x: setattr(x, "layer", 1), lambda x: setattr(x, "layer", m.ones(1)),
        lambda x: setattr(x, "layer", m.nn.Parameter(m.ones(1))), lambda x: setattr(x, "b", 1), lambda x: setattr(x, "b", None),
        lambda x: setattr(x, "b", m.nn.Linear(1, 1)),
        lambda x: x.register_parameter("p", m.nn.Parameter(m.zeros(1))), lambda x: x.register_parameter("q", m.ones(1)),
        lambda x: x.register_parameter("a.b", None), lambda x: x.register_parameter("", None),
        lambda x: x.register_parameter(3, None), lambda x: x.register_parameter("forward", None),
        lambda x: x.register_buffer("p", m.ones(1)),
        lambda x: x.register_buffer("c", 1), lambda x: x.register_buffer("a.b", None),
        lambda x: x.register_buffer("b", m.zeros(1)),
        lambda x: x.add_module("p", m.nn.Tanh()), lambda x: x.add_module("layer", m.nn.Tanh()), lambda x: x.add_module("n", 1),
        lambda x: x.add_module("a.b", None), lambda x: x.add_module("n", None), lambda x: x.register_module("train", None),
        lambda x: delattr(x, "missing"), lambda x: x.missing, lambda x: x(3), lambda x: x.train("yes"),
    ]  # fmt: skip
    return [attempt(action) for action in actions]


@program
def before_init(m):
    class Early(m.nn.Module):
        def __init__(self, kind):
            if kind == "parameter":
                self.x = m.nn.Parameter(m.ones(1))
            elif kind == "module":
                self.x = m.nn.Linear(1, 1)
            else:
                self.register_buffer("x", m.ones(1))

    return [error_of(Early, kind) for kind in ("parameter", "module", "buffer")]


@program
def writing_to_the_registers(m):
    module = m.nn.Module()
    module._modules["0"] = m.nn.Tanh()
    module._modules["one"] = m.nn.Linear(1, 1)
    module._parameters["w"] = m.nn.Parameter(m.ones(2))
    module._buffers["b"] = m.ones(1)
    del module._modules["0"]
    w = module._parameters.pop("w")
    return [list(module.state_dict()), "w" in module._parameters, hasattr(module, "w"), w, len(module._modules), module.one]


@program
def parameters_and_buffers(m):
    p = m.nn.Parameter(m.tensor([1.0, 2.0]))
    b = m.nn.Buffer(m.ones(1))
    module = m.nn.Module()
    module.b, module.c = b, m.nn.Buffer(m.ones(1), persistent=False)
    total = p + 1
    copied = copy.deepcopy(p)
    p.grad = m.ones(2)
    return [
        p.requires_grad, m.nn.Parameter(m.ones(1), requires_grad=False).requires_grad, p.is_leaf, repr(p),
        type(p * 2) is m.Tensor,
        list(module.state_dict()), [name for name, _ in module.named_buffers()], type(copied) is m.nn.Parameter,
        copied.grad is None, copy.deepcopy(p).grad is None, total.requires_grad, isinstance(p, m.Tensor),
        isinstance(p.data, m.nn.Parameter),
        m.nn.Parameter().shape == (0,), error_of(m.nn.Parameter, [1.0]) != [1.0], error_of(m.nn.Parameter, m.tensor([1])),
        type(pickle.loads(pickle.dumps(p))) is m.nn.Parameter, isinstance(m.ones(1), m.nn.Parameter),
    ]  # fmt: skip


@program
def a_parameter_shows_the_memory_it_is_given(m):
    data = m.zeros(2)
    p = m.nn.Parameter(data)
    data[0] = 5
    with m.no_grad():
        p[1] = 7
    return data, p, error_of(p.add_, 1)


@program
def tied_weights(m):
    module = m.nn.Module()
    module.a = m.nn.Linear(2, 2, bias=False)
    module.b = m.nn.Linear(2, 2, bias=False)
    module.b.weight = module.a.weight
    module.again = module.a
    filled(m, module)
    module.b(module.a(m.ones(1, 2))).sum().backward()
    return [
        [name for name, _ in module.named_parameters()], [name for name, _ in module.named_parameters(remove_duplicate=False)],
        [name for name, _ in module.named_modules()], [name for name, _ in module.named_modules(remove_duplicate=False)],
        list(module.state_dict()), module.a.weight.grad, copy.deepcopy(module).a.weight is module.a.weight,
        (lambda c: c.a.weight is c.b.weight)(copy.deepcopy(module)),
    ]  # fmt: skip


@program
def training_mode(m):
    module = net(m)
    seen = [[x.training for x in module.modules()]]
    module.eval()
    seen.append([x.training for x in module.modules()])
    module.blocks.train()
    seen.append([x.training for x in module.modules()])

    class Frozen(m.nn.BatchNorm1d):
        def train(self, mode=True):
            return super().train(False)

    outer = m.nn.Sequential(Frozen(2), m.nn.Linear(2, 2)).train()
    return seen, [x.training for x in outer.modules()], module.train() is module


@program
def conversion(m):
    module = net(m)
    x = m.arange(4.0).reshape(2, 2)
    module(x).sum().backward()
    before = [id(p) for p in module.parameters()]
    module.double()
    dtypes = [str(t.dtype).removeprefix("torch.") for t in (*module.parameters(), *module.buffers(), module.scale.grad)]
    same = before == [id(p) for p in module.parameters()]
    out = module(x.double())
    out.sum().backward()
    half = [str(p.dtype).removeprefix("torch.") for p in net(m).to(m.float16).parameters()]
    like = [str(p.dtype).removeprefix("torch.") for p in net(m).to(m.ones(1, dtype=m.float64)).parameters()]
    return [
        dtypes, same, out, half, like, module.float() is module, error_of(module.to, m.int64), str(module.count.dtype)[-7:],
        [str(p.dtype)[-7:] for p in net(m).half().float().to("cpu").parameters()], all(p.is_leaf for p in module.parameters()),
    ]  # fmt: skip


@program
def an_optimizer_follows_a_conversion(m):
    module = filled(m, m.nn.Linear(2, 1))
    optimizer = m.optim.SGD(module.parameters(), lr=0.5)
    module.double()
    module(m.ones(1, 2, dtype=m.float64)).sum().backward()
    optimizer.step()
    return module.weight, str(module.weight.dtype)[-7:]


@program
def freezing_and_zeroing(m):
    module = net(m)
    module.first.requires_grad_(False)
    module(m.arange(4.0).reshape(2, 2)).sum().backward()
    grads = [p.grad is None for p in module.parameters()]
    module.zero_grad(set_to_none=False)
    zeros = [p.grad for p in module.parameters() if p.grad is not None]
    module.zero_grad()
    return grads, zeros, [p.grad is None for p in module.parameters()], [p.requires_grad for p in module.parameters()]


@program
def applying(m):
    module, seen = net(m), []
    module.apply(lambda x: seen.append(type(x).__name__))
    module.apply(lambda x: m.nn.init.ones_(x.weight) if isinstance(x, m.nn.Linear) else None)
    return seen, module.first.weight


@program
def access_by_path(m):
    module = net(m)
    module.set_submodule("last.out", m.nn.Identity())
    return [
        module.get_submodule("blocks.0"), module.get_submodule("") is module, module.get_parameter("first.bias"),
        module.get_buffer("blocks.1.running_var"), module.get_submodule("last"),
        *[error_of(getattr(module, f"get_{kind}"), path) for kind, path in (
            ("submodule", "nowhere"), ("submodule", "scale"), ("parameter", "first.w"), ("parameter", "count"),
            ("buffer", "scale"))],
    ]  # fmt: skip


@program
def state_of_a_module(m):
    module = net(m)
    state = module.state_dict()
    state["scale"][0] = 9.0  # shows the module's memory
    kept = module.state_dict(keep_vars=True)
    other = net(m)
    result = other.load_state_dict(state)
    return [
        type(state).__name__, module.scale, state["scale"].requires_grad, kept["scale"] is module.scale, other.scale,
        repr(result), state["blocks.1.num_batches_tracked"],
    ]  # fmt: skip


@program
def loading_what_does_not_fit(m):
    module = net(m)
    state = module.state_dict()
    state["extra"] = m.ones(1)
    state["more"] = m.ones(1)
    del state["first.bias"]
    outcome = [error_of(module.load_state_dict, state)]
    result = module.load_state_dict(state, strict=False)
    outcome += [result.missing_keys, result.unexpected_keys, sorted(result._fields)]
    state["scale"] = m.ones(3)
    outcome.append(error_of(module.load_state_dict, state, strict=False))
    return [*outcome, error_of(module.load_state_dict, [1, 2])]


@program
def loading_by_assignment(m):
    module = m.nn.Linear(2, 1)
    weight = m.tensor([[3.0, 4.0]], dtype=m.float64)
    module.load_state_dict({"weight": weight, "bias": m.ones(1)}, assign=True)
    weight[0, 0] = 5
    return module.weight, str(module.weight.dtype)[-7:], type(module.weight) is m.nn.Parameter, module.weight.requires_grad


@program
def extra_state(m):
    class Counter(m.nn.Module):
        calls = 3

        def get_extra_state(self):
            return {"calls": self.calls}

        def set_extra_state(self, state):
            self.calls = state["calls"] * 2

    module = m.nn.Sequential(Counter())
    state = module.state_dict()
    module.load_state_dict(state)
    return state, module[0].calls, error_of(module.load_state_dict, {})


@program
def hooks_of_the_state(m):
    module, seen = filled(m, m.nn.Sequential(m.nn.Linear(2, 1))), []
    layer = module[0]
    layer.register_state_dict_pre_hook(lambda x, prefix, keep: seen.append((prefix, keep)))

    def shorten(x, state, prefix, metadata):
        state[prefix + "w"] = state.pop(prefix + "weight")

    layer.register_state_dict_post_hook(shorten)

    def rename(x, state, prefix, *rest):
        state[prefix + "weight"] = state.pop(prefix + "w")

    layer.register_load_state_dict_pre_hook(rename)
    module.register_load_state_dict_post_hook(lambda x, keys: seen.append(list(keys.missing_keys)))
    state = module.state_dict()
    state["0.w"] = state["0.w"] + 1
    loaded = module.load_state_dict(state)
    return list(state), seen, layer.weight, repr(loaded)


@program
def a_state_dict_of_the_modules_own(m):
    class Renamed(m.nn.Linear):
        def state_dict(self, *args, destination=None, prefix="", keep_vars=False):
            inner = super().state_dict(prefix=prefix + "inner.", keep_vars=keep_vars)
            destination.update(inner)
            return destination

    return list(m.nn.Sequential(Renamed(2, 2), m.nn.Linear(1, 1)).state_dict())


@program
def hooks_of_the_forward(m):
    layer, seen = filled(m, m.nn.Linear(2, 1)), []
    pre = layer.register_forward_pre_hook(lambda x, args: seen.append(("pre", args[0])) or (args[0] * 2,))
    layer.register_forward_hook(lambda x, args, out: seen.append(("post", args[0])) or out + 100)
    layer.register_forward_hook(lambda x, args, kwargs, out: seen.append(sorted(kwargs)), with_kwargs=True, prepend=True)
    first = layer(m.ones(1, 2))
    pre.remove()
    second = layer(m.ones(1, 2))
    with layer.register_forward_pre_hook(lambda x, args: args[0] * 0):
        third = layer(m.ones(1, 2))
    return first, second, third, layer(m.ones(1, 2)), seen


@program
def hooks_with_kwargs(m):
    class Scaled(m.nn.Module):
        def forward(self, x, *, by=1.0):
            return x * by

    module = Scaled()
    module.register_forward_pre_hook(lambda x, args, kwargs: (args, {"by": kwargs["by"] + 1}), with_kwargs=True)
    module.register_forward_hook(lambda x, args, kwargs, out: out + kwargs["by"], with_kwargs=True)
    return module(m.ones(2), by=3.0)


@program
def hooks_when_forward_fails(m):
    class Failing(m.nn.Module):
        def forward(self, x):
            raise ValueError("no")

    module, seen = Failing(), []
    module.register_forward_hook(lambda *args: seen.append("ordinary"))
    module.register_forward_hook(lambda x, args, out: seen.append(out), always_call=True)
    return error_of(module, m.ones(1)), seen


@program
def hooks_of_the_backward(m):
    layer, seen = filled(m, m.nn.Linear(2, 3)), []
    layer.register_full_backward_hook(lambda x, gi, go: seen.append(("after", gi, go)) or (gi[0] * 10,))
    layer.register_full_backward_pre_hook(lambda x, go: seen.append(("before", go)) or (go[0] + 1,))
    x = m.ones(1, 2, requires_grad=True)
    layer(x).sum().backward()
    return seen, x.grad, layer.weight.grad


@program
def backward_hooks_without_a_gradient_of_the_input(m):
    layer, seen = filled(m, m.nn.Linear(2, 3)), []
    handle = layer.register_full_backward_hook(lambda x, gi, go: seen.append((gi, go)))
    layer(m.ones(1, 2)).sum().backward()
    with m.no_grad():
        layer(m.ones(1, 2))
    handle.remove()
    layer(m.ones(1, 2)).sum().backward()
    return seen


@program
def backward_hooks_of_several_inputs_and_outputs(m):
    class Two(m.nn.Module):
        def forward(self, x, y, n):
            return x * y, x + n

    module, seen = Two(), []
    module.register_full_backward_hook(lambda x, gi, go: seen.append((gi, go)))
    x, y = m.tensor([2.0], requires_grad=True), m.tensor([3.0], requires_grad=True)
    a, b = module(x, y, 5)
    (a + 2 * b).sum().backward()
    return seen, x.grad, y.grad


@program
def sequential(m):
    nn = m.nn
    s = nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 1))
    s.append(nn.Sigmoid())
    s.insert(1, nn.ReLU())
    s[2] = nn.GELU()
    del s[0]
    s.extend([nn.Identity()])
    popped = s.pop(0)
    more = s + nn.Sequential(nn.Flatten())
    return [
        s, popped, len(s), s[1:], s[-1], more, nn.Sequential(nn.ReLU(), nn.Tanh()) * 2, [type(x).__name__ for x in s],
        error_of(lambda: s[9]), error_of(lambda: s[-9]), error_of(s.append, 3), error_of(operator.add, s, [1]),
        error_of(lambda: s * -1), error_of(nn.Sequential, 3), list(s.state_dict()),
    ]  # fmt: skip


@program
def module_list(m):
    nn = m.nn
    layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)])
    layers += [nn.Tanh()]
    layers.insert(0, nn.ReLU())
    del layers[2]
    both = operator.add(layers, [nn.Identity()])
    layers[-1] = nn.Sigmoid()
    return [
        layers, len(layers), layers[1:3], layers[-1], [type(x).__name__ for x in both], list(layers.state_dict()),
        layers.pop(0), layers, error_of(lambda: layers[7]), error_of(layers.extend, 3), error_of(layers.append, "x"),
        error_of(layers, m.ones(1)), nn.Linear in [type(x) for x in layers], nn.ModuleList(),
    ]  # fmt: skip


@program
def module_dict(m):
    nn = m.nn
    layers = nn.ModuleDict({"b": nn.Linear(1, 1), "a": nn.Tanh()})
    layers["c"] = nn.ReLU()
    layers.update([("a", nn.Sigmoid()), ("d", nn.Identity())])
    del layers["c"]
    return [
        layers, list(layers), list(layers.keys()), [type(x).__name__ for x in layers.values()], "b" in layers, len(layers),
        layers.pop("d"), error_of(lambda: layers["nothing"]), error_of(layers.update, 3), error_of(layers.update, [(1, 2, 3)]),
        error_of(lambda: layers.update({"x": 3})), error_of(lambda: layers.update({"keys": nn.Tanh()})),
        list(layers.state_dict()), nn.ModuleDict(OrderedDict(z=nn.Tanh())),
    ]  # fmt: skip


@program
def parameter_list(m):
    nn = m.nn
    values = nn.ParameterList([m.ones(2), nn.Parameter(m.zeros(1))])
    values.append(m.ones(1, 3))
    values.extend([nn.Parameter(m.ones(1))])
    values[0] = nn.Parameter(m.zeros(2))
    return [
        len(values), [tuple(p.shape) for p in values], list(values.state_dict()), [type(p).__name__ for p in values],
        values[-1], len(values[1:3]), error_of(lambda: values[9]), len(list(values.parameters())),
    ]  # fmt: skip


@program
def parameter_dict(m):
    nn = m.nn
    values = nn.ParameterDict({"b": m.ones(2), "a": nn.Parameter(m.zeros(1))})
    values["c"] = m.ones(1)
    values.update({"a": nn.Parameter(m.ones(3))})
    copied = values.copy()
    del values["b"]
    return [
        list(values), list(values.keys()), [tuple(v.shape) for v in values.values()], "b" in values, len(copied),
        list(values.state_dict()), values.pop("c"), values.get("zz") is None, values.setdefault("n", m.zeros(1)),
        list(values | nn.ParameterDict({"q": m.ones(1)})), values.popitem()[0], [k for k, _ in values.items()],
    ]  # fmt: skip


@program
def deepcopy_and_pickle_of_a_container(m):
    module = filled(m, m.nn.Sequential(m.nn.Linear(2, 2), m.nn.BatchNorm1d(2), m.nn.LSTM(2, 2)))
    module[0].register_forward_hook(print)
    copied = copy.deepcopy(module)
    plain_module = filled(m, m.nn.Sequential(m.nn.Linear(2, 2), m.nn.BatchNorm1d(2), m.nn.Dropout(0.3)))
    restored = pickle.loads(pickle.dumps(plain_module))
    return [
        copied, copied.state_dict(), restored, restored.state_dict(), copied[0].weight is module[0].weight,
        restored[0].weight.requires_grad, copied[0].weight.is_leaf,
    ]  # fmt: skip


@program
def what_programs_do_to_modules(m):
    nn = m.nn

    class Wrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

        def __getattr__(self, name):
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(self.module, name)

    class Standardized(nn.Conv2d):
        def forward(self, x):
            weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
            return self._conv_forward(x, weight, self.bias)

    class Smoothed(nn.modules.loss._WeightedLoss):
        def __init__(self, weight=None, reduction="mean"):
            super().__init__(weight=weight, reduction=reduction)

        def forward(self, x, y):
            return (x - y).mean() if self.reduction == "mean" else (x - y)

    wrapped = Wrapper(filled(m, nn.Linear(2, 3)))
    conv = filled(m, Standardized(1, 2, 2))
    lstm = filled(m, nn.LSTM(2, 2))
    for name, parameter in lstm.named_parameters():
        if "bias" in name:
            n = parameter.size(0)
            parameter.data[n // 4 : n // 2].fill_(1.0)
    return [
        wrapped.in_features, error_of(lambda: wrapped.nowhere), conv(m.ones(1, 1, 3, 3)), Smoothed()(m.ones(2), m.zeros(2)),
        lstm.bias_ih_l0, issubclass(nn.BatchNorm2d, nn.modules.batchnorm._BatchNorm), nn.modules.utils._pair(3),
        isinstance(conv, nn.modules.conv._ConvNd), len(nn.modules.transformer._get_clones(nn.Tanh(), 3)),
    ]  # fmt: skip


@program
def recursion_does_not_lose_subclasses(m):
    class Custom(m.nn.Module):
        def extra_repr(self):
            return "a=1\nb=2"

    class Wide(m.nn.Sequential):
        def __init__(self, n):
            super().__init__(m.nn.Linear(n, n), Custom())
            self.scale = m.nn.Parameter(m.ones(1))

    return Wide(2), Custom(), list(Wide(2).state_dict())


def test_all_that_is_wrong_is_told_at_once_and_nothing_is_changed():
    module = net(tg)
    before = {key: value.numpy().copy() for key, value in module.state_dict().items()}
    state = {key: value.detach().clone() * 0 + 7 for key, value in module.state_dict().items()}
    state["first.weight"] = tg.zeros(9, 9)
    state["blocks.1.running_mean"] = "a string"
    del state["scale"], state["last.out.weight"]
    state["unknown"] = tg.ones(1)
    with pytest.raises(RuntimeError) as info:
        module.load_state_dict(state)
    for part in ("scale", "last.out.weight", "unknown", "first.weight", "(9, 9)", "(3, 2)", "running_mean"):
        assert part in str(info.value)
    for key, value in module.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key])


def test_state_from_arrays_and_across_dtypes():
    module = net(tg)
    module.load_state_dict({key: np.ones(value.shape) for key, value in module.state_dict().items()})
    assert all((value == 1).all() for value in module.state_dict().values())
    assert module.first.weight.dtype == tg.float32


def test_a_module_without_hooks_only_calls_forward():
    layer = tg.nn.Linear(2, 2)
    assert layer._registered_hooks is None
    handle = layer.register_forward_hook(lambda *args: None)
    handle.remove()
    assert layer(tg.ones(1, 2)).shape == (1, 2)


def test_loading_counts_as_a_change_in_place():
    layer = tg.nn.Linear(2, 2)
    y = layer(tg.ones(1, 2, requires_grad=True)).sum()
    layer.load_state_dict(layer.state_dict())
    with pytest.raises(RuntimeError, match="load_state_dict"):
        y.backward()
