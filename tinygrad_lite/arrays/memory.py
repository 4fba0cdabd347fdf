"""Which memory an array occupies."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.arrays.devices import Array, as_array, is_array, is_cupy, namespace_of
from tinygrad_lite.arrays.gpu import at_home


def owner_of(array: Array) -> Array:
    """The array at the end of the chain of views: two arrays share memory only if they share it."""
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
    """`array`, or a copy of it, with its elements in order, that nobody else holds (`taken`: what is held, by its id)."""
    if type(array) is np.ndarray and array.base is None:  # as most are
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
    """The array on which changes of `array` in place are counted: `owner_of(array)`, or on the way there
    what `uncounted` returned."""
    while (base := array.base) is not None:
        if not is_array(base):
            base = base.owner if type(base) is _Part else None
            if base is None:
                break
        array = base
    return array


def uncounted(array: Array) -> Array:
    """A view of all of `array` whose changes, and those of its views, do not count as changes of `array`."""
    if is_cupy(array):
        return type(array)(array.shape, array.dtype, array.data, array.strides)
    return np.asarray(_Uncounted(array, array.shape, array.strides, 0))


def counted(array: Array) -> Array:
    """The array of which `array` is the view that `uncounted` made; or `array` itself."""
    return array.base.owner if type(array.base) is _Uncounted else array


def start_of(array: Array) -> int:
    """The address of an array's first element."""
    return array.data.ptr if is_cupy(array) else array.__array_interface__["data"][0]


def address_range(array: Array) -> tuple[int, int]:
    """The first byte an array may touch, and the one past its last."""
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
    """A contiguous copy that starts at a multiple of 64 bytes (NumPy's arrays start at one of 16).

    For a matrix that many small products have on their right side: BLAS reads it as it lies, and
    loads that straddle two cache lines cost (32, 128) @ (4, 128, 128) 54 us instead of 39.
    """
    if is_cupy(array):
        return array.copy(order="C")
    memory = np.empty(array.nbytes + 64, np.uint8)
    start = -start_of(memory) % 64
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def contiguous(array: Array) -> Array:
    """A copy with the elements in memory in the order of the dims.

    Strips of the last dim, where neighbours lie apart in `array`, keep to the lines that are in the
    cache: a transposed (1000, 1000) takes 0.46 ms, by NumPy's own copy 0.78. Where rows begin at
    multiples of 2 KiB few lines stay there at a time: (1024, 1024) takes 1.6 ms, NumPy 5.4.
    """
    if type(array) is not np.ndarray or array.size < 1 << 17 or array.shape[-1] <= 64 or array.strides[-1] == array.itemsize:
        return array.copy(order="C")
    out = np.empty(array.shape, array.dtype)
    width = 64 if array.strides[-1] % 2048 else 16
    for i in range(0, array.shape[-1], width):
        out[..., i : i + width] = array[..., i : i + width]
    return out


def in_order(array: Array) -> Array:
    """`array` itself where its elements lie in memory in the order of the dims, else a copy in which they do.

    For results that PyTorch makes contiguous: NumPy gives them the order of what they were made of, and `view` is
    refused then.
    """
    return array if array.flags.c_contiguous else contiguous(array)


def order_kept(array: Array) -> str:
    """The `order` in which a copy of `array` is laid out like it ("K"): not where elements are repeated by a stride
    of 0, for NumPy would let these dims come last in memory."""
    strides = array.strides
    return "C" if 0 in strides and any(n > 1 for n, s in zip(array.shape, strides) if not s) else "K"


def empty_like(array: Array) -> Array:
    """Room for a result laid out like `array`."""
    return namespace_of(array).empty_like(array, order=order_kept(array))


def strided(array: Array, shape: tuple[int, ...], strides: tuple[int, ...], offset: int = 0) -> Array:
    """A view of `array`'s memory, writable where `array` is. Strides and the offset are in bytes, the
    offset from array's first element. The caller sees to it that all of it lies inside the memory."""
    if is_cupy(array):
        return _strided_on_gpu(array, shape, strides, offset)
    # np.lib.stride_tricks.as_strided takes six times as long, and hides whose memory it is.
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
    """A part of memory that came from elsewhere with gaps in it, which NumPy takes for no buffer:
    another library's array, say, of which every second element was handed over."""

    __slots__ = ("__array_interface__", "owner")

    def __init__(self, array: np.ndarray, shape: tuple[int, ...], strides: tuple[int, ...], offset: int):
        memory = start_of(array) + offset, not array.flags.writeable
        self.__array_interface__ = {**array.__array_interface__, "shape": shape, "strides": strides, "data": memory}
        self.owner = array


class _Uncounted(_Part):
    """The memory of another array, whose changes are counted on their own."""

    __slots__ = ()


def _strided_on_gpu(array: Array, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Array:
    if offset:
        owner = owner_of(array)
        offset += start_of(array) - start_of(owner)
        flat = owner.transpose(sorted(range(owner.ndim), key=lambda d: -owner.strides[d])).reshape(-1).view(array.dtype)
        if flat.size and start_of(flat) != start_of(owner):
            raise ValueError("this array's memory has gaps and cannot be viewed with other strides; clone it first")
        array = flat[offset // array.itemsize :]
    view = array.view()
    # CuPy's as_strided makes arrays that do not know whose memory they show (their base is None).
    view._set_shape_and_strides(shape, strides, True, True)
    return view
