"""Any sequence of operations on optimizers and modules leaves both libraries in the same state."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import tinygrad_lite as tg

torch = pytest.importorskip("torch")
LIBRARIES = (tg, torch)

pytestmark = [
    pytest.mark.filterwarnings("ignore:Seems like:UserWarning"),  # PyTorch's, of the schedule of a copied optimizer
    pytest.mark.filterwarnings("ignore:Detected call of:UserWarning"),
    pytest.mark.filterwarnings("ignore:lr_scheduler.step:UserWarning"),
]

OPTIMIZERS = {
    "SGD": {}, "SGD with momentum": {"momentum": 0.9}, "SGD, Nesterov": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
    "Adam": {}, "Adam, AMSGrad": {"amsgrad": True}, "AdamW": {"weight_decay": 0.1}, "NAdam": {}, "RAdam": {}, "Adamax": {},
    "Adagrad": {}, "Adadelta": {}, "RMSprop": {"momentum": 0.5, "centered": True}, "Rprop": {}, "ASGD": {}, "Adafactor": {},
}  # fmt: skip
SCHEDULES = {
    "StepLR": lambda lr, o: lr.StepLR(o, 2),
    "ExponentialLR": lambda lr, o: lr.ExponentialLR(o, 0.9),
    "CosineAnnealingLR": lambda lr, o: lr.CosineAnnealingLR(o, 5),
    "LinearLR": lambda lr, o: lr.LinearLR(o, 0.5, total_iters=3),
}


class Net:
    """A network, parameters beside it, an optimizer of both, and perhaps a schedule, of one library."""

    def __init__(self, lib, name):
        draw = np.random.default_rng(0)
        self.lib, self.name = lib, name
        self.net = lib.nn.Sequential(lib.nn.Linear(3, 4), lib.nn.Tanh(), lib.nn.Linear(4, 2)).double()
        self.more = lib.nn.ParameterList()
        self.schedule = self.kind = None
        with lib.no_grad():
            for p in self.net.parameters():
                p.copy_(lib.tensor(draw.normal(size=tuple(p.shape))))
        groups = [{"params": list(self.net[0].parameters())}, {"params": list(self.net[2].parameters()), "lr": 0.02}]
        self.optimizer = self.make(groups)

    def make(self, groups):
        return getattr(self.lib.optim, self.name.replace(",", " ").split()[0])(groups, lr=0.05, **OPTIMIZERS[self.name])

    def params(self):
        return [*self.net.parameters(), *self.more.parameters()]

    def gradients(self, seed):
        x = self.lib.tensor(np.random.default_rng(seed).normal(size=(5, 3)))
        self.optimizer.zero_grad()
        loss = (self.net(x) ** 2).mean() + sum(((p * (i + 1) + x.sum()).tanh() ** 2).mean() for i, p in enumerate(self.more))
        if loss.requires_grad:
            loss.backward()

    def holders(self):
        return [self.net, self.more, self.optimizer, self.schedule]


class OptimizerMachine(RuleBasedStateMachine):
    @initialize(name=st.sampled_from(list(OPTIMIZERS)))
    def begin(self, name):
        self.both = [Net(lib, name) for lib in LIBRARIES]

    def each(self, do):
        for one in self.both:
            do(one)

    @rule(seeds=st.lists(st.integers(0, 99), min_size=1, max_size=3))
    def train(self, seeds):
        for seed in seeds:
            self.each(lambda one, seed=seed: (one.gradients(seed), one.optimizer.step()))

    @rule(seed=st.integers(0, 99))
    def step_again_by_the_same_gradients(self, seed):
        self.each(lambda one: (one.gradients(seed), one.optimizer.step(), one.optimizer.step()))

    @rule(which=st.integers(0, 9), seed=st.integers(0, 99))
    def step_without_a_gradient(self, which, seed):
        def do(one):
            one.gradients(seed)
            one.params()[which % len(one.params())].grad = None
            one.optimizer.step()

        self.each(do)

    @rule(which=st.integers(0, 9), on=st.booleans())
    def freeze(self, which, on):
        self.each(lambda one: one.params()[which % len(one.params())].requires_grad_(on))

    @precondition(lambda self: len(self.both[0].more) < 3)
    @rule(size=st.integers(1, 3), rate=st.sampled_from([None, 0.1]))
    def add_a_group(self, size, rate):
        def do(one):
            p = one.lib.nn.Parameter(one.lib.tensor(np.linspace(-1, 1, size)))
            one.more.append(p)
            one.optimizer.add_param_group({"params": [p], **({} if rate is None else {"lr": rate})})
            if one.schedule is not None:  # a schedule knows the groups that it began with
                one.optimizer.param_groups[-1]["initial_lr"] = one.optimizer.param_groups[-1]["lr"]
                one.schedule = SCHEDULES[one.kind](one.lib.optim.lr_scheduler, one.optimizer)

        self.each(do)

    @rule(how=st.sampled_from(["deepcopy", "pickle"]))
    def go_on_with_a_copy(self, how):
        def do(one):
            made = copy.deepcopy(one.holders()) if how == "deepcopy" else pickle.loads(pickle.dumps(one.holders()))
            one.net, one.more, one.optimizer, one.schedule = made

        self.each(do)

    @rule()
    def go_on_with_a_shallow_copy(self):
        def do(one):
            one.optimizer = copy.copy(one.optimizer)
            if one.schedule is not None:
                one.schedule.optimizer = one.optimizer

        self.each(do)

    @rule()
    def resume(self):
        def do(one):
            saved = copy.deepcopy([None if held is None else held.state_dict() for held in one.holders()])
            shapes = [tuple(p.shape) for p in one.more]
            frozen = [p.requires_grad for p in one.params()]
            sizes = [len(group["params"]) for group in one.optimizer.param_groups]
            fresh = Net(one.lib, one.name)
            fresh.more.extend([one.lib.nn.Parameter(one.lib.zeros(*shape, dtype=one.lib.float64)) for shape in shapes])
            params = iter(fresh.params())
            fresh.optimizer = fresh.make([{"params": [next(params) for _ in range(size)]} for size in sizes])
            if one.kind:
                fresh.kind, fresh.schedule = one.kind, SCHEDULES[one.kind](one.lib.optim.lr_scheduler, fresh.optimizer)
            for held, state in zip(fresh.holders(), saved):
                if held is not None:
                    held.load_state_dict(state)
            for p, needed in zip(fresh.params(), frozen):
                p.requires_grad_(needed)
            one.__dict__.update(fresh.__dict__)

        self.each(do)

    @rule(kind=st.sampled_from(list(SCHEDULES)))
    def begin_a_schedule(self, kind):
        def do(one):
            for group in one.optimizer.param_groups:
                group.pop("initial_lr", None)
            one.kind, one.schedule = kind, SCHEDULES[kind](one.lib.optim.lr_scheduler, one.optimizer)

        self.each(do)

    @precondition(lambda self: self.both[0].schedule is not None)
    @rule()
    def move_the_schedule_on(self):
        self.each(lambda one: one.schedule.step())

    @rule(group=st.integers(0, 4), option=st.sampled_from(["lr", "weight_decay", "maximize"]))
    def change_an_option(self, group, option):
        value = {"lr": 0.03, "weight_decay": 0.05, "maximize": True}[option]

        def do(one):
            found = one.optimizer.param_groups[group % len(one.optimizer.param_groups)]
            if option in found:
                found[option] = value

        self.each(do)

    @rule(which=st.integers(0, 9), how=st.sampled_from(["zero", "replace", "data", "delete", "count"]))
    def change_the_state(self, which, how):
        def do(one):
            p = one.params()[which % len(one.params())]
            state = one.optimizer.state.get(p) or {}
            if how == "delete":
                one.optimizer.state.pop(p, None)
            elif how == "count" and "step" in state:
                state["step"].fill_(1.0)
            for name in ("exp_avg", "momentum_buffer", "square_avg", "exp_inf", "prev"):
                if state.get(name) is not None:
                    if how == "zero":
                        state[name].zero_()
                    elif how == "replace":
                        state[name] = one.lib.full_like(state[name], 0.01)
                    elif how == "data":
                        state[name].data = one.lib.full_like(state[name], 0.02)

        self.each(do)

    @rule(which=st.integers(0, 9), how=st.sampled_from(["data", "copy_", "mul_"]))
    def change_a_parameter(self, which, how):
        def do(one):
            p = one.params()[which % len(one.params())]
            with one.lib.no_grad():
                if how == "data":
                    p.data = p.detach().clone() * 0.5
                elif how == "copy_":
                    p.copy_(p * 0.5)
                else:
                    p.mul_(0.5)

        self.each(do)

    @invariant()
    def alike(self):
        if not hasattr(self, "both"):
            return
        ours, theirs = self.both
        for mine, other in zip(ours.params(), theirs.params(), strict=True):
            np.testing.assert_allclose(mine.detach().numpy(), other.detach().numpy(), rtol=1e-6, atol=1e-8)
            assert mine.requires_grad == other.requires_grad and (mine.grad is None) == (other.grad is None)
        rates = [[group["lr"] for group in one.optimizer.param_groups] for one in self.both]
        np.testing.assert_allclose(*rates, rtol=1e-12)
        for mine, other in zip(ours.params(), theirs.params()):
            states = [one.optimizer.state.get(p) or {} for one, p in ((ours, mine), (theirs, other))]
            counts = [float(state["step"]) for state in states if "step" in state]
            assert len(set(counts)) <= 1


TestOptimizer = OptimizerMachine.TestCase
TestOptimizer.settings = settings(max_examples=60, stateful_step_count=20, deadline=None, derandomize=True)


# -- modules -----------------------------------------------------------------------------------------


def block_of(lib):
    class Block(lib.nn.Module):
        """Multiplies by its parameters, adds its buffers, and goes through its modules, in the order of their names."""

        def forward(self, x):
            for _, p in sorted(self.named_parameters(recurse=False)):
                x = x * p
            for _, b in sorted(self.named_buffers(recurse=False)):
                x = x + b
            for _, module in sorted((name, m) for name, m in self._modules.items() if m is not None and name != "parametrizations"):
                x = module(x)
            return x * 1.0

    return Block


OurBlock, TheirBlock = block_of(tg), block_of(torch)
OurBlock.__qualname__, TheirBlock.__qualname__ = "OurBlock", "TheirBlock"  # where pickle finds them
BLOCKS = {tg: OurBlock, torch: TheirBlock}
LAYERS = {"Linear": lambda lib: lib.nn.Linear(2, 2), "BatchNorm1d": lambda lib: lib.nn.BatchNorm1d(2), "Block": lambda lib: BLOCKS[lib]()}
SMALL = ("Linear", "BatchNorm1d")
SLOTS = st.sampled_from(["a", "b", "c", "weight", "bias"])
PLACES = st.integers(0, 30)
KINDS = (KeyError, TypeError, AttributeError, RuntimeError, ValueError)


def doubled(module, args, output):
    return output * 2


def halved(module, grad_input, grad_output):
    return tuple(None if g is None else g * 0.5 for g in grad_input)


def outcome(function):
    try:
        function()
    except KINDS as error:
        return next(kind for kind in KINDS if isinstance(error, kind))
    return None


class ModuleMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self):
        self.roots = {lib: BLOCKS[lib]() for lib in LIBRARIES}
        self.handles = {lib: [] for lib in LIBRARIES}
        self.made, self.dtype = 0, "float32"

    def each(self, do):
        """`do(lib, root)` for both; what it raises is of one kind."""
        kinds = [outcome(lambda lib=lib: do(lib, self.roots[lib])) for lib in LIBRARIES]
        assert kinds[0] == kinds[1], kinds

    def at(self, lib, place, kinds=("Block",)):
        """One of the modules of these kinds."""
        found = [m for m in self.roots[lib].modules() if type(m).__name__ in kinds]
        return found[place % len(found)] if found else self.roots[lib]

    def numbers(self, lib, shape=(2,)):
        draw = np.random.default_rng(self.made)
        return lib.tensor(draw.normal(size=shape) + 1.5).to(getattr(lib, self.dtype))

    def layer(self, lib, kind):
        layer = LAYERS[kind](lib).to(getattr(lib, self.dtype))
        with lib.no_grad():
            for p in layer.parameters():
                p.copy_(self.numbers(lib, tuple(p.shape)))
        return layer

    @rule(place=PLACES, name=SLOTS, none=st.booleans(), how=st.sampled_from(["assign", "register"]))
    def a_parameter(self, place, name, none, how):
        self.made += 1

        def do(lib, root):
            holder, p = self.at(lib, place), None if none else lib.nn.Parameter(self.numbers(lib))
            setattr(holder, name, p) if how == "assign" else holder.register_parameter(name, p)

        self.each(do)

    @rule(place=PLACES, name=SLOTS, none=st.booleans(), how=st.sampled_from(["assign", "register", "Buffer"]), kept=st.booleans())
    def a_buffer(self, place, name, none, how, kept):
        self.made += 1

        def do(lib, root):
            holder, b = self.at(lib, place), None if none else self.numbers(lib)
            if how == "register":
                holder.register_buffer(name, b, persistent=kept)
            elif how == "Buffer" and b is not None:
                setattr(holder, name, lib.nn.Buffer(b, persistent=kept))
            else:
                setattr(holder, name, b)

        self.each(do)

    @rule(place=PLACES, name=SLOTS, kind=st.sampled_from([*LAYERS, None]), how=st.sampled_from(["assign", "register"]))
    def a_module(self, place, name, kind, how):
        self.made += 1

        def do(lib, root):
            holder, module = self.at(lib, place), kind and self.layer(lib, kind)
            setattr(holder, name, module) if how == "assign" else holder.register_module(name, module)

        self.each(do)

    @rule(place=PLACES, name=SLOTS, kinds=st.sampled_from([("Block",), SMALL]))
    def deletion(self, place, name, kinds):
        if kinds != ("Block",) and name != "bias":
            return
        if kinds == ("Block",):
            self.each(lambda lib, root: delattr(self.at(lib, place), name))
        else:
            self.each(lambda lib, root: setattr(self.at(lib, place, kinds), "bias", None))

    @rule(place=PLACES, other=PLACES, name=SLOTS)
    def share_a_layer(self, place, other, name):
        def do(lib, root):
            layer = self.at(lib, other, (*SMALL, "ParametrizedLinear"))
            if layer is not root:
                setattr(self.at(lib, place), name, layer)

        self.each(do)

    @rule(place=PLACES, other=PLACES, name=st.sampled_from(["a", "b", "c"]))
    def share_a_parameter(self, place, other, name):
        def do(lib, root):
            small = [p for p in root.parameters() if tuple(p.shape) == (2,)]
            if small:
                setattr(self.at(lib, place), name, small[other % len(small)])

        self.each(do)

    @rule(how=st.sampled_from(["copy", "deepcopy", "pickle"]))
    def go_on_with_a_copy(self, how):
        parametrized = any(type(m).__name__.startswith("Parametrized") for m in self.roots[tg].modules())
        for lib in LIBRARIES:
            root = self.roots[lib]
            if how == "copy":
                self.roots[lib] = copy.copy(root)
            elif how == "deepcopy" or parametrized:  # which PyTorch does not pickle
                self.roots[lib] = copy.deepcopy(root)
            else:
                self.roots[lib] = pickle.loads(pickle.dumps(root))
        if how != "copy":
            self.handles = {lib: [] for lib in LIBRARIES}

    @rule(place=PLACES, name=SLOTS)
    def a_copy_beside(self, place, name):
        def do(lib, root):
            layer = self.at(lib, place, SMALL)
            if layer is not root:
                setattr(root, name, copy.deepcopy(layer))

        self.each(do)

    @rule(drop=st.integers(0, 20), add=st.booleans(), strict=st.booleans(), assign=st.booleans())
    def load(self, drop, add, strict, assign):
        def do(lib, root):
            state = OrderedDict(
                (name, t.clone() * (0.5 if t.dtype == getattr(lib, self.dtype) else 1)) for name, t in root.state_dict().items()
            )
            if drop < len(state):
                del state[list(state)[drop]]
            if add:
                state["unknown.weight"] = lib.ones(2)
            if strict and (add or drop < len(root.state_dict())):
                root = copy.deepcopy(root)  # PyTorch has loaded the rest by the time that it refuses, this library nothing
            missing, unexpected = root.load_state_dict(state, strict=strict, assign=assign)
            seen.append((sorted(missing), sorted(unexpected)))

        seen = []
        self.each(do)
        assert seen[:1] == seen[1:]

    @rule(place=PLACES, on=st.booleans())
    def parametrize(self, place, on):
        def do(lib, root):
            tools = lib.nn.utils
            layer = self.at(lib, place, ("Linear",) if on else ("ParametrizedLinear",))
            if layer is root:
                return
            if on:
                tools.parametrizations.weight_norm(layer)
            else:
                tools.parametrize.remove_parametrizations(layer, "weight")

        self.each(do)

    @rule(place=PLACES, kind=st.sampled_from(["forward", "backward"]))
    def register_a_hook(self, place, kind):
        def do(lib, root):
            layer = self.at(lib, place, SMALL)
            if layer is root:
                return
            if kind == "forward":
                self.handles[lib].append(layer.register_forward_hook(doubled))
            else:
                self.handles[lib].append(layer.register_full_backward_hook(halved))

        self.each(do)

    @rule()
    def remove_a_hook(self):
        for handles in self.handles.values():
            if handles:
                handles.pop().remove()

    @rule(place=PLACES, mode=st.booleans())
    def train_or_not(self, place, mode):
        self.each(lambda lib, root: self.at(lib, place).train(mode))

    @rule(place=PLACES, on=st.booleans())
    def freeze(self, place, on):
        self.each(lambda lib, root: self.at(lib, place, ("Block", *SMALL)).requires_grad_(on))

    @rule(dtype=st.sampled_from(["float32", "float64"]))
    def convert(self, dtype):
        self.dtype = dtype
        self.each(lambda lib, root: root.to(getattr(lib, dtype)))

    @rule()
    def apply(self):
        def change(module):
            if type(module).__name__ == "Linear" and module.weight is not None:
                module.weight.data = module.weight.data * 0.9

        self.each(lambda lib, root: root.apply(change))

    @rule(seed=st.integers(0, 20))
    def call(self, seed):
        outs = []

        def do(lib, root):
            x = lib.tensor(np.random.default_rng(seed).normal(size=(4, 2))).to(getattr(lib, self.dtype)).requires_grad_()
            root.zero_grad()
            out = root(x)
            (out * out).sum().backward()
            outs.append([out.detach().numpy(), x.grad.numpy()])

        self.each(do)
        for ours, theirs in zip(*outs) if len(outs) == 2 else ():
            np.testing.assert_allclose(ours, theirs, rtol=2e-3, atol=1e-4 * max(1.0, float(np.abs(theirs).max())))

    @invariant()
    def alike(self):
        if not hasattr(self, "roots"):
            return
        ours, theirs = (self.described(lib) for lib in LIBRARIES)
        assert ours[:-1] == theirs[:-1]
        for (name, mine), (other_name, other) in zip(ours[-1], theirs[-1], strict=True):
            assert name == other_name
            np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-5 * max(1.0, float(np.abs(other).max())), err_msg=name)

    def described(self, lib):
        root = self.roots[lib]
        tensors = [*root.named_parameters(), *root.named_buffers()]
        return (
            [(name, type(m).__name__, m.training) for name, m in root.named_modules()],
            [name for name, _ in root.named_modules(remove_duplicate=False)],
            [(name, p.requires_grad, p.grad is None, str(p.dtype).removeprefix("torch.")) for name, p in tensors],
            [name for name, _ in root.named_parameters(remove_duplicate=False)],
            list(root.state_dict()),
            repr(root),
            [(name, np.array(t.detach().numpy(), float)) for name, t in tensors],
        )


TestModule = ModuleMachine.TestCase
TestModule.settings = settings(max_examples=60, stateful_step_count=25, deadline=None, derandomize=True)
