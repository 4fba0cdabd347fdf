"""Copies of modules, deep nests of them, and states from other places: PyTorch's own, older versions', renamed keys."""

from __future__ import annotations

import copy
import pickle
import sys
from collections import OrderedDict

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")
nn = tg.nn

pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")


def values(module):
    return {name: np.array(t.detach().numpy()) for name, t in module.state_dict().items()}


def assert_same_state(ours, theirs):
    ours, theirs = values(ours), values(theirs)
    assert list(ours) == list(theirs)
    for name in ours:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6, atol=1e-7)


# -- copies ------------------------------------------------------------------------------------------


def net():
    layer = nn.Linear(2, 3)
    layer.register_buffer("count", tg.zeros(1))
    layer.inner = nn.Tanh()
    return layer


CHANGES = {
    "a parameter is added": lambda m: setattr(m, "scale", nn.Parameter(tg.ones(1))),
    "a parameter is deleted": lambda m: delattr(m, "weight"),
    "a buffer is added": lambda m: m.register_buffer("mean", tg.ones(1)),
    "a buffer is deleted": lambda m: delattr(m, "count"),
    "a module is added": lambda m: m.add_module("more", nn.Linear(1, 1)),
    "a module is deleted": lambda m: delattr(m, "inner"),
    "a parameter is exchanged": lambda m: setattr(m, "weight", nn.Parameter(tg.ones(3, 2))),
    "a parameter is set to None": lambda m: setattr(m, "bias", None),
    "a buffer is kept out of the state": lambda m: m.register_buffer("count", tg.ones(1), persistent=False),
    "a hook is registered": lambda m: m.register_forward_hook(lambda m, args, output: output * 0),
    "the tables are exchanged": lambda m: setattr(m, "_parameters", {**m._parameters.copy(), "only": nn.Parameter(tg.ones(1))}),
}


def description(module):
    return (
        [(name, id(p)) for name, p in module.named_parameters()], [(name, id(b)) for name, b in module.named_buffers()],
        [(name, type(m).__name__) for name, m in module.named_modules()], list(module.state_dict()), repr(module),
    )  # fmt: skip


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_a_copy_leaves_the_module_alone_and_the_other_way_round(change, how):
    for changes_the_copy in (True, False):
        module = net()
        module.register_forward_pre_hook(pickled_hook)
        x, copied = tg.ones(1, 2), how(module)
        changed, left = (copied, module) if changes_the_copy else (module, copied)
        before, out = description(left), left(x)
        CHANGES[change](changed)
        assert description(left) == before
        np.testing.assert_array_equal(left(x).detach().numpy(), out.detach().numpy())
        description(changed)


def pickled_hook(module, args):
    return None


def parameter():
    return nn.Parameter(tg.ones(1))


CONTAINERS = {
    "Sequential": (lambda: nn.Sequential(nn.Tanh(), nn.ReLU()), lambda m: m.append(nn.Tanh())),
    "ModuleList": (lambda: nn.ModuleList([nn.Tanh(), nn.ReLU()]), lambda m: m.insert(0, nn.Linear(1, 1))),
    "ModuleDict": (lambda: nn.ModuleDict({"a": nn.Tanh()}), lambda m: m.update({"b": nn.ReLU(), "a": nn.Linear(1, 1)})),
    "ParameterList": (lambda: nn.ParameterList([parameter(), 3]), lambda m: m.append(parameter())),
    "ParameterDict": (lambda: nn.ParameterDict({"a": parameter(), "n": 5}), lambda m: m.update({"b": parameter(), "n": 6})),
    "ParameterDict, less": (lambda: nn.ParameterDict({"a": parameter(), "n": 5}), lambda m: m.clear()),
}


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("name", CONTAINERS)
def test_a_copied_container_has_entries_of_its_own(name, how):
    make, change = CONTAINERS[name]
    for changes_the_copy in (True, False):
        module = make()
        copied = how(module)
        changed, left = (copied, module) if changes_the_copy else (module, copied)
        keys = list(left.keys()) if hasattr(left, "keys") else len(left)
        before = description(left)
        change(changed)
        assert description(left) == before
        assert (list(left.keys()) if hasattr(left, "keys") else len(left)) == keys
        assert description(changed) != before


def test_a_shallow_copy_holds_the_same_parameters():
    module = net()
    copied = copy.copy(module)
    assert copied.weight is module.weight and copied.inner is module.inner and copied.count is module.count


def test_setstate_can_be_extended():
    def program(lib):
        class Older(lib.nn.Linear):
            def __setstate__(self, state):
                super().__setstate__({**state, "added": 3})

        return copy.deepcopy(Older(1, 1)).added, copy.copy(Older(1, 1)).added

    assert program(tg) == program(torch) == (3, 3)


def test_copies_of_what_refers_back_and_is_shared():
    def program(lib):
        class Parent(lib.nn.Module):
            def __init__(self):
                super().__init__()
                self.child, self.again = lib.nn.Linear(1, 1), lib.nn.Linear(1, 1)
                self.tied = self.child
                self.again.weight = self.child.weight
                self.again.above = [self]  # no submodule
                self.names = {"child": self.child}

        parent = Parent()
        copied = copy.deepcopy(parent)
        return (
            copied is not parent, copied.tied is copied.child, copied.again.weight is copied.child.weight,
            copied.again.above[0] is copied, copied.names["child"] is copied.child, copied.child.weight is not parent.child.weight,
            [name for name, _ in copied.named_parameters()], copy.deepcopy([parent, parent.child])[1] is not parent.child,
            (lambda two: two[1] is two[0].child)(copy.deepcopy([parent, parent.child])),
            (lambda two: two[0] is two[1].child)(copy.deepcopy([parent.child, parent])),
        )  # fmt: skip

    assert program(tg) == program(torch)


def test_a_deepcopy_of_ones_own_is_called_for_a_submodule():
    def program(lib):
        class Own(lib.nn.Linear):
            def __deepcopy__(self, memo):
                return "own"

        class Reduced(lib.nn.Linear):
            def __reduce__(self):
                return Reduced, (1, 1)

        class Held(lib.nn.Module):
            def __init__(self):
                super().__init__()
                self.a, self.b = Own(1, 1), Reduced(1, 1)
                self.b.mark = 1

        copied = copy.deepcopy(Held())
        return copied.__dict__.get("a", None) or copied._modules["a"], hasattr(copied.b, "mark"), copied.b.weight.shape == (1, 1)

    assert program(tg) == program(torch)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
@pytest.mark.parametrize("norm", ["weight_norm", "spectral_norm"])
def test_a_copied_parametrized_module_outlives_the_removal_from_the_other(norm, how):
    parametrize = nn.utils.parametrize
    layer = getattr(nn.utils.parametrizations, norm)(nn.Linear(2, 3)).eval()
    copied, weight = how(layer), layer.weight.detach().numpy()
    if how is copy.copy:
        copied.parametrizations = copy.copy(layer.parametrizations)
    parametrize.remove_parametrizations(layer, "weight")
    assert parametrize.is_parametrized(copied, "weight") and type(copied).__name__ == "ParametrizedLinear"
    np.testing.assert_array_equal(copied.weight.detach().numpy(), weight)
    parametrize.register_parametrization(layer, "bias", nn.Tanh())
    assert next(name for name, _ in copied.named_parameters()) == "bias"
    assert type(parametrize.remove_parametrizations(copied, "weight")) is nn.Linear


# -- modules that nest deep --------------------------------------------------------------------------

DEPTH = 5000


def nest(depth):
    module = nn.Sequential(nn.Linear(1, 1), nn.Dropout())
    for _ in range(depth):
        module = nn.Sequential(module)
    return module


def innermost(module):
    return list(module.modules())[-3]


def test_a_deep_nest_is_walked_changed_saved_and_copied():
    module = nest(DEPTH)
    assert len(list(module.modules())) == DEPTH + 3
    [(name, weight), _] = module.named_parameters()
    assert name == "0." * (DEPTH + 1) + "weight" and module.get_parameter(name) is weight
    seen = []
    assert module.apply(seen.append) is module
    assert seen[0] is innermost(module)[0] and seen[-1] is module
    assert not innermost(module.eval()).training and innermost(module.train()).training
    assert innermost(module.to(tg.float64))[0].weight.dtype == innermost(module.double())[0].weight.dtype == tg.float64
    weight.grad = tg.ones(1, 1, dtype=tg.float64)
    module.zero_grad()
    assert weight.grad is None and not any(p.requires_grad for p in module.requires_grad_(False).parameters())
    state = module.state_dict()
    assert list(state) == [name, name.replace("weight", "bias")]
    copied = copy.deepcopy(module)
    assert innermost(copied)[0].weight is not weight
    with tg.no_grad():
        weight.fill_(7.0)
    copied.load_state_dict(module.state_dict())
    assert innermost(copied)[0].weight.item() == 7.0
    tg.optim.SGD(module.parameters(), lr=0.1).step()


@pytest.mark.parametrize("what", [lambda m: m(tg.ones(1, 1)), repr, pickle.dumps], ids=["call", "repr", "pickle"])
def test_what_cannot_nest_that_deep_says_so(what):
    module = nest(DEPTH)
    with pytest.raises(RecursionError, match="deeper than the .* Sequential|Sequential: calls nest deeper|while pickling an object"):
        what(module)


def test_a_function_that_calls_itself_is_found_behind_the_refusal():
    class Endless(nn.Module):
        def forward(self, x):
            return self.again(x)

        def again(self, x):
            return self.again(x)

    with pytest.raises(RecursionError, match="or a function that calls itself") as caught:
        nn.Sequential(Endless())(1)
    cause = caught.value.__cause__
    assert type(cause) is RecursionError
    while cause.__traceback__.tb_next:
        cause.__traceback__ = cause.__traceback__.tb_next
    assert cause.__traceback__.tb_frame.f_code.co_name == "again"
    assert sys.getrecursionlimit() >= 1000


def test_methods_that_submodules_override_are_called_for_what_is_below_them():
    def program(lib):
        seen = []

        class Own(lib.nn.Sequential):
            def train(self, mode=True):
                seen.append(("train", mode))
                return super().train(False)

            def apply(self, fn):
                seen.append("apply")
                return super().apply(fn)

            def _apply(self, fn, *args):
                seen.append("_apply")
                return super()._apply(fn, *args)

            def state_dict(self, *args, destination=None, prefix="", keep_vars=False):
                seen.append(prefix)
                return super().state_dict(destination=destination, prefix=f"{prefix}own.", keep_vars=keep_vars)

        model = lib.nn.Sequential(lib.nn.Linear(1, 1), Own(lib.nn.Linear(1, 1), lib.nn.Dropout()), lib.nn.Dropout())
        model.train()
        model.apply(lambda m: seen.append(type(m).__name__))
        model.double()
        return seen, list(model.state_dict()), list(model.state_dict(prefix="x.")), [m.training for m in model.modules()]

    assert program(tg) == program(torch)


def test_a_method_put_into_an_instance_is_called_too():
    def program(lib):
        model = lib.nn.Sequential(lib.nn.Dropout(), lib.nn.Linear(1, 1))
        model[0].train = lambda mode=True: None
        model.eval()
        return [m.training for m in model.modules()]

    assert program(tg) == program(torch)


def test_a_module_under_two_names_is_visited_as_often_as_in_pytorch():
    def program(lib):
        shared, seen = lib.nn.Linear(1, 1), []
        model = lib.nn.Sequential(shared, shared, lib.nn.Sequential(shared))
        model.apply(lambda m: seen.append(type(m).__name__))
        return seen, list(model.state_dict()), [name for name, _ in model.named_modules(remove_duplicate=False)]

    assert program(tg) == program(torch)


# -- states of PyTorch -------------------------------------------------------------------------------


def pair(make):
    return make(tg), make(torch)


def mixed(lib):
    n = lib.nn
    return n.Sequential(n.Conv2d(1, 2, 3), n.BatchNorm2d(2), n.Flatten(), n.Linear(8, 3), n.PReLU())


PYTORCH_STATES = {
    "its state_dict": lambda m: m.state_dict(),
    "with its parameters, which require grad": lambda m: m.state_dict(keep_vars=True),
    "in a dict of ours": lambda m: dict(m.state_dict()),
    "in half precision": lambda m: m.half().float().state_dict(),
    "in bfloat16": lambda m: m.bfloat16().state_dict(),
    "in double precision": lambda m: {name: t.double() for name, t in m.state_dict().items()},
    "as arrays": lambda m: {name: t.numpy() for name, t in m.state_dict().items()},
    "with a step count of shape (1,)": lambda m: {**m.state_dict(), "1.num_batches_tracked": torch.tensor([5])},
    "views and transposed": lambda m: {n: t.double().t().contiguous().t() if t.ndim == 2 else t for n, t in m.state_dict().items()},
}


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("what", PYTORCH_STATES)
def test_a_state_of_pytorch_is_loaded(what, assign):
    ours, theirs = pair(mixed)
    state = PYTORCH_STATES[what](theirs)
    assert repr(ours.load_state_dict(state, assign=assign)) == "<All keys matched successfully>"
    ours = ours.to(tg.get_default_device())
    theirs.load_state_dict({name: torch.as_tensor(t) for name, t in state.items()})
    if not assign:
        assert_same_state(ours, theirs.float())
    x = np.random.default_rng(0).normal(size=(4, 1, 4, 4)).astype(np.float32)
    if "double" not in what and "views" not in what:
        out = ours(tg.tensor(x))
        out.sum().backward()
        np.testing.assert_allclose(out.detach().numpy(), theirs.float()(torch.tensor(x)).detach().numpy(), rtol=1e-4, atol=1e-5)
    assert all(p.requires_grad and isinstance(p, nn.Parameter) for p in ours.parameters())


def test_what_cannot_be_loaded_says_why():
    state = nn.Linear(2, 1, bias=False).state_dict()
    for bad, words in (
        (torch.ones(1, 2).to_sparse(), "weight: .*Sparse"),
        (torch.ones(1, 2, device="meta"), "weight: .*meta"),
        ("text", "weight: expected a Tensor or an array, got str"),
        ([[1.0, 2.0]], "weight: expected a Tensor or an array, got list"),
        (torch.ones(2, 2), r"size mismatch for weight: got shape \(2, 2\)"),
    ):
        with pytest.raises(RuntimeError, match=words):
            nn.Linear(2, 1, bias=False).load_state_dict({**state, "weight": bad})


@pytest.mark.parametrize("make", [
    lambda: torch.ones(2, requires_grad=True), lambda: torch.nn.Parameter(torch.ones(2)), lambda: torch.tensor(3),
    lambda: torch.tensor([True, False]), lambda: torch.arange(6).reshape(2, 3).t(), lambda: torch.ones(1).expand(3),
    lambda: torch.tensor([1.5, 2.5], dtype=torch.bfloat16), lambda: torch.tensor([1.5], dtype=torch.float16),
    lambda: torch.tensor([1 + 2j]).conj(), lambda: torch._neg_view(torch.ones(2)), lambda: torch.zeros(0, 3),
    lambda: torch.tensor([1.5, 2.0], dtype=torch.float64),
])  # fmt: skip
def test_a_tensor_of_pytorch_becomes_one_of_ours(make):
    theirs = make()
    plain = theirs.detach().resolve_conj().resolve_neg()
    expected = (plain.float() if plain.dtype == torch.bfloat16 else plain).numpy()
    for function in (tg.tensor, tg.as_tensor, tg.asarray):
        ours = function(theirs)
        assert ours.dtype == expected.dtype and not ours.requires_grad
        np.testing.assert_array_equal(ours.numpy(), expected)
    several = tg.tensor([theirs, theirs])
    assert several.dtype == expected.dtype
    np.testing.assert_array_equal(several.numpy(), np.stack([expected, expected]).reshape(several.shape))


def test_as_tensor_shares_the_memory_of_a_tensor_of_pytorch_and_tensor_does_not():
    theirs = torch.zeros(2)
    tg.as_tensor(theirs)[0] = 5.0
    tg.tensor(theirs)[1] = 5.0
    assert theirs.tolist() == [5.0, 0.0]


@pytest.mark.parametrize("name", [
    "SGD", "Adam", "AdamW", "NAdam", "RAdam", "Adamax", "Adagrad", "Adadelta", "RMSprop", "Rprop", "ASGD", "LBFGS",
    "Adafactor", "Muon",
])  # fmt: skip
@pytest.mark.parametrize("rate", [0.05, "tensor"])
def test_an_optimizer_goes_on_from_pytorchs_own_state(name, rate):
    if rate == "tensor" and name in ("Muon", "Adafactor"):
        rate = 0.05
    options = {"momentum": 0.9} if name == "SGD" else {}
    start = torch.tensor(np.random.default_rng(0).normal(size=(2, 3)))
    theirs = torch.nn.Parameter(start.clone())
    of_theirs = getattr(torch.optim, name)([theirs], lr=torch.tensor(0.05) if rate == "tensor" else rate, **options)
    ours = nn.Parameter(tg.tensor(start))
    of_ours = getattr(tg.optim, name)([ours], lr=0.5, **options)

    def step(p, optimizer):
        def closure():
            optimizer.zero_grad()
            loss = (p**4).sum()
            loss.backward()
            return loss

        optimizer.step(closure)

    step(theirs, of_theirs)
    of_ours.load_state_dict(of_theirs.state_dict())
    ours.data = tg.tensor(theirs)
    for _ in range(3):
        step(theirs, of_theirs)
        step(ours, of_ours)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-6, atol=1e-8)


# -- older states ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [None, 1, 2])
@pytest.mark.parametrize("kind", ["BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "InstanceNorm1d"])
def test_a_norm_without_num_batches_tracked(kind, version):
    def program(lib):
        module = lib.nn.Sequential(getattr(lib.nn, kind)(2, track_running_stats=True))
        module[0].num_batches_tracked += 4
        state = OrderedDict((name, t) for name, t in module.state_dict().items() if "num" not in name)
        if version is not None:
            state._metadata = {"": {"version": 1}, "0": {"version": version}}
        try:
            loaded = module.load_state_dict(state)
        except RuntimeError as error:
            return "Missing key(s)" in str(error)
        return loaded.missing_keys, loaded.unexpected_keys, module[0].num_batches_tracked.item()

    assert program(tg) == program(torch)


def test_the_state_notes_its_version_and_the_loader_sees_it():
    def program(lib):
        seen = []

        class Own(lib.nn.Linear):
            _version = 7

            def _load_from_state_dict(self, state_dict, prefix, local_metadata, *others):
                seen.append((prefix, local_metadata.get("version")))
                if prefix + "kernel" in state_dict:
                    state_dict[prefix + "weight"] = state_dict.pop(prefix + "kernel")
                super()._load_from_state_dict(state_dict, prefix, local_metadata, *others)

            def _save_to_state_dict(self, destination, prefix, keep_vars):
                super()._save_to_state_dict(destination, prefix, keep_vars)
                destination[prefix + "kernel"] = destination.pop(prefix + "weight")

        model = lib.nn.Sequential(Own(1, 1), lib.nn.BatchNorm1d(1))
        state = model.state_dict()
        model.load_state_dict(state)
        model.load_state_dict(dict(state))
        return seen, list(state), {path: data["version"] for path, data in state._metadata.items() if data["version"] != 1}

    (seen, keys, versions), theirs = program(tg), program(torch)
    assert (seen, keys) == theirs[:2]
    assert versions["0"] == theirs[2]["0"] == 7 and versions["1"] == theirs[2]["1"] == 2


def test_running_statistics_that_nobody_keeps_are_refused_even_if_not_strict():
    def program(lib):
        layer = lib.nn.InstanceNorm1d(2)
        try:
            layer.load_state_dict({"running_mean": lib.zeros(2), "running_var": lib.zeros(2)}, strict=False)
        except RuntimeError as error:
            return "track_running_stats=False" in str(error)

    assert program(tg) is program(torch) is True


def layer_of(lib, kind):
    return {"Linear": lambda: lib.nn.Linear(3, 4), "Conv1d": lambda: lib.nn.Conv1d(2, 3, 2),
            "ConvTranspose1d": lambda: lib.nn.ConvTranspose1d(2, 3, 2)}[kind]()  # fmt: skip


@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.parametrize("kind", ["Linear", "Conv1d", "ConvTranspose1d"])
def test_weight_norm_takes_the_keys_of_its_older_form(kind, dim):
    older = torch.nn.Sequential(torch.nn.utils.weight_norm(layer_of(torch, kind), dim=dim))
    ours = nn.Sequential(nn.utils.parametrizations.weight_norm(layer_of(tg, kind), dim=dim))
    theirs = torch.nn.Sequential(torch.nn.utils.parametrizations.weight_norm(layer_of(torch, kind), dim=dim))
    for state in (older.state_dict(), {name: t.numpy() for name, t in older.state_dict().items()}):
        assert repr(ours.load_state_dict(state)) == "<All keys matched successfully>"
    theirs.load_state_dict(older.state_dict())
    assert_same_state(ours, theirs)
    np.testing.assert_allclose(ours[0].weight.detach().numpy(), older[0].weight.detach().numpy(), rtol=1e-5, atol=1e-6)
    with pytest.raises(RuntimeError, match="Missing key.*original0"):
        ours.load_state_dict({name: t for name, t in older.state_dict().items() if not name.endswith("_g")})


@pytest.mark.parametrize("kind", ["Linear", "Conv1d", "ConvTranspose1d"])
def test_spectral_norm_takes_the_keys_of_its_older_form(kind):
    older = torch.nn.Sequential(torch.nn.utils.spectral_norm(layer_of(torch, kind)))
    older(torch.ones(1, *{"Linear": (3,)}.get(kind, (2, 5))))
    ours = nn.Sequential(nn.utils.parametrizations.spectral_norm(layer_of(tg, kind)))
    assert repr(ours.load_state_dict(older.state_dict())) == "<All keys matched successfully>"
    x = np.random.default_rng(0).normal(size=(2, *{"Linear": (3,)}.get(kind, (2, 5)))).astype(np.float32)
    np.testing.assert_allclose(
        ours.eval()(tg.tensor(x)).detach().numpy(), older.eval()(torch.tensor(x)).detach().numpy(), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("form", ["the older form", "a parametrization"])
def test_spectral_norm_takes_its_oldest_states_which_have_no_right_vector(form):
    theirs = torch.nn.utils.spectral_norm(torch.nn.Linear(3, 4))
    theirs(torch.ones(1, 3))
    state = {**theirs.state_dict(), "weight": theirs.weight.detach().clone()}
    del state["weight_v"]
    other = torch.nn.utils.spectral_norm(torch.nn.Linear(3, 4))
    other.load_state_dict(state)
    make = nn.utils.spectral_norm if form == "the older form" else nn.utils.parametrizations.spectral_norm
    ours = make(nn.Linear(3, 4))
    assert repr(ours.load_state_dict(state)) == "<All keys matched successfully>"
    v = ours.weight_v if form == "the older form" else ours.parametrizations.weight[0]._v
    np.testing.assert_allclose(v.numpy(), other.weight_v.numpy(), rtol=1e-3, atol=1e-4)


def test_hooks_of_loading_see_and_change_what_is_missing():
    def program(lib):
        model = lib.nn.Sequential(lib.nn.Linear(1, 1), lib.nn.Linear(1, 1))
        seen = []

        def after(module, keys):
            seen.append((type(module).__name__, list(keys.missing_keys), model[0].weight.item()))
            keys.missing_keys.clear()

        def before(module, state, prefix, metadata, strict, missing, unexpected, errors):
            missing.append("from the hook")
            seen.append((prefix, strict))

        model.register_load_state_dict_post_hook(after)
        model[1].register_load_state_dict_post_hook(lambda module, keys: seen.append("inner"))
        model[0].register_load_state_dict_pre_hook(before)
        model[0]._register_load_state_dict_pre_hook(lambda state, prefix, *others: seen.append(prefix))
        result = model.load_state_dict({"0.weight": lib.full((1, 1), 9.0), "1.weight": lib.ones(1, 1), "1.bias": lib.ones(1)})
        return seen, result.missing_keys

    assert program(tg) == program(torch)


def test_errors_that_a_hook_adds_are_raised_and_nothing_is_loaded():
    layer = nn.Linear(1, 1)
    layer.register_load_state_dict_pre_hook(lambda m, state, prefix, meta, strict, missing, unexpected, errors: errors.append("odd"))
    before = layer.weight.item()
    with pytest.raises(RuntimeError, match="odd"):
        layer.load_state_dict({"weight": tg.full((1, 1), before + 1), "bias": tg.ones(1)})
    assert layer.weight.item() == before


def test_extra_state_is_not_worked_out_for_loading():
    class Own(nn.Linear):
        def get_extra_state(self):
            raise AssertionError("called")

        def set_extra_state(self, state):
            self.extra = state

    layer = Own(1, 1)
    layer.load_state_dict({"weight": tg.ones(1, 1), "bias": tg.ones(1), "_extra_state": 5})
    assert layer.extra == 5


# -- what a backward hook returns --------------------------------------------------------------------

RETURNED = {
    "another shape": (lambda lib, shape: (lib.ones(5),), RuntimeError),
    "a shape that would broadcast": (lambda lib, shape: (lib.ones(1, shape[1]),), RuntimeError),
    "another dtype": (lambda lib, shape: (lib.ones(*shape, dtype=lib.float64),), RuntimeError),
    "too many": (lambda lib, shape: (lib.ones(*shape), lib.ones(*shape)), RuntimeError),
    "a number": (lambda lib, shape: (3.0,), TypeError),
}


@pytest.mark.parametrize("kind", ["register_full_backward_hook", "register_full_backward_pre_hook"])
@pytest.mark.parametrize("what", RETURNED)
def test_a_backward_hook_that_returns_something_else_is_refused(what, kind):
    make, error = RETURNED[what]
    for lib in (tg, torch):
        layer = lib.nn.Linear(2, 3)
        shape = (4, 2) if "pre" not in kind else (4, 3)
        getattr(layer, kind)(lambda *given, lib=lib, shape=shape: make(lib, shape))
        out = layer(lib.ones(4, 2, requires_grad=True)).sum()
        with pytest.raises(error):
            out.backward()


def test_the_refusal_of_what_a_hook_returns_tells_both_shapes():
    layer = nn.Linear(2, 3)
    layer.register_full_backward_hook(lambda *given: (tg.ones(5),))
    with pytest.raises(RuntimeError, match=r"backward hook: expected a gradient of shape \(4, 2\) .* got \(5,\)"):
        layer(tg.ones(4, 2, requires_grad=True)).sum().backward()


# -- names that change what they stand for -----------------------------------------------------------


def test_a_parameter_in_the_place_of_a_buffer_that_was_kept_out_is_saved():
    def program(lib):
        results = []
        for drop in (False, True):
            for how in ("parameter", "buffer", "module"):
                m = lib.nn.Module()
                m.register_buffer("a", lib.ones(2), persistent=False)
                if drop:
                    del m.a
                if how == "parameter":
                    m.a = lib.nn.Parameter(lib.ones(2))
                elif how == "buffer":
                    m.register_buffer("a", lib.ones(3)) if drop else setattr(m, "a", lib.ones(3))
                else:
                    m.a = lib.nn.Linear(1, 1)
                results.append(list(m.state_dict()))
        return results

    assert program(tg) == program(torch)


def test_a_buffer_does_not_take_the_place_of_an_attribute():
    for lib in (tg, torch):
        m = lib.nn.Module()
        m.a = 5
        with pytest.raises(KeyError):
            m.a = lib.nn.Buffer(lib.ones(2))
        assert m.a == 5 and not list(m.buffers())
