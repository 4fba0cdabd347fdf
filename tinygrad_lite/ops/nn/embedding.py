"""Rows of a table by index: embedding, embedding bags, one-hot vectors."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays import int64, is_array, namespace_of
from tinygrad_lite.arrays.changes import changed_in_place
from tinygrad_lite.arrays.deferred_checks import left_to_program
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.gpu import is_symbol
from tinygrad_lite.arrays.indices import checked_index
from tinygrad_lite.arrays.kernels.bags import frequency_factors, places_of_bags, renormalize
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import into_zeros
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.reduction.extremes import max as _max
from tinygrad_lite.ops.reduction.sums import sum
from tinygrad_lite.ops.typing import Tensor

__all__ = ["embedding"]


@primitive
def _rows(weight, index, factor):
    """`weight[index]`; the gradient of each row is multiplied by `factor` (None: 1)."""
    return weight.take(index, axis=0)


_rows.vjp(weight=lambda g, weight_shape, index, factor: into_zeros(g if factor is None else g * factor, weight_shape, (raw(index),)))


def looked_up(
    name: str,
    index: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    by_freq: bool = False,
) -> tuple[Any, Any]:
    """The rows, and where the index is the padding (None: it cannot be)."""
    if not is_array(raw(weight)) or weight.ndim != 2:
        raise BadValue(argument="weight", expected="the weight as a matrix", got=f"shape {tuple(getattr(weight, 'shape', ()))}")
    count = weight.shape[0]
    index = checked_index(name, raw(index), count)
    if padding_idx is not None:
        if not -count <= padding_idx < count:
            raise BadValue(f"padding_idx {padding_idx} is out of range for {count} rows")
        padding_idx %= count
    if max_norm is not None:
        renormalize(raw(weight), index, max_norm, norm_type)  # off the tape
        changed_in_place(raw(weight), name)
    factor = None
    padding = None
    if by_freq:
        factor = frequency_factors(index, count).astype(weight.dtype)[..., None]
    if padding_idx is not None:
        padding = index == padding_idx
        real = (~padding)[..., None].astype(weight.dtype)
        factor = real if factor is None else factor * real
    return _rows(weight, index, factor), padding


@operation
def embedding(weight: Tensor, indices: Tensor, padding_idx: int = -1, scale_grad_by_freq: bool = False, sparse: bool = False) -> Tensor:
    """The rows of `weight` (V, D) at `indices` (...): a tensor (..., D).

    `padding_idx`: the row that gets no gradient. `scale_grad_by_freq`: divide a row's gradient by how often it was looked
    up. `sparse` has no effect: gradients are dense.

    >>> import tinygrad_lite as tg
    >>> tg.embedding(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1, 0, 1]))
    tensor([[3., 4.],
            [1., 2.],
            [3., 4.]])
    """
    return looked_up("embedding", indices, weight, None if padding_idx < 0 else padding_idx, by_freq=scale_grad_by_freq)[0]


@operation
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The sum, mean or maximum of rows of `weight` (V, D) over each bag: (bags, D).

    `input`: row indices (bags, length), or (n,) with `offsets`, the start of each bag (and the end of the last one, if
    `include_last_offset`). Empty bags give 0; rows at `padding_idx` do not count. `per_sample_weights` (input's shape; only
    for sums): a factor for each row. `max_norm`, `scale_grad_by_freq`, `sparse`: as in embedding.

    >>> import tinygrad_lite as tg
    >>> weight = tg.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    >>> embedding_bag(tg.tensor([0, 1, 2]), weight, offsets=tg.tensor([0, 2]), mode="sum")  # bags (0, 1) and (2,)
    tensor([[ 3., 30.],
            [ 3., 30.]])
    """
    name = "embedding_bag"
    shape = tuple(input.shape)
    if mode not in ("sum", "mean", "max"):
        raise BadValue(argument="mode", expected="mode 'sum', 'mean' or 'max'", got=repr(mode))
    if per_sample_weights is not None:
        if mode != "sum":
            raise BadValue(f"per_sample_weights are for mode 'sum', not {mode!r}")
        if tuple(per_sample_weights.shape) != shape:
            raise BadValue(
                argument="per_sample_weights", expected=f"per_sample_weights of shape {shape}", got=tuple(per_sample_weights.shape)
            )
    if scale_grad_by_freq and mode == "max":
        raise BadValue("scale_grad_by_freq is for modes 'sum' and 'mean', not 'max'")
    if len(shape) not in (1, 2) or (len(shape) == 2) != (offsets is None):
        raise BadValue(argument="input", expected=f"an input (bags, length), or (n,) with offsets; its shape is {shape}")
    if offsets is not None:
        places, counted = places_of_bags(name, raw(offsets), shape[0], include_last_offset)
    rows, padding = looked_up(name, input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq)
    if offsets is None:
        counted = None if padding is None else ~padding
    else:
        rows = rows[places]
        if padding is not None:
            counted = counted & ~padding[places]
        if per_sample_weights is not None:
            per_sample_weights = per_sample_weights[places]
    if per_sample_weights is not None:
        rows = rows * per_sample_weights[..., None]
    return _pooled(rows, counted, mode)


def _pooled(rows: Any, counted: Any, mode: str) -> Any:
    """Rows (bags, length, D) reduced over each bag, where `counted` is True (None: everywhere)."""
    if counted is not None:
        counted = counted[..., None]
    if mode == "max":
        if counted is None:
            return _max(rows, 1)[0]
        if not rows.shape[1]:
            return sum(rows, 1)
        largest = _max(where(counted, rows, -math.inf), 1)[0]
        return where(counted.any(axis=1), largest, 0.0)
    if counted is None:
        return sum(rows, 1) / (max(rows.shape[1], 1) if mode == "mean" else 1)
    total = sum(where(counted, rows, 0.0), 1)
    if mode == "sum":
        return total
    return total / namespace_of(counted).maximum(counted.sum(axis=1), 1).astype(rows.dtype)


@operation
def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """1 at the index given by each element, 0 elsewhere: (..., num_classes), int64.

    `num_classes` defaults to the largest element plus 1.

    >>> import tinygrad_lite as tg
    >>> one_hot(tg.tensor([0, 2]), 3)
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    array = raw(tensor)
    if getattr(array, "dtype", None) != int64:
        raise BadType(argument="tensor", expected="a tensor of int64", got=getattr(array, 'dtype', type(array).__name__))
    if num_classes == -1:
        if not array.size:
            raise BadValue("an empty tensor does not tell the number of classes", hint="give num_classes")
        num_classes = int(array.max()) + 1
    outside = is_symbol(array) and left_to_program(
        (array < 0) | (array >= num_classes), BadValue, f"an element does not fit {num_classes} classes"
    )
    if not outside and array.size and (int(array.min()) < 0 or int(array.max()) >= num_classes):
        raise BadValue(f"elements from {int(array.min())} to {int(array.max())} do not fit {num_classes} classes")
    hot = (array[..., None] == namespace_of(array).arange(num_classes)).astype(int64, "C")
    return traced(hot) if isinstance(tensor, Traced) else hot
