"""Lookup tables of vectors."""

from __future__ import annotations

from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn import init
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.nn.parameter import Parameter
from tinygrad_lite.ops.creation.factories import empty

__all__ = ["Embedding", "EmbeddingBag"]


class _Table(Module):
    """`weight` (num_embeddings, embedding_dim) starts standard normal, with zeros at padding_idx."""

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: Any, weight: Any, freeze: bool, where: Any, lookup: Any):
        super().__init__()
        self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse = lookup
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise BadValue(f"padding_idx {padding_idx} is not one of the {num_embeddings} embeddings", function=self._get_name())
            padding_idx %= num_embeddings
        self.padding_idx = padding_idx
        if weight is None:
            self.weight = Parameter(empty((num_embeddings, embedding_dim), **where), requires_grad=not freeze)
            self.reset_parameters()
        else:
            if tuple(weight.shape) != (num_embeddings, embedding_dim):
                raise BadValue(
                    f"the weight's shape {tuple(weight.shape)} does not match num_embeddings {num_embeddings} "
                    f"and embedding_dim {embedding_dim}",
                    function=self._get_name(),
                )
            self.weight = Parameter(weight, requires_grad=not freeze)

    def reset_parameters(self) -> None:
        init.normal_(self.weight)
        if self.padding_idx is not None:
            init.zeros_(self.weight.data[self.padding_idx])

    def _shown(self, *defaults: tuple[str, Any]) -> str:
        notes = [f"{name}={getattr(self, name)!r}" for name, default in defaults if getattr(self, name) != default]
        return ", ".join([f"{self.num_embeddings}, {self.embedding_dim}", *notes])


class Embedding(_Table):
    """Row `input[i]` of the table, for integers of any shape (...) -> (..., embedding_dim).

    The row at `padding_idx` gets no gradient. `max_norm`: rows that are looked up are first scaled down to this norm,
    in place.

    >>> from tinygrad_lite import nn, tensor
    >>> table = nn.Embedding.from_pretrained(tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]]))
    >>> table(tensor([2, 1, 2]))
    tensor([[3., 4.],
            [1., 2.],
            [3., 4.]])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
        _weight: Tensor | None = None,
        _freeze: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        where, lookup = {"device": device, "dtype": dtype}, (max_norm, norm_type, scale_grad_by_freq, sparse)
        super().__init__(num_embeddings, embedding_dim, padding_idx, _weight, _freeze, where, lookup)

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(input, self.weight, self.padding_idx, self.max_norm, self.norm_type, self.scale_grad_by_freq, self.sparse)

    def extra_repr(self) -> str:
        return self._shown(("padding_idx", None), ("max_norm", None), ("norm_type", 2), ("scale_grad_by_freq", False), ("sparse", False))

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        sparse: bool = False,
    ) -> Embedding:
        """A layer with a given table (rows, dim); frozen unless `freeze=False`.

        >>> from tinygrad_lite import nn, tensor
        >>> nn.Embedding.from_pretrained(tensor([[1.0, 2.0]])).weight.requires_grad
        False
        """
        if embeddings.ndim != 2:
            raise BadValue(function="from_pretrained", expected="a table of 2 dimensions", got=tuple(embeddings.shape))
        rows, dim = embeddings.shape
        return cls(rows, dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse, embeddings, freeze)


class EmbeddingBag(_Table):
    """The sum, mean or maximum of several rows: input (B, n), or flat with `offsets` (B,), the start of each bag, -> (B,
    embedding_dim).

    >>> from tinygrad_lite import nn, tensor
    >>> bag = nn.EmbeddingBag.from_pretrained(tensor([[0.0, 0.0], [1.0, 2.0], [3.0, 4.0]]), mode="sum")
    >>> bag(tensor([[0, 1], [1, 2]]))
    tensor([[1., 2.],
            [4., 6.]])
    >>> bag(tensor([0, 1, 1, 2]), offsets=tensor([0, 1]))  # rows 0; 1, 1 and 2
    tensor([[0., 0.],
            [5., 8.]])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ):
        where, lookup = {"device": device, "dtype": dtype}, (max_norm, norm_type, scale_grad_by_freq, sparse)
        super().__init__(num_embeddings, embedding_dim, padding_idx, _weight, False, where, lookup)
        self.mode = mode
        self.include_last_offset = include_last_offset

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        shown = self._shown(("max_norm", None), ("norm_type", 2), ("scale_grad_by_freq", False))
        return f"{shown}, mode={self.mode!r}" + ("" if self.padding_idx is None else f", padding_idx={self.padding_idx}")

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> EmbeddingBag:
        """A layer with a given table (rows, dim); frozen unless `freeze=False`.

        >>> from tinygrad_lite import nn, tensor
        >>> nn.EmbeddingBag.from_pretrained(tensor([[1.0, 2.0]]), freeze=False).weight.requires_grad
        True
        """
        if embeddings.ndim != 2:
            raise BadValue(function="from_pretrained", expected="a table of 2 dimensions", got=tuple(embeddings.shape))
        rows, dim = embeddings.shape
        options = max_norm, norm_type, scale_grad_by_freq, mode, sparse
        layer = cls(rows, dim, *options, embeddings, include_last_offset, padding_idx)
        layer.weight.requires_grad_(not freeze)
        return layer
