"""New tensors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lite.arrays import (
    as_dtype,
    common_dtype,
    device_of,
    get_default_dtype,
    is_array,
    namespace_for,
    on_device,
    quietly,
    to_device,
    to_numpy,
)
from tinygrad_lite.autograd import primitive
from tinygrad_lite.autograd.node import Traced, traced
from tinygrad_lite.ops.calling import canonical_shape, operation

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

__all__ = [
    "arange", "as_tensor", "asarray", "empty", "empty_like", "eye", "from_dlpack", "from_numpy", "full", "full_like", "linspace",
    "logspace", "ones", "ones_like", "range", "scalar_tensor", "tensor", "zeros", "zeros_like",
    "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "HalfTensor", "IntTensor", "LongTensor", "ShortTensor",
]  # fmt: skip

METHODS = ["new", "new_empty", "new_full", "new_ones", "new_tensor", "new_zeros"]
IN_PLACE: list[str] = []

_range = range


# -- from values --------------------------------------------------------------------------------


@quietly
def array_from(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """A fresh array with the values of `data`: numbers, nested lists, arrays or tensors."""
    dtype = None if dtype is None else as_dtype(dtype)
    if isinstance(data, Traced):
        data = data.array
    if is_array(data):
        if data.dtype.kind not in "biufc":
            raise TypeError(f"tensor: expected numbers, got an array of {data.dtype}")
        return to_device(data.astype(data.dtype if dtype is None else dtype), device)
    first = data
    while isinstance(first, (list, tuple)) and first:
        first = first[0]
    typed = not isinstance(first, (bool, int, float, complex)) or isinstance(first, np.generic)
    try:
        array = np.array(_plain(data) if typed else data)
    except ValueError as error:
        raise ValueError(f"tensor: the lists are not all of one length: {error}") from None
    if array.dtype.kind not in "biufc" or array.dtype == np.uint64:
        raise TypeError(f"tensor: expected numbers, or nested lists of them, got {_odd(data)}")
    if dtype is None:
        # Python's floats get the default dtype; NumPy's, and tensors, keep theirs.
        dtype = _met(data) if typed else _dtype_of_number(array)
    elif dtype.kind in "iu" and array.size:
        low, high, limits = array.min(), array.max(), np.iinfo(dtype)
        if not (low > (limits.min or -limits.max) - 1 and high < limits.max + 1):  # nan is neither
            raise RuntimeError(f"tensor: the values, {low} to {high}, do not fit into {dtype}")
    return to_device(array.astype(dtype, copy=False), device)


def _plain(data: Any) -> Any:
    """Nested lists with the arrays in the place of tensors; one of a single element counts as a number."""
    if isinstance(data, (list, tuple)):
        return [_plain(item) for item in data]
    if isinstance(data, Traced):
        array = to_numpy(data.array)
        return array.reshape(()) if array.size == 1 else array
    return data


def _met(data: Any) -> np.dtype:
    """The dtype in which the numbers, arrays and tensors in nested lists meet."""
    dtypes, stack = set(), [data]
    while stack:
        item = stack.pop()
        if isinstance(item, (list, tuple)):
            stack.extend(item)
        elif isinstance(item, (Traced, np.ndarray, np.generic)):
            dtypes.add(item.dtype)
        else:
            dtypes.add(_dtype_of_number(item))
    return common_dtype(*(np.empty(1, dtype) for dtype in dtypes)) if dtypes else get_default_dtype()


def _dtype_of_number(value: Any) -> np.dtype:
    """The dtype of a Python number (or an array of them): floats get the default."""
    found = np.asarray(value).dtype
    return found if found.kind in "bi" else np.result_type(get_default_dtype(), np.complex64) if found.kind == "c" else get_default_dtype()


def _odd(data: Any) -> str:
    """What in `data` is not a number."""
    while isinstance(data, (list, tuple)):
        data = next((item for item in data if isinstance(item, (list, tuple)) or not isinstance(item, (int, float))), 0)
    return "an integer too large for int64" if isinstance(data, (int, float)) else type(data).__name__


def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False) -> Tensor:
    """A new tensor with a copy of `data`: numbers, nested lists, arrays or tensors.

    Python floats get the default dtype, ints int64, bools bool; arrays keep theirs.

    >>> import tinygrad_lite as tg
    >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).dtype
    dtype('float32')
    """
    return _tensor(array_from(data, dtype, device), requires_grad)


def _tensor(array: Any, requires_grad: bool = False) -> Any:
    result = traced(array)
    return result.requires_grad_() if requires_grad else result


def legacy_array(dtype: Any, data: tuple[Any, ...], device: Any = None) -> Any:
    """What PyTorch's first constructors make: `Tensor(2, 3)` of sizes, uninitialized; `Tensor([2, 3])` of values."""
    if len(data) == 1 and not isinstance(data[0], (int, np.integer)):
        (values,) = data
        if isinstance(values, Traced) and values.array.dtype == dtype:
            return values.array
        if not isinstance(values, (Traced, list, tuple, _range, np.ndarray)):
            raise TypeError(f"Tensor: expected sizes, or a sequence of values, got {type(values).__name__}")
        return array_from(values, dtype, device)
    return empty(data or (0,), dtype=dtype, device=device).array


def _legacy(name: str, dtype: str) -> Any:
    def make(*data: Any, device: Any = None) -> Any:
        return traced(legacy_array(np.dtype(dtype), data, device))

    make.__name__ = make.__qualname__ = name
    make.dtype = np.dtype(dtype)  # type: ignore[attr-defined]  # so that x.type(LongTensor) reads as a dtype
    make.__doc__ = f"An old name: `{name}(2, 3)` is uninitialized, `{name}([2, 3])` holds the values, as {dtype}."
    return make


HalfTensor, FloatTensor, DoubleTensor = _legacy("HalfTensor", "float16"), _legacy("FloatTensor", "float32"), _legacy("DoubleTensor", "float64")
CharTensor, ShortTensor, IntTensor = _legacy("CharTensor", "int8"), _legacy("ShortTensor", "int16"), _legacy("IntTensor", "int32")
LongTensor, ByteTensor, BoolTensor = _legacy("LongTensor", "int64"), _legacy("ByteTensor", "uint8"), _legacy("BoolTensor", "bool")


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """`data` as a tensor: itself, or on its memory, where dtype and device allow it."""
    if isinstance(data, Traced):
        return data.to(device=device, dtype=dtype)
    if is_array(data):
        return from_numpy(data).to(device=device, dtype=dtype) if isinstance(data, np.ndarray) else traced(data).to(device=device, dtype=dtype)
    return tensor(data, dtype=dtype, device=device)


def asarray(obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False) -> Tensor:
    """`obj` as a tensor; `copy`: None where one is needed, True always, False never (an error)."""
    result = as_tensor(obj, dtype, device)
    shared = (result is obj) if isinstance(obj, Traced) else is_array(obj) and np.shares_memory(result.array, obj)
    if copy is False and not shared:
        raise ValueError("asarray: this takes a copy, which copy=False forbids")
    if copy and shared:
        result = result.clone()
    if not requires_grad:
        return result.detach() if isinstance(obj, Traced) else result
    return result.detach().requires_grad_()


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """A tensor on the memory of a NumPy array."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expected a numpy.ndarray, got {type(ndarray).__name__}")
    if ndarray.dtype.kind not in "biufc":
        raise TypeError(f"from_numpy: expected an array of numbers, got {ndarray.dtype}")
    if min(ndarray.strides, default=0) < 0:
        raise ValueError("from_numpy: an array with negative strides cannot be shared; copy() it first")
    return traced(ndarray if type(ndarray) is np.ndarray else ndarray.view(np.ndarray))


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor on the memory of any object with `__dlpack__`."""
    kind, _ = ext_tensor.__dlpack_device__()
    return traced(namespace_for("cuda" if kind == 2 else "cpu").from_dlpack(ext_tensor))


# -- filled -------------------------------------------------------------------------------------


def _size(name: str, size: tuple[Any, ...], shape: Any) -> tuple[int, ...]:
    """A shape given as `zeros(2, 3)`, `zeros((2, 3))` or `zeros(size=(2, 3))`."""
    if not size and shape is None:
        raise TypeError(f"{name}: expected a size")
    shape = canonical_shape(name, size if shape is None else (shape,))
    if min(shape, default=0) < 0:
        raise RuntimeError(f"{name}: expected sizes of 0 or more, got {shape}")
    return shape


@quietly
def _made(make: str, device: Any, shape: tuple[int, ...], *rest: Any, requires_grad: bool) -> Any:
    if device is None:
        return _tensor(getattr(np, make)(shape, *rest), requires_grad)
    with on_device(device):
        return _tensor(getattr(namespace_for(device), make)(shape, *rest), requires_grad)


def _dtype(dtype: Any) -> np.dtype:
    return get_default_dtype() if dtype is None else as_dtype(dtype)


def zeros(*shape: Any, size: Any = None, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False) -> Tensor:
    """Zeros of a shape, given as ints or as one tuple.

    >>> import tinygrad_lite as tg
    >>> tg.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    return _made("zeros", device, _size("zeros", shape, size), _dtype(dtype), requires_grad=requires_grad)


def ones(*shape: Any, size: Any = None, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False) -> Tensor:
    """Ones of a shape, given as ints or as one tuple."""
    return _made("ones", device, _size("ones", shape, size), _dtype(dtype), requires_grad=requires_grad)


def empty(
    *shape: Any, size: Any = None, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False, memory_format: Any = None,
) -> Tensor:  # fmt: skip
    """A tensor whose values are whatever the memory held."""
    return _made("empty", device, _size("empty", shape, size), _dtype(dtype), requires_grad=requires_grad)


def full(
    size: Any, fill_value: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """A shape filled with one value, which decides the dtype: bool, int64 or the default."""
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"full: expected a tuple as the size, got {type(size).__name__}")
    if isinstance(fill_value, Traced):
        fill_value = fill_value.item()
    return _made("full", device, _size("full", (), size), fill_value, _dtype_of_number(fill_value) if dtype is None else as_dtype(dtype), requires_grad=requires_grad)


def scalar_tensor(s: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False) -> Tensor:
    """A number as a 0-d tensor, in the default dtype unless another is given."""
    return tensor(s, dtype=_dtype(dtype), device=device, requires_grad=requires_grad)


def eye(
    n: int, m: int | None = None, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """The identity matrix of `n` rows (and `m` columns)."""
    n, m = _size("eye", (n, n if m is None else m), None)
    return _made("eye", device, n, m, 0, _dtype(dtype), requires_grad=requires_grad)  # type: ignore[arg-type]


# -- like another -------------------------------------------------------------------------------


def _like(name: str, make: str, x: Any, rest: tuple[Any, ...], dtype: Any, device: Any, requires_grad: bool) -> Any:
    array = x.array if isinstance(x, Traced) else x
    if not is_array(array) and not isinstance(array, np.generic):  # NumPy makes scalars of 0-d results
        raise TypeError(f"{name}: expected a Tensor, got {type(x).__name__}")
    device = device_of(array) if device is None else device
    with on_device(device):
        out = getattr(namespace_for(device), make)(array.shape, *rest, array.dtype if dtype is None else as_dtype(dtype))
    return _tensor(out, requires_grad) if isinstance(x, Traced) else out


@operation
def zeros_like(x: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False, memory_format: Any = None) -> Tensor:
    """Zeros in the shape (and dtype, on the device) of `x`."""
    return _like("zeros_like", "zeros", x, (), dtype, device, requires_grad)


@operation
def ones_like(x: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False, memory_format: Any = None) -> Tensor:
    """Ones in the shape (and dtype, on the device) of `x`."""
    return _like("ones_like", "ones", x, (), dtype, device, requires_grad)


@operation
def empty_like(x: Tensor, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False, memory_format: Any = None) -> Tensor:
    """A tensor like `x` whose values are whatever the memory held."""
    return _like("empty_like", "empty", x, (), dtype, device, requires_grad)


@operation
def full_like(x: Tensor, fill_value: Any, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False, memory_format: Any = None) -> Tensor:
    """One value in the shape (and dtype, on the device) of `x`."""
    fill_value = fill_value.item() if isinstance(fill_value, Traced) else fill_value
    return _like("full_like", "full", x, (fill_value,), dtype, device, requires_grad)


def _new(x: Any, dtype: Any, device: Any) -> dict[str, Any]:
    return {"dtype": x.array.dtype if dtype is None else dtype, "device": device_of(x.array) if device is None else device}


def new(x: Tensor, *data: Any, device: Any = None) -> Tensor:
    """The old `Tensor(...)` in the dtype and on the device of this tensor."""
    return traced(legacy_array(x.array.dtype, data, device_of(x.array) if device is None else device))


def new_zeros(x: Tensor, *shape: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None, pin_memory: bool = False) -> Tensor:
    """Zeros of a shape, in the dtype and on the device of this tensor."""
    return zeros(*shape, size=size, requires_grad=requires_grad, **_new(x, dtype, device))


def new_ones(x: Tensor, *shape: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None, pin_memory: bool = False) -> Tensor:
    """Ones of a shape, in the dtype and on the device of this tensor."""
    return ones(*shape, size=size, requires_grad=requires_grad, **_new(x, dtype, device))


def new_empty(x: Tensor, *shape: Any, size: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None, pin_memory: bool = False) -> Tensor:
    """Uninitialized memory of a shape, in the dtype and on the device of this tensor."""
    return empty(*shape, size=size, requires_grad=requires_grad, **_new(x, dtype, device))


def new_full(x: Tensor, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None, pin_memory: bool = False) -> Tensor:
    """One value in a shape, in the dtype and on the device of this tensor."""
    return full(size, fill_value, requires_grad=requires_grad, **_new(x, dtype, device))


def new_tensor(x: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, layout: Any = None, pin_memory: bool = False) -> Tensor:
    """`tensor(data)` in the dtype and on the device of this tensor."""
    return tensor(data, requires_grad=requires_grad, **_new(x, dtype, device))


# -- sequences ----------------------------------------------------------------------------------


def arange(
    start: Any = None, end: Any = None, step: Any = 1, *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """start, start + step, ... below `end`; `arange(end)` starts at 0. Of ints it is int64.

    >>> import tinygrad_lite as tg
    >>> tg.arange(1, 2.5, 0.5)
    tensor([1.0000, 1.5000, 2.0000])
    """
    if end is None:
        start, end = 0, start
    if end is None:
        raise TypeError("arange: expected an end")
    start, end, step = (v.item() if isinstance(v, Traced) else v for v in (start or 0, end, step))
    dtype = _dtype_of_number(start + end + step) if dtype is None else as_dtype(dtype)
    if dtype.kind in "iu" and all(map(math.isfinite, (start, end, step))):
        start, end, step = int(start), int(end), int(step)
    _check_steps("arange", start, end, step)
    return _steps(start, step, math.ceil((end - start) / step), dtype, device, requires_grad)


def _check_steps(name: str, start: Any, end: Any, step: Any) -> None:
    if step == 0:
        raise RuntimeError(f"{name}: the step must not be zero")
    if not all(map(math.isfinite, (start, end, step))) or (end - start) * step < 0:
        raise RuntimeError(f"{name}: no steps of {step} lead from {start} to {end}")


def _steps(start: Any, step: Any, count: int, dtype: np.dtype, device: Any, requires_grad: bool) -> Any:
    if dtype.kind in "iu":
        start, step = int(start), int(step)
    with on_device(device):
        values = namespace_for(device).arange(count) * step + start
        return _tensor(values.astype(dtype, copy=False), requires_grad)


def range(
    start: Any = 0, end: Any = None, step: Any = 1, *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """As `arange`, with `end` included and the default dtype."""
    if end is None:
        start, end = 0, start
    _check_steps("range", start, end, step)
    return _steps(start, step, math.floor((end - start) / step) + 1, _dtype(dtype), device, requires_grad)


@quietly
def linspace(
    start: Any, end: Any, steps: int, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """`steps` values from `start` to `end`, both included, the same distance apart."""
    start, end = (v.item() if isinstance(v, Traced) else v for v in (start, end))
    if steps < 0:
        raise RuntimeError(f"linspace: expected 0 or more steps, got {steps}")
    with on_device(device):
        values = namespace_for(device).linspace(start, end, steps)
        return _tensor(values.astype(_dtype(dtype), copy=False), requires_grad)


def logspace(
    start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """`steps` values from `base ** start` to `base ** end`, each the same multiple of the one before."""
    values = base ** linspace(start, end, steps, dtype=np.float64, device=device).array
    return _tensor(values.astype(_dtype(dtype), copy=False), requires_grad)


@primitive
def moved(x, device):
    """`x` on another device."""
    return to_device(x, device)


moved.vjp(x=lambda g, x, device: moved(g, device_of(x.array if isinstance(x, Traced) else x)))
