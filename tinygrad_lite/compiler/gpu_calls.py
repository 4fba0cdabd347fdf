"""Single calls of a program on a GPU."""

from __future__ import annotations

import functools
import importlib
import operator
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_lite.arrays import deferred_checks, is_array
from tinygrad_lite.arrays.devices import cupy_or_explain
from tinygrad_lite.compiler.gpu_chains import Chain
from tinygrad_lite.compiler.native import ufunc_of
from tinygrad_lite.compiler.program import IN_PLACE, PRODUCTS, Call, Program, Variable, leaves, perform, replaced

Values = dict[Variable, Any]
AS_STRIDED = "np.lib.stride_tricks.as_strided"


def taken_apart(program: Program) -> Program:
    """With the calls of kernels in their place: what kernels keep for themselves cannot be part of a graph. Those stay whole whose
    calls are not what they do on a GPU."""
    calls: list[Call] = []
    for call in program.calls:
        differs = call.is_whole or any(str(part.function).endswith(".at") and part.function != "np.add.at" for part in call.body)
        calls += [replace(call, is_whole=True)] if differs else call.body or [call]
    return replace(program, calls=calls)


def waits(call: Call) -> bool:
    """Whether CuPy waits for the GPU in a call: to sort, and to count the elements of a mask."""
    if call.function == "[]=":
        return any(isinstance(part, Variable) and part.dtype == bool and part.shape for part in leaves(call.arguments[1]))
    return call.function.rpartition(".")[2] in ("sort", "argsort", "lexsort", "partition", "argpartition")


def perform_on_gpu(function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """What a call does, on CuPy's arrays."""
    if callable(function) or function == AS_STRIDED or not function.startswith("np."):
        return perform(function, arguments, keywords)
    found = operator.attrgetter(function[3:])(cupy_or_explain())
    if function.startswith("np.linalg."):
        with importlib.import_module("cupyx").errstate(linalg="raise"):  # as NumPy does
            return found(*arguments, **keywords)
    return found(*arguments, **keywords)


def dtype_of_cells(call: Call) -> np.dtype | None:
    """The dtype of 0-d arrays in the place of the numbers of a call; None if it needs numbers."""
    arguments = call.arguments
    if call.keywords:
        return None
    if call.function == "np.where" and call.result is not None:
        return call.result.dtype
    if call.function == "[]=":
        is_value = not any(isinstance(part, Variable) and part.is_number for part in leaves(arguments[1]))
        return arguments[0].dtype if is_value else None
    function = call.function.removesuffix("=") if call.function in IN_PLACE else call.function
    arrays = [a for a in arguments if isinstance(a, Variable) and not a.is_number]
    if len(arguments) != 2 or len(arrays) != 1 or ufunc_of(function, 2) is None:
        return None
    number = next(a for a in arguments if isinstance(a, Variable) and a.is_number)
    return np.result_type(arrays[0].dtype, 0.0 if number.dtype.kind == "f" else 0)


def performed(call: Call, values: Values) -> Any:
    return perform_on_gpu(call.function, *operands_of(call, values))


def into_place(call: Call, values: Values) -> Callable[[], Any]:
    """A function that makes the call with these operands, whose result has its place from now on."""
    arguments, keywords = operands_of(call, values)
    perform_now = functools.partial(perform_on_gpu, call.function, arguments, keywords)
    if call.result is None:
        return perform_now
    if call.result.dtype == object or call.result.is_number:
        raise NotImplementedError(f"{name_of(call)} during stream capture")
    xp = cupy_or_explain()
    place = values[call.result] = xp.empty(call.result.shape, call.result.dtype)
    if call.function in PRODUCTS and not keywords and all(a.ndim >= 2 for a in arguments):
        product = xp.dot if call.function.endswith("dot") else xp.matmul
        return functools.partial(product, *arguments, out=place)
    return lambda: xp.copyto(place, perform_now())


def operands_of(call: Call, values: Values) -> Any:
    return replaced((call.arguments, call.keywords), values.__getitem__)


def keep(call: Call, found: Any, values: Values) -> None:
    """Note the results of a call."""
    if callable(call.function):
        parts = [part for part in leaves(found) if is_array(part) or isinstance(part, np.generic)]
        values.update((variable, part) for variable, part in zip(call.results, parts) if variable is not None)
    elif call.result is not None:
        values[call.result] = found.item() if call.result.is_number and isinstance(found, np.generic) else found


def perform_on_cpu(calls: Iterable[Call], values: Values) -> None:
    """Make calls on numbers, and note their results."""
    for call in calls:
        keep(call, perform(call.function, *operands_of(call, values)), values)


def note_check(call: Call, values: Values) -> None:
    """Leave it to the next read from the GPU to raise what a check has found."""
    bad, kind, message = call.arguments
    deferred_checks.note(values[bad].copy(), kind, message, function=call.keywords.get("function", ""))
    if os.environ.get("CUDA_LAUNCH_BLOCKING") == "1":
        deferred_checks.settle()


def name_of(call: Call | Chain) -> str:
    return "a chain" if isinstance(call, Chain) else getattr(call.function, "__name__", call.function)
