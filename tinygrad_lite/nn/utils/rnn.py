"""Batches of sequences of different lengths, padded or packed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadType, BadValue, Refusal
from tinygrad_lite.nn.packed_sequence import PackedSequence, invert_permutation
from tinygrad_lite.ops.creation.conversion import from_numpy
from tinygrad_lite.ops.creation.factories import full
from tinygrad_lite.ops.movement.joining import cat

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pack_sequence", "pad_packed_sequence",
    "pad_sequence", "unpack_sequence", "unpad_sequence",
]  # fmt: skip


def _lengths(lengths: Any) -> np.ndarray:
    return np.asarray(lengths.cpu().numpy() if isinstance(lengths, Tensor) else lengths, np.int64)


def pack_padded_sequence(input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True) -> PackedSequence:
    """Pack a padded batch (T, B, ...), or (B, T, ...) if `batch_first`, of sequences of `lengths`.

    `enforce_sorted`: the sequences must be sorted by decreasing length; otherwise they are sorted here.

    >>> from tinygrad_lite import tensor
    >>> pack_padded_sequence(tensor([[1, 2, 3], [4, 5, 0]]), [3, 2], batch_first=True).data
    tensor([1, 4, 2, 5, 3])
    """
    if batch_first:
        input = input.transpose(0, 1)
    count = _lengths(lengths)
    steps, batch = input.shape[:2]
    if count.shape != (batch,):
        raise Refusal(function="pack_padded_sequence", expected=f"a length for each of {batch} sequences", got=count.tolist())
    if not batch or count.min() <= 0 or count.max() > steps:
        raise Refusal(f"lengths must lie from 1 to {steps}, got {count.tolist()}", function="pack_padded_sequence", got=count.tolist())
    order = None
    if not enforce_sorted:
        places = np.argsort(-count, kind="stable")
        count, order = count[places], from_numpy(places).to(input.device)
        input = input.index_select(1, order)
    elif (count[1:] > count[:-1]).any():
        raise Refusal(
            f"lengths {count.tolist()} are not sorted in decreasing order",
            function="pack_padded_sequence",
            hint="pass enforce_sorted=False",
        )
    sizes = (count[None] > np.arange(count[0])[:, None]).sum(1)
    taken = np.concatenate([t * batch + np.arange(n) for t, n in enumerate(sizes)])
    flat = input.reshape(steps * batch, *input.shape[2:])
    return PackedSequence(flat.index_select(0, from_numpy(taken).to(input.device)), from_numpy(sizes), order)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The padded batch (T, B, ...), or (B, T, ...) if `batch_first`, in its original order, and the lengths.

    >>> from tinygrad_lite import tensor
    >>> pad_packed_sequence(pack_sequence([tensor([1, 2, 3]), tensor([4, 5])]), batch_first=True)
    (tensor([[1, 2, 3],
            [4, 5, 0]]), tensor([3, 2]))
    """
    if not isinstance(sequence, PackedSequence):
        raise BadType(function="pad_packed_sequence", expected="a PackedSequence", got=type(sequence).__name__)
    data, batch_sizes, _, back = sequence
    sizes = batch_sizes.numpy()
    length = len(sizes) if total_length is None else total_length
    if length < len(sizes):
        raise BadValue(f"total_length {length} is less than the longest sequence, {len(sizes)}", function="pad_packed_sequence")
    # The index of each element of the padded batch among the packed ones, which the padding follows.
    places = np.full((length, sizes[0]), len(data))
    starts = np.cumsum(sizes) - sizes
    for t, (start, n) in enumerate(zip(starts, sizes)):
        places[t, :n] = start + np.arange(n)
    padding = full((1, *data.shape[1:]), padding_value, dtype=data.dtype, device=data.device)
    flat = cat([data, padding]).index_select(0, from_numpy(places.reshape(-1)).to(data.device))
    padded = flat.reshape(length, sizes[0], *data.shape[1:])
    lengths = (sizes[None] > np.arange(sizes[0])[:, None]).sum(1)
    if back is not None:
        padded = padded.index_select(1, back)
        lengths = lengths[back.cpu().numpy()]
    return padded.transpose(0, 1) if batch_first else padded, from_numpy(lengths)


def pad_sequence(sequences: Sequence[Tensor], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right") -> Tensor:
    """Pad sequences (length, ...) of different lengths to one batch (T, B, ...), or (B, T, ...) if `batch_first`.

    >>> from tinygrad_lite import tensor
    >>> pad_sequence([tensor([1, 2, 3]), tensor([4])], batch_first=True)
    tensor([[1, 2, 3],
            [4, 0, 0]])
    """
    if padding_side not in ("left", "right"):
        raise BadValue(function="pad_sequence", argument="padding_side", expected="padding_side 'left' or 'right'", got=repr(padding_side))
    sequences = list(sequences)
    if not sequences or not all(isinstance(s, Tensor) for s in sequences):
        raise BadType(function="pad_sequence", expected="a non-empty list of Tensors")
    longest = max(s.shape[0] for s in sequences)
    rest = sequences[0].shape[1:]
    rows = []
    for s in sequences:
        if s.shape[1:] != rest:
            raise BadValue(f"the dims after the first must agree, got {tuple(s.shape)} and (*, {rest})", function="pad_sequence")
        padding = full((longest - s.shape[0], *rest), padding_value, dtype=s.dtype, device=s.device)
        rows.append(cat([padding, s] if padding_side == "left" else [s, padding]).unsqueeze(0 if batch_first else 1))
    return cat(rows, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Any, batch_first: bool = False) -> list[Tensor]:
    """The sequences of a padded batch, each with its own length.

    >>> from tinygrad_lite import tensor
    >>> unpad_sequence(tensor([[1, 2, 3], [4, 5, 0]]), tensor([3, 2]), batch_first=True)
    [tensor([1, 2, 3]), tensor([4, 5])]
    """
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [sequence[:length] for sequence, length in zip(padded_sequences, _lengths(lengths).tolist())]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (length, ...) of different lengths, sorted by decreasing length unless `enforce_sorted=False`.

    >>> from tinygrad_lite import tensor
    >>> packed = pack_sequence([tensor([1, 2, 3]), tensor([4, 5])])
    >>> packed.data, packed.batch_sizes
    (tensor([1, 4, 2, 5, 3]), tensor([2, 2, 1]))
    """
    lengths = [s.shape[0] for s in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The packed sequences, in their original order.

    >>> from tinygrad_lite import tensor
    >>> unpack_sequence(pack_sequence([tensor([1]), tensor([2, 3])], enforce_sorted=False))
    [tensor([1]), tensor([2, 3])]
    """
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
