"""One harness for every function on arrays: primitives, and functions without a gradient. The checks are the public ones.

The samples of a family are in tests/samples/<family>.py; `sample(...)` adds one to SAMPLES. The test over the registries
(test_primitives.py) runs `check_op` on each and fails for a function without a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import tinygrad_lite as tg
from tinygrad_lite.arrays import to_device
from tinygrad_lite.autograd import NONDIFFERENTIABLE, REGISTRY
from tinygrad_lite.testing import Report, check_function
from tinygrad_lite.testing.cases import case_of
from tinygrad_lite.testing.derivatives import check_derivatives as compare_derivatives

SAMPLES: dict[str, list[Sample]] = {}

# What a rule of theirs names is not read for every input or by every branch of the rule.
MAY_KEEP_MORE = {
    "batch_norm": "one rule for several inputs, of which fixed moments leave less to read",
    "bessel": "only some kinds need the result",
    "contract": "at an empty contraction nothing is read",
    "gru_cell": "one kept value serves two inputs",
    "linear": "at no input features nothing is read",
    "matmul": "at an empty product nothing is read",
    "moved": "the rule asks where its input was",
    "nextafter": "the rule asks where its inputs are equal",
    "pow": "some exponents leave nothing to read",
    "scatter_reduce": "a sum reads nothing of what an extreme needs",
    "solve": "one rule for both inputs",
    "solve_triangular": "one rule for both inputs",
    "vector_norm": "the norm of order 1 needs only signs",
    "xlog1py": "the rule asks where its input is 0",
    "xlogy": "the rule asks where its input is 0",
}
MAY_RETURN_ITS_INPUT = {"jointly", "linear_in", "moved"}  # inner operations, whose callers handle that


@dataclass(frozen=True)
class Sample:
    """A call `call(*args)` of such a function, where `args` are the forward function's, in order.

    Floating-point arrays in `args` are float64. `reference`: the same function in NumPy, with the same arguments. `order`:
    how many derivatives exist and are compared with finite differences (0: none). `elementwise`: also try broadcast, 0-d
    and empty shapes.
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
    """Everything a function on arrays must satisfy, for one sample."""
    device = str(tg.get_default_device()) if device is None else device
    check_function(
        call(s), s.args, reference=s.reference, order=s.order, differentiable=wanted(s), elementwise=s.elementwise,
        deterministic=s.reference is not None or bool(wanted(s)), rtol=s.rtol, device=device,
        ignore=["saved bytes"] * (s.name in MAY_KEEP_MORE) + ["aliasing"] * (s.name in MAY_RETURN_ITS_INPUT),
    )  # fmt: skip
    check_saved(s, device)


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
    """The arguments to differentiate with respect to."""
    if s.differentiable is not None:
        return list(s.differentiable)
    p = record(s)
    name_of = [*p.arguments[: p.star], *([p.star_name] * len(s.args) if p.star is not None else [])]
    return [i for i, value in enumerate(s.args) if is_float(value) and name_of[i] in p.differentiable]


def check_saved(s: Sample, device: str) -> None:
    """The tape saves what the rules name, and nothing else."""
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
    """First, second and third derivatives against central differences."""
    report = Report(s.name)
    compare_derivatives(case_of(call(s), s.args, wanted(s), device), s.order, report, lambda name: f"the rule for {name}")
    report.concluded(raise_exception=True)
