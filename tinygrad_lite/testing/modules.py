"""`check_module`: everything a Module must satisfy."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_lite import ops
from tinygrad_lite.arrays import is_array, to_numpy
from tinygrad_lite.arrays.devices import get_default_device
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.nn import Module
from tinygrad_lite.stateless import functional_call
from tinygrad_lite.testing.cases import Case, case_of, gradients, results, weights_of
from tinygrad_lite.testing.operations import check_case
from tinygrad_lite.testing.report import Report


def check_module(
    module: Module,
    inputs: Any,
    *,
    reference: Callable[..., Any] | None = None,
    order: int = 2,
    wanted: Sequence[int] | None = None,
    rtol: float = 1e-6,
    atol: float = 1e-9,
    ignore: Sequence[str] = (),
    raise_exception: bool = True,
) -> Report:
    """Check a Module on `inputs`, the arguments of one call as NumPy arrays or Tensors. The module itself is not changed.

    As a function of its inputs and parameters it must pass what `check_function` checks; `reference(*inputs, **parameters)`
    is the same function in NumPy, parameters by name with `_` for dots. `wanted`: the places of the inputs to differentiate by
    (default: all floating-point ones). If its results are random in training, derivatives are
    those in evaluation. Beyond that: every parameter gets a gradient; what it holds has a name and is in `state_dict`, which
    restores what the module computes; `eval` makes it deterministic and keeps its state as it is.

    >>> import tinygrad_lite as tg
    >>> class Shifted(tg.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.shift = tg.zeros(3, requires_grad=True)  # not a Parameter
    ...     def forward(self, x):
    ...         return x + self.shift
    >>> print(check_module(Shifted(), np.ones((2, 3)), raise_exception=False).findings[0].message)
    shift is a Tensor that requires a gradient and not a Parameter: neither parameters() nor state_dict() has it
    """
    if not isinstance(module, Module):
        raise TypeError(f"check_module: module must be a Module, got {type(module).__name__}")
    report = Report(type(module).__name__)
    module = copy.deepcopy(module)
    check_names(module, report)
    whole = copy.deepcopy(module).double()
    case = case_of(whole, inputs, wanted, str(get_default_device()))
    with report.checking("value", str(case)):
        whole(*case.tensors())
    if not any(finding.error for finding in report.findings):
        check_modes(whole, case, report)
        check_parameters(whole, case, report)
        check_state(whole, case, report)
        if not any(finding.error for finding in report.findings):
            _check_as_function(whole, case, report, reference, order, rtol, atol)
    return report.concluded(raise_exception, ignore)


def _check_as_function(module: Module, case: Case, report: Report, reference: Any, order: int, rtol: float, atol: float) -> None:
    """The module as a function of its inputs and parameters."""
    is_random = any(finding.check == "train and eval" for finding in report.findings) or _is_random(module, case)
    module = copy.deepcopy(module).train(module.training and not is_random)
    names = [name for name, p in module.named_parameters() if p.requires_grad]
    values = [to_numpy(p.array).copy() for p in module.parameters() if p.requires_grad]
    count = len(case.args)

    def call(*arguments: Any) -> Any:
        dtypes = {np.dtype(a.dtype) for a in arguments if isinstance(a, Traced) and a.dtype.kind == "f"}
        dtype = min(dtypes, key=lambda each: each.itemsize) if dtypes else np.dtype(np.float64)
        buffers = {name: b.to(dtype) if b.dtype.kind == "f" else b.clone() for name, b in module.named_buffers()}
        held = {name: b.clone() if b.dtype == dtype else b for name, b in buffers.items()}
        return functional_call(module, {**dict(zip(names, arguments[count:])), **held}, tuple(arguments[:count]))

    def by_reference(*arguments: Any) -> Any:
        named = {name.replace(".", "_"): value for name, value in zip(names, arguments[count:])}
        return reference(*arguments[:count], **named)

    whole = Case(
        call, (*case.args, *values), (*case.names, *names), (*case.wanted, *range(count, count + len(names))), case.device, case.kind
    )
    check_case(whole, report, lambda name: f"the gradient of {name}", by_reference if reference else None, order, rtol=rtol, atol=atol)


def check_names(module: Module, report: Report) -> None:
    """What a module holds must be registered, so that parameters() and state_dict() have it."""
    with report.checking("names"):
        for path, part in module.named_modules():
            for name, value in vars(part).items():
                if name in part._registered_kinds or name.startswith("_registered"):
                    continue
                where = f"{path}.{name}" if path else name
                if isinstance(value, Traced) and value.requires_grad:
                    report.add(
                        "names", "", f"{where} is a Tensor that requires a gradient and not a Parameter: neither parameters() nor "
                        "state_dict() has it",
                    )  # fmt: skip
                elif isinstance(value, (list, tuple, dict)):
                    inside = list(value.values()) if isinstance(value, dict) else list(value)
                    for kind, better in ((Module, "Module"), (Traced, "Parameter")):
                        held = [each for each in inside if isinstance(each, kind) and (kind is Module or each.requires_grad)]
                        if held and not _registered_elsewhere(module, held):
                            container = f"{better}{'Dict' if isinstance(value, dict) else 'List'}"
                            what = f"{where} is a plain {type(value).__name__} of {better}s, which have no names"
                            report.add("names", "", f"{what}: neither parameters() nor state_dict() has them; use nn.{container}")


def _registered_elsewhere(module: Module, held: list[Any]) -> bool:
    known = {id(each) for each in (*module.modules(), *module.parameters(), *module.buffers())}
    return all(id(each) in known for each in held)


def _arrays(out: Any) -> list[np.ndarray]:
    return [to_numpy(o.array).copy() for o in results(out) if isinstance(o, Traced)]


def _equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y, equal_nan=x.dtype.kind == "f") for x, y in zip(a, b))


def _is_random(module: Module, case: Case) -> bool:
    """Whether two equal calls of equal modules differ."""
    first, second = (_arrays(copy.deepcopy(module)(*case.tensors())) for _ in range(2))
    return not _equal(first, second)


def _state(module: Module) -> dict[str, Any]:
    """Every array and number that a module holds, registered or not."""
    found = {}
    for path, part in module.named_modules():
        for name, value in vars(part).items():
            if name != "training" and not name.startswith("_registered"):
                array = value.array if isinstance(value, Traced) else value
                if is_array(array) or isinstance(array, (int, float)):
                    found[f"{path}.{name}".lstrip(".")] = np.array(to_numpy(array) if is_array(array) else array)
    return found


def check_modes(module: Module, case: Case, report: Report) -> None:
    """train() and eval() must reach every submodule; evaluation must be deterministic and change no state."""
    with report.checking("train and eval", str(case)):
        for mode in (True, False):
            module = copy.deepcopy(module).train(mode)
            deaf = [path or type(part).__name__ for path, part in module.named_modules() if part.training is not mode]
            if deaf:
                report.add("train and eval", "", f"train({mode}) does not reach {', '.join(deaf)}")
            module(*case.tensors())  # what the first call makes and later ones keep, such as a mask, is no state
            before = _state(module)
            module(*case.tensors())
            switched = [path or "the module" for path, part in module.named_modules() if part.training is not mode]
            if switched:
                during = "training" if mode else "evaluation"
                report.add("train and eval", str(case), f"forward in {during} switches the mode of {switched[0]}")
            after = _state(module)
            changed = [name for name, value in after.items() if not np.array_equal(value, before.get(name, value + 1), equal_nan=True)]
            if mode:
                kept = module.state_dict()
                for name in changed:
                    if name not in kept:
                        report.add("state", str(case), f"forward changes {name}, which state_dict() does not have: register it as a buffer")
                    elif name in dict(module.named_parameters()):
                        report.add("in place", str(case), f"forward changes the parameter {name}")
            elif changed:
                report.add("train and eval", str(case), f"forward in evaluation changes {', '.join(changed)}")
        if _is_random(module, case):
            report.add("train and eval", str(case), "two equal calls in evaluation differ: what is random must ask self.training")


def check_parameters(module: Module, case: Case, report: Report) -> None:
    """Every parameter must get a gradient."""
    with report.checking("parameters", str(case)):
        module = copy.deepcopy(module)
        named = {name: p for name, p in module.named_parameters() if p.requires_grad}
        outs = [out for out in results(module(*case.tensors())) if isinstance(out, Traced) and out.dtype.kind == "f"]
        found = gradients(outs, list(named.values()), weights_of(outs, np.random.default_rng(2)))
        for name, g in zip(named, found):
            if g is None:
                report.add("parameters", str(case), f"{name} gets no gradient: forward does not use it, or detaches it")


def check_state(module: Module, case: Case, report: Report) -> None:
    """state_dict() must restore what a module computes, whatever its copy held before."""
    with report.checking("state", str(case)):
        module = copy.deepcopy(module).eval()
        want = _arrays(module(*case.tensors()))
        saved = {name: _copied(value) for name, value in module.state_dict().items()}
        missing = [name for name, _ in module.named_parameters() if name not in saved]
        if missing:
            report.add("state", "", f"state_dict() lacks {', '.join(missing)}")
        other = copy.deepcopy(module)
        for value in _tensors(other):
            if value.dtype.kind == "f":
                value.array[...] = value.array * 0.5 + 0.25
        loaded = other.load_state_dict(saved, strict=False)
        wrong = [*getattr(loaded, "missing_keys", ()), *getattr(loaded, "unexpected_keys", ())]
        if wrong:
            report.add("state", "", f"load_state_dict() does not know what state_dict() gives: {', '.join(wrong)}")
        if not _equal(_arrays(other.eval()(*case.tensors())), want):
            restored = other.state_dict()
            bad = [name for name in saved if name in restored and not _same(saved[name], restored[name])]
            reason = f"{', '.join(bad)} not restored" if bad else "it holds a state that state_dict() does not have"
            report.add("state", str(case), f"a module that has loaded the state_dict() of another computes something else: {reason}")


def _copied(value: Any) -> Any:
    return traced(to_numpy(value.array).copy()) if isinstance(value, Traced) else copy.deepcopy(value)


def _same(a: Any, b: Any) -> bool:
    return not isinstance(a, Traced) or bool(ops.equal(a, b))


def _tensors(module: Module) -> Iterator[Any]:
    """Every Tensor that a module holds, registered or not."""
    seen = set()
    for part in module.modules():
        for value in vars(part).values():
            if isinstance(value, Traced) and id(value) not in seen and value.array.flags.writeable:
                seen.add(id(value))
                yield value
