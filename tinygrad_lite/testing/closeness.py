"""`assert_close`, for tests of programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays import is_array, to_numpy
from tinygrad_lite.ops.creation.conversion import asarray

__all__ = ["assert_close"]

# (rtol, atol) by dtype; other dtypes must be equal.
TOLERANCES = {"float16": (1e-3, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7)}


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Raise AssertionError unless `|actual - expected| <= atol + rtol |expected|` everywhere and shapes, dtypes and
    devices are equal. Compares tensors, arrays, numbers, and sequences and mappings of them.

    The default tolerances are PyTorch's for the wider of the two dtypes. `check_layout` and `check_stride` have no
    effect: a tensor has one layout here, and its strides are not part of its meaning.

    >>> import tinygrad_lite as tg
    >>> assert_close(tg.tensor([1.0, 2.0]), tg.tensor([1.0, 2.0000001]))
    >>> assert_close(tg.ones(2), tg.zeros(2))
    Traceback (most recent call last):
    AssertionError: Tensor-likes are not close!
    <BLANKLINE>
    Mismatched elements: 2 / 2 (100.0%)
    Greatest absolute difference: 1.0 at index (0,) (up to 1e-05 allowed)
    """
    if (rtol is None) != (atol is None):
        raise ValueError("assert_close: give both rtol and atol, or neither")
    if not allow_subclasses and type(actual) is not type(expected):
        raise TypeError(f"assert_close: expected one type, got {type(actual).__name__} and {type(expected).__name__}")
    limits = None if rtol is None or atol is None else (rtol, atol)
    for where, x, y in _pairs(actual, expected, ""):
        message = _difference(x, y, limits, equal_nan, check_device, check_dtype)
        if message:
            message += where and f"\n\nThe failure occurred for item {where}"
            raise AssertionError(msg(message) if callable(msg) else msg or message)


def _pairs(x: Any, y: Any, where: str) -> list[tuple[str, Any, Any]]:
    """The leaves of two equal structures, each with its path."""
    if isinstance(x, Mapping) and isinstance(y, Mapping):
        if set(x) != set(y):
            lacks, more = sorted(set(y) - set(x), key=str), sorted(set(x) - set(y), key=str)
            raise AssertionError(f"The keys of the mappings do not match:\nMissing in actual: {lacks}\nAdditional in actual: {more}")
        return [pair for key in x for pair in _pairs(x[key], y[key], f"{where}[{key!r}]")]
    if isinstance(x, Sequence) and isinstance(y, Sequence) and not isinstance(x, str) and not isinstance(y, str):
        if len(x) != len(y):
            raise AssertionError(f"The length of the sequences do not match: {len(x)} != {len(y)}")
        return [pair for i, (a, b) in enumerate(zip(x, y)) for pair in _pairs(a, b, f"{where}[{i}]")]
    kinds = [
        "tensor" if isinstance(v, Tensor) or is_array(v) else "number" if isinstance(v, (bool, int, float, np.generic)) else ""
        for v in (x, y)
    ]
    if kinds[0] != kinds[1] or not kinds[0]:
        if x is None and y is None:
            return []
        raise TypeError(f"assert_close: cannot compare {type(x).__name__} and {type(y).__name__}")
    return [(where, x, y)]


def _difference(x: Any, y: Any, limits: Any, equal_nan: bool, check_device: bool, check_dtype: bool) -> str:
    """A description of how two leaves differ, or an empty one."""
    scalars = not (isinstance(x, Tensor) or is_array(x))
    if scalars:
        if check_dtype and type(x) is not type(y):
            return f"The (d)types do not match: {type(x)} != {type(y)}."
        a, b = np.asarray(x), np.asarray(y)
    else:
        x, y = asarray(x), asarray(y)
        for name, checked in (("shape", True), ("device", check_device), ("dtype", check_dtype)):
            if checked and getattr(x, name) != getattr(y, name):
                return f"The values for attribute {name!r} do not match: {getattr(x, name)} != {getattr(y, name)}."
        a, b = to_numpy(x.array), to_numpy(y.array)
    dtypes = [TOLERANCES.get(v.dtype.name, (0.0, 0.0)) for v in (a, b)]
    rtol, atol = limits or (max(d[0] for d in dtypes), max(d[1] for d in dtypes))
    if a.dtype != b.dtype or a.dtype.kind == "b":
        a, b = a.astype(np.float64), b.astype(np.float64)
    close = np.isclose(a, b, rtol, atol, equal_nan)
    if close.all():
        return ""
    with np.errstate(all="ignore"):
        gap = np.where(close, 0, np.abs(np.subtract(a, b, dtype=np.float64)))
    worst = tuple(int(i) for i in np.unravel_index(np.argmax(np.where(np.isnan(gap), np.inf, gap)), gap.shape))
    if scalars:
        return f"Scalars are not close!\n\nExpected {y} but got {x}.\nAbsolute difference: {gap[()]} (up to {atol} allowed)"
    count = int((~close).sum())
    share = f"Mismatched elements: {count} / {close.size} ({count / close.size:.1%})"
    return (
        f"Tensor-likes are not close!\n\n{share}\n"
        f"Greatest absolute difference: {gap[worst]} at index {worst} (up to {atol} allowed)"
    )
