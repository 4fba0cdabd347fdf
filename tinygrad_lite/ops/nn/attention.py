"""Attention: averages of values, weighted by how well queries match keys."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lite.arrays import bool_, float32, namespace_of, only_floats
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.arrays.kernels.attention import attention, attention_gradient, causal_mask
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation, raw
from tinygrad_lite.ops.calculus import matmul, to_dtype
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.movement.broadcasting import expand
from tinygrad_lite.ops.movement.joining import cat
from tinygrad_lite.ops.movement.repeating import repeat_interleave
from tinygrad_lite.ops.movement.shape import reshape
from tinygrad_lite.ops.movement.transposing import permute, transpose
from tinygrad_lite.ops.nn.dropout import dropout
from tinygrad_lite.ops.nn.linear import linear
from tinygrad_lite.ops.nn.padding import pad
from tinygrad_lite.ops.nn.softmax import _softmax
from tinygrad_lite.ops.reduction.sums import mean
from tinygrad_lite.ops.typing import Tensor

# -- the primitive ------------------------------------------------------------------------------


@primitive(keeps=("weights",))
def _attention(query, key, value, mask, causal, scale):
    """`softmax(query @ key.mT * scale + mask) @ value`, and 0 for a query with nothing to attend to.

    mask: None, or numbers that broadcast to (..., L, S). `causal`: a query does not attend to later keys.
    """
    return attention(query, key, value, mask, causal, scale)


@_attention.fused_vjp("query", "key", "value", "mask")
def _(needs, g, query, key, value, weights, causal, scale):
    return attention_gradient(needs, g, query, key, value, weights, scale, causal)


def _weights(query: Any, key: Any, mask: Any, causal: bool, scale: float) -> Any:
    """`softmax(query @ key.mT * scale + mask)`, and 0 in rows with nothing to attend to."""
    scores = matmul(query * scale, transpose(key, -1, -2))
    if mask is not None:
        scores = scores + mask
    array = raw(scores)
    if causal:
        scores = scores + causal_mask(namespace_of(array), array)
    nothing = (raw(scores) == -math.inf).all(axis=-1, keepdims=True)
    return where(nothing, 0.0, _softmax(where(nothing, 0.0, scores), scores.ndim - 1))


@_attention.composed_of
def _composed(query, key, value, mask, causal, scale):
    return matmul(_weights(query, key, mask, causal, scale), value)


# -- the functions ------------------------------------------------------------------------------


@operation
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """`softmax(query @ key.mT * scale) @ value` (Vaswani et al., Attention is all you need).

    query (..., L, E), key (..., S, E), value (..., S, Ev) -> (..., L, Ev). `attn_mask` broadcasts to (..., L, S): True
    where a query may attend, or numbers to add to the scores. `is_causal`: query i attends to keys up to i. `scale`
    defaults to `1 / sqrt(E)`. `dropout_p`: the dropout probability of the weights. `enable_gqa`: key and value may have
    fewer heads (dim -3), each shared by equally many query heads. A query with nothing to attend to gets 0.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> scaled_dot_product_attention(x, x, x, is_causal=True)
    tensor([[1.0000, 0.0000],
            [0.3302, 0.6698]])
    """
    _check(query, key, value)
    if enable_gqa:
        key, value = _for_heads(query, key), _for_heads(query, value)
    if attn_mask is not None and is_causal:
        raise BadValue("give either attn_mask or is_causal, not both")
    mask = _as_numbers(attn_mask, query.dtype, True)
    if mask is not None and 0 in (*query.shape[:-1], *key.shape[:-1]):
        mask = None  # there are no scores to mask
    scores = query.shape[-2], key.shape[-2]
    if mask is not None and any(m not in (1, n) for m, n in zip(mask.shape[:-3:-1], scores[::-1])):
        wanted = f"attn_mask of shape (..., {scores[0]}, {scores[1]})"
        raise BadValue(argument="attn_mask", expected=wanted, got=tuple(mask.shape))
    scale = 1 / math.sqrt(query.shape[-1] or 1) if scale is None else float(scale)
    if not 0 <= dropout_p <= 1:
        raise BadValue(argument="dropout_p", expected="dropout_p between 0 and 1", got=dropout_p)
    if not dropout_p:
        return _attention(query, key, value, mask, bool(is_causal), scale)
    weights = _weights(query, key, mask, is_causal, scale)
    return matmul(dropout(weights, dropout_p), value)


def _check(query: Any, key: Any, value: Any) -> None:
    only_floats(query, key, value)
    query, key, value = (raw(tensor) for tensor in (query, key, value))
    if not query.dtype == key.dtype == value.dtype:
        raise BadType(expected="tensors of one dtype", got=f"{query.dtype}, {key.dtype} and {value.dtype}")
    if min(query.ndim, key.ndim, value.ndim) < 2 or query.shape[-1] != key.shape[-1] or key.shape[-2] != value.shape[-2]:
        shapes = f"{query.shape}, {key.shape}, {value.shape}"
        raise BadValue(expected="shapes (..., L, E), (..., S, E) and (..., S, Ev)", got=shapes)


def _for_heads(query: Any, tensor: Any) -> Any:
    """Key or value, with each head repeated for the query heads that share it."""
    if query.ndim < 3 or tensor.ndim < 3 or query.shape[-3] % (tensor.shape[-3] or 1):
        shapes = f"{tuple(tensor.shape)} do not divide those of {tuple(query.shape)}"
        raise BadValue(f"the heads (dim -3) of shape {shapes}")
    times = query.shape[-3] // tensor.shape[-3]
    return tensor if times == 1 else repeat_interleave(tensor, times, -3)


def _as_numbers(mask: Any, dtype: Any, allowed: bool) -> Any:
    """A mask as numbers to add to the scores. `allowed`: whether True in a bool mask allows or forbids attention."""
    if mask is None or mask.dtype == dtype:
        return mask
    if mask.dtype == float32:
        return to_dtype(mask, dtype)
    if mask.dtype != bool_:
        raise BadType(argument="mask", expected=f"a mask of bool or {dtype}", got=mask.dtype)
    array = raw(mask)
    zero, never = dtype.type(0), dtype.type(-math.inf)
    return namespace_of(array).where(array, *((zero, never) if allowed else (never, zero)))


@operation
def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Attention with `num_heads` heads between projections, as in nn.MultiheadAttention.

    query (L, N, E), key and value (S, N, ...), or without N. As in nn.MultiheadAttention, True in a mask forbids attention:
    attn_mask (L, S) or (N * num_heads, L, S), key_padding_mask (N, S). Returns the output (L, N, E) and, if `need_weights`,
    the weights (N, L, S), averaged over heads (otherwise (N, num_heads, L, S)).

    >>> import tinygrad_lite as tg
    >>> x, w = tg.ones(5, 2, 4), tg.eye(4)
    >>> arguments = (tg.cat([w, w, w]), None, None, None, False, 0.0, w, None)
    >>> y, weights = multi_head_attention_forward(x, x, x, 4, 2, *arguments)
    >>> y.shape, weights.shape
    ((5, 2, 4), (2, 5, 5))
    """
    if query.ndim not in (2, 3) or not query.ndim == key.ndim == value.ndim:
        shapes = [tuple(t.shape) for t in (query, key, value)]
        raise BadValue(expected="query, key and value all of 3 or all of 2 dimensions", got=f"shapes {shapes}")
    if query.ndim == 2:
        one = multi_head_attention_forward(
            query[:, None], key[:, None], value[:, None], embed_dim_to_check, num_heads, in_proj_weight, in_proj_bias,
            bias_k, bias_v, add_zero_attn, dropout_p, out_proj_weight, out_proj_bias, training,
            None if key_padding_mask is None else key_padding_mask[None], need_weights, attn_mask, use_separate_proj_weight,
            q_proj_weight, k_proj_weight, v_proj_weight, static_k, static_v, average_attn_weights, is_causal,
        )  # fmt: skip
        return one[0][:, 0], None if one[1] is None else one[1][0]
    length, batch, size = query.shape
    if size != embed_dim_to_check or size % num_heads:
        raise BadValue(argument="query", expected=f"a query of size {embed_dim_to_check}, a multiple of {num_heads} heads", got=size)
    if key.shape[:2] != value.shape[:2] or (not use_separate_proj_weight and key.shape != value.shape):
        raise BadValue(f"key of shape {tuple(key.shape)} and value of {tuple(value.shape)} do not go together")
    wanted = key.shape[0], batch if static_k is None else key.shape[1], key.shape[2] if use_separate_proj_weight else size
    if tuple(key.shape) != wanted:
        raise BadValue(argument="key", expected=f"a key of shape {wanted}", got=tuple(key.shape))
    if is_causal and attn_mask is None:
        raise BadValue("is_causal is a hint on what attn_mask holds, which is missing")
    if (bias_k is None) != (bias_v is None):
        raise BadValue("give both of bias_k and bias_v, or none")

    mask = _as_numbers(attn_mask, query.dtype, False)
    if mask is not None and tuple(mask.shape) not in ((length, key.shape[0]), (batch * num_heads, length, key.shape[0])):
        raise BadValue(f"attn_mask of shape {tuple(mask.shape)} is not (L, S) or (N * num_heads, L, S)")
    padding = _as_numbers(key_padding_mask, query.dtype, False)
    causal = is_causal and padding is None and not need_weights
    if causal:
        mask = None

    if use_separate_proj_weight:
        weights = q_proj_weight, k_proj_weight, v_proj_weight
    else:
        weights = (None,) * 3 if in_proj_weight is None else _thirds(in_proj_weight)
    if any(w is None for w in weights):
        raise BadValue("a projection's weight is missing")
    if not use_separate_proj_weight and query is key and key is value:
        q, k, v = _thirds(linear(query, in_proj_weight, in_proj_bias), -1)
    else:
        biases = (None,) * 3 if in_proj_bias is None else _thirds(in_proj_bias)
        q, k, v = (linear(t, w, b) for t, w, b in zip((query, key, value), weights, biases))
    extra = 0
    if bias_k is not None:
        k, v = (cat([t, expand(b, (1, batch, size))]) for t, b in ((k, bias_k), (v, bias_v)))  # type: ignore[type-var]
        extra += 1

    def heads(x: Any) -> Any:
        """(length, N, E) as (N, heads, length, E / heads)."""
        return permute(reshape(x, (x.shape[0], batch, num_heads, size // num_heads)), (1, 2, 0, 3))

    q = heads(q)
    k, v = (
        heads(t) if static is None else reshape(static, (batch, num_heads, *static.shape[1:]))
        for t, static in ((k, static_k), (v, static_v))
    )
    if add_zero_attn:
        k, v = pad(k, (0, 0, 0, 1)), pad(v, (0, 0, 0, 1))
        extra += 1
    if mask is not None:
        mask = reshape(pad(mask, (0, extra)), (*((batch, num_heads) if mask.ndim == 3 else ()), length, -1))
    if padding is not None:
        if tuple(padding.shape) != (batch, key.shape[0]):
            expected = (batch, key.shape[0])
            raise BadValue(argument="key_padding_mask", expected=f"a key_padding_mask of shape {expected}", got=tuple(padding.shape))
        padding = pad(padding, (0, extra))[:, None, None]
        mask = padding if mask is None else mask + padding
    dropout_p = dropout_p if training else 0.0

    chances: Any = None
    if need_weights:
        chances = dropout(_weights(q, k, mask, False, 1 / math.sqrt(size // num_heads)), dropout_p)
        out = matmul(chances, v)
    else:
        out = scaled_dot_product_attention(q, k, v, mask, dropout_p, causal)
    out = linear(reshape(permute(out, (2, 0, 1, 3)), (length, batch, size)), out_proj_weight, out_proj_bias)
    return out, mean(chances, 1) if need_weights and average_attn_weights else chances


def _thirds(x: Any, dim: int = 0) -> tuple[Any, Any, Any]:
    third = x.shape[dim] // 3
    parts = slice(third), slice(third, 2 * third), slice(2 * third, None)
    return tuple(x[(Ellipsis, part) if dim else part] for part in parts)
