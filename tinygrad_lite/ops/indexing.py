"""Reading and writing parts of a tensor."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.autograd import primitive
from tinygrad_lite.autograd.node import Traced

__all__: list[str] = []

METHODS: list[str] = []
IN_PLACE: list[str] = []


@primitive(view=True)
def _getitem(x, index):
    return x[index]


_getitem.vjp(x=lambda g, x_shape, index: _put(g, x_shape, index))


@primitive
def _put(x, shape, index):
    out = namespace_of(x).zeros(shape, x.dtype)
    namespace_of(x).add.at(out, index, x)
    return out


_put.vjp(x=lambda g, index: _getitem(g, index))


def getitem(x: Any, index: Any) -> Any:
    """`x[index]`"""
    index = tuple(i.array if isinstance(i, Traced) else i for i in (index if isinstance(index, tuple) else (index,)))
    return _getitem(x, index)


def setitem(x: Any, index: Any, value: Any) -> None:
    """`x[index] = value`"""
    raise TypeError("setitem: to be written")
