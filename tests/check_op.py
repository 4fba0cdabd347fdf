"""One harness for every function on arrays: primitives, and those without a gradient.

A family's samples stand in tests/samples/<family>.py; `sample(...)` puts one into SAMPLES. The
test over the registries (test_primitives.py) runs `check_op` on each and fails for a function that
has none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinygrad_lite as tg
from tinygrad_lite.arrays import to_device, to_numpy
from tinygrad_lite.autograd import NONDIFFERENTIABLE, REGISTRY, grad
from tinygrad_lite.engine.tape import Traced

SAMPLES: dict[str, list[Sample]] = {}


@dataclass(frozen=True)
class Sample:
    """A call of such a function: `call(*args)`, where `args` are the forward function's, in order.

    Arrays among `args` are given as float64 where they are floating. `reference`: the same in
    NumPy, on the same arguments. `order`: how many derivatives exist and are compared with finite
    differences (0: none). `elementwise`: try broadcast, 0-d and empty shapes as well.
    """

    name: str
    args: tuple[Any, ...]
    reference: Callable[..., Any] | None
    order: int = 3
    elementwise: bool = False
    rtol: float = 1e-6
    differentiable: Sequence[int] | None = None  # which arguments to differentiate by; None: all that have a rule


def sample(name: str, *args: Any, reference: Callable[..., Any] | None, **options: Any) -> None:
    """Register a sample of the function `name`. `reference=None` is for random draws only."""
    SAMPLES.setdefault(name, []).append(Sample(name, args, reference, **options))


def is_float(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def check_op(s: Sample, device: str | None = None) -> None:
    """Everything a function on arrays has to hold, on one sample."""
    device = str(tg.get_default_device()) if device is None else device
    check_value(s, device)
    check_float32(s, device)
    check_strides(s, device)
    check_nothing_written(s, device)
    check_saved(s, device)
    check_derivatives(s, device)
    if s.elementwise:
        for args in reshaped(s):
            variant = Sample(s.name, args, s.reference, min(s.order, 2), rtol=s.rtol, differentiable=s.differentiable)
            check_value(variant, device)
            check_derivatives(variant, device)


def record(s: Sample) -> Any:
    return REGISTRY.get(s.name) or NONDIFFERENTIABLE[s.name]


def call(s: Sample) -> Callable[..., Any]:
    return record(s).apply


def tensors(args: Sequence[Any], device: str, requires_grad: Sequence[int] = (), dtype: Any = None) -> list[Any]:
    made = []
    for i, value in enumerate(args):
        if type(value) is tuple:  # an index
            value = tuple(to_device(v, device) if isinstance(v, np.ndarray) else v for v in value)
        if isinstance(value, np.ndarray):
            value = tg.from_numpy(value.astype(dtype) if dtype is not None and value.dtype.kind == "f" else value.copy()).to(
                device
            )
            if i in requires_grad:
                value.requires_grad_()
        made.append(value)
    return made


def results(out: Any) -> list[Any]:
    return list(out) if isinstance(out, tuple) else [out]


def wanted(s: Sample) -> list[int]:
    """The arguments to differentiate by."""
    if s.differentiable is not None:
        return list(s.differentiable)
    p = record(s)
    name_of = [*p.arguments[: p.star], *([p.star_name] * len(s.args) if p.star is not None else [])]
    return [i for i, value in enumerate(s.args) if is_float(value) and name_of[i] in p.differentiable]


def check_value(s: Sample, device: str) -> None:
    out = results(call(s)(*tensors(s.args, device)))
    if s.reference is None:
        return
    expected = results(s.reference(*[a.copy() if isinstance(a, np.ndarray) else a for a in s.args]))
    for got, want in zip(out, expected, strict=True):
        assert got.array.shape == np.shape(want), f"{s.name}: shape {got.array.shape}, expected {np.shape(want)}"
        np.testing.assert_allclose(to_numpy(got.array), want, rtol=s.rtol, atol=1e-9, err_msg=s.name)


def check_float32(s: Sample, device: str) -> None:
    out = results(call(s)(*tensors(s.args, device, dtype=np.float32)))
    whole = results(call(s)(*tensors(s.args, device)))
    for got, want in zip(out, whole):
        if want.array.dtype == np.float64 and any(is_float(a) for a in s.args):
            assert got.array.dtype == np.float32, f"{s.name}: float32 became {got.array.dtype}"
    inputs = tensors(s.args, device, wanted(s), np.float32)
    roots = [o for o in results(call(s)(*inputs)) if o.node is not None]
    if roots and wanted(s):
        ones = [o.detach() * 0 + 1 for o in roots]
        for g in grad(roots, [inputs[i] for i in wanted(s)], ones, allow_unused=True):
            assert g is None or g.array.dtype == np.float32, f"{s.name}: the gradient became {g.array.dtype}"


def check_strides(s: Sample, device: str) -> None:
    """Arrays that are not contiguous give the same values and gradients."""
    if s.reference is None:
        return

    def spread(value: Any) -> Any:
        if not isinstance(value, np.ndarray) or not value.ndim:
            return value
        wide = np.repeat(value, 2, axis=-1)[..., ::2]
        return np.asfortranarray(wide) if value.ndim > 1 else wide

    outcomes = []
    for args in (s.args, [spread(a) for a in s.args]):
        inputs = tensors([None if isinstance(a, np.ndarray) else a for a in args], device)
        for i, a in enumerate(args):
            if isinstance(a, np.ndarray):
                inputs[i] = tg.from_numpy(a).to(device)
                if i in wanted(s):
                    inputs[i].requires_grad_()
        out = results(call(s)(*inputs))
        roots = [o for o in out if o.node is not None]
        weights = [tg.from_numpy(np.cos(np.arange(o.array.size)).reshape(o.array.shape)).to(device).to(o.dtype) for o in roots]
        found = grad(roots, [inputs[i] for i in wanted(s)], weights, allow_unused=True) if roots and wanted(s) else ()
        outcomes.append([to_numpy(t.array) for t in [*out, *(g for g in found if g is not None)]])
    for plain, strided in zip(*outcomes, strict=True):
        np.testing.assert_allclose(strided, plain, rtol=1e-9, atol=1e-12, err_msg=f"{s.name} on strided arrays")


def check_nothing_written(s: Sample, device: str) -> None:
    """Neither inputs, nor results, nor the incoming gradients are written into; no gradient shares
    memory with what was saved."""
    if device != "cpu" or record(s).writes:
        return
    inputs = tensors(s.args, device, wanted(s))
    for t in inputs:
        if isinstance(t, Traced):
            t.array.flags.writeable = False
    out = results(call(s)(*inputs))
    roots = [o for o in out if o.node is not None]
    if not roots:
        return
    for o in roots:
        o.array.flags.writeable = False
    ones = [tg.from_numpy(np.ones_like(o.array)) for o in roots]
    for one in ones:
        one.array.flags.writeable = False
    found = grad(roots, [inputs[i] for i in wanted(s)], ones, allow_unused=True)
    for g in found:
        if g is not None and g.array.size:
            for t in [*inputs, *ones, *roots]:
                if isinstance(t, Traced):
                    assert not np.shares_memory(g.array, t.array), f"{s.name}: a gradient shares memory with {t.shape}"


def check_saved(s: Sample, device: str) -> None:
    """The tape keeps what the rules name, and nothing else."""
    p = record(s)
    for i in wanted(s):
        inputs = tensors(s.args, device, [i])
        out = next((o for o in results(call(s)(*inputs)) if o.node is not None), None)
        if out is None:
            continue
        node = out.node if out.node.plan.primitive is not None else out.node.parents[0]
        argument = p.arguments[min(i, len(p.arguments) - 1)]
        if p.fused is not None:
            named = {*p.fused_names, *(p.arguments if p.composition is not None else ())}
        else:
            named = set(p.rules[argument][1])
        assert set(node.plan.names) == named, f"{s.name}: keeps {node.plan.names}, the rule names {named}"
        for name, value in zip(node.plan.names, node.saved, strict=True):
            if name.endswith("_shape"):
                assert isinstance(value, tuple), f"{s.name}: {name} keeps more than a shape"


def check_derivatives(s: Sample, device: str) -> None:
    """First, second and third derivatives against central differences along random directions."""
    chosen = wanted(s)
    if not s.order or not chosen:
        return
    draw = np.random.default_rng(7)

    def function(*xs: Any) -> list[Any]:
        args = tensors(s.args, device)
        for i, x in zip(chosen, xs):
            args[i] = x
        return [o for o in results(call(s)(*args)) if o.dtype.kind == "f"]

    for order in range(1, s.order + 1):
        compare_with_differences(s.name, order, function, [s.args[i] for i in chosen], draw, device)
        function = gradient_function(function, draw, device)


def gradient_function(function: Callable[..., list[Any]], draw: Any, device: str) -> Callable[..., list[Any]]:
    """The function that gives the gradients of a fixed weighted sum of `function`'s results."""
    weights: list[np.ndarray] = []

    def gradients(*xs: Any) -> list[Any]:
        xs = tuple(x if x.requires_grad else x.requires_grad_() for x in xs)
        outs = function(*xs)
        while len(weights) < len(outs):
            weights.append(draw.standard_normal(outs[len(weights)].array.shape))
        ws = [tg.from_numpy(np.asarray(w)).to(device) for w in weights]
        live = [(o, w) for o, w in zip(outs, ws) if o.requires_grad]
        found = (
            grad([o for o, _ in live], list(xs), [w for _, w in live], create_graph=True, allow_unused=True)
            if live
            else [None] * len(xs)
        )
        return [x.detach() * 0 if g is None else g for x, g in zip(xs, found)]

    return gradients


def compare_with_differences(
    name: str, order: int, function: Any, values: Sequence[np.ndarray], draw: Any, device: str
) -> None:
    xs = [tg.from_numpy(v.copy()).to(device).requires_grad_() for v in values]
    outs = function(*xs)
    live = [o for o in outs if o.requires_grad]
    weights = [draw.standard_normal(o.array.shape) for o in outs]
    ws = [tg.from_numpy(np.asarray(w)).to(device) for o, w in zip(outs, weights) if o.requires_grad]
    found = grad(live, xs, ws, allow_unused=True) if live else [None] * len(xs)
    for i, (x, g) in enumerate(zip(values, found)):
        analytic = np.zeros_like(x) if g is None else to_numpy(g.array)
        for direction in directions(x.shape, draw):
            step = 1e-5

            def along(t: float) -> float:
                moved = [tg.from_numpy(np.array(v + t * direction if k == i else v)).to(device) for k, v in enumerate(values)]
                total = 0.0
                for out, w in zip(function(*moved), weights):
                    total += float(np.sum(to_numpy(out.array) * w))
                return total

            numeric = (8 * (along(step) - along(-step)) - (along(2 * step) - along(-2 * step))) / (12 * step)
            exact = float(np.sum(analytic * direction))
            assert np.isclose(exact, numeric, rtol=2e-5, atol=2e-6 * 10 ** (order - 1)), (
                f"{name}: derivative {order} with respect to argument {i}: the tape says {exact:.9g}, differences say {numeric:.9g}"
            )


def directions(shape: tuple[int, ...], draw: Any) -> list[np.ndarray]:
    """A few random directions: together they would miss a wrong rule with probability zero."""
    return [draw.standard_normal(shape) for _ in range(2)] if np.prod(shape, dtype=int) else []


def reshaped(s: Sample) -> list[tuple[Any, ...]]:
    """The sample's arguments in other shapes: 0-d, empty, broadcast against one another."""
    arrays = [i for i, a in enumerate(s.args) if isinstance(a, np.ndarray)]

    def with_shapes(*shapes: tuple[int, ...]) -> tuple[Any, ...]:
        args = list(s.args)
        for i, shape in zip(arrays, shapes):
            count = int(np.prod(shape))
            args[i] = np.resize(s.args[i].ravel(), count).reshape(shape).copy()
        return tuple(args)

    n = len(arrays)
    variants = [with_shapes(*[()] * n), with_shapes(*[(0,)] * n), with_shapes(*[(2, 0, 3)] * n)]
    if n > 1:
        wide, narrow = (3, 1, 2), (4, 1)
        for i in range(n):
            variants.append(with_shapes(*[wide if k == i else narrow for k in range(n)]))
            variants.append(with_shapes(*[(2, 3) if k == i else () for k in range(n)]))
            variants.append(with_shapes(*[(1,) if k == i else (0,) for k in range(n)]))
    return variants
