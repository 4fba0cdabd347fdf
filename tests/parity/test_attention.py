"""Attention against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from tests.parity.compare import Fixed, compare, refused, torch

F = "nn.functional."
SDPA = F + "scaled_dot_product_attention"
MHA = F + "multi_head_attention_forward"
draw = np.random.default_rng(61)


def normal(*shape):
    return draw.standard_normal(shape)


@pytest.fixture(autouse=True)
def composed():
    """PyTorch differentiates only its composition twice."""
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        yield


both_dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
q, k, v = normal(2, 3, 4, 5), normal(2, 3, 6, 5), normal(2, 3, 6, 7)
mask = draw.uniform(size=(4, 6)) < 0.6
mask[:, 0] = True
nothing = mask.copy()
nothing[1] = False


@both_dtypes
def test_attention(dtype):
    limits = {"rtol": 2e-4, "atol": 2e-4} if dtype == "float32" else {}

    def check(*args, **kwargs):
        compare(SDPA, *args, dtype=dtype, **limits, **kwargs)

    check(q, k, v)
    check(q, k, v, scale=0.3)
    check(q, k, v, Fixed(mask))
    check(q, k, v, Fixed(draw.uniform(size=(2, 1, 4, 6)) < 0.8))
    check(q, k, v, Fixed(mask[:1]))
    check(q, k, v, normal(4, 6))
    check(q, k, v, Fixed(normal(4, 6).astype("float32")))
    check(q, k, v, normal(2, 1, 1, 6))
    check(q, q, q, is_causal=True)
    check(q, k, v, is_causal=True)
    check(q, k[:, :, :2], v[:, :, :2], is_causal=True)
    check(q[0], k[0], v[0])
    check(q[0, 0], k[0, 0], v[0, 0], is_causal=True)
    check(normal(2, 6, 4, 5), k, v, enable_gqa=True)
    check(q, k[:1], v[:, :1])
    check(q[:, :, :0], k, v)
    check(q * 100, k, v, order=0)


@both_dtypes
def test_nothing_to_attend_to(dtype):
    compare(SDPA, q, k, v, Fixed(nothing), dtype=dtype, order=1)
    compare(SDPA, q, k, v, Fixed(np.where(nothing, 0, -np.inf)), dtype=dtype, order=0)
    compare(SDPA, q, k[:, :, :0], v[:, :, :0], dtype=dtype, order=0)


@pytest.mark.parametrize("queries, keys, mask", [((2, 4), (0, 4), (3, 2, 0)), ((1, 0, 4), (1, 3, 4), (5, 1, 3)), ((2, 4), (0, 4), (7, 5))])
def test_a_mask_of_no_scores_has_no_say(queries, keys, mask):
    def library(m):
        def call(q, k):
            numbers = m.zeros(*mask, dtype=q.dtype, requires_grad=True)
            out = m.nn.functional.scaled_dot_product_attention(q, k, k, numbers)
            out.sum().backward(retain_graph=True)
            assert numbers.grad is None
            return out

        return call

    compare(library, np.ones(queries), np.ones(keys), order=1)


def test_large_and_transposed():
    x = normal(16, 64, 3, 4, 32)

    def library(m):
        def call(x):
            q, k, v = x.unbind(2)
            out = m.nn.functional.scaled_dot_product_attention(*(t.transpose(1, 2) for t in (q, k, v)), is_causal=True)
            return out.transpose(1, 2).reshape(16, 64, 128)

        return call

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.FLASH_ATTENTION):
        compare(library, x, order=1, dtype="float32", rtol=2e-4, atol=2e-4)


def test_dropout():
    import tinygrad_lite as tg

    one = tg.ones(1, 400, 1)
    out = tg.nn.functional.scaled_dot_product_attention(one, one, one, dropout_p=0.25)
    assert abs(out.mean().item() - 1) < 0.01 and 0.01 < out.std().item() < 0.06
    compare(SDPA, q, k, v, dropout_p=1.0, order=0)


def test_refusals():
    refused(SDPA, q, normal(2, 3, 6, 4), v)
    refused(SDPA, q, k.astype("float32"), v)
    refused(SDPA, *(t.astype(int) for t in (q, k, v)))
    refused(SDPA, q[0, 0, 0], k, v)
    refused(SDPA, q, k, v, np.ones((4, 6), int))
    refused(SDPA, q.astype("float32"), k.astype("float32"), v.astype("float32"), np.ones((4, 6)))
    refused(SDPA, q, k, v, np.ones((3, 6)))
    refused(SDPA, q, k, v, np.ones((4, 6)), is_causal=True)
    refused(SDPA, q, k, v, np.ones((4, 6), bool), is_causal=True)
    refused(SDPA, normal(2, 5, 4, 5), k, v, enable_gqa=True)
    refused(SDPA, q, k, v, dropout_p=1.5)


L, S, N, E, H = 4, 6, 2, 6, 3


def mha(query, key, value, dtype="float64", own=False, kdim=E, vdim=E, bias=True, bias_kv=False, zero=False, order=1, **kwargs):
    weights = {}
    if own:
        shapes = ((E, E), (E, kdim), (E, vdim))
        weights = {f"{n}_proj_weight": normal(*s) for n, s in zip("qkv", shapes)} | {"use_separate_proj_weight": True}
    packed = None if own else normal(3 * E, E)
    vectors = (normal(3 * E) if bias else None, *(normal(1, 1, E) if bias_kv else None for _ in range(2)))
    out = normal(E, E), normal(E) if bias else None
    args = (query, key, value, E, H, packed, *vectors, zero, 0.0, *out)
    limits = {"rtol": 3e-4, "atol": 3e-4} if dtype == "float32" else {}
    compare(MHA, *args, dtype=dtype, order=order, **weights, **limits, **kwargs)


@pytest.mark.parametrize("need_weights", [True, False])
def test_multi_head(need_weights):
    query, key = normal(L, N, E), normal(S, N, E)
    square = np.triu(np.ones((L, L), bool), 1)
    padding = np.zeros((N, S), bool)
    padding[1, 4:] = True
    common = {"need_weights": need_weights}

    def library(m):  # the same tensor three times
        def call(x, packed, bias, out):
            return m.nn.functional.multi_head_attention_forward(
                x, x, x, E, H, packed, bias, None, None, False, 0.0, out, None, need_weights=need_weights
            )

        return call

    compare(library, query, normal(3 * E, E), normal(3 * E), normal(E, E))
    mha(query, key, key, **common)
    mha(query, key, key, dtype="float32", **common)
    mha(query, key, normal(S, N, E), bias=False, **common)
    mha(query, normal(S, N, 5), normal(S, N, 7), own=True, kdim=5, vdim=7, **common)
    mha(query, query, query, attn_mask=Fixed(square), **common)
    mha(query, query, query, attn_mask=Fixed(square), is_causal=True, **common)
    mha(query, key, key, attn_mask=normal(N * H, L, S), **common)
    mha(query, key, key, key_padding_mask=Fixed(padding), **common)
    masks = {"key_padding_mask": Fixed(padding), "attn_mask": Fixed(np.eye(L, S, dtype=bool))}
    mha(query, key, key, bias_kv=True, zero=True, **masks, **common)
    mha(query[:, 0], key[:, 0], key[:, 0], key_padding_mask=Fixed(padding[1]), **common)
    mha(query, key, key, static_k=normal(N * H, 5, E // H), static_v=normal(N * H, 5, E // H), **common)
    mha(query, key, key, average_attn_weights=False, **common)


def test_multi_head_refusals():
    query, key = normal(L, N, E), normal(S, N, E)
    rest = (normal(3 * E, E), None, None, None, False, 0.0, normal(E, E), None)
    with pytest.raises(ValueError):
        import tinygrad_lite as tg

        tensors = [tg.tensor(a) if isinstance(a, np.ndarray) else a for a in rest]
        x = tg.tensor(query)
        tg.nn.functional.multi_head_attention_forward(x, x, x, 5, H, *tensors)
    refused(MHA, query, key, key, E, H, *rest, is_causal=True)
    refused(MHA, query, key, key, E, H, *rest, attn_mask=np.zeros((L, L), bool))
