"""New tensors: filled with one value, or with a sequence."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from tinygrad_lite.arrays import default_device, device_of, namespace_for, on_device, quietly
from tinygrad_lite.arrays.dtypes import DType, as_dtype, dtype_of_number, float64, get_default_dtype, int64, is_number, number_for
from tinygrad_lite.arrays.errors import BadType, BadValue, Refusal, in_call_of, refusal
from tinygrad_lite.arrays.signature import wraps
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.arguments import canonical_shape, integer, operation, raw
from tinygrad_lite.ops.typing import AnyTensor, Tensor

__all__ = [
    "arange", "empty", "empty_like", "eye", "full", "full_like", "linspace", "logspace", "ones", "ones_like", "range", "zeros",
    "zeros_like",
]  # fmt: skip

P = ParamSpec("P")
R = TypeVar("R")


def creator(function: Callable[P, R]) -> Callable[P, R]:
    """A function that creates tensors: it runs on the device of the result, and accepts PyTorch's `layout`, `pin_memory`
    and `memory_format`, of which there is one kind here."""

    @wraps(function)
    def make(*args: Any, layout: Any = None, pin_memory: bool = False, memory_format: Any = None, **options: Any) -> Any:
        device = options.get("device")
        try:
            if device is None and (device := default_device()) is None:
                return function(*args, **options)
            with on_device(device):
                return function(*args, **options)
        except Refusal as error:
            in_call_of(function.__name__, (), args, options, error)
            raise
        except (TypeError, ValueError) as error:
            raise refusal(error) from error.__cause__

    return make


def as_made(array: Any, requires_grad: bool = False) -> Any:
    """A tensor on a new array."""
    result = traced(array)
    return result.requires_grad_() if requires_grad else result


def dtype_or_default(dtype: Any) -> DType:
    """`dtype`, or the default dtype if None."""
    return get_default_dtype() if dtype is None else as_dtype(dtype)


# -- filled -------------------------------------------------------------------------------------


def size_given(size: tuple[Any, ...], whole: Any = None) -> tuple[int, ...]:
    """A shape given as `zeros(2, 3)`, `zeros((2, 3))` or `zeros(size=(2, 3))`."""
    if not size and whole is None:
        raise BadType(expected="a size")
    shape = canonical_shape(size if whole is None else (whole,))
    if min(shape, default=0) < 0:
        raise Refusal(expected="sizes of 0 or more", got=shape)
    return shape


def _made(make: str, device: Any, *args: Any) -> Any:
    """An array created by NumPy, or by CuPy on a GPU."""
    if device is None and (device := default_device()) is None:
        return getattr(namespace_for(None), make)(*args)
    with on_device(device):
        return getattr(namespace_for(device), make)(*args)


@creator
def zeros(*shape: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> AnyTensor:
    """Zeros; the shape is given as ints or as one tuple.

    >>> import tinygrad_lite as tg
    >>> tg.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    return as_made(_made("zeros", device, size_given(shape, size), dtype_or_default(dtype)), requires_grad)


@creator
def ones(*shape: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> AnyTensor:
    """Ones; the shape is given as ints or as one tuple.

    >>> import tinygrad_lite as tg
    >>> tg.ones(2, 3)
    tensor([[1., 1., 1.],
            [1., 1., 1.]])
    """
    return as_made(_made("ones", device, size_given(shape, size), dtype_or_default(dtype)), requires_grad)


@creator
def empty(*shape: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> AnyTensor:
    """An uninitialized tensor.

    >>> import tinygrad_lite as tg
    >>> tg.empty(2, 3).shape
    (2, 3)
    """
    return as_made(_made("empty", device, size_given(shape, size), dtype_or_default(dtype)), requires_grad)


def _number(value: Any) -> Any:
    """A number, which may be given as a tensor with one element."""
    value = value.item() if isinstance(value, Traced) else value
    if not is_number(value):
        raise BadType(expected="a number as fill_value", got=type(value).__name__)
    return value


def _fitting(name: str, dtype: DType, value: Any) -> Any:
    try:
        return number_for(dtype, value)
    except Refusal as error:
        error.called(name)
        raise
    except TypeError as error:
        raise refusal(error, name) from None


@creator
@quietly
def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> AnyTensor:
    """A tensor filled with one value, which determines the dtype: bool, int64 or the default.

    >>> import tinygrad_lite as tg
    >>> tg.full((2, 2), 7)
    tensor([[7, 7],
            [7, 7]])
    """
    if not isinstance(size, (tuple, list)):
        raise BadType(expected="a tuple as the size", got=type(size).__name__)
    fill_value = _number(fill_value)
    dtype = dtype_of_number(fill_value) if dtype is None else as_dtype(dtype)
    return as_made(_made("full", device, size_given((), size), _fitting("full", dtype, fill_value), dtype), requires_grad)


@creator
def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> AnyTensor:
    """The identity matrix of `n` rows (and `m` columns).

    >>> import tinygrad_lite as tg
    >>> tg.eye(2, 3)
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    n, m = size_given((n, n if m is None else m))
    return as_made(_made("eye", device, n, m, 0, dtype_or_default(dtype)), requires_grad)


# -- like a tensor ------------------------------------------------------------------------------


def _like(make: str, x: Any, rest: tuple[Any, ...], dtype: Any, device: Any, requires_grad: bool) -> Any:
    array = raw(x)
    if not hasattr(array, "dtype"):
        raise BadType(f"{make}_like: expected a Tensor, got {type(x).__name__}", got=type(x).__name__)
    dtype, device = array.dtype if dtype is None else as_dtype(dtype), device_of(array) if device is None else device
    out = _made(make, device, array.shape, *rest, dtype)
    return as_made(out, requires_grad) if isinstance(x, Traced) else out


@creator
@operation
def zeros_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros with the shape, and by default the dtype and device, of `input`.

    >>> import tinygrad_lite as tg
    >>> tg.zeros_like(tg.tensor([1, 2]))
    tensor([0, 0])
    """
    return _like("zeros", input, (), dtype, device, requires_grad)


@creator
@operation
def ones_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones with the shape, and by default the dtype and device, of `input`.

    >>> import tinygrad_lite as tg
    >>> tg.ones_like(tg.tensor([[5, 6]]))
    tensor([[1, 1]])
    """
    return _like("ones", input, (), dtype, device, requires_grad)


@creator
@operation
def empty_like(input: Tensor, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """An uninitialized tensor with the shape, and by default the dtype and device, of `input`.

    >>> import tinygrad_lite as tg
    >>> tg.empty_like(tg.ones(2, 3)).shape
    (2, 3)
    """
    return _like("empty", input, (), dtype, device, requires_grad)


@creator
@quietly
@operation
def full_like(input: Tensor, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """One value in the shape, and by default the dtype and device, of `input`.

    >>> import tinygrad_lite as tg
    >>> tg.full_like(tg.tensor([1.0, 2.0]), 7)
    tensor([7., 7.])
    """
    fill_value = _number(fill_value)
    dtype = input.dtype if dtype is None else as_dtype(dtype)
    return _like("full", input, (_fitting("full_like", dtype, fill_value),), dtype, device, requires_grad)


def _as(x: Any, options: dict[str, Any]) -> dict[str, Any]:
    """The options, with the dtype and device of `x` as defaults."""
    return {"dtype": x.array.dtype, "device": device_of(x.array), **{name: v for name, v in options.items() if v is not None}}


def new_zeros(input: Tensor, *size: Any, **options: Any) -> Tensor:
    """Zeros with the dtype and device of this tensor.

    >>> import tinygrad_lite as tg
    >>> tg.tensor([1, 2]).new_zeros(3)
    tensor([0, 0, 0])
    """
    return zeros(*size, **_as(input, options))


def new_ones(input: Tensor, *size: Any, **options: Any) -> Tensor:
    """Ones with the dtype and device of this tensor.

    >>> import tinygrad_lite as tg
    >>> tg.tensor([1, 2]).new_ones(3)
    tensor([1, 1, 1])
    """
    return ones(*size, **_as(input, options))


def new_empty(input: Tensor, *size: Any, **options: Any) -> Tensor:
    """An uninitialized tensor with the dtype and device of this tensor.

    >>> import tinygrad_lite as tg
    >>> tg.tensor([1, 2]).new_empty(3).dtype
    dtype('int64')
    """
    return empty(*size, **_as(input, options))


def new_full(input: Tensor, size: Any, fill_value: Any, **options: Any) -> Tensor:
    """A tensor filled with one value, with the dtype and device of this tensor.

    >>> import tinygrad_lite as tg
    >>> tg.tensor([1, 2]).new_full((3,), 7)
    tensor([7, 7, 7])
    """
    return full(size, fill_value, **_as(input, options))


# -- sequences ----------------------------------------------------------------------------------


@creator
def arange(
    start: Any = None, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> AnyTensor:  # fmt: skip
    """start, start + step, ... below `end`; `arange(end)` starts at 0. int64 if all are ints.

    >>> import tinygrad_lite as tg
    >>> tg.arange(1, 2.5, 0.5)
    tensor([1.0000, 1.5000, 2.0000])
    """
    if end is None:
        start, end = 0, start
    if end is None:
        raise BadType(argument="end", expected="an end")
    start, end, step = (v.item() if isinstance(v, Traced) else v for v in (start or 0, end, step))
    dtype = dtype_of_number(start + end + step) if dtype is None else as_dtype(dtype)
    if dtype.kind == "b":
        raise BadType(function="arange", argument="dtype", expected="a dtype of numbers", got="bool")
    if dtype == int64 and all(map(math.isfinite, (start, end, step))):
        start, end, step = int(start), int(end), int(step)  # before counting; for other integer dtypes, after
    _check_steps(start, end, step)
    return _steps(start, step, math.ceil((end - start) / step), dtype, device, requires_grad)


def _check_steps(start: Any, end: Any, step: Any) -> None:
    if step == 0:
        raise Refusal("the step must not be zero")
    if not all(map(math.isfinite, (start, end, step))) or (end - start) * step < 0:
        raise Refusal(f"no steps of {step} lead from {start} to {end}")


@quietly
def _steps(start: Any, step: Any, count: int, dtype: DType, device: Any, requires_grad: bool) -> Any:
    with on_device(device):
        xp = namespace_for(device)
        if dtype.kind in "iu":
            values = xp.arange(count) * int(step) + int(start)
        else:
            values = xp.arange(count, dtype=float64)
            values *= step
            values += start
        return as_made(values.astype(dtype, copy=False), requires_grad)


@creator
def range(
    start: Any = 0, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> AnyTensor:  # fmt: skip
    """Like `arange`, but including `end` and in the default dtype."""
    if end is None:
        start, end = 0, start
    _check_steps(start, end, step)
    return _steps(start, step, math.floor((end - start) / step) + 1, dtype_or_default(dtype), device, requires_grad)


@creator
@quietly
def linspace(start: Any, end: Any, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> AnyTensor:
    """`steps` evenly spaced values from `start` to `end`, both included.

    >>> import tinygrad_lite as tg
    >>> tg.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    dtype = dtype_or_default(dtype)
    return as_made(_evenly("linspace", start, end, steps, dtype, device).astype(dtype, copy=False), requires_grad)


def _evenly(name: str, start: Any, end: Any, steps: int, dtype: DType, device: Any) -> Any:
    """`steps` numbers from `start` to `end`, which are first truncated if `dtype` is an integer dtype."""
    start, end = (_fitting(name, dtype, v.item() if isinstance(v, Traced) else v) for v in (start, end))
    steps = integer("steps", steps)
    if steps < 0:
        raise BadValue(argument="steps", expected="0 or more steps", got=steps)
    with on_device(device):
        return namespace_for(device).linspace(start, end, steps)


@creator
@quietly
def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> AnyTensor:  # fmt: skip
    """`steps` values evenly spaced on a log scale, from `base ** start` to `base ** end`.

    >>> import tinygrad_lite as tg
    >>> tg.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    dtype = dtype_or_default(dtype)
    values = base ** _evenly("logspace", start, end, steps, dtype, device)
    return as_made(values.astype(dtype, copy=False), requires_grad)
