"""A batch of sequences of different lengths without padding: what nn.utils.rnn packs and recurrent layers read."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadValue


class _Packed(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Packed):
    """All elements of a batch of sequences, step by step: step t has the elements of the first `batch_sizes[t]`
    sequences, which are sorted by decreasing length. `sorted_indices` sorts the original batch and `unsorted_indices`
    restores it; both are None if it was sorted already.

    >>> from tinygrad_lite import nn, tensor
    >>> packed = nn.utils.rnn.pack_sequence([tensor([4, 5]), tensor([1, 2, 3])], enforce_sorted=False)
    >>> packed.data, packed.batch_sizes, packed.sorted_indices
    (tensor([1, 4, 2, 5, 3]), tensor([2, 2, 1]), tensor([1, 0]))
    """

    __slots__ = ()

    def __new__(
        cls,
        data: Tensor,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> PackedSequence:
        if batch_sizes is None:
            raise BadValue("batch_sizes is missing", function="PackedSequence")
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """Convert the elements to another dtype or move them to another device."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        moved = [None if i is None else i.to(data.device) for i in self[2:]]
        return PackedSequence(data, self.batch_sizes, *moved)

    def cpu(self) -> PackedSequence:
        return self.to("cpu")

    def cuda(self, *args: Any) -> PackedSequence:
        return self.to(*args or ("cuda",))

    def double(self) -> PackedSequence:
        return self.to(np.float64)

    def float(self) -> PackedSequence:
        return self.to(np.float32)

    def half(self) -> PackedSequence:
        return self.to(np.float16)

    def pin_memory(self) -> PackedSequence:
        return self

    @property
    def is_cuda(self) -> bool:
        return self.data.is_cuda


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The inverse of a permutation.

    >>> from tinygrad_lite import tensor
    >>> invert_permutation(tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    return None if permutation is None else permutation.argsort()
