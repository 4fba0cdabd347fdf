"""Arrays made of what is none: numbers, nested lists, tensors of other libraries."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.arrays.dtypes import common_dtype, dtype_of_number, get_default_dtype, limits
from tinygrad_lite.arrays.errors import BadType, BadValue, Refusal, refusal

_PYTHON = {bool, int, float, complex}


def only_python(data: Any) -> bool:
    """Whether numbers, or the first row of nested lists, are Python's own."""
    row = [data]
    while row and isinstance(row[0], (list, tuple)):
        row = row[0]  # type: ignore[assignment]
    return {*map(type, row)} <= _PYTHON


def array_of_numbers(data: Any, dtype: np.dtype | None, typed: bool) -> np.ndarray:
    """A fresh array of a number, or of nested lists of numbers and arrays. By default Python's floats get the default
    dtype; NumPy's, and arrays, keep theirs (`typed`: there are some)."""
    try:
        array = np.array(data)
    except ValueError as error:
        raise BadValue(f"the lists are not all of one length: {error}", function="tensor") from None
    if array.dtype.kind not in "biufc" or array.dtype == np.uint64:
        raise BadType(function="tensor", expected="numbers, or nested lists of them", got=_odd(data))
    if dtype is None:
        dtype = _met(data) if typed else dtype_of_number(array)
    elif dtype.kind in "iu" and array.size:
        low, high, (least, most) = array.min(), array.max(), limits(dtype)
        least = least or (0 if array.dtype.kind == "f" else -most)  # negative integers wrap around
        if not least <= low <= high <= most:  # nan is neither
            raise Refusal(f"the values, {low} to {high}, do not fit into {dtype}", function="tensor")
    return array.astype(dtype, copy=False)


def _met(data: Any) -> np.dtype:
    """The dtype in which the numbers and arrays in nested lists meet."""
    dtypes, stack = set(), [data]
    while stack:
        item = stack.pop()
        if isinstance(item, (list, tuple)):
            stack.extend(item)
        else:
            dtypes.add(item.dtype if isinstance(item, (np.ndarray, np.generic)) else dtype_of_number(item))
    return common_dtype(*(np.empty(1, dtype) for dtype in dtypes)) if dtypes else get_default_dtype()


def _odd(data: Any) -> str:
    """What in `data` is not a number."""
    while isinstance(data, (list, tuple)):
        data = next((item for item in data if isinstance(item, (list, tuple)) or not isinstance(item, (int, float))), 0)
    return "an integer too large for int64" if isinstance(data, (int, float)) else type(data).__name__


def is_foreign(value: Any) -> bool:
    """Whether `value` is a tensor of another library (PyTorch, JAX, ...)."""
    return hasattr(value, "__array__") and hasattr(value, "__dlpack__") and not isinstance(value, (np.ndarray, np.generic))


def array_of_foreign(value: Any) -> np.ndarray:
    """The array of a tensor of another library, on its memory where NumPy can share that."""
    for method in ("detach", "cpu", "resolve_conj", "resolve_neg"):  # PyTorch's refuse __array__ otherwise
        value = getattr(value, method, lambda value=value: value)()
    if "float8" in str(value.dtype) or "bfloat16" in str(value.dtype):  # which NumPy has not
        value = value.float() if hasattr(value, "float") else np.asarray(value).astype(np.float32)
    array = np.asarray(value)
    return array if array.flags.writeable else array.copy()


def shareable(name: str, array: Any) -> np.ndarray:
    """A NumPy array whose memory a tensor can have: of a dtype and strides that tensors have."""
    if not isinstance(array, np.ndarray):
        raise BadType(function=name, expected="a numpy.ndarray", got=type(array).__name__)
    if array.dtype.kind not in "biufc":
        raise BadType(function=name, argument="array", expected="an array of numbers", got=array.dtype)
    if not array.dtype.isnative or array.dtype.itemsize > (16 if array.dtype.kind == "c" else 8):
        raise BadType(f"{array.dtype.str} is no dtype of this machine's tensors", function=name, hint="convert it with .astype()")
    if any(stride % array.itemsize for stride in array.strides):
        raise BadValue("an array with strides of parts of elements cannot be shared", function=name, hint="copy() it first")
    if min(array.strides, default=0) < 0:
        raise BadValue("an array with negative strides cannot be shared", function=name, hint="copy() it first")
    return array if type(array) is np.ndarray else array.view(np.ndarray)


def array_of_buffer(name: str, buffer: Any, dtype: np.dtype, count: int, offset: int) -> np.ndarray:
    """The `count` elements (-1: all) from byte `offset` on in an object with Python's buffer interface."""
    if not count or not len(memoryview(buffer)):
        raise BadValue(function=name, argument="buffer", expected="a buffer and a count that are not empty")
    try:
        return np.frombuffer(buffer, dtype, count, offset)
    except ValueError as error:
        raise refusal(error, name) from None
