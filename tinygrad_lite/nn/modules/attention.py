"""Multi-head attention."""

from __future__ import annotations

from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn import init
from tinygrad_lite.nn.modules.linear import NonDynamicallyQuantizableLinear
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.nn.parameter import Parameter
from tinygrad_lite.ops.creation.factories import empty

__all__ = ["MultiheadAttention"]


class MultiheadAttention(Module):
    """softmax(q k^T / sqrt(d)) v in each of `num_heads` heads, between linear projections (Vaswani et al., 2017).

    Query (L, N, embed_dim), key (S, N, kdim) and value (S, N, vdim), or (N, L, ...) if `batch_first`, or without N ->
    output (L, N, embed_dim). With `need_weights` the attention weights are returned too: (N, L, S), averaged over the
    heads, or (N, heads, L, S) if `average_attn_weights=False`. Masks are True (or -inf, added to the scores) where
    attention is not allowed: `key_padding_mask` (N, S), `attn_mask` (L, S) or (N * heads, L, S).

    >>> from tinygrad_lite import nn, randn
    >>> query, memory = randn(5, 2, 8), randn(7, 2, 8)
    >>> out, weights = nn.MultiheadAttention(8, num_heads=4)(query, memory, memory)
    >>> out.shape, weights.shape, weights[0, 0].sum().round(decimals=4).item()
    ((5, 2, 8), (2, 5, 7), 1.0)
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ):
        if embed_dim <= 0 or num_heads <= 0:
            raise BadValue(f"embed_dim and num_heads must be greater than 0, got {embed_dim} and {num_heads} instead")
        if embed_dim % num_heads:
            raise BadValue(f"embed_dim must be divisible by num_heads, got {embed_dim} and {num_heads}")
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        self.add_zero_attn = add_zero_attn

        def parameter(wanted: bool, *shape: int) -> Parameter | None:
            return Parameter(empty(shape, device=device, dtype=dtype)) if wanted else None

        separate = not self._qkv_same_embed_dim
        self.register_parameter("q_proj_weight", parameter(separate, embed_dim, embed_dim))
        self.register_parameter("k_proj_weight", parameter(separate, embed_dim, self.kdim))
        self.register_parameter("v_proj_weight", parameter(separate, embed_dim, self.vdim))
        self.register_parameter("in_proj_weight", parameter(not separate, 3 * embed_dim, embed_dim))
        self.register_parameter("in_proj_bias", parameter(bias, 3 * embed_dim))
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, device=device, dtype=dtype)
        self.register_parameter("bias_k", parameter(add_bias_kv, 1, 1, embed_dim))
        self.register_parameter("bias_v", parameter(add_bias_kv, 1, 1, embed_dim))
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        swap = self.batch_first and query.ndim == 3
        if swap:
            query, key, value = (t.transpose(0, 1) for t in (query, key, value))
        out, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            use_separate_proj_weight=not self._qkv_same_embed_dim,
            q_proj_weight=self.q_proj_weight,
            k_proj_weight=self.k_proj_weight,
            v_proj_weight=self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
        return (out.transpose(0, 1) if swap else out), weights
