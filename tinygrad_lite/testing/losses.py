"""`check_loss`: everything a loss must satisfy."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.arrays import to_numpy
from tinygrad_lite.arrays.devices import get_default_device
from tinygrad_lite.engine.tape import traced
from tinygrad_lite.nn import Module
from tinygrad_lite.testing.cases import case_of, is_float
from tinygrad_lite.testing.diagnosis import close, difference
from tinygrad_lite.testing.modules import check_module
from tinygrad_lite.testing.operations import check_function
from tinygrad_lite.testing.report import Report


def check_loss(
    loss: Any,
    inputs: Any,
    *,
    reference: Callable[..., Any] | None = None,
    order: int = 2,
    rtol: float = 1e-6,
    atol: float = 1e-9,
    ignore: Sequence[str] = (),
    raise_exception: bool = True,
) -> Report:
    """Check a loss, a Module or a function, on `inputs`: input, target, and whatever else it takes.

    It must pass what `check_module` or `check_function` checks, differentiated by its first input. If it has a `reduction`:
    "sum" must be the sum of "none", "mean" that sum by the number of losses (by the sum of the weights, where it has weights),
    and another name must be refused. Classes of another integer dtype, and a target in float64, must give the same loss or be
    refused. If it has a `weight`: ones must change nothing.

    >>> import tinygrad_lite as tg
    >>> def squared(input, target, reduction="mean"):
    ...     loss = (input - target) ** 2
    ...     return {"none": loss, "sum": loss.sum(), "mean": loss.sum() / len(loss)}[reduction]
    >>> report = check_loss(squared, (np.ones((4, 3)), np.zeros((4, 3))), raise_exception=False)
    >>> report.findings[0].message
    "reduction='mean' divides the sum by 4, where there are 12 losses"
    """
    if not callable(loss) or isinstance(loss, type):
        raise TypeError(f"check_loss: loss must be a Module or a function, got {loss!r}")
    options: Any = {"reference": reference, "order": order, "rtol": rtol, "atol": atol, "raise_exception": False}
    if isinstance(loss, Module):
        report = check_module(loss, inputs, wanted=(0,), **options)
    else:
        report = check_function(loss, inputs, differentiable=(0,), elementwise=False, **options)
    case = case_of(loss, inputs, (0,), str(get_default_device()))
    if not any(finding.error for finding in report.findings):
        with report.checking("reduction", str(case)):
            _check_reductions(loss, case, report)
        with report.checking("targets", str(case)):
            _check_targets(loss, case, report)
        with report.checking("weight", str(case)):
            _check_weight(loss, case, report)
    return report.concluded(raise_exception, ignore)


def _has(loss: Any, option: str) -> bool:
    return hasattr(loss, option) if isinstance(loss, Module) else option in inspect.signature(loss).parameters


def _with(loss: Any, **options: Any) -> Callable[..., np.ndarray]:
    """The loss with other options, as a function that returns a NumPy array."""

    def call(*arguments: Any) -> np.ndarray:
        if not isinstance(loss, Module):
            return to_numpy(loss(*arguments, **options).array)
        other = copy.deepcopy(loss).double()
        for name, value in options.items():
            setattr(other, name, value)
        return to_numpy(other(*arguments).array)

    return call


def _check_reductions(loss: Any, case: Any, report: Report) -> None:
    if not _has(loss, "reduction"):
        report.leave_out("reduction", "the loss has none")
        return
    none, total, mean = (_with(loss, reduction=name)(*case.tensors()) for name in ("none", "sum", "mean"))
    for name, value in (("sum", total), ("mean", mean)):
        if value.shape != ():
            report.add("reduction", str(case), f"reduction={name!r} returns shape {value.shape}, where a number is expected")
            return
    if none.ndim == 0 and np.ndim(case.args[0]):
        report.add("reduction", str(case), "reduction='none' returns a number, where one loss for each example or element is expected")
    elif not close(total, none.sum(), 1e-7, 1e-9):
        found = difference(total, none.sum())
        assert found is not None
        report.add("reduction", str(case), f"reduction='sum' {found.words}: it is not the sum of what 'none' returns", found.numbers)
    elif mean and not _has_weights(loss, case) and not close(mean * none.size, total, 1e-7, 1e-9):
        divisor = float(total / mean)
        message = f"reduction='mean' divides the sum by {divisor:.6g}, where there are {none.size} losses"
        report.add("reduction", str(case), message, {"divisor": divisor})
    try:
        _with(loss, reduction="no such reduction")(*case.tensors())
    except Exception:
        return
    report.add("reduction", str(case), "an unknown reduction is taken without an error")


def _has_weights(loss: Any, case: Any) -> bool:
    """Whether a mean may be one with weights."""
    return getattr(loss, "weight", None) is not None or len(case.args) > 2


def _check_targets(loss: Any, case: Any, report: Report) -> None:
    if len(case.args) < 2 or not isinstance(case.args[1], np.ndarray):
        report.leave_out("targets", "the loss takes none")
        return
    target, call = case.args[1], _with(loss)
    expected = call(*case.tensors())
    kinds = (np.int32, np.int64, np.uint8) if target.dtype.kind in "iu" else (np.float32, np.float64) if is_float(target) else ()
    for dtype in kinds:
        if dtype == target.dtype or not np.array_equal(target.astype(dtype), target):
            continue
        arguments = case.tensors()
        arguments[1] = traced(target.astype(dtype))
        try:
            got = call(*arguments)
        except Exception:
            continue  # refused
        found = difference(got, expected)
        if found is not None:
            report.add("targets", str(case), f"with a target of {np.dtype(dtype)} the loss {found.words}", found.numbers)


def _check_weight(loss: Any, case: Any, report: Report) -> None:
    if not _has(loss, "weight") or getattr(loss, "weight", None) is not None or len(case.args) != 2:
        report.leave_out("weight", "the loss has none, or has one already")
        return
    x, target = case.args
    by_class = isinstance(target, np.ndarray) and target.dtype.kind in "iu"
    shape = (x.shape[1] if x.ndim > 1 else x.shape[0],) if by_class else x.shape
    got = _with(loss, weight=traced(np.ones(shape)))(*case.tensors())
    found = difference(got, _with(loss)(*case.tensors()))
    if found is not None:
        report.add("weight", str(case), f"with weights that are all 1 the loss {found.words}", found.numbers)
