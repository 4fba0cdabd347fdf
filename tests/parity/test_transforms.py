"""autograd.functional, func, checkpoint, anomaly detection and saved-tensor hooks compared with PyTorch."""

from __future__ import annotations

import gc

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.parity.compare import REFUSALS, compare, refused, same, torch

# PyTorch's own, of torch.jit and of linearize.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Attempted to insert a get_attr Node:UserWarning")

X = np.array([[0.5, -1.0, 2.0], [1.5, 0.3, -0.7]])
Y = np.array([0.2, 1.1, -0.4])
V = np.array([[1.0, 0.5, -2.0], [0.1, 3.0, 0.7]])


def both(call, *arrays):
    """`call(library, *tensors)` in the two libraries, compared."""
    got, want = (call(m, *[m.from_numpy(np.array(a)) for a in arrays]) for m in (tg, torch))
    assert structure(got, tg) == structure(want, torch)
    for x, y in zip(flat(got), flat(want)):
        same(x, y, "transform", (None, None))
    return got


def structure(value, library):
    if isinstance(value, dict):
        return {k: structure(v, library) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(structure(v, library) for v in value)
    return value.requires_grad if isinstance(value, library.Tensor) else type(value).__name__


def flat(value):
    value = list(value.values()) if isinstance(value, dict) else value
    return [leaf for v in value for leaf in flat(v)] if isinstance(value, (tuple, list)) else [value]


FUNCTIONS = {
    "one to one": (lambda m: lambda x: (x * x).tanh().cumsum(1), (X,), (V,)),
    "to a scalar": (lambda m: lambda x: (x.exp() * x).sum(), (X,), (V,)),
    "two inputs": (lambda m: lambda x, y: (x @ y).sin() * y.sum(), (X, Y), (V, Y * 2)),
    "two outputs": (lambda m: lambda x: (x.sum(0), (x**3).mean()), (X,), (V,)),
    "an unused input": (lambda m: lambda x, y: x.sigmoid(), (X, Y), (V, Y)),
    "a linear function": (lambda m: lambda x: 3 * x.sum(1), (X,), (V,)),
    "a constant": (lambda m: lambda x: m.ones(2, dtype=m.float64), (X,), (V,)),
    "no elements": (lambda m: lambda x: x * 2, (np.zeros((0, 2)),), (np.zeros((0, 2)),)),
}


def alone(tensors):
    return tensors[0] if len(tensors) == 1 else tuple(tensors)


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functional(name, create_graph):
    function, inputs, tangents = FUNCTIONS[name]

    def call(m, *tensors):
        xs, vs = tensors[: len(inputs)], tensors[len(inputs) :]
        F, f = m.autograd.functional, function(m)
        xs = tuple(x.requires_grad_() for x in xs)
        out = f(*xs)
        weights = tuple(m.ones_like(o).detach() for o in out) if isinstance(out, tuple) else m.ones_like(out).detach()
        found = (
            F.vjp(f, alone(xs), weights, create_graph=create_graph),
            F.jvp(f, alone(xs), alone(vs), create_graph=create_graph),
            F.jacobian(f, alone(xs), create_graph=create_graph) if xs[0].numel() else (),
        )
        return [t.detach() if name in ("a constant", "a linear function", "an unused input") else t for t in flat(found)]

    both(call, *inputs, *tangents)


@pytest.mark.parametrize("name", ["to a scalar", "two inputs", "a linear function"])
def test_functional_second_order(name):
    function, inputs, tangents = FUNCTIONS[name]

    def call(m, *tensors):
        xs, vs = tensors[: len(inputs)], tensors[len(inputs) :]
        F = m.autograd.functional
        f = lambda *xs: function(m)(*xs).sum()
        return F.hessian(f, alone(xs)), F.hvp(f, alone(xs), alone(vs)), F.vhp(f, alone(xs), alone(vs))

    both(call, *inputs, *tangents)


def test_the_results_of_functional_can_be_differentiated():
    def call(m, x):
        x.requires_grad_()
        jacobian = m.autograd.functional.jacobian(lambda x: x**3, x, create_graph=True)
        hessian = m.autograd.functional.hessian(lambda x: (x**4).sum(), x, create_graph=True)
        return m.autograd.grad(jacobian.sum(), x) + m.autograd.grad(hessian.sum(), x)

    both(call, Y)


def test_forward_mode_is_accepted_with_vectorize():
    both(lambda m, x: m.autograd.functional.jacobian(lambda x: x * x.sum(), x, vectorize=True, strategy="forward-mode"), Y)


@pytest.mark.parametrize("call", [
    lambda F, m, x: F.vjp(lambda x: x * x, x),
    lambda F, m, x: F.vjp(lambda x: x * x, x, m.ones(7)),
    lambda F, m, x: F.jvp(lambda x: x * x, x),
    lambda F, m, x: F.hvp(lambda x: x * x, x, x),
    lambda F, m, x: F.hessian(lambda x: x * x, x),
    lambda F, m, x: F.hessian(lambda x: (x.sum(),), x),
    lambda F, m, x: F.hessian(lambda x: x.sum(), x, strict=True),
    lambda F, m, x: F.jacobian(lambda x: m.ones(2), x, strict=True),
    lambda F, m, x: F.jacobian(lambda x, y: x * 2, (x, x), strict=True),
    lambda F, m, x: F.jacobian(lambda x: x * 2, x, create_graph=True, strict=True),
    lambda F, m, x: F.jacobian(lambda x: [x], x),
    lambda F, m, x: F.jacobian(lambda x: 3.0, x),
    lambda F, m, x: F.jacobian(lambda x: x, [x]),
    lambda F, m, x: F.jacobian(lambda x: x, 3.0),
    lambda F, m, x: F.jacobian(lambda x: x * 1.0, m.tensor([1, 2])),
    lambda F, m, x: F.jacobian(lambda x: x, x, strict=True, vectorize=True),
    lambda F, m, x: F.jacobian(lambda x: x, x, strategy="forward-mode"),
    lambda F, m, x: F.jacobian(lambda x: x, x, strategy="sideways"),
])  # fmt: skip
def test_functional_refuses(call):
    for m in (tg, torch):
        with pytest.raises((*REFUSALS, NotImplementedError, AssertionError) if m is torch else REFUSALS):
            call(m.autograd.functional, m, m.from_numpy(X.copy()))


FUNC = {
    "grad": lambda m, F, x, y: F.grad(lambda x: (x**3).sum())(x),
    "grad by the second": lambda m, F, x, y: F.grad(lambda x, y: (x @ y).sin().sum(), argnums=-1)(x, y),
    "grad by both": lambda m, F, x, y: F.grad(lambda x, y: (x @ y).sin().sum(), argnums=(0, 1))(x, y),
    "grad with aux": lambda m, F, x, y: F.grad(lambda x: ((x * x).sum(), {"k": x * 2}), has_aux=True)(x),
    "grad of a dict": lambda m, F, x, y: F.grad(lambda d: (d["w"] @ d["b"][0]).exp().sum())({"w": x, "b": [y]}),
    "grad of an unused one": lambda m, F, x, y: F.grad(lambda x, y: x.sum(), argnums=(0, 1))(x, y),
    "grad of a captured one": lambda m, F, x, y: (lambda w: F.grad(lambda y: (w @ y).sin().sum())(y))(x.requires_grad_()),
    "grad of one that requires grad": lambda m, F, x, y: F.grad(lambda x: (x**3).sum())(x.requires_grad_()),
    "grad under no_grad": lambda m, F, x, y: m.no_grad()(F.grad(lambda x: (x**3).sum()))(x.requires_grad_()),
    "grad with no_grad inside": lambda m, F, x, y: F.grad(lambda x: (x * m.no_grad()(lambda: x.exp())()).sum())(x),
    "grad of grad": lambda m, F, x, y: F.grad(lambda x: F.grad(lambda x: (x**4).sum())(x).sum())(x),
    "grad of a captured grad": lambda m, F, x, y: F.grad(lambda z: F.grad(lambda y: (y * y * z).sum())(y).sum())(y),
    "third": lambda m, F, x, y: F.grad(F.grad(F.grad(lambda t: t.sin() * t)))(y[0]),
    "grad and value": lambda m, F, x, y: F.grad_and_value(lambda x: (x**3).sum())(x),
    "grad and value and aux": lambda m, F, x, y: F.grad_and_value(lambda x: ((x**3).sum(), x * 2), has_aux=True)(x),
    "vjp": lambda m, F, x, y: F.vjp(lambda x, y: (x @ y, y.exp()), x, y)[1]((y[:2], y)),
    "vjp value": lambda m, F, x, y: F.vjp(lambda x: x * x, x)[0],
    "vjp aux": lambda m, F, x, y: F.vjp(lambda x: (x * x, x + 1), x, has_aux=True)[2],
    "jvp": lambda m, F, x, y: F.jvp(lambda x, y: (x @ y, y.exp()), (x, y), (x * 2, y)),
    "jvp aux": lambda m, F, x, y: F.jvp(lambda y: (y.exp(), y.sum()), (y,), (y,), has_aux=True),
    "jvp of grad": lambda m, F, x, y: F.jvp(F.grad(lambda x: (x**4).sum()), (x,), (x * 2,)),
    "jacrev": lambda m, F, x, y: F.jacrev(lambda x, y: {"a": x @ y, "b": y.sum()}, argnums=(0, 1))(x, y),
    "jacrev aux": lambda m, F, x, y: F.jacrev(lambda x: (x.sum(0), x), has_aux=True)(x),
    "jacfwd": lambda m, F, x, y: F.jacfwd(lambda x: (x.tanh(), x.sum()))(x),
    "jacfwd of jacfwd": lambda m, F, x, y: F.jacfwd(F.jacfwd(lambda y: (y**3).cumsum(0)))(y),
    "jacrev of jacfwd": lambda m, F, x, y: F.jacrev(F.jacfwd(lambda y: (y**3).cumsum(0)))(y),
    "hessian": lambda m, F, x, y: F.hessian(lambda x, y: (x @ y).sin().sum(), argnums=(0, 1))(x, y),
    "vmap": lambda m, F, x, y: F.vmap(lambda x, y: (x * y).sum(), in_dims=(0, None))(x, y),
    "vmap out": lambda m, F, x, y: F.vmap(lambda x: (x, {"s": x.exp()}), in_dims=1, out_dims=1)(x),
    "vmap of two batches": lambda m, F, x, y: F.vmap(F.vmap(m.dot, in_dims=(None, 0)), in_dims=(0, None))(x, m.stack([y, x[0]])),
    "vmap of a dict": lambda m, F, x, y: F.vmap(lambda d: d["a"] + d["b"], in_dims=({"a": -1, "b": None},), out_dims=-1)(
        {"a": x, "b": y[:2]}
    ),
    "vmap of jacobians": lambda m, F, x, y: F.vmap(F.jacrev(lambda x: x.sin().cumsum(0)))(x),
    "vmap of hessians": lambda m, F, x, y: F.vmap(F.hessian(lambda x: x.sin().prod()))(x),
    "grad of vmap": lambda m, F, x, y: F.grad(lambda x: F.vmap(lambda row: row.sin())(x).sum())(x),
    "Jacobian by products": lambda m, F, x, y: F.vmap(F.vjp(lambda y: y**2, y)[1])(m.eye(3, dtype=m.float64)),
    "linearize": lambda m, F, x, y: F.linearize(lambda y: {"a": y * y, "b": (y.sin(), y.sum())}, y)[1](x[0]),
    "linearize of two": lambda m, F, x, y: F.linearize(lambda x, y: x @ y, x, y)[1](x * 2, y),
    "linearize value": lambda m, F, x, y: F.linearize(lambda x: x.tanh(), x)[0],
    "gradients of each": lambda m, F, x, y: F.vmap(F.grad(lambda w, x: (w * x).sin().sum()), in_dims=(None, 0))(y, x),
}


@pytest.mark.parametrize("name", FUNC)
def test_func(name):
    both(lambda m, x, y: FUNC[name](m, m.func, x, y), X, Y)


@pytest.mark.parametrize("f", [lambda v, c: v.sinh() - c, lambda v, c: v.sinh() * c, lambda v, c: c * 2 + v**2, lambda v, c: c * v**3 + v.cos()])
def test_what_does_not_depend_on_a_captured_tensor_does_not_require_grad(f):
    def call(m, x):
        c = (x * 0.5).requires_grad_()
        F = m.func
        function, total = lambda v: f(v, c), lambda v: f(v, c).sum()
        (pulled,), (value, tangent) = F.vjp(function, x)[1](m.ones_like(x)), F.jvp(function, (x,), (x,))
        first = [F.grad(total)(x), *F.grad_and_value(total)(x), F.jacrev(function)(x), F.jacfwd(function)(x), pulled, tangent, value]
        return first, F.hessian(total)(x), F.grad(lambda v: F.grad(total)(v).sum())(x), F.jacrev(F.grad(total))(x)

    both(call, Y)


@pytest.mark.parametrize("output", ["float32", "float64"])
@pytest.mark.parametrize("input", ["float32", "float64"])
def test_a_jacobian_by_columns_has_the_dtype_of_the_output(input, output):
    def call(m, x):
        x, c = x.to(getattr(m, input)), m.ones(2, dtype=getattr(m, output))
        functions = (lambda x: c * 2, lambda x: c * x.sum(), lambda x: x.to(c.dtype), lambda x: (c * 2, x * c))
        by_columns = {"vectorize": True, "strategy": "forward-mode"}
        return [
            [m.func.jacfwd(f)(x), m.func.jacrev(f)(x), m.autograd.functional.jacobian(f, x, **by_columns), m.autograd.functional.jacobian(f, x)]
            for f in functions
        ]

    both(call, np.array([1.0, 2.0]))


@pytest.mark.parametrize("call", [
    lambda F, m, x: F.grad(lambda x: x * 2)(x),
    lambda F, m, x: F.grad(lambda x: x.sum().reshape(1))(x),
    lambda F, m, x: F.grad(lambda x: x.sum(), argnums=1)(x),
    lambda F, m, x: F.grad(lambda x: x.sum(), argnums=[0])(x),
    lambda F, m, x: F.grad(lambda x: x.sum(), has_aux=True)(x),
    lambda F, m, x: F.grad(lambda x: (x * 1.0).sum())(m.tensor([1, 2])),
    lambda F, m, x: F.vjp(lambda x: x, x)[1](m.ones(7)),
    lambda F, m, x: F.jvp(lambda x: x, x, x),
    lambda F, m, x: F.jvp(lambda x: x, (x,), (m.ones(7),)),
    lambda F, m, x: F.jacrev(lambda x: 3.0)(x),
    lambda F, m, x: F.vmap(lambda x, y: x * y)(x, m.ones(7)),
    lambda F, m, x: F.vmap(lambda x: 3.0)(x),
    lambda F, m, x: F.vmap(lambda x: x, in_dims=(0, 0))(x),
    lambda F, m, x: F.vmap(lambda x: x, chunk_size=0)(x),
    lambda F, m, x: F.vmap(lambda x: x, randomness="none")(x),
    lambda F, m, x: F.vmap(lambda x: x * m.rand(3))(x),
    lambda F, m, x: F.vmap(lambda x: m.nn.functional.dropout(x, 0.5))(x),
    lambda F, m, x: F.grad(lambda x, y: (x * y).sum(), argnums=(0, 0))(x, x),
    lambda F, m, x: F.jacrev(lambda x, y: x * y, argnums=(0, -2))(x, x),
    lambda F, m, x: F.grad(lambda x: x.sum(), argnums=())(x),
    lambda F, m, x: F.jacrev(lambda x: x, chunk_size=0)(x),
    lambda F, m, x: F.linearize(lambda x: x, x)[1](x[0]),
    lambda F, m, x: F.stack_module_state([]),
    lambda F, m, x: F.stack_module_state([m.nn.Linear(2, 2), m.nn.Tanh()]),
    lambda F, m, x: F.stack_module_state([m.nn.Linear(2, 2), m.nn.Linear(2, 2).eval()]),
    lambda F, m, x: F.functional_call(m.nn.Linear(3, 1), {"weight": x}, x, strict=True),
    lambda F, m, x: F.functional_call(m.nn.Linear(3, 1), ({"weight": x}, {"weight": x}), x),
])  # fmt: skip
def test_func_refuses(call):
    for m in (tg, torch):
        with pytest.raises(REFUSALS):
            call(m.func, m, m.from_numpy(X.copy()))


def test_functional_call():
    def call(m, x, y):
        model = m.nn.Sequential(m.nn.Linear(3, 3), m.nn.Tanh(), m.nn.BatchNorm1d(3)).double().eval()
        named = {"0.weight": m.outer(y, y), "0.bias": y, "2.weight": y + 1, "2.unknown": y}
        before = [p.detach().clone() for p in model.parameters()]
        out = m.func.functional_call(model, named, x)
        assert all(bool((p == q).all()) for p, q in zip(model.parameters(), before))
        gradient = m.func.grad(lambda named: m.func.functional_call(model, (named,), (x,)).square().sum())(named)
        return out.detach(), {name: g.detach() for name, g in gradient.items()}

    both(call, X, Y)


def test_functional_call_replaces_tied_weights_together():
    def call(m, x, w):
        model = m.nn.Sequential(m.nn.Linear(3, 3, bias=False), m.nn.Linear(3, 3, bias=False)).double()
        model[1].weight = model[0].weight
        return m.func.functional_call(model, {"0.weight": w}, x)

    both(call, X, np.outer(Y, Y))


@pytest.mark.parametrize("randomness", ["same", "different"])
def test_random_numbers_under_vmap(randomness):
    for m in (tg, torch):
        draws = m.func.vmap(lambda x, m=m: x + m.rand(5, dtype=m.float64), randomness=randomness)(m.zeros(3, 5, dtype=m.float64))
        assert bool((draws == draws[0]).all()) == (randomness == "same")
        assert not bool((m.rand(5, dtype=m.float64) == draws[-1]).all())


def test_an_ensemble_of_modules():
    def call(m, x, y):
        models = [m.nn.Sequential(m.nn.Linear(3, 2), m.nn.BatchNorm1d(2)).double().eval() for _ in range(4)]
        with m.no_grad():
            for i, model in enumerate(models):
                model[0].weight.copy_(m.outer(y[:2], y) + i), model[0].bias.copy_(y[1:] * i)
        parameters, buffers = m.func.stack_module_state(models)

        def one(parameters, buffers, x):
            return m.func.functional_call(models[0], (parameters, buffers), (x,))

        out = m.func.vmap(one, in_dims=(0, 0, None))(parameters, buffers, x)
        out.square().sum().backward()
        assert models[0][0].weight.grad is None
        return out, dict(parameters), dict(buffers), [p.grad for p in parameters.values()]

    both(call, X, Y)


def test_batch_norm_without_running_statistics():
    def call(m, x):
        model = m.nn.Sequential(m.nn.BatchNorm1d(3), m.nn.Sequential(m.nn.Linear(3, 3), m.nn.BatchNorm1d(3))).double()
        assert m.func.replace_all_batch_norm_modules_(model) is model
        out = model[0].eval()(x)
        return out, [module.running_mean for module in (model[0], model[1][1])], len(list(model.buffers()))

    both(call, X)


@pytest.mark.parametrize("size", [(2, 3), (3,), (1, 3), (2, 1), (1, 1), (1,), ()])
def test_sum_to_size(size):
    compare(lambda m: lambda x: x.sum_to_size(size), X)
    compare(lambda m: lambda x: x.sum_to_size(*size) if size else x.sum_to_size(()), X)


@pytest.mark.parametrize("size", [(2,), (4, 2, 3), (0, 3)])
def test_sum_to_size_refuses(size):
    refused(lambda m: lambda x: x.sum_to_size(size), X)


# -- checkpoint -----------------------------------------------------------------------------------


def checkpointed(m, function, *args, use_reentrant=False, **kwargs):
    checkpoint = tg.utils.checkpoint.checkpoint if m is tg else torch.utils.checkpoint.checkpoint
    return checkpoint(function, *args, use_reentrant=use_reentrant, **kwargs)


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpoint(use_reentrant):
    def call(m, x, w):
        x.requires_grad_(), w.requires_grad_()
        a, b = checkpointed(m, lambda x, w, n, other: ((x @ w).tanh() * n, w.exp()), x, w, 3, None, use_reentrant=use_reentrant)
        (a.sum() * b.sum()).backward()
        return a, b, x.grad, w.grad

    both(call, X, Y)


def test_checkpoint_of_a_closure_with_keywords_inside_itself_and_twice_differentiable():
    def call(m, x, w):
        w.requires_grad_()

        def inner(y, power=1):
            return (y * w).sin() ** power

        def outer(x, scale):
            return checkpointed(m, inner, x * scale["by"], power=3).exp()

        y = checkpointed(m, outer, x, scale={"by": 2}).sum()
        (g,) = m.autograd.grad(y, w, create_graph=True)
        return (y, g, *m.autograd.grad(g.square().sum(), w))

    both(call, X, Y)


def test_checkpoint_without_a_gradient():
    def call(m, x):
        x.requires_grad_()
        with m.no_grad():
            return checkpointed(m, lambda x: x * 2, x)

    both(call, X)


def test_checkpoint_keeps_nothing_of_the_inside():
    x = tg.from_numpy(X.copy()).requires_grad_()
    seen = []

    def function(x):
        y = x
        for _ in range(5):
            y = y.exp().log() * y.detach()
            seen.append(id(y.array))
        return y

    y = checkpointed(tg, function, x)
    assert sum(entry.bytes_kept for entry in tg.tape_of(y)) == 0
    assert sum(entry.bytes_kept for entry in tg.tape_of(function(x))) > 0
    gc.collect()
    gc.disable()
    try:
        live = sum(type(o) is tg.Tensor for o in gc.get_objects())
        checkpointed(tg, function, x).sum().backward()
        x.grad = None
        assert sum(type(o) is tg.Tensor for o in gc.get_objects()) == live
    finally:
        gc.enable()


@pytest.mark.parametrize("preserve", [True, False])
def test_checkpoint_draws_the_same_random_numbers(preserve):
    tg.manual_seed(0)
    x = tg.ones(1000, requires_grad=True)
    y = checkpointed(tg, lambda x: tg.nn.functional.dropout(x, 0.5) * x, x, preserve_rng_state=preserve)
    state = tg.get_rng_state()
    y.sum().backward()
    assert bool(((x.grad != 0) == (y != 0)).all()) == preserve
    assert bool((tg.get_rng_state() == state).all()) == preserve


def test_checkpoint_refuses_a_function_that_changes_its_mind():
    for m in (tg, torch):
        x, calls = m.ones(3, requires_grad=True), []

        def function(x, calls=calls):
            calls.append(1)
            return x.exp() if len(calls) == 1 else x.exp().exp().sum() * x * x

        with pytest.raises(RuntimeError):
            checkpointed(m, function, x, early_stop=False).sum().backward()
        with pytest.raises(RuntimeError):
            z = x * 1
            y = checkpointed(m, lambda z: z.exp().exp(), z)
            z.add_(1)
            y.sum().backward()


def test_checkpoint_sequential():
    def call(m, x):
        model = m.nn.Sequential(*[m.nn.Tanh() if i % 2 else m.nn.Softplus() for i in range(7)])
        sequential = (tg if m is tg else torch).utils.checkpoint.checkpoint_sequential
        y = sequential(model, 3, x.requires_grad_(), use_reentrant=False)
        y.sum().backward()
        return y, x.grad

    both(call, X)


# -- anomalies ------------------------------------------------------------------------------------


def nan_backward(m, x):
    y = x.sqrt()
    (y * 0).sum().backward()


@pytest.mark.filterwarnings("ignore:Anomaly Detection:UserWarning", "ignore:Error detected:UserWarning")
def test_detect_anomaly():
    for m in (tg, torch):
        x = m.zeros(3, requires_grad=True)
        with m.autograd.detect_anomaly(), pytest.raises(RuntimeError, match="returned nan values"):
            nan_backward(m, x)
        with m.autograd.set_detect_anomaly(True), pytest.raises(RuntimeError, match="returned nan values"):
            nan_backward(m, x)
        with m.autograd.detect_anomaly(check_nan=False):
            nan_backward(m, x)
        m.autograd.set_detect_anomaly(True)
        with m.autograd.set_detect_anomaly(False):
            nan_backward(m, x)
        with pytest.raises(RuntimeError, match="returned nan values"):
            m.autograd.grad(x.sqrt().sum() * 0, x, create_graph=True)
        m.autograd.set_detect_anomaly(False)
        nan_backward(m, x)


def test_an_anomaly_is_told_with_its_line():
    with tg.autograd.detect_anomaly(), pytest.raises(RuntimeError, match=r"sqrt \(recorded at test_transforms.py:\d+\)"):
        nan_backward(tg, tg.zeros(3, requires_grad=True))


def anomaly(m):
    return m.is_anomaly_enabled(), m.is_anomaly_check_nan_enabled()


@pytest.mark.filterwarnings("ignore:Anomaly Detection:UserWarning")
def test_whether_anomalies_are_looked_for():
    def call(m):
        found = [anomaly(m)]
        for check in (False, True):
            with m.autograd.detect_anomaly(check):
                found.append(anomaly(m))
        for arguments in ((True, False), (True,), (False,)):
            m.set_anomaly_enabled(*arguments)
            found.append(anomaly(m))
        return [found, anomaly(m)]

    assert call(tg) == call(torch)


def test_whether_modes_are_on():
    def call(m):
        def modes():
            return m.is_grad_enabled(), m.is_inference_mode_enabled()

        found = [modes(), m.inference_mode()(modes)(), m.inference_mode(False)(modes)()]
        with m.inference_mode():
            found.append(modes())
            for inside in (m.inference_mode(False), m.enable_grad(), m.inference_mode()):
                with inside:
                    found.append(modes())
                found.append(modes())
        with m.no_grad(), m.inference_mode(mode=False):
            found.append(modes())
        return [*found, modes()]

    assert call(tg) == call(torch)


# -- several cotangents at once -------------------------------------------------------------------


@pytest.mark.parametrize("create_graph", [False, True])
def test_batched_cotangents(create_graph):
    def call(m, x, y, v):
        x.requires_grad_(), y.requires_grad_()
        unused = m.ones(2, requires_grad=True)
        outputs = (x.exp() * y).sum(1), (y.sin() * x.sum())[None]
        cotangents = v, m.ones(2, 1, 3, dtype=v.dtype)
        found = m.autograd.grad(outputs, (x, unused, y), cotangents, None, create_graph, True, True, is_grads_batched=True)
        if create_graph:
            found += m.autograd.grad(sum((g**2).sum() for g in found if g is not None), (x, y))
        else:
            with pytest.raises(RuntimeError):  # the graph was freed
                outputs[0].sum().backward()
        return found

    both(call, X, Y, np.array([[1.0, 0.5], [-2.0, 0.1]]))


def test_batched_cotangents_of_an_unused_input_made_zeros():
    def call(m, x, v):
        x.requires_grad_()
        unused = m.ones(2, requires_grad=True)
        return m.autograd.grad(x * 2, (x, unused), v, is_grads_batched=True, materialize_grads=True)

    both(call, X, np.stack([V, -V, 2 * V]))


@pytest.mark.parametrize(
    "cotangents", ["None", "m.ones(3)", "m.ones(())", "m.ones(0, 3)", "m.ones(4, 2)", "(None,)", "(m.ones(4, 3), m.ones(2, 3))"]
)
def test_batched_cotangents_refused(cotangents):
    for m in (tg, torch):
        x = m.ones(3, requires_grad=True)
        outputs = (x * x, x * 2) if "), m" in cotangents else x * x
        with pytest.raises(REFUSALS, match="grad: " if m is tg else None):
            m.autograd.grad(outputs, x, eval(cotangents, {"m": m}), is_grads_batched=True)


# -- hooks of saved tensors -----------------------------------------------------------------------


class Square:
    """x^2 as a Function, with its input and its result saved."""

    def __new__(cls, m):
        class Square(m.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                y = x * x
                ctx.save_for_backward(x, y)
                return y

            @staticmethod
            def backward(ctx, g):
                x, y = ctx.saved_tensors
                return 2 * g * x + 0 * y

        return Square


def test_saved_tensors_hooks():
    def call(m, x, w):
        x.requires_grad_(), w.requires_grad_()
        packed = []

        def pack(t):
            packed.append(t)
            return np.asarray(t.detach().numpy() * 2)

        with m.autograd.graph.saved_tensors_hooks(pack, m.from_numpy):
            y = Square(m).apply((x @ w).exp()).log() * w.sum()
        assert packed
        y.sum().backward()
        return x.grad, w.grad

    both(call, X, Y)


def test_saved_tensors_hooks_in_a_second_derivative():
    def call(m, x):
        x.requires_grad_()
        with m.autograd.graph.saved_tensors_hooks(lambda t: [t], lambda packed: packed[0] * 1):
            y = Square(m).apply(x).softmax(1) * x.sigmoid()
        (g,) = m.autograd.grad(y.square().sum(), x, create_graph=True)
        return (g, *m.autograd.grad(g.square().sum(), x))

    both(call, X)


def test_saved_tensors_hooks_inside_one_another():
    def call(m, x):
        x.requires_grad_()
        calls = []
        hooks = m.autograd.graph.saved_tensors_hooks
        with hooks(lambda t: (calls.append("outer"), t)[1], lambda t: t):
            with hooks(lambda t: (calls.append("inner"), t)[1], lambda t: t):
                y = x.exp()
            y = y.tanh()
        y = y.sin()
        y.sum().backward()
        return calls, x.grad

    both(call, X)


def test_save_on_cpu():
    def call(m, x):
        x.requires_grad_()
        with m.autograd.graph.save_on_cpu():
            y = (x * x).exp()
        y.sum().backward()
        return x.grad

    both(call, X)


def test_saved_tensors_hooks_disabled():
    for m in (tg, torch):
        graph = m.autograd.graph
        hooks = graph.saved_tensors_hooks(lambda t: t, lambda t: t)
        with graph.disable_saved_tensors_hooks("not here"), pytest.raises(RuntimeError, match="not here"), hooks:
            pass
        with hooks, pytest.raises(RuntimeError, match="not here"), graph.disable_saved_tensors_hooks("not here"):
            pass
        with hooks:
            pass


# -- places on the tape ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["all", "any"])
def test_a_hook_of_several_tensors(mode):
    def call(m, x, y):
        x.requires_grad_(), y.requires_grad_()
        z = x.exp()
        seen = []
        handle = m.autograd.graph.register_multi_grad_hook((y, z, m.ones(1, requires_grad=True)), seen.append, mode=mode)
        (z @ y).sum().backward(retain_graph=True)
        z.sum().backward(retain_graph=True)
        x.sum().backward()
        handle.remove()
        z.sum().backward()
        return seen

    if mode == "all":
        both(call, X, Y)
    else:  # which of them is first is the engine's choice
        got, want = (call(m, m.from_numpy(X.copy()), m.from_numpy(Y.copy())) for m in (tg, torch))
        assert len(got) == len(want) == 2
        same(got[1], want[1], "any", (None, None))


def test_a_hook_of_several_tensors_refused():
    for m in (tg, torch):
        register = m.autograd.graph.register_multi_grad_hook
        with pytest.raises(ValueError, match="mode"):
            register((m.ones(1, requires_grad=True),), print, mode="first")
        with pytest.raises((RuntimeError, AssertionError)):
            register((m.ones(1),), print)


def test_prehooks_of_an_operation():
    def call(m, x):
        x.requires_grad_()
        y = x.exp()
        seen = []
        y.retain_grad()
        y.grad_fn.register_prehook(seen.append)
        handle = y.grad_fn.register_prehook(lambda gradients: (gradients[0] * 3,))
        m.autograd.graph.get_gradient_edge(x).node.register_prehook(seen.append)
        (y * y).sum().backward(retain_graph=True)
        handle.remove()
        (g,) = m.autograd.grad((y * y).sum(), x, create_graph=True)
        return seen[0], seen[1], x.grad, g

    both(call, X)


def test_edges_stand_for_tensors():
    def call(m, x):
        edge = m.autograd.graph.get_gradient_edge
        x.requires_grad_()
        y = x * x
        loss = y.exp().sum()
        found = [m.autograd.grad(loss, [edge(x), x, edge(y)], retain_graph=True)]
        found += m.autograd.grad(edge(y), x, m.ones(2, 3, dtype=x.dtype), retain_graph=True)
        found += m.autograd.grad([edge(loss)], edge(x), create_graph=True)
        m.autograd.backward(edge(loss), inputs=edge(x))
        return [*found, x.grad]

    both(call, X)


def test_edges_refused():
    for m in (tg, torch):
        edge = m.autograd.graph.get_gradient_edge
        x = m.ones(2, requires_grad=True)
        with pytest.raises(RuntimeError):
            edge(m.ones(2))
        with pytest.raises(RuntimeError, match="scalar outputs"):
            m.autograd.grad(edge(x * x), x)


# -- cuda and backends ----------------------------------------------------------------------------


def test_questions_about_gpus_have_an_answer_without_one():
    for m in (tg, torch):
        m.cuda.manual_seed(1), m.cuda.manual_seed_all(1), m.cuda.empty_cache()
        with m.cuda.device(-1):
            m.backends.cudnn.benchmark = m.backends.cudnn.benchmark
        assert not m.backends.mps.is_available()
        if not m.cuda.is_available():
            assert m.cuda.device_count() == m.cuda.memory_allocated() == m.cuda.max_memory_allocated() == 0
            for call in (m.cuda.current_device, m.cuda.synchronize, m.cuda.get_device_name, lambda m=m: m.cuda.set_device(0)):
                with pytest.raises((RuntimeError, ImportError, AssertionError, AttributeError)):
                    call()
