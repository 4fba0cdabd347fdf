"""Attention and transformers against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.parity.compare import Fixed
from tests.parity.modules import compare_module, pair, refused

torch = pytest.importorskip("torch")

L, S, N, E = 3, 5, 2, 4
query, key, value = (L, N, E), (S, N, E), (S, N, E)
draw = np.random.default_rng(0)
padding = np.array([[False, False, True, False, True], [False, True, False, False, False]])
some_mask = np.triu(np.ones((L, S), bool), 2)
float_mask = Fixed(draw.standard_normal((L, S)))
causal = np.triu(np.ones((L, L), bool), 1)


@pytest.mark.parametrize(
    "options",
    [
        "",
        "bias=False",
        "add_bias_kv=True",
        "add_zero_attn=True",
        "add_bias_kv=True, add_zero_attn=True, bias=False",
        "dropout=0.0",
    ],
)
def test_attention(options):
    text = f"MultiheadAttention({E}, 2, {options})"
    compare_module(text, query, key, value)
    compare_module(text, query, key, value, need_weights=False)
    compare_module(text, query, key, value, average_attn_weights=False, modes=(True,))
    compare_module(text, (L, E), (S, E), (S, E), modes=(True,))


@pytest.mark.parametrize(
    "masks",
    [
        {"key_padding_mask": padding},
        {"attn_mask": some_mask},
        {"attn_mask": float_mask},
        {"attn_mask": some_mask, "key_padding_mask": padding},
        {"attn_mask": np.repeat(some_mask[None], 2 * N, 0), "need_weights": False},
        {"attn_mask": float_mask, "key_padding_mask": Fixed(np.where(padding, -np.inf, 0.0))},
    ],
    ids=lambda m: " ".join(m),
)
def test_masks(masks):
    compare_module(f"MultiheadAttention({E}, 2)", query, key, value, **masks)
    compare_module(
        f"MultiheadAttention({E}, 2, add_bias_kv=True, add_zero_attn=True)", query, key, value, modes=(True,), **masks
    )
    turned = [(n, m, E) for m, n, _ in (query, key, value)]
    compare_module(f"MultiheadAttention({E}, 2, batch_first=True)", *turned, modes=(True,), **masks)


def test_other_sizes_of_keys_and_values():
    compare_module(f"MultiheadAttention({E}, 2, kdim=3, vdim=5)", query, (S, N, 3), (S, N, 5))
    compare_module(f"MultiheadAttention({E}, 1, kdim=3, bias=False, batch_first=True)", (N, L, E), (N, S, 3), (N, S, E))


def test_causal_hint():
    compare_module(f"MultiheadAttention({E}, 2)", query, query, query, need_weights=False, attn_mask=causal, is_causal=True)


def test_dropout_of_attention():
    tg.manual_seed(0)
    layer = tg.nn.MultiheadAttention(E, 2, dropout=0.5)
    x = tg.randn(50, 40, E)
    out, weights = layer(x, x, x)
    assert 0.4 < (weights == 0).float().mean().item() < 0.5 or 0.2 < (weights == 0).float().mean().item() < 0.3
    silent, _ = layer.eval()(x, x, x)
    assert not np.allclose(out.detach().numpy(), silent.detach().numpy())


LAYER = f"{E}, 2, dim_feedforward=6, dropout=0"


@pytest.mark.parametrize(
    "options",
    [
        "",
        "activation='gelu'",
        "activation=nn.functional.silu",
        "norm_first=True",
        "bias=False",
        "batch_first=True, layer_norm_eps=1e-2",
    ],
)
def test_encoder_layer(options):
    text = f"TransformerEncoderLayer({LAYER}, {options})"
    compare_module(text, query, modes=(True,))
    turned = "batch_first" in options
    compare_module(text, (N, L, E) if turned else query, src_mask=causal, src_key_padding_mask=padding[:, :L], modes=(True,))


@pytest.mark.parametrize("options", ["", "norm_first=True, activation='gelu'", "batch_first=True, bias=False"])
def test_decoder_layer(options):
    text = f"TransformerDecoderLayer({LAYER}, {options})"
    shapes = [(N, L, E), (N, S, E)] if "batch_first" in options else [query, key]
    compare_module(text, *shapes, modes=(True,))
    masks = {
        "tgt_mask": causal,
        "memory_mask": some_mask,
        "tgt_key_padding_mask": padding[:, :L],
        "memory_key_padding_mask": padding,
    }
    masks["tgt_key_padding_mask"] = np.zeros((N, L), bool)
    compare_module(text, *shapes, modes=(True,), **masks)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_stacks():
    encoder = f"TransformerEncoder(nn.TransformerEncoderLayer({LAYER}), 2, nn.LayerNorm({E}))"
    compare_module(encoder, query, mask=causal, modes=(True,))
    compare_module(
        f"TransformerEncoder(nn.TransformerEncoderLayer({LAYER}), 2)", query, src_key_padding_mask=padding[:, :L], modes=(True,)
    )
    compare_module(f"TransformerDecoder(nn.TransformerDecoderLayer({LAYER}), 2)", query, key, tgt_mask=causal, modes=(True,))


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("options", ["", "batch_first=True, norm_first=True, activation='gelu'"])
def test_transformer(options):
    text = f"Transformer({E}, 2, 2, 1, dim_feedforward=6, dropout=0, {options})"
    shapes = [(N, S, E), (N, L, E)] if "batch_first" in options else [key, query]
    compare_module(text, *shapes, modes=(True,))
    mask = tg.nn.Transformer.generate_square_subsequent_mask(L)
    np.testing.assert_array_equal(mask.numpy(), torch.nn.Transformer.generate_square_subsequent_mask(L).numpy())
    compare_module(
        text,
        *shapes,
        modes=(True,),
        tgt_mask=Fixed(mask.numpy()),
        src_key_padding_mask=padding,
        memory_key_padding_mask=padding,
    )


@pytest.mark.filterwarnings("ignore:enable_nested_tensor", "ignore:The PyTorch API of nested")
def test_evaluation_of_an_encoder():
    ours, theirs = pair(f"TransformerEncoder(nn.TransformerEncoderLayer({LAYER}, batch_first=True), 2)")
    x = draw.standard_normal((N, S, E))
    out, expected = ours.eval()(tg.from_numpy(x)), theirs.eval()(torch.from_numpy(x))
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), rtol=1e-8)


def test_copies_of_a_layer_are_independent():
    layer = tg.nn.TransformerEncoderLayer(E, 2)
    stack = tg.nn.TransformerEncoder(layer, 2)
    assert stack.layers[0].linear1.weight is not stack.layers[1].linear1.weight
    assert (stack.layers[0].linear1.weight == layer.linear1.weight).all()
    assert stack.layers[0].activation is tg.nn.functional.relu


REFUSED = [
    ("MultiheadAttention(5, 2)",),
    ("MultiheadAttention(0, 2)",),
    ("MultiheadAttention(4, 0)",),
    ("MultiheadAttention(4, 2)", (L, N, 6), key, value),
    ("MultiheadAttention(4, 2)", query, (S, N, 4), (S + 1, N, 4)),
    ("MultiheadAttention(4, 2)", query, (S, N + 1, 4), (S, N + 1, 4)),
    ("MultiheadAttention(4, 2)", (L, N, 1, E), (S, N, 1, E), (S, N, 1, E)),
    ("MultiheadAttention(4, 2)", query, (S, E), (S, E)),
    ("TransformerEncoderLayer(4, 2, activation='tanh')",),
    ("TransformerEncoderLayer(4, 3)",),
    ("Transformer(4, 2, 1, 1, 4)", key, (L, N + 1, E)),
    ("Transformer(4, 2, 1, 1, 4)", (S, N, 6), (L, N, 6)),
]


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case[0]} {case[1:]}")
def test_refused(case):
    refused(*case)


def test_masks_of_the_wrong_shape():
    for m in (tg, torch):
        layer = m.nn.MultiheadAttention(E, 2)
        x = m.ones(L, N, E)
        with pytest.raises((RuntimeError, ValueError, AssertionError)):
            layer(x, x, x, attn_mask=m.zeros(L, L + 1))
        with pytest.raises((RuntimeError, ValueError, AssertionError)):
            layer(x, x, x, key_padding_mask=m.zeros(N, L + 1))
