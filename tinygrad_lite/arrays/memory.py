"""Memory of arrays: ownership, address ranges, layout, and strided views."""

from __future__ import annotations

import ctypes
import math
from typing import Any, cast

import numpy as np

from tinygrad_lite.arrays.devices import Array, as_array, is_array, is_cupy, namespace_of
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.arrays.gpu import Symbol, at_home


def owner_of(array: Array) -> Array:
    """The array at the end of the chain of views: arrays with different owners share no memory."""
    while (base := array.base) is not None:
        if not is_array(base):
            base = getattr(base, "owner", None)
            if base is None:
                break
        array = base
    return array


def holds_arrays(values: Any) -> bool:
    """Whether there are arrays in a tuple or list, or in one inside it. What is neither may hold some."""
    if type(values) is not tuple and type(values) is not list:
        return True
    for value in values:
        if type(value) in (tuple, list):
            if holds_arrays(value):
                return True
        elif value is not None and type(value) is not int and is_array(value):
            return True
    return False


def unshared(array: Array, taken: dict[int, Any]) -> Array:
    """A contiguous writable array with the values of `array`: itself if no one else holds its memory (`taken`: the ids of
    held arrays), otherwise a copy."""
    if type(array) is np.ndarray and array.base is None:  # the common case
        if array.flags.carray and id(array) not in taken:  # contiguous and writable
            taken[id(array)] = array
            return array
        return array.copy()
    array = as_array(array)
    owner = owner_of(array)
    on_cpu = type(array) is np.ndarray
    if array.flags.c_contiguous and not (on_cpu and not array.flags.writeable) and owner.size == array.size and id(owner) not in taken:
        taken[id(owner)] = owner
        return array
    if on_cpu:
        return array.copy()
    with at_home(array):
        return array.copy()


def counter_of(array: Array) -> Array:
    """The array whose record counts in-place changes of `array`: `owner_of(array)`, or the result of `uncounted` on the way
    there."""
    while (base := array.base) is not None:
        if not is_array(base):
            base = base.owner if type(base) is _Part else None
            if base is None:
                break
        array = base
    return array


def uncounted(array: Array) -> Array:
    """A view of all of `array` whose changes, and those of its views, do not count as changes of `array`."""
    if isinstance(array, Symbol):
        return array.trace.again(array)
    if is_cupy(array):
        return type(array)(array.shape, array.dtype, array.data, array.strides)
    return np.asarray(_Uncounted(array, array.shape, array.strides, 0))


def counted(array: Array) -> Array:
    """The array behind a view made by `uncounted`, or `array` itself."""
    return array.base.owner if type(array.base) is _Uncounted else array


_first_byte, _address = ctypes.c_char.from_buffer, ctypes.addressof


def start_of(array: Array) -> int:
    """The address of an array's first element."""
    if type(array) is np.ndarray and array.flags.carray and array.size:  # 0.5 us, by `__array_interface__` 2.8 us
        return _address(_first_byte(array))  # type: ignore[arg-type]  # it is a Buffer
    if isinstance(array, Symbol):
        array = array.value
    return array.data.ptr if is_cupy(array) else array.__array_interface__["data"][0]


def address_range(array: Array) -> tuple[int, int]:
    """The first byte an array may touch, and the end of its last."""
    if not array.size:
        return 0, 0
    start = start_of(array)
    end = start + array.itemsize
    for size, stride in zip(array.shape, array.strides):
        if stride < 0:
            start += (size - 1) * stride
        else:
            end += (size - 1) * stride
    return start, end


def on_cache_lines(array: Array) -> Array:
    """A contiguous copy aligned to 64 bytes (NumPy aligns to 16).

    For the right-hand matrix of many small products: BLAS reads it in place, and loads that straddle two cache lines cost
    (32, 128) @ (4, 128, 128) 54 us instead of 39.
    """
    if is_cupy(array):
        return array.copy(order="C")
    copy = empty_on_cache_lines(array.shape, array.dtype)
    copy[...] = array
    return copy


def empty_on_cache_lines(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """A new array that begins on a cache line."""
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + 64, np.uint8)
    start = -start_of(memory) % 64
    return memory[start : start + size].view(dtype).reshape(shape)


def contiguous(array: Array) -> Array:
    """A C-contiguous copy.

    Copies strips of the last dim whose source lines fit in the cache: a transposed (1000, 1000) takes 0.46 ms, with NumPy's
    own copy 0.78. If rows start at multiples of 2 KiB, few lines fit at a time: (1024, 1024) takes 1.6 ms, NumPy 5.4.
    """
    if type(array) is not np.ndarray or array.size < 1 << 17 or array.shape[-1] <= 64 or array.strides[-1] == array.itemsize:
        return array.copy(order="C")
    out = np.empty(array.shape, array.dtype)
    width = 64 if array.strides[-1] % 2048 else 16
    for i in range(0, array.shape[-1], width):
        out[..., i : i + width] = array[..., i : i + width]
    return out


def in_order(array: Array) -> Array:
    """`array` itself if it is C-contiguous, otherwise a C-contiguous copy.

    For results that are contiguous in PyTorch: NumPy gives them the layout of their inputs, and then `view` would be
    refused.
    """
    return array if array.flags.c_contiguous else contiguous(array)


def order_kept(array: Array) -> str:
    """The `order` argument that copies `array` in its own layout ("K"), except for dims of stride 0, which NumPy would move
    to the end."""
    strides = array.strides
    return "C" if 0 in strides and any(n > 1 for n, s in zip(array.shape, strides) if not s) else "K"


def empty_like(array: Array) -> Array:
    """An uninitialized array with the layout of `array`."""
    return namespace_of(array).empty_like(array, order=order_kept(array))


def strided(array: Array, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> Array:
    """A view of `array`'s memory, writable if `array` is. Strides and the offset from array's first element are in bytes.
    The caller ensures that the view lies inside the memory."""
    if isinstance(array, Symbol):
        array = cast(Any, array)
        start = array.reshape(-1)[offset // array.itemsize :] if offset else array
        return array.namespace.lib.stride_tricks.as_strided(start, shape, strides)
    if is_cupy(array):
        return _strided_on_gpu(array, shape, strides, offset)
    # np.lib.stride_tricks.as_strided takes six times as long, and hides the owner of the memory.
    buffer = array
    if not array.flags.forc:
        buffer = owner_of(array)
        if not buffer.flags.forc:
            return np.asarray(_Part(array, shape, strides, offset))
        offset += start_of(array) - start_of(buffer)
    view = np.ndarray(shape, array.dtype, buffer, offset, strides)
    if not array.flags.writeable:
        view.flags.writeable = False
    return view


class _Part:
    """Memory with gaps from another library, which NumPy does not accept as a buffer, for example every second element of
    another library's array."""

    __slots__ = ("__array_interface__", "owner")

    def __init__(self, array: np.ndarray, shape: tuple[int, ...], strides: tuple[int, ...], offset: int):
        memory = start_of(array) + offset, not array.flags.writeable
        self.__array_interface__ = {**array.__array_interface__, "shape": shape, "strides": strides, "data": memory}
        self.owner = array


class _Uncounted(_Part):
    """The memory of another array, with changes counted separately."""

    __slots__ = ()


def _strided_on_gpu(array: Array, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Array:
    if offset:
        owner = owner_of(array)
        offset += start_of(array) - start_of(owner)
        flat = owner.transpose(sorted(range(owner.ndim), key=lambda d: -owner.strides[d])).reshape(-1).view(array.dtype)
        if flat.size and start_of(flat) != start_of(owner):
            raise BadValue("this array's memory has gaps and cannot be viewed with other strides", hint="clone it first")
        array = flat[offset // array.itemsize :]
    view = array.view()
    # CuPy's as_strided returns arrays that do not reference the owner (their base is None).
    view._set_shape_and_strides(shape, strides, True, True)
    return view
