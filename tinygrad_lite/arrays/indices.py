"""Indices: what PyTorch takes in the brackets of `x[index]`, in the form that NumPy takes it."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lite.arrays.deferred_checks import refuse_outside
from tinygrad_lite.arrays.devices import device_of, is_array, to_device
from tinygrad_lite.arrays.dtypes import bool_, int32, int64
from tinygrad_lite.arrays.errors import BadIndex, BadType, BadValue
from tinygrad_lite.arrays.gpu import is_symbol
from tinygrad_lite.arrays.indexing import ALL, Index

BASIC = frozenset((int, slice, type(None), type(Ellipsis)))


def checked_slice(item: slice) -> slice:
    """A slice of ints, whose step is positive."""
    start, stop, step = (i if i is None else operator.index(i) for i in (item.start, item.stop, item.step))
    if step is not None and step <= 0:
        raise BadValue(f"the step of a slice must be greater than zero, got {step}", function="getitem", got=step, hint="use flip()")
    return slice(start, stop, step)


def checked_item(item: Any, array: Any) -> Any:
    """One item as an int, a slice, or an array of integers or bools on array's device."""
    if type(item) is slice:
        return item if item.step is None else checked_slice(item)
    if isinstance(item, list):
        item = np.array(item) if item else np.zeros(0, int64)
    elif type(item) is not np.ndarray and not is_array(item):
        if not isinstance(item, (bool, np.bool_)):
            if hasattr(item, "__index__"):
                return item if isinstance(item, int) else operator.index(item)
            kind = BadType if isinstance(item, str) else BadIndex  # PyTorch takes a text for a sequence
            accepted = "ints, slices, None, integer or bool tensors"
            raise kind(function="getitem", expected=accepted, got=type(item).__name__)
        item = np.asarray(item)
    if item.dtype == np.uint8:
        item = item.astype(np.bool_)
    if item.ndim == 0 and item.dtype.kind in "iu":
        return item.item() if is_symbol(item) else int(item)  # of a program, a number that may change
    if item.dtype not in (int64, int32, bool_):
        raise BadIndex(f"tensors used as indices must be int64, int32 or bool, not {item.dtype}", function="getitem")
    return item if type(item) is type(array) else to_device(item, device_of(array))


def _is_basic(item: Any) -> bool:
    return type(item) in BASIC or isinstance(item, int)  # a number of a program that is being traced passes for an int


def mixed(array: Any, items: list[Any]) -> tuple[Index, ...]:
    """The steps of an index whose `items` `checked_item` has made, or which are basic."""
    rank = sum(i is not None and i is not ... if _is_basic(i) else i.ndim if i.dtype.kind == "b" else 1 for i in items)
    if rank > array.ndim:
        raise BadIndex(f"{rank} indices for a tensor of {array.ndim} dimensions", function="getitem")
    if type(array) is not np.ndarray or 0 in [i.size for i in items if type(i) is np.ndarray]:
        within(array.shape, items, rank)
    places = [i for i, item in enumerate(items) if item is ...]
    for place in reversed(places):
        items[place : place + 1] = [ALL] * (array.ndim - rank if place == places[0] else 0)
    basic: list[Any] = []
    advanced: list[Any] = []
    for item in items:
        if _is_basic(item):
            basic.append(item)
            if not isinstance(item, int):
                advanced.append(ALL)
        elif item.dtype.kind != "b":
            basic.append(ALL)
            advanced.append(item)
        elif item.ndim:
            basic += [ALL] * item.ndim
            advanced.append(item)
        else:  # True and False: a new dim of size 1 or 0
            basic.append(None)
            advanced.append(item.reshape(1))
    if all(type(i) is slice for i in advanced):
        return ((*basic, ...),)
    if all(type(i) is slice for i in basic):
        return (tuple(items),)
    return (*basic, ...), tuple(advanced)


def within(shape: tuple[int, ...], items: Sequence[Any], rank: int = 1) -> Any:
    """`items`, whose masks have the sizes of their dims (NumPy misses that of an empty one), and whose integer
    arrays on a GPU, where any number is taken as an index, are in range."""
    dim = 0
    for item in items:
        if item is ...:
            dim += len(shape) - rank
        elif item is not None:
            integers = is_array(item) and item.dtype.kind == "i"
            if integers and type(item) is not np.ndarray:
                n = shape[dim]
                refuse_outside(item, -n, n, BadIndex, f"{{}} is out of range for dim {dim} of size {n}", "getitem")
            mask = () if integers or not is_array(item) else item.shape
            if mask != shape[dim : dim + len(mask)]:
                raise BadIndex(
                    f"a mask of shape {mask} does not fit the dims {dim} and on of a tensor of shape {shape}", function="getitem"
                )
            dim += len(mask) if is_array(item) and not integers else 1
    return items


_LONG = ("index_copy", "index_fill", "put", "take")  # these take no int32 in PyTorch


def checked_index(name: str, array: Any, size: int, negative: bool = False) -> Any:
    """`array`, which is one of integers that lie in 0 to size - 1 (from -size on if `negative`)."""
    if is_array(array) and not array.size and name in ("gather", "scatter", "scatter_reduce"):
        return array.astype(int64)  # no indices are of any dtype
    if not is_array(array) or array.dtype not in ((int64,) if name in _LONG else (int64, int32)):
        kind, got = (BadIndex, array.dtype) if is_array(array) else (BadType, type(array).__name__)
        raise kind(expected="an integer tensor (int64) as index", got=got)
    if type(array) is not np.ndarray:
        refuse_outside(array, -size if negative else 0, size, BadIndex, f"{{}} is out of range for {size} elements", name)
        return array
    # Seen as unsigned, a negative index is the largest: one pass over them instead of two.
    if array.size and (negative or int(array.view(f"u{array.itemsize}").max()) >= size):
        low, high = int(array.min()), int(array.max())
        if low < (-size if negative else 0) or high >= size:
            raise BadIndex(f"index {low if low < 0 else high} is out of range for {size} elements")
    return array
