"""Softmax and cross-entropy with class indices, in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.arrays import exponentials, namespace_of
from tinygrad_lite.arrays.deferred_checks import refuse
from tinygrad_lite.arrays.errors import BadIndex
from tinygrad_lite.arrays.gpu import kernel
from tinygrad_lite.arrays.row_loops import Row, Term, run


def cross_entropy_of(x: Any, target: Any, weight: Any, ignore_index: Any, reduction: Any) -> Any:
    """The loss, and what its gradient needs: the exponentials, their sums, the factor of each sample and the positions of
    the classes."""
    scale, classes = sample_weights(x.dtype, target, x.shape[1], weight, ignore_index)
    return _cross_entropy(x, target, classes, scale, ignore_index, reduction)


@kernel
def _cross_entropy(x: Any, target: Any, classes: Any, scale: Any, ignore_index: Any, reduction: Any) -> Any:
    # The exponentials are saved for the gradient: 1024 x 96 takes 0.5 ms with the gradient, log_softmax
    # and nll_loss 1.6 ms.
    xp = namespace_of(x)
    n, c = x.shape
    places = classes + xp.arange(0, n * c, max(c, 1))
    e = xp.empty((n, c), x.dtype)
    if x.size:
        top, total = _exponentials(x, e)
        loss = xp.log(total) + (top.reshape(-1) - x.take(places))
    else:
        loss = total = x.sum(axis=1)
    if scale is None:
        scale = x.dtype.type(1)
        count = x.dtype.type(n)
    else:
        loss = xp.where(scale == 0, x.dtype.type(0), loss * scale)
        count = scale.sum()
    if reduction != "none":
        loss = loss.sum()
    if reduction == "mean":
        loss = loss / count
        # If all samples are ignored the mean is nan, but their gradients are still 0.
        scale = scale / count if scale.ndim == 0 else xp.where(target == ignore_index, x.dtype.type(0), scale / count)
    return loss, e, total, scale, places


@kernel
def cross_entropy_gradient(g: Any, exponentials: Any, total: Any, scale: Any, places: Any) -> Any:
    """The gradient of the logits."""
    scale = scale * g
    out, factor = namespace_of(exponentials).empty_like(exponentials), scale / total
    if not run(_scaled, [exponentials, out], [factor]):
        namespace_of(out).multiply(exponentials, factor[:, None], out=out)
    out.reshape(-1)[places] -= scale
    return out, None, None, None, None


def _exponentials(x: Any, out: Any) -> Any:
    """`exponentials(x, out)`, by a compiled loop where there is one."""
    top, total = np.empty(len(x), x.dtype), np.empty(len(x), x.dtype)
    return (top, total) if run(_exponentials_of_row, [x, out], [top, total]) else exponentials(x, out)


def _exponentials_of_row(row: Row, x: Term, out: Term, top: Term, total: Term) -> None:
    top[...] = row.max(x)
    out[...] = row.exp(x - top)
    total[...] = row.sum(out)


def _scaled(row: Row, x: Term, out: Term, factor: Term) -> None:
    out[...] = x * factor


def sample_weights(dtype: Any, target: Any, count: int, weight: Any, ignore_index: int) -> tuple[Any, Any]:
    """The factor of each sample (None if all are 1), and its class (0 if it is ignored)."""
    target = target.astype(np.int64, copy=False)
    scale = None
    if type(target) is not np.ndarray:  # on a GPU this would wait
        kept = target != ignore_index
        outside = ((target < 0) | (target >= count)) & kept
        refuse(outside, BadIndex, f"{{}} is out of range: {count} classes go from 0 to {count - 1}", "class", target)
        scale, target = kept.astype(dtype), target * kept
    # As unsigned, a negative number is a large one: one pass instead of four.
    elif target.size and (0 <= ignore_index < count or int(target.view(np.uint64).max()) >= count):
        kept = target != ignore_index
        outside = ((target < 0) | (target >= count)) & kept
        if bool(outside.any()):
            first = int(target[outside][0])
            raise BadIndex(f"class {first} is out of range: {count} classes go from 0 to {count - 1}", argument="target", got=first)
        scale = kept.astype(dtype)
        target = target * kept
    if weight is not None and count:
        scale = weight[target] if scale is None else scale * weight[target]
    return scale, target
