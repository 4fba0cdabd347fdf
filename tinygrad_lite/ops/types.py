"""Properties of tensors and dtypes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lite.arrays import as_dtype, common_dtype, get_default_dtype
from tinygrad_lite.arrays.errors import BadType, Refusal
from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.ops.arguments import named, operation, raw

__all__ = [
    "can_cast", "finfo", "iinfo", "is_complex", "is_conj", "is_distributed", "is_floating_point", "is_inference", "is_neg",
    "is_nonzero", "is_same_size", "is_signed", "is_tensor", "numel", "promote_types", "result_type",
]  # fmt: skip

_item = tuple.__getitem__


class Size(tuple[int, ...]):
    """A shape: a tuple that also gives its number of elements. Slices and sums of shapes are shapes.

    >>> import tinygrad_lite as tg
    >>> tg.ones(2, 3).shape.numel(), tg.Tensor(tg.ones(2, 3).shape[:1] + (4,)).shape
    (6, (2, 4))
    """

    __slots__ = ()

    def numel(self) -> int:
        return math.prod(self)

    def __getitem__(self, index: Any) -> Any:
        part = _item(self, index)
        return part if type(part) is int else Size(part) if type(index) is slice else part

    def __add__(self, other: Any) -> Any:
        return Size(tuple.__add__(self, other))

    def __radd__(self, other: Any) -> Any:
        return Size(other + tuple(self)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, count: Any) -> Any:
        return Size(tuple.__mul__(self, count))

    __rmul__ = __mul__


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a Tensor.

    >>> import tinygrad_lite as tg
    >>> tg.is_tensor(tg.ones(2)), tg.is_tensor([1.0])
    (True, False)
    """
    return isinstance(obj, Traced)


@operation
def numel(input: Any) -> int:
    """The number of elements.

    >>> import tinygrad_lite as tg
    >>> tg.numel(tg.ones(2, 3))
    6
    """
    return math.prod(input.shape)


@operation
def is_floating_point(input: Any) -> bool:
    """Whether the dtype is floating-point.

    >>> import tinygrad_lite as tg
    >>> tg.is_floating_point(tg.ones(2))
    True
    """
    return input.dtype.kind == "f"


@operation
def is_complex(input: Any) -> bool:
    """Whether the dtype is complex.

    >>> import tinygrad_lite as tg
    >>> tg.is_complex(tg.tensor([1.0]))
    False
    """
    return input.dtype.kind == "c"


@operation
def is_signed(input: Any) -> bool:
    """Whether the dtype has negative numbers.

    >>> import tinygrad_lite as tg
    >>> tg.is_signed(tg.tensor([1])), tg.is_signed(tg.tensor([1], dtype=tg.uint8))
    (True, False)
    """
    return input.dtype.kind in "ifc"


def _never(name: str, why: str) -> Callable[[Any], bool]:
    @named(name, f"False: {why}.")
    def answer(input: Any) -> bool:
        return False

    return answer


is_conj = _never("is_conj", "conjugates are computed at once")
is_neg = _never("is_neg", "negatives are computed at once")
is_distributed = _never("is_distributed", "tensors are not distributed over machines")
is_inference = _never("is_inference", "tensors created in inference_mode are ordinary tensors")
is_pinned = _never("is_pinned", "no memory is page-locked")
is_shared = _never("is_shared", "memory belongs to a single process")


@operation
def is_same_size(input: Any, other: Any) -> bool:
    """Whether two tensors have the same shape.

    >>> import tinygrad_lite as tg
    >>> tg.is_same_size(tg.ones(2, 3), tg.zeros(2, 3))
    True
    """
    return tuple(input.shape) == tuple(other.shape)


@operation
def is_nonzero(input: Any) -> bool:
    """Whether the single element of `input` is nonzero.

    >>> import tinygrad_lite as tg
    >>> tg.is_nonzero(tg.tensor([2.0]))
    True
    """
    if math.prod(input.shape) != 1:
        raise Refusal(expected="one element", got=f"the shape {tuple(input.shape)}")
    return bool(input)


def result_type(tensor1: Any, tensor2: Any) -> np.dtype:
    """The dtype of `tensor1 + tensor2`; each a tensor or a number.

    >>> import tinygrad_lite as tg
    >>> result_type(tg.tensor([1, 2]), 1.0)
    dtype('float32')
    """
    return common_dtype(*(raw(v) for v in (tensor1, tensor2)))


def promote_types(type1: Any, type2: Any) -> np.dtype:
    """The smallest dtype to which both can be converted without losing their category.

    >>> promote_types(np.int64, np.float32)
    dtype('float32')
    """
    return common_dtype(np.empty(1, as_dtype(type1)), np.empty(1, as_dtype(type2)))


def can_cast(from_: Any, to: Any) -> bool:
    """Whether a result of dtype `from_` may be written in place into a tensor of dtype `to`.

    >>> can_cast(np.float32, np.int64)
    False
    """
    a, b = as_dtype(from_).kind, as_dtype(to).kind
    order = "biufc"
    return order.index(a) <= order.index(b) or (a, b) == ("u", "i") or (a, b) == ("i", "i")


class finfo:
    """The limits of a floating-point dtype (by default, of the default dtype).

    >>> finfo(np.float32).eps
    1.1920928955078125e-07
    """

    def __init__(self, type: Any = None):
        self.dtype = str(as_dtype(get_default_dtype() if type is None else type))
        if as_dtype(self.dtype).kind not in "fc":
            raise BadType(function="finfo", expected="a floating-point dtype", got=self.dtype, hint="use iinfo")
        info = np.finfo(self.dtype)
        self.bits = int(info.bits)
        self.eps, self.max, self.min = float(info.eps), float(info.max), float(info.min)
        self.tiny = self.smallest_normal = float(info.tiny)
        self.resolution = float(info.resolution)

    def __repr__(self) -> str:
        limits = f"min={self.min:g}, max={self.max:g}, eps={self.eps:g}"
        return f"finfo(resolution={self.resolution:g}, {limits}, dtype={self.dtype})"


class iinfo:
    """The limits of an integer dtype.

    >>> iinfo(np.int8).max
    127
    """

    def __init__(self, type: Any):
        self.dtype = str(as_dtype(type))
        if as_dtype(type).kind not in "iu":
            raise BadType(function="iinfo", expected="an integer dtype", got=self.dtype, hint="use finfo")
        info = np.iinfo(self.dtype)
        self.bits, self.min, self.max = int(info.bits), int(info.min), int(info.max)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
