"""Tensors from existing data: numbers, lists, arrays, other tensors."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np

from tinygrad_lite.arrays import (
    as_array,
    as_dtype,
    default_device,
    device_of,
    get_default_dtype,
    is_array,
    is_cupy,
    namespace_for,
    order_kept,
    owner_of,
    quietly,
    to_device,
    to_numpy,
)
from tinygrad_lite.arrays.conversion import array_of_buffer, array_of_foreign, array_of_numbers, is_foreign, only_python, shareable
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.gpu import tracing
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.creation.factories import as_made, creator, empty
from tinygrad_lite.ops.types import Size
from tinygrad_lite.ops.typing import AnyTensor, Tensor

LEGACY = {
    "HalfTensor": "float16", "FloatTensor": "float32", "DoubleTensor": "float64", "CharTensor": "int8", "ShortTensor": "int16",
    "IntTensor": "int32", "LongTensor": "int64", "ByteTensor": "uint8", "BoolTensor": "bool",
}  # fmt: skip

__all__ = [
    "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "HalfTensor", "IntTensor", "LongTensor",
    "ShortTensor", "as_tensor", "asarray", "from_dlpack", "from_numpy", "frombuffer", "scalar_tensor", "tensor",
]  # fmt: skip


@quietly
def array_from(data: Any, dtype: Any = None, device: Any = None) -> Any:
    """A new array with the values of `data`: numbers, nested lists, arrays or tensors."""
    dtype = None if dtype is None else as_dtype(dtype)
    device = default_device() if device is None else device
    known = array_of(data)
    if known is not None:
        data = known
        if data.dtype.kind not in "biufc":
            raise BadType(function="tensor", expected="numbers", got=f"an array of {data.dtype}")
        if type(data) is np.ndarray and tracing.get() is not None:
            data = namespace_for(device).asarray(data)  # each run of a program reads it anew
        return to_device(data.astype(data.dtype.newbyteorder("=") if dtype is None else dtype, order_kept(data)), device)
    typed = not only_python(data)
    array = to_device(array_of_numbers(_plain(data) if typed else data, dtype, typed), device)
    return array if tracing.get() is None else namespace_for(device).array(array)  # each run of a program makes it anew


def _plain(data: Any) -> Any:
    """Nested lists with tensors replaced by arrays; a tensor with one element counts as a number."""
    if isinstance(data, (list, tuple)):
        return [_plain(item) for item in data]
    if isinstance(data, Traced) or is_foreign(data):
        array = to_numpy(array_of(data))
        return array.reshape(()) if array.size == 1 else array
    return data


def array_of(value: Any) -> Any:
    """The array of a tensor; for a tensor of another library (PyTorch, JAX, ...) an array on its memory, if NumPy can share
    it; an array itself. None for anything else."""
    if isinstance(value, Traced):
        return value.array
    if is_array(value):
        return value
    if isinstance(value, np.generic):
        return as_array(value)
    return array_of_foreign(value) if is_foreign(value) else None


@creator
def tensor(data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> AnyTensor:
    """A new tensor with a copy of `data`: numbers, nested lists, arrays or tensors (of other libraries too).

    Python floats get the default dtype, ints int64, bools bool; arrays keep theirs.

    >>> import tinygrad_lite as tg
    >>> tg.tensor([[1.0, 2.0], [3.0, 4.0]]).dtype
    dtype('float32')
    """
    return as_made(array_from(data, dtype, device), requires_grad)


@creator
def scalar_tensor(s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> AnyTensor:
    """A number as a 0-d tensor, in the default dtype unless another is given.

    >>> import tinygrad_lite as tg
    >>> tg.scalar_tensor(3)
    tensor(3.)
    """
    return as_made(array_from(s, get_default_dtype() if dtype is None else dtype, device), requires_grad)


def legacy_array(name: str, dtype: Any, given: tuple[Any, ...], device: Any = None, size: Any = None, data: Any = None) -> Any:
    """PyTorch's first constructors: `Tensor(2, 3)` takes sizes and is uninitialized, as is `Tensor(x.shape)`;
    `Tensor([2, 3])` or any other sequence holds its values. `dtype`: None for the default, or that of any tensor given."""
    if size is not None:
        given = Size(size)
    elif data is not None:
        given = (data,)
    elif len(given) == 1 and isinstance(given[0], Size):
        (given,) = given
    elif any(isinstance(part, (bool, list, tuple)) for part in given[len(given) == 1 and not isinstance(given[0], bool) :]):
        raise BadType(function=name, expected="sizes, or one sequence of values", got=given)
    if isinstance(given, Size) or len(given) != 1 or isinstance(given[0], numbers.Integral):
        sizes = given if given or isinstance(given, Size) else (0,)
        return empty(sizes, dtype=get_default_dtype() if dtype is None else dtype, device=device).array
    (values,) = given
    if isinstance(values, Traced):
        if dtype is not None and values.array.dtype != dtype:
            raise BadType(function=name, expected=f"a tensor of {dtype}", got=f"one of {values.array.dtype}", hint="use its to(dtype)")
        return values.array
    if not isinstance(values, (list, tuple, range)) and array_of(values) is None:
        raise BadType(function=name, expected="sizes, or a sequence of values", got=type(values).__name__)
    return array_from(values, get_default_dtype() if dtype is None else dtype, device)


class _Legacy(type):
    """An old name for CPU tensors of one dtype; `dtype` makes it usable in x.type(LongTensor)."""

    dtype: Any

    def __call__(cls, *given: Any, **named: Any) -> Any:
        return traced(legacy_array(cls.__name__, cls.dtype, given, **named))

    def __instancecheck__(cls, x: Any) -> bool:
        return isinstance(x, Traced) and x.array.dtype == cls.dtype and device_of(x.array).type == "cpu"


def _legacy(name: str, dtype: str) -> _Legacy:
    doc = f"An old name: `{name}(2, 3)` is uninitialized, `{name}([2, 3])` holds the values, as {dtype}."
    return _Legacy(name, (), {"dtype": as_dtype(dtype), "__doc__": doc, "__module__": __name__})


HalfTensor = _legacy("HalfTensor", "float16")
FloatTensor = _legacy("FloatTensor", "float32")
DoubleTensor = _legacy("DoubleTensor", "float64")
CharTensor = _legacy("CharTensor", "int8")
ShortTensor = _legacy("ShortTensor", "int16")
IntTensor = _legacy("IntTensor", "int32")
LongTensor = _legacy("LongTensor", "int64")
ByteTensor = _legacy("ByteTensor", "uint8")
BoolTensor = _legacy("BoolTensor", "bool")


def new(input: Tensor, *given: Any, device: Any = None, size: Any = None, data: Any = None) -> Tensor:
    """The old `Tensor(...)` in the dtype and on the device of this tensor.

    >>> import tinygrad_lite as tg
    >>> x = tg.ones(2, 3)
    >>> x.new(x.shape).shape, x.new([2, 3])
    ((2, 3), tensor([2., 3.]))
    """
    return traced(legacy_array("new", input.array.dtype, given, device_of(input.array) if device is None else device, size, data))


@creator
def new_tensor(input: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """`tensor(data)` in the dtype and on the device of this tensor.

    >>> import tinygrad_lite as tg
    >>> tg.tensor([1.0], dtype=tg.float64).new_tensor([1, 2])
    tensor([1., 2.], dtype=float64)
    """
    array = array_from(data, input.array.dtype if dtype is None else dtype, device_of(input.array) if device is None else device)
    return as_made(array, requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> AnyTensor:
    """`data` as a tensor: itself or sharing its memory, if dtype and device allow it.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([1.0])
    >>> tg.as_tensor(x) is x
    True
    """
    device = default_device() if device is None else device
    if isinstance(data, Traced):
        return data.to(device=device, dtype=dtype)
    if is_array(data) or is_foreign(data):
        array = array_of(data)
        return traced(array if is_cupy(array) else shareable("from_numpy", array)).to(device=device, dtype=dtype)
    return tensor(data, dtype=dtype, device=device)


def asarray(obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False) -> AnyTensor:
    """`obj` as a tensor; `copy`: None to copy if needed, True always, False never (raises if needed).

    >>> import tinygrad_lite as tg
    >>> tg.asarray([1, 2], dtype=tg.float32)
    tensor([1., 2.])
    """
    obj = array_of(obj) if is_foreign(obj) else obj
    result = as_tensor(obj, dtype, device)
    array = result.array
    shared = (result is obj) if isinstance(obj, Traced) else is_array(obj) and owner_of(array) is owner_of(obj)
    if copy is False and not shared:
        raise BadValue("this takes a copy, which copy=False forbids", function="asarray")
    if copy and shared:
        result = result.clone()
    if not requires_grad:
        return result if result.node is None else result.detach()
    return result.detach().requires_grad_()


def from_numpy(ndarray: np.ndarray) -> AnyTensor:
    """A tensor that shares the memory of a NumPy array.

    >>> import tinygrad_lite as tg
    >>> a = np.zeros(2)
    >>> x = tg.from_numpy(a)
    >>> a[0] = 1
    >>> x
    tensor([1., 0.], dtype=float64)
    """
    return traced(shareable("from_numpy", ndarray))


def from_dlpack(ext_tensor: Any) -> AnyTensor:
    """A tensor that shares the memory of any object with `__dlpack__`."""
    kind, _ = ext_tensor.__dlpack_device__()
    return traced(namespace_for("cpu" if kind == 1 else "cuda").from_dlpack(ext_tensor))


def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> AnyTensor:
    """A 1-d tensor that shares the memory of an object with Python's buffer interface: `count` elements (-1: all) from byte
    `offset` on. Raises `ValueError` if the buffer is too small.

    >>> import tinygrad_lite as tg
    >>> frombuffer(bytearray(b"abc"), dtype=tg.uint8)
    tensor([97, 98, 99], dtype=uint8)
    """
    return as_made(array_of_buffer("frombuffer", buffer, as_dtype(dtype), count, offset), requires_grad)
