"""Properties of all optimizers: parameter access, options, hooks."""

from __future__ import annotations

import inspect
import re
import tracemalloc

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite import optim
from tinygrad_lite.arrays import blocked
from tinygrad_lite.optim import stepping

# Every optimizer whose step needs no closure, with options that switch much of its equation on.
OPTIMIZERS = {
    "SGD": {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1},
    "Adam": {"lr": 0.05, "amsgrad": True, "weight_decay": 0.1},
    "AdamW": {"lr": 0.05},
    "NAdam": {"lr": 0.05, "weight_decay": 0.1},
    "RAdam": {"lr": 0.05, "betas": (0.5, 0.7)},
    "Adamax": {"lr": 0.05, "weight_decay": 0.1},
    "Adagrad": {"lr": 0.05, "lr_decay": 0.1, "weight_decay": 0.1},
    "Adadelta": {"lr": 0.5, "weight_decay": 0.1},
    "RMSprop": {"lr": 0.05, "momentum": 0.9, "centered": True, "weight_decay": 0.1},
    "Rprop": {"lr": 0.05},
    "ASGD": {"lr": 0.05, "t0": 2, "lambd": 0.1, "weight_decay": 0.1},
    "Adafactor": {"lr": 0.05, "weight_decay": 0.1},
    "Muon": {"lr": 0.05},
    "HeavyBall": {"lr": 0.05, "gamma": 0.2, "weight_decay": 0.1},
    "Momentum": {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1},
    "Nesterov": {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.1},
    "QuickProp": {"lr": 0.05, "weight_decay": 0.1},
}
WITH_CLOSURE = ("LBFGS", "Newton", "CGNewton")
SHAPES = [(3, 4), (5,), (), (2, 3, 2), (0, 4), (1, 1)]


def parameters(shapes=SHAPES, seed=0, dtype=np.float32):
    draw = np.random.default_rng(seed)
    return [tg.tensor(np.asarray(draw.normal(size=shape), dtype), requires_grad=True) for shape in shapes]


def matrices(name, shapes=SHAPES):
    return [shape for shape in shapes if len(shape) == 2 and 0 not in shape] if name == "Muon" else shapes


def give_gradients(params, step, without=()):
    draw = np.random.default_rng(100 + step)
    for i, p in enumerate(params):
        p.grad = None if i in without else tg.tensor(np.asarray(draw.normal(size=p.shape), p.dtype))


def values(params):
    return [p.array.tobytes() for p in params]


def test_every_optimizer_is_in_this_table():
    classes = {name for name in optim.__all__ if isinstance(getattr(optim, name), type)}
    classes = {name for name in classes if issubclass(getattr(optim, name), optim.Optimizer)} - {"Optimizer"}
    assert classes == {*OPTIMIZERS, *WITH_CLOSURE}


@pytest.mark.parametrize("name", [*OPTIMIZERS, *WITH_CLOSURE])
def test_a_docstring_is_the_equation_with_its_source(name):
    text = inspect.getdoc(getattr(optim, name))  # from Python 3.13 on the compiler takes the indentation out itself
    assert re.search(r"^    p <- p ", text, re.M), "the step of the parameter"
    assert re.search(r"\b(19|20)\d\d\b", text), "the paper's year"
    assert re.search(r"docs/lectures\.md#item-N?\d", text), "the lecture's item"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_together_and_alone_are_the_same_to_the_bit(name, monkeypatch):
    def run(small):
        monkeypatch.setattr(stepping, "SMALL", small)
        params = parameters(matrices(name))
        optimizer = getattr(optim, name)(params, **OPTIMIZERS[name])
        for step in range(6):
            give_gradients(params, step, without=(1,) if step in (2, 3) else ())
            optimizer.step()
        state = [t.array.tobytes() for p in params for t in optimizer.state[p].values()]
        return values(params) + state

    assert run(1 << 13) == run(-1)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name not in ("Adafactor", "Muon")])
def test_in_blocks_and_whole_are_the_same_to_the_bit(name, monkeypatch):
    def run(block):
        monkeypatch.setattr(stepping, "SMALL", -1)
        monkeypatch.setattr(stepping, "BLOCK", block)
        monkeypatch.setattr(blocked, "BLOCK", block)
        params = parameters([(37, 29), (700,)])
        optimizer = getattr(optim, name)(params, **OPTIMIZERS[name])
        for step in range(3):
            give_gradients(params, step)
            optimizer.step()
        return values(params)

    assert run(100) == run(1 << 20)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parameters_keep_their_memory_and_dtype(name, dtype):
    params = parameters(matrices(name), dtype=dtype)
    arrays = [p.array for p in params]
    optimizer = getattr(optim, name)(params, **OPTIMIZERS[name])
    before = values(params)
    for step in range(3):
        give_gradients(params, step)
        gradients = [p.grad.array.copy() for p in params]
        optimizer.step()
        assert all((p.grad.array == g).all() for p, g in zip(params, gradients)), "gradients are left alone"
    assert all(p.array is array and p.array.dtype == dtype for p, array in zip(params, arrays))
    assert all(new != old for p, new, old in zip(params, values(params), before) if p.array.size)
    for p in params:
        for key, tensor in optimizer.state[p].items():
            assert tensor.array.dtype == (np.float32 if key in optimizer.numbers else dtype)


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_parameters_of_any_layout(name):
    base = np.random.default_rng(0).normal(size=(6, 8))
    layouts = [base.copy(), np.asfortranarray(base), np.repeat(base, 2, axis=0)[::2], base.T.copy().T]
    results = []
    for array in layouts:
        p = tg.from_numpy(array).requires_grad_()
        optimizer, array = getattr(optim, name)([p], **OPTIMIZERS[name]), p.array
        for step in range(3):
            p.grad = tg.tensor(np.random.default_rng(step).normal(size=(6, 8)))
            optimizer.step()
        assert p.array is array
        results.append(p.detach().numpy().copy())
    assert all((result == results[0]).all() for result in results)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_memory_does_not_grow_with_steps(name):
    params = parameters([(50, 50)] * 2 + [(5, 2)] * 10)
    optimizer = getattr(optim, name)(params, **OPTIMIZERS[name])
    give_gradients(params, 0)
    for _ in range(3):
        optimizer.step()
    tracemalloc.start()
    optimizer.step()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(40):
        optimizer.step()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 10_000  # the interpreter's free lists fill up; one of the two large parameters has 10,000 bytes


# -- options that are schedules -----------------------------------------------------------------

NUMBERS = [
    (name, option)
    for name, options in OPTIMIZERS.items()
    for option in ("lr", "momentum", "weight_decay", "betas", "gamma", "alpha", "rho", "lambd", "lr_decay", "max_growth")
    if option in getattr(optim, name)(parameters([(2, 2)]), **options).defaults
]


@pytest.mark.parametrize(("name", "option"), NUMBERS)
def test_every_number_may_be_a_schedule(name, option):
    """A schedule equals setting the option before each step, also across a saved state."""
    fixed = {"betas": (0.8, 0.9), "lambd": 0.1, "lr_decay": 0.1, "alpha": 0.7, "rho": 0.8}.get(option, 0.3)

    def at(k):
        return tuple(b / (1 + 0.1 * k) for b in fixed) if option == "betas" else fixed / (1 + 0.1 * k)

    def run(scheduled):
        params = parameters(matrices(name))
        options = {**OPTIMIZERS[name], option: at if scheduled else at(0)}
        optimizer = getattr(optim, name)(params, **options)
        for step in range(6):
            if not scheduled:
                optimizer.param_groups[0][option] = at(step)
            give_gradients(params, step)
            optimizer.step()
            if step == 3:
                saved = optimizer.state_dict()
                assert not any(callable(v) for v in saved["param_groups"][0].values())
                optimizer = getattr(optim, name)(params, **options)
                optimizer.load_state_dict(saved)
        return values(params)

    assert run(True) == run(False)


@pytest.mark.parametrize(
    ("name", "option"), [("LBFGS", "lr"), ("Newton", "lr"), ("Newton", "damping"), ("CGNewton", "lr"), ("CGNewton", "damping")]
)
def test_so_may_those_of_an_optimizer_with_a_closure(name, option):
    def run(scheduled):
        (p,) = parameters([(3,)])
        options = {option: (lambda k: 0.5 / (k + 1)) if scheduled else 0.5}
        optimizer = getattr(optim, name)([p], **options)

        def closure():
            optimizer.zero_grad()
            loss = ((p - 1) ** 4).sum()
            if name == "LBFGS":
                loss.backward()
            return loss

        for k in range(3):
            if not scheduled:
                optimizer.param_groups[0][option] = 0.5 / (k + 1)
            optimizer.step(closure)
        return values([p])

    assert run(True) == run(False)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_number_may_be_a_tensor_or_from_numpy(name):
    def run(lr):
        params = parameters(matrices(name))
        optimizer = getattr(optim, name)(params, **{**OPTIMIZERS[name], "lr": lr})
        for step in range(3):
            give_gradients(params, step)
            optimizer.step()
        return values(params)

    # numbers computed from it in float32, such as 1 - lr weight_decay, are rounded to float32, as in PyTorch
    half = tg.tensor(0.5, dtype=tg.float64)
    assert run(0.5) == run(half) == run(np.float64(0.5)) == run(lambda k: half)


def test_betas_of_which_one_is_a_schedule():
    params = parameters()
    optimizer = optim.Adam(params, betas=(lambda k: 0.5 if k else 0.9, 0.99))
    assert optimizer.numbers_of(optimizer.param_groups[0])["betas"] == (0.9, 0.99)
    optimizer.updates = 1
    assert optimizer.numbers_of(optimizer.param_groups[0])["betas"] == (0.5, 0.99)


# -- the step -------------------------------------------------------------------------------------


def test_a_backward_through_values_that_a_step_has_overwritten_is_refused():
    for shapes in ([(3,)], [(3,), (3,)]):  # alone, together
        params = parameters(shapes)
        optimizer = optim.SGD(params, lr=0.1)
        for _ in range(2):
            loss = sum((p * p).sum() for p in params)
            loss.backward(retain_graph=True)
            optimizer.step()
            with pytest.raises(RuntimeError, match=r"SGD\.step"):
                loss.backward()
            optimizer.zero_grad()


def test_closure():
    (p,) = parameters([(3,)])
    optimizer = optim.SGD([p], lr=0.1)

    def closure():
        assert tg.is_grad_enabled()
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with tg.no_grad():
        first = optimizer.step(closure)
    assert float(optimizer.step(closure)) < float(first)


def test_zero_grad():
    params = parameters()
    optimizer = optim.SGD(params)
    give_gradients(params, 0)
    kept = params[0].grad.array
    optimizer.zero_grad(set_to_none=False)
    assert params[0].grad.array is kept and not kept.any()
    optimizer.zero_grad()
    assert all(p.grad is None for p in params)


def test_hooks():
    seen = []
    params = parameters()
    optimizer = optim.SGD(params)
    handles = [
        optim.register_optimizer_step_pre_hook(lambda *_: seen.append("any before")),
        optimizer.register_step_pre_hook(lambda o, args, kwargs: seen.append("before")),
        optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append("after")),
        optim.register_optimizer_step_post_hook(lambda *_: seen.append("any after")),
    ]
    optimizer.step()
    assert seen == ["any before", "before", "after", "any after"]
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert len(seen) == 4

    optimizer.register_step_pre_hook(lambda o, args, kwargs: ((lambda: "loss",), {}))
    assert optimizer.step() == "loss"
    optimizer.register_step_pre_hook(lambda *_: 3)
    with pytest.raises(RuntimeError, match="pre-hook"):
        optimizer.step()


def test_an_optimizer_of_one_s_own():
    class SignSGD(optim.Optimizer):
        def __init__(self, params, lr=0.1):
            super().__init__(params, {"lr": lr})

        @tg.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        self.state[p]["count"] = self.state[p].get("count", 0) + 1
                        p.add_(p.grad.sign(), alpha=-group["lr"])

    params = parameters()
    before = [p.detach().clone() for p in params]
    optimizer = SignSGD(params)
    give_gradients(params, 0)
    optimizer.step()
    for p, old in zip(params, before):
        np.testing.assert_allclose(p.array, (old - 0.1 * tg.sign(p.grad)).array, rtol=1e-6)
    optimizer.load_state_dict(optimizer.state_dict())
    assert optimizer.state[params[0]]["count"] == 1 and optimizer.updates == 1


def test_an_equation_of_one_s_own():
    class Lion(optim.Optimizer):
        """m <- b m + (1 - b) g;  p <- p - lr sign(m)."""

        def __init__(self, params, lr=0.1, b=0.9):
            super().__init__(params, {"lr": lr, "b": b})

        def begin(self, group):
            return {"step": 0, "m": 0}

        def update(self, p, g, state, group):
            m = state["m"]
            m += (1 - group["b"]) * (g - m)
            p -= group["lr"] * tg.sign(m)

    params = parameters()
    before = [p.detach().clone() for p in params]
    give_gradients(params, 0)
    Lion(params).step()
    for p, old in zip(params, before):
        np.testing.assert_allclose(p.array, (old - 0.1 * tg.sign(p.grad)).array, rtol=1e-6)


def test_repr():
    text = repr(optim.SGD(parameters(), lr=0.25))
    assert text.startswith("SGD (\nParameter Group 0\n") and "    lr: 0.25\n" in text


def test_an_array_that_somebody_else_holds_follows_every_step():
    """Small parameters move into one flat array, but arrays that the program holds still follow."""
    alone, held, viewed = (tg.ones(3, requires_grad=True) for _ in range(3))
    data, part = held.detach(), viewed.detach()[1:]
    optimizer = tg.optim.SGD([alone, held, viewed], lr=1.0)
    for _ in range(2):
        (alone.sum() + held.sum() + viewed.sum()).backward()
        optimizer.step()
        optimizer.zero_grad()
    for values in (alone.tolist(), held.tolist(), viewed.tolist(), data.tolist()):
        assert values == [-1, -1, -1]
    assert part.tolist() == [-1, -1]


# The ways in which a program may share the memory of a parameter of shape (3, 4).
WAYS_OF_SHARING = {
    "detach": lambda p: p.detach(),
    "data": lambda p: p.data,
    "the array": lambda p: p.array,
    "rows": lambda p: p.detach()[1:],
    "a column": lambda p: p.data[:, 1],
    "another shape": lambda p: p.detach().view(-1),
    "transposed": lambda p: p.detach().T,
    "another parameter": lambda p: tg.nn.Parameter(p.data),
    "a state dict": lambda p: state_dict_with(p),
}
WAYS_OF_NUMPY = {
    "numpy": lambda p: p.detach().numpy(),
    "a part of it": lambda p: p.detach().numpy()[::2, 1:],
    "asarray": lambda p: np.asarray(p.detach()),
    "from_dlpack": lambda p: np.from_dlpack(p.detach()),
    "a tensor from it": lambda p: tg.from_numpy(p.detach().numpy()),
    "a buffer": lambda p: memoryview(p.detach().numpy()),
}
WHEN = ["before the optimizer", "before a step", "between steps"]


def state_dict_with(p):
    module = tg.nn.Module()
    module.weight = p
    return module.state_dict()["weight"]


def as_array(held):
    return np.asarray(held) if isinstance(held, memoryview) else getattr(held, "array", held)


@pytest.mark.parametrize("name", ["SGD", "Adam", "Muon", "Rprop"])
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("way", WAYS_OF_SHARING)
def test_whoever_shares_a_parameter_s_memory_goes_on_sharing_it(way, when, name):
    goes_on_sharing(WAYS_OF_SHARING[way], when, name)


@pytest.mark.parametrize("name", ["SGD", "Adam", "Muon", "Rprop"])
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("way", WAYS_OF_NUMPY)
def test_numpy_goes_on_sharing_a_parameter_s_memory(way, when, name):
    goes_on_sharing(WAYS_OF_NUMPY[way], when, name)


def goes_on_sharing(share, when, name):
    params = [tg.nn.Parameter(tg.ones(3, 4)) for _ in range(3)]
    address = params[1].data_ptr()
    held = share(params[1]) if when == WHEN[0] else None
    optimizer = getattr(optim, name)(params, **OPTIMIZERS[name])
    for step in range(4):
        if (when, step) in ((WHEN[1], 0), (WHEN[2], 1)):
            held = share(params[1])
        before = params[1].tolist()
        give_gradients(params, step)
        optimizer.step()
        assert params[1].tolist() != before and params[1].data_ptr() == address
        if held is not None:
            assert (as_array(held) == as_array(share(params[1]))).all()
            if getattr(as_array(held).flags, "writeable", True):  # `from_dlpack` of NumPy before 2.1 gives what is not
                as_array(held)[...] += 1  # and the next step starts there
            assert (as_array(held) == as_array(share(params[1]))).all()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_arrays_that_parameters_were_made_of_take_part(name):
    x, buffer = np.ones((3, 4), np.float32), bytearray(48)
    params = [tg.from_numpy(x), tg.frombuffer(buffer, dtype=tg.float32).view(3, 4), tg.from_numpy(x.copy().T).T]
    params = [p.requires_grad_() for p in params]
    optimizer = getattr(optim, name)(params, **OPTIMIZERS[name])
    for step in range(3):
        give_gradients(params, step)
        optimizer.step()
        assert (x == as_array(params[0])).all() and not (x == 1).all()
        assert np.frombuffer(buffer, np.float32).tolist() == as_array(params[1]).ravel().tolist()


def test_new_arrays_in_the_place_of_those_of_the_last_step():
    """Contiguous or not: the step continues from the new arrays and the existing state."""
    params = [tg.nn.Parameter(tg.zeros(2, 2)) for _ in range(3)]
    optimizer = optim.SGD(params, lr=1.0, momentum=0.5)
    base, other = tg.zeros(4, 4), tg.zeros(2, 2)
    shift = 0.0
    for step in range(4):
        for p in params:
            p.grad = tg.ones(2, 2)
        optimizer.step()
        shift -= 2 - 0.5**step
        assert [p.tolist() for p in params] == [[[shift] * 2] * 2] * 3
        if step == 1:
            for p, values in zip(params, (base[::2, ::2], other, base[1::2, 1::2])):
                p.data = values.fill_(shift)
        if step == 2:
            assert base.tolist() == [[shift, 0] * 2, [0, shift] * 2] * 2 and other.tolist() == [[shift] * 2] * 2
            params[0].data = params[0].data.contiguous()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_parameters_of_the_same_memory_are_updated_one_after_the_other(name):
    """As if each had its own optimizer."""

    def run(together):
        x = tg.ones(6)
        params = [tg.nn.Parameter(p) for p in (x.view(2, 3), x.view(3, 2), tg.ones(2, 2), x.view(2, 3)[1:])]
        options = OPTIMIZERS[name]
        make = getattr(optim, name)
        optimizers = [make(params, **options)] if together else [make([p], **options) for p in params]
        for step in range(3):
            give_gradients(params, step)
            for optimizer in optimizers:
                optimizer.step()
        return values(params)

    assert run(together=True) == run(together=False)


def test_so_are_those_that_share_memory_from_some_step_on():
    params = [tg.nn.Parameter(tg.zeros(2, 2)) for _ in range(3)]
    optimizer = optim.SGD(params, lr=1.0)
    for step in range(3):
        for p in params:
            p.grad = tg.ones(2, 2)
        optimizer.step()
        if step == 0:
            params[2].data = params[0].data
    assert [p.tolist()[0][0] for p in params] == [-5, -3, -5]
