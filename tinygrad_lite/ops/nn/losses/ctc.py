"""Connectionist temporal classification: labels without alignment (Graves et al. 2006)."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays import as_array, device_of, int64, namespace_of, only_floats, to_device
from tinygrad_lite.arrays.deferred_checks import left_to_program
from tinygrad_lite.arrays.errors import BadIndex, BadType, BadValue
from tinygrad_lite.arrays.gpu import is_symbol
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import exp
from tinygrad_lite.ops.math.elementary import logaddexp
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.indexing import gather
from tinygrad_lite.ops.nn.losses.elementwise import reduced, reduction_of
from tinygrad_lite.ops.nn.padding import pad
from tinygrad_lite.ops.reduction.sums import sum
from tinygrad_lite.ops.typing import Tensor

__all__ = ["ctc_loss"]

_NEVER = -1e30  # stands for log 0, but differences of it stay finite


@operation
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor | tuple[int, ...],
    target_lengths: Tensor | tuple[int, ...],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """The negative log-probability that a path through `log_probs` reads `targets` after merging repeated labels and then
    removing blanks.

    log_probs (T, N, C) or (T, C); targets (N, S), or all samples' labels concatenated. The mean is over samples, with each
    loss divided by its number of labels. `zero_infinity`: a loss that is inf because there are too few time steps counts as
    0. As in PyTorch, the gradient is that of the logits behind log_probs.

    >>> import tinygrad_lite as tg
    >>> log_probs = tg.full((2, 1, 2), 0.5).log()  # of four paths three read "a": aa, a_, _a
    >>> ctc_loss(log_probs, tg.tensor([[1]]), (2,), (1,)).neg().exp()
    tensor(0.7500)
    """
    name = "ctc_loss"
    reduction = reduction_of(name, reduction)
    only_floats(log_probs)
    if log_probs.ndim == 2:
        one = [x if raw(x).ndim else x.reshape(1) for x in (_lengths(input_lengths), _lengths(target_lengths))]
        loss = ctc_loss(log_probs[:, None], targets.reshape((-1,)), *one, blank, reduction, zero_infinity)  # type: ignore[call-arg]
        return loss.reshape(()) if reduction == "none" else loss
    if log_probs.ndim != 3:
        raise BadValue(argument="log_probs", expected="log_probs of shape (T, N, C) or (T, C)", got=tuple(log_probs.shape))
    steps, batch, classes = log_probs.shape
    if not 0 <= blank < classes:
        raise BadValue(f"blank {blank} is not among {classes} classes")
    lengths, counts = (to_device(_lengths(n), device_of(raw(log_probs))) for n in (input_lengths, target_lengths))
    for what, given, limit in (("input_lengths", lengths, steps), ("target_lengths", counts, None)):
        if given.shape != (batch,):
            raise BadValue(expected=f"{what} for {batch} samples", got=f"shape {given.shape}")
        outside = (given < 0) | (False if limit is None else given > limit)
        if left_to_program(outside, BadValue, f"{what} must lie between 0 and {limit}"):
            continue
        if given.size and (int(given.min()) < 0 or (limit is not None and int(given.max()) > limit)):
            raise BadValue(f"{what} must lie between 0 and {limit}, got {given.tolist()}", got=given.tolist())
    labels = _labels(targets, counts, classes)

    # The labels with blanks between and around, and where a path may skip a blank.
    xp = namespace_of(labels)
    states = xp.full((batch, 2 * labels.shape[1] + 1), blank, int64)
    states[:, 1::2] = labels
    skips = xp.zeros(states.shape, bool)
    skips[:, 2:] = (states[:, 2:] != blank) & (states[:, 2:] != states[:, :-2])
    emitted = gather(log_probs, 2, xp.broadcast_to(states, (steps, *states.shape)))

    # alpha: the log-probability of all prefixes that end in a state.
    alpha = where(xp.arange(states.shape[1]) < 2, emitted[0], _NEVER)
    for t in range(1, steps):
        earlier = pad(alpha, (2, 0), value=_NEVER)
        moved = logaddexp(logaddexp(alpha, earlier[:, 1:-1]), where(skips, earlier[:, :-2], _NEVER)) + emitted[t]
        alpha = moved if not is_symbol(lengths) and bool((lengths > t).all()) else where((lengths > t)[:, None], moved, alpha)
    last = gather(alpha, 1, (2 * counts)[:, None])[:, 0]
    label = gather(alpha, 1, xp.maximum(2 * counts - 1, 0)[:, None])[:, 0]
    loss = -logaddexp(last, where(counts > 0, label, _NEVER))
    loss = where(raw(loss) > -_NEVER / 2, 0.0 if zero_infinity else math.inf, loss + _of_the_logits(log_probs, lengths))
    if reduction == "mean":
        loss = loss / xp.maximum(counts, 1).astype(log_probs.dtype)
    return reduced(loss, reduction)


def _of_the_logits(log_probs: Any, lengths: Any) -> Any:
    """0, with the gradient of the log-sums of probabilities (which are 1)."""
    probabilities = exp(log_probs)
    steps = namespace_of(lengths).arange(log_probs.shape[0])
    return sum(where((steps[:, None] < lengths)[:, :, None], probabilities - raw(probabilities), 0.0), (0, 2))


def _lengths(lengths: Any) -> Any:
    array = raw(lengths)
    array = as_array(array)
    if array.dtype.kind != "i" and array.size:
        raise BadType(argument="lengths", expected="lengths as integers", got=array.dtype)
    return array.astype(int64)


def _labels(targets: Any, counts: Any, classes: int) -> Any:
    """The labels as a matrix (N, longest), padded with class 0."""
    targets = raw(targets).astype(int64)
    xp = namespace_of(targets)
    if is_symbol(counts) and targets.ndim == 2:
        longest = targets.shape[1]
        left_to_program(counts > longest, BadValue, f"targets of shape {targets.shape} hold up to {longest} labels")
    else:
        longest = int(counts.max()) if counts.size else 0
    own = xp.arange(longest) < counts[:, None]
    if targets.ndim == 1:
        if int(counts.sum()) != targets.shape[0]:
            raise BadValue(f"target_lengths add up to {int(counts.sum())}, but there are {targets.shape[0]} labels")
        labels = xp.zeros(own.shape, int64)
        labels[own] = targets
    elif targets.ndim == 2 and targets.shape[0] == len(counts) and longest <= targets.shape[1]:
        labels = xp.where(own, targets[:, :longest], 0)
    else:
        raise BadValue(f"targets of shape {targets.shape} do not hold {len(counts)} times up to {longest} labels")
    problem = f"a label is out of range: {classes} classes go from 0 to {classes - 1}"
    outside = is_symbol(labels) and left_to_program((labels < 0) | (labels >= classes), BadIndex, problem)
    if not outside and labels.size and (int(labels.min()) < 0 or int(labels.max()) >= classes):
        raise BadIndex(problem)
    return labels
