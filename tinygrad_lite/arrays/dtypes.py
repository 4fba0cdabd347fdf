"""Dtypes and type promotion, by PyTorch's rules instead of NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from tinygrad_lite.arrays.devices import Array, Symbol, is_array, namespace_of
from tinygrad_lite.arrays.errors import BadType, BadValue, Refusal
from tinygrad_lite.arrays.memory import order_kept

DType = np.dtype  # in annotations
# As what a dtype is compared with. Beware of `None == float64`, which NumPy takes for true.
bool_, uint8, int8, int32, int64 = map(np.dtype, ("bool", "uint8", "int8", "int32", "int64"))
float16, float32, float64 = map(np.dtype, ("float16", "float32", "float64"))

_NUMBERS = {"b": np.dtype(np.bool_), "i": np.dtype(np.int64), "u": np.dtype(np.int64), "c": np.dtype(np.complex128)}
_CATEGORY = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
_default = np.dtype(np.float32)


def get_default_dtype() -> np.dtype:
    """The dtype of Python floats, and of integers passed to functions with real results."""
    return _default


def set_default_dtype(dtype: Any) -> None:
    """Set the default floating-point dtype of new tensors."""
    global _default
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        raise BadType(function="set_default_dtype", argument="dtype", expected="a floating-point dtype", got=dtype)
    _default = dtype


class AbsentDtype:
    """The name of a dtype that NumPy lacks: it can be compared with others, but no tensor can have it."""

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return self.name

    @property
    def dtype(self) -> Any:  # NumPy looks this up wherever it expects a dtype
        raise BadType(f"there is no {self.name} in NumPy", hint="use float16 or float32")


def as_dtype(dtype: Any) -> np.dtype:
    """The NumPy dtype for one of ours, NumPy's, or Python's `bool`, `int` and `float` (float64, as in PyTorch)."""
    found = np.dtype(dtype)
    if found.hasobject:
        raise BadType(expected="a dtype", got=repr(dtype))
    return found


def is_floating(dtype: np.dtype) -> bool:
    """Whether values of `dtype` can have a gradient: floating-point or complex."""
    return dtype.kind in "fc"


def default_float(dtype: np.dtype) -> np.dtype:
    """`dtype` if it is floating-point, otherwise the default dtype."""
    return dtype if dtype.kind in "fc" else _default


def common_dtype(*values: Any) -> np.dtype:
    """The dtype of a result of `values` (arrays and Python numbers), by PyTorch's promotion.

    There are three ranks: arrays with dimensions, 0-d arrays, and Python numbers. A lower rank counts only if its category
    (bool < integer < float < complex) is higher.

    >>> common_dtype(np.zeros(3, np.int32), 1.5)
    dtype('float32')
    >>> common_dtype(np.zeros(3, np.float32), np.zeros((), np.float64))
    dtype('float32')
    """
    # NumPy returns 0-d results as scalars. Next to an array they count as Python numbers, as in PyTorch;
    # alone they keep their dtype.
    alone = not any(map(is_array, values))
    ranks: list[np.dtype | None] = [None, None, None]
    for value in values:
        if is_array(value):
            rank, dtype = (0 if value.ndim else 1), value.dtype
        elif isinstance(value, np.generic) and alone:
            rank, dtype = 1, value.dtype
        elif isinstance(value, (np.generic, bool, int, float, complex)):
            rank, dtype = 2, _NUMBERS.get(_kind_of(value), _default)
        else:
            raise BadType(expected="a Tensor, an array or a number", got=type(value).__name__)
        known = ranks[rank]
        ranks[rank] = dtype if known is None else _meet(known, dtype)
    result: np.dtype | None = None
    for lower in ranks:
        if result is None or (lower is not None and _CATEGORY[lower.kind] > _CATEGORY[result.kind]):
            result = lower
    assert result is not None
    return result


def _kind_of(number: Any) -> str:
    """NumPy's letter for the kind of a number."""
    if isinstance(number, np.generic):
        return number.dtype.kind
    return "b" if isinstance(number, bool) else "i" if isinstance(number, int) else "f" if isinstance(number, float) else "c"


def _meet(a: np.dtype, b: np.dtype) -> np.dtype:
    if a == b:
        return a
    if a.kind == "f" and b.kind in "biu":  # NumPy would promote float32 and int64 to float64
        return a
    if b.kind == "f" and a.kind in "biu":
        return b
    for dtype in (a, b):
        if dtype.kind == "u" and dtype.itemsize > 1:
            raise BadType(f"{a} and {b} do not promote to one dtype", got=(a, b), hint="convert one of them with .to()")
    return np.promote_types(a, b)


def promote(x: Any, y: Any) -> tuple[Any, Any]:
    """Convert both operands so that a NumPy operation has a result of PyTorch's dtype. A Python number that NumPy and
    PyTorch treat alike stays as it is."""
    # The first lines handle nearly every call in training; `promoted` costs about 4 us.
    if type(x) is ndarray:
        if type(y) is ndarray:
            if x.dtype is y.dtype:
                return x, y
        elif type(y) is float or type(y) is int:
            kind = x.dtype.kind
            if kind == "f" or (kind == "i" and type(y) is int and -128 <= y < 128):
                return x, y
    elif type(y) is ndarray and (type(x) is float or type(x) is int) and y.dtype.kind == "f":
        return x, y
    return promoted(x, y)


def promote_floats(x: Any, y: Any) -> tuple[Any, Any]:
    """`promote`, with integers converted to floating point."""
    a, b = promote(x, y)
    if (b if type(a) is float or type(a) is int else a).dtype.kind not in "fc":
        return promoted_floats(x, y)
    return a, b


def promoted(*values: Any) -> tuple[Any, ...]:
    """All of `values` as arrays of their common dtype."""
    return _in_dtype(common_dtype(*values), values)


def promoted_floats(*values: Any) -> tuple[Any, ...]:
    """All of `values` as arrays of their common floating-point dtype."""
    return _in_dtype(default_float(common_dtype(*values)), values)


def _in_dtype(dtype: np.dtype, values: tuple[Any, ...]) -> tuple[Any, ...]:
    like = next(filter(is_array, values), None)
    if isinstance(like, Symbol) and dtype.kind == "f":  # a number stays one in a program
        numbers = (value.item() if isinstance(value, np.generic) else value for value in values)
        return tuple(value if isinstance(value, (bool, int, float)) else _cast(np, value, dtype) for value in numbers)
    xp = namespace_of(like)
    return tuple(_cast(xp, value, dtype) for value in values)


def promote_tensors(x: Any, y: Any) -> tuple[Any, Any]:
    """`promote` for operations that accept no Python numbers."""
    if type(x) is ndarray and type(y) is ndarray and x.dtype is y.dtype:
        return x, y
    only_tensors(x, y)
    return promote(x, y)


def _cast(xp: Any, value: Any, dtype: np.dtype) -> Array:
    if is_array(value):
        return value if value.dtype == dtype else value.astype(dtype, order_kept(value))
    if isinstance(value, np.generic):
        value = value.item()
    if dtype.kind in "iu" and isinstance(value, int):
        value = np.asarray(value).astype(dtype)  # wraps around, as in PyTorch
    # CuPy would copy an array of the number from the host; `full` runs on the GPU.
    return np.asarray(value, dtype=dtype) if xp is np else xp.full((), np.asarray(value).item(), dtype)


def as_float(x: Any) -> Any:
    """`x` in a floating-point dtype: integers and bools become the default dtype."""
    if type(x) is ndarray or is_array(x):
        return x if x.dtype.kind in "fc" else x.astype(_default, order_kept(x))
    if isinstance(x, np.floating):  # NumPy's form of a 0-d result
        return x
    if isinstance(x, (bool, int, float, np.generic)):
        return np.asarray(x, dtype=_default)
    raise BadType(expected="a Tensor, an array or a number", got=type(x).__name__)


def limits(dtype: np.dtype) -> tuple[Any, Any]:
    """The least and the largest number of a dtype."""
    if dtype.kind == "f":
        return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def epsilon(dtype: np.dtype) -> float:
    """How far the next larger number of a floating-point dtype is from 1."""
    return float(np.finfo(dtype).eps)


def dtype_of_number(value: Any) -> np.dtype:
    """The dtype of a Python number (or an array of them): floats get the default."""
    found = np.asarray(value).dtype
    if found.kind == "c":
        return np.result_type(_default, np.complex64)
    return found if found.kind in "bi" else _default


def is_number(value: Any) -> bool:
    """Whether `value` is a number of Python's or NumPy's."""
    return isinstance(value, (bool, int, float, complex, np.generic))


def wide(x: Any) -> Any:
    """`x` in float32 if it is float16, in which sums and squares soon overflow."""
    return x.astype(np.float32) if x.dtype == float16 else x


def number_for(dtype: np.dtype, value: Any) -> Any:
    """A Python number as stored in a tensor of `dtype`: truncated for integers, and wrapped around if negative and
    unsigned. A number that is too large raises.

    >>> number_for(np.dtype(np.int64), -2.7)
    -2
    """
    kind = dtype.kind
    if kind == "f":
        if abs(value) > _LARGEST[dtype.char] and value - value == 0:
            raise BadValue(f"the value {value} does not fit into {dtype}", got=value)
        return float(value)
    if kind not in "iu":
        return bool(value) if kind == "b" else value
    limits = np.iinfo(dtype)
    lowest = limits.min if limits.min or isinstance(value, float) else -limits.max
    if not lowest <= value <= limits.max:
        raise BadValue(f"the value {value} does not fit into {dtype}", got=value)
    return int(value) % (limits.max + 1) if kind == "u" else int(value)


_LARGEST = {np.dtype(t).char: float(np.finfo(t).max) for t in (np.float16, np.float32, np.float64)}


def check_number(name: str, value: Any, other: Any) -> None:
    """Refuse a Python number that is too large for its common dtype with `other`."""
    if type(value) in (int, float) and not -128 <= value <= 127:
        try:
            number_for(common_dtype(other, value), value)
        except Refusal as error:
            error.called(name)
            raise


def refuse_bools(*values: Any) -> None:
    """Refuse the difference of bools, which NumPy would refuse only if both are."""
    if any(getattr(v, "dtype", np.dtype(type(v))).kind == "b" for v in values):
        raise BadType("a bool tensor cannot be subtracted", hint="use ~ or logical_xor")


def some_tensor(x: Any, y: Any) -> None:
    """Refuse two Python numbers."""
    if not (hasattr(x, "dtype") or hasattr(y, "dtype")):
        raise BadType(expected="a tensor among the operands", got=f"{type(x).__name__} and {type(y).__name__}")


def only_tensors(*values: Any) -> None:
    """Refuse Python numbers and non-numbers."""
    _only("biufc", "numbers or bools", values)


def only_floats(*values: Any) -> None:
    """Refuse integers and bools where PyTorch does."""
    _only("fc", "floating-point numbers", values)


def only_numbers(*values: Any) -> None:
    """Refuse bools where PyTorch does."""
    _only("uifc", "numbers", values)


def only_integers(*values: Any) -> None:
    """Refuse floating-point numbers, for bitwise operations."""
    _only("uib", "integers or bools", values)


def _only(kinds: str, what: str, values: tuple[Any, ...]) -> None:
    for value in values:
        dtype = getattr(value, "dtype", None)
        if dtype is None or dtype.kind not in kinds:
            raise BadType(expected=f"a tensor of {what}", got=type(value).__name__ if dtype is None else dtype)
