"""Collating a list of samples into a batch."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops import as_tensor, stack, tensor


def default_convert(data: Any) -> Any:
    """A sample with its NumPy arrays (also inside dicts and sequences) converted to tensors.

    >>> import numpy as np
    >>> default_convert({"x": np.ones(2), "y": "name"})
    {'x': tensor([1., 1.], dtype=float64), 'y': 'name'}
    """
    if isinstance(data, Traced):
        return data
    if isinstance(data, np.ndarray) and data.dtype.kind in "biuf":
        return traced(data.astype(data.dtype.newbyteorder("="), copy=False))
    if isinstance(data, np.generic) and data.dtype.kind in "biuf":
        return traced(np.asarray(data))
    if isinstance(data, Mapping):
        return _like(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(default_convert, data))
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _like(data, [default_convert(value) for value in data])
    return data


def default_collate(batch: Sequence[Any]) -> Any:
    """Combine a list of samples into a batch. Tensors and arrays are stacked along a new first dim, on the tape if a
    sample is on it. Numbers become a tensor (Python floats as float64), strings stay as they are, and dicts and
    sequences are collated entry by entry. Raises RuntimeError if shapes or lengths differ, and TypeError for any
    other type.

    >>> default_collate([(1, "a"), (2, "b")])
    [tensor([1, 2]), ('a', 'b')]
    """
    first = batch[0]
    if isinstance(first, Traced):
        return _stacked(batch)
    if isinstance(first, np.ndarray):
        if first.dtype.kind not in "biuf":
            raise TypeError(f"default_collate: cannot make a tensor of arrays of dtype {first.dtype}")
        return _stacked([traced(value) if isinstance(value, np.ndarray) else as_tensor(value) for value in batch])
    if isinstance(first, (np.bool_, np.number)):
        return tensor(batch)
    if isinstance(first, float):
        return tensor(batch, dtype=np.float64)
    if isinstance(first, int):
        return tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _like(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("default_collate: each sample of a batch should have as many entries as the first")
        entries = [default_collate(entry) for entry in zip(*batch)]
        return type(first)(*entries) if hasattr(first, "_fields") else _like(first, entries)
    raise TypeError(
        "default_collate: expected tensors, arrays, numbers, strings, dicts or sequences in a batch, "
        f"got {type(first).__name__}"
    )


def _like(container: Any, values: Any) -> Any:
    """`values`, a dict or list, in a container of the same type if one can be made; otherwise a list for a tuple."""
    if isinstance(container, tuple):
        return values
    try:
        if not isinstance(container, (MutableMapping, MutableSequence)):
            return type(container)(values)
        result = copy.copy(container)
        for key, value in values.items() if isinstance(container, Mapping) else enumerate(values):
            result[key] = value
        return result
    except TypeError:  # from a copy, an assignment, or a constructor with a different signature
        return values


def _stacked(tensors: Sequence[Any]) -> Any:
    for value in tensors:
        if not isinstance(value, Traced):
            raise TypeError(f"default_collate: expected a tensor in every sample, as in the first, got {type(value).__name__}")
    kinds = {(t.array.dtype, t.array.shape, t.requires_grad) for t in tensors}
    if len(kinds) == 1 and not tensors[0].requires_grad:  # off the tape, which halves the time
        return traced(namespace_of(tensors[0].array).stack([t.array for t in tensors]))
    if len(shapes := {shape for _, shape, _ in kinds}) > 1:
        raise RuntimeError(f"default_collate: the tensors of a batch must have one shape, got {sorted(shapes)}")
    return stack(tensors)
