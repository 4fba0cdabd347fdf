"""Layers against PyTorch's, from the same state: linear, convolution, pooling, padding, normalization, tables."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.parity.modules import built, compare_module, refused

torch = pytest.importorskip("torch")

x2, x3, x4, x5 = (4, 6), (3, 6, 9), (2, 6, 8, 9), (2, 4, 5, 6, 7)
integers = np.array([[1, 0, 4], [2, 2, 3]])

CASES = [
    ("Identity(54, unused=True)", x2),
    ("Linear(6, 5)", x2),
    ("Linear(6, 5, bias=False)", (2, 3, 6)),
    ("Linear(6, 1)", (6,)),
    ("Bilinear(6, 5, 3)", x2, (4, 5)),
    ("Bilinear(6, 5, 3, bias=False)", (2, 4, 6), (2, 4, 5)),
    ("Flatten()", x4),
    ("Flatten(0, 1)", x4),
    ("Unflatten(1, (2, 3))", x4),
    ("Conv1d(6, 4, 3)", x3),
    ("Conv1d(6, 4, 3, padding='same', dilation=2)", x3),
    ("Conv1d(6, 4, 4, padding='same', padding_mode='reflect')", x3),
    ("Conv2d(6, 4, 3, stride=2, padding=1)", x4),
    ("Conv2d(6, 4, (3, 2), padding=(1, 0), dilation=(2, 1), bias=False)", x4),
    ("Conv2d(6, 6, 3, groups=3, padding='valid')", x4),
    ("Conv2d(6, 4, 3, padding=(1, 2), padding_mode='circular')", x4),
    ("Conv2d(6, 4, 3, padding=1, padding_mode='replicate')", (6, 8, 9)),
    ("Conv3d(4, 2, 2, stride=(1, 2, 1))", x5),
    ("Conv3d(4, 2, 3, padding=1, padding_mode='replicate')", x5),
    ("ConvTranspose1d(6, 4, 3, stride=2, output_padding=1)", x3),
    ("ConvTranspose2d(6, 4, 3, stride=2, padding=1, groups=2)", x4),
    ("ConvTranspose2d(6, 4, 3, dilation=2, bias=False)", x4),
    ("ConvTranspose3d(4, 2, 2, stride=2)", x5),
    ("MaxPool1d(2)", x3),
    ("MaxPool1d(3, stride=2, padding=1, return_indices=True)", x3),
    ("MaxPool2d(2)", x4),
    ("MaxPool2d((3, 2), stride=(2, 1), padding=(1, 0), dilation=2, ceil_mode=True)", x4),
    ("MaxPool3d(2, return_indices=True)", x5),
    ("AvgPool1d(3, stride=2, padding=1)", x3),
    ("AvgPool2d(2)", x4),
    ("AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False)", x4),
    ("AvgPool2d(3, divisor_override=2)", x4),
    ("AvgPool3d(2)", x5),
    ("LPPool1d(2, 3)", x3),
    ("LPPool2d(1.5, (2, 3), stride=1)", np.random.default_rng(0).uniform(0.5, 2, x4)),
    ("LPPool3d(2, 2)", x5),
    ("AdaptiveAvgPool1d(4)", x3),
    ("AdaptiveAvgPool2d((3, None))", x4),
    ("AdaptiveAvgPool2d(1)", (6, 8, 9)),
    ("AdaptiveAvgPool3d((2, 3, 4))", x5),
    ("AdaptiveMaxPool1d(4)", x3),
    ("AdaptiveMaxPool2d((3, 4), return_indices=True)", x4),
    ("AdaptiveMaxPool3d(2)", x5),
    ("MaxUnpool1d(2)", (2, 3, 3), np.array([0, 3, 4] * 6).reshape(2, 3, 3)),
    ("MaxUnpool2d(2, stride=2)", (1, 1, 2, 2), np.array([[[[5, 2], [8, 15]]]])),
    ("MaxUnpool3d(2)", (1, 1, 1, 1, 2), np.array([[[[[5, 3]]]]])),
    *[(f"{kind}Pad{n}d({p})", x) for kind in ("Zero", "Reflection", "Replication", "Circular") for n, p, x in
      ((1, "(1, 2)", x3), (2, 2, x4), (2, "(1, 0, 2, 1)", x4), (3, 1, x5))],
    ("ConstantPad1d((2, 1), 3.5)", x3),
    ("ConstantPad2d((1, -1, 2, 0), -1)", x4),
    ("ConstantPad3d(1, 0.5)", x5),
    ("Unfold((2, 3), dilation=1, padding=1, stride=2)", x4),
    ("Fold((4, 5), (2, 2))", (2, 3 * 4, 12)),
    ("Upsample(scale_factor=2)", x4),
    ("Upsample(size=(5, 7), mode='bilinear', align_corners=True)", x4),
    ("Upsample(scale_factor=(1.5, 2.0), mode='bicubic')", x4),
    ("UpsamplingNearest2d(scale_factor=3)", x4),
    ("UpsamplingBilinear2d(size=(11, 12))", x4),
    ("PixelShuffle(2)", (2, 8, 3, 4)),
    ("PixelUnshuffle(2)", (2, 2, 6, 4)),
    ("ChannelShuffle(3)", x4),
    ("CosineSimilarity()", x2, x2),
    ("CosineSimilarity(dim=-1, eps=1e-4)", x4, x4),
    ("PairwiseDistance()", x2, x2),
    ("PairwiseDistance(p=1, keepdim=True)", x2, x2),
    ("Embedding(5, 3)", integers),
    ("Embedding(5, 3, padding_idx=-3)", integers),
    ("Embedding(5, 3, max_norm=1.0)", integers),
    ("Embedding(5, 3, scale_grad_by_freq=True)", integers),
    ("Embedding.from_pretrained(m.ones(5, 2), padding_idx=1)", integers),
    ("EmbeddingBag(5, 3)", integers),
    ("EmbeddingBag(5, 3, mode='sum', padding_idx=2)", integers),
    ("EmbeddingBag(5, 3, mode='max')", integers),
    ("LayerNorm(6)", x2),
    ("LayerNorm((8, 9), eps=1e-3, bias=False)", x4),
    ("LayerNorm(9, elementwise_affine=False)", x4),
    ("GroupNorm(3, 6)", x4),
    ("GroupNorm(2, 6, affine=False)", x3),
    ("RMSNorm(9)", x4),
    ("RMSNorm((8, 9), eps=1e-3, elementwise_affine=False)", x4),
    ("LocalResponseNorm(3, alpha=0.1)", x4),
]  # fmt: skip

NORMS = [
    ("BatchNorm1d(6)", x2),
    ("BatchNorm1d(6, momentum=None)", x3),
    ("BatchNorm2d(6, eps=1e-2, momentum=0.3)", x4),
    ("BatchNorm2d(6, affine=False)", x4),
    ("BatchNorm2d(6, track_running_stats=False)", x4),
    ("BatchNorm3d(4)", x5),
    ("InstanceNorm1d(6)", x3),
    ("InstanceNorm1d(9, affine=True)", (9, 6)),
    ("InstanceNorm2d(6, affine=True, track_running_stats=True)", x4),
    ("InstanceNorm3d(4, track_running_stats=True, momentum=0.4)", x5),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_layer(case):
    compare_module(*case)


@pytest.mark.parametrize("case", NORMS, ids=lambda case: case[0])
def test_normalization_over_several_batches(case):
    compare_module(*case, steps=3)


@pytest.mark.parametrize("text", ["Linear(6, 5)", "BatchNorm2d(6)", "Conv2d(6, 4, 3)", "LayerNorm(9)", "GroupNorm(3, 6)"])
def test_float32_stays_float32(text):
    compare_module(text, (2, 6, 8, 6) if "Linear" in text else x4, dtype="float32")


def test_output_size_of_a_transposed_convolution():
    for size in ((15, 17), (2, 4, 16, 18), [16, 17]):
        compare_module("ConvTranspose2d(6, 4, 3, stride=2, padding=1)", x4, output_size=size)
    refused("ConvTranspose2d(6, 4, 3, stride=2, padding=1)", x4, output_size=(20, 17))


def test_embedding_bags_with_offsets():
    flat, offsets = np.array([1, 2, 4, 0, 3, 3]), np.array([0, 2, 2])
    compare_module("EmbeddingBag(5, 3)", flat, offsets)
    compare_module("EmbeddingBag(5, 3, mode='sum', include_last_offset=True)", flat, np.array([0, 3, 6]))
    compare_module("EmbeddingBag(5, 3, mode='sum')", flat, offsets, (6,))


REFUSED = [
    ("Linear(6, 5)", (4, 5)),
    ("Bilinear(0, 5, 3)",),
    ("Bilinear(6, 5, 3)", (4, 5), (4, 5)),
    ("Conv2d(3, 4, 3)", (2, 1, 8, 8)),
    ("Conv2d(3, 4, 3)", (2, 8)),
    ("Conv2d(3, 4, 3, groups=2)",),
    ("Conv2d(4, 3, 3, groups=2)",),
    ("Conv2d(4, 4, 3, groups=0)",),
    ("Conv2d(3, 4, 3, padding='both')",),
    ("Conv2d(3, 4, 3, padding='same', stride=2)",),
    ("Conv2d(3, 4, 3, padding_mode='mirror')",),
    ("Conv2d(3, 4, 9)", (2, 3, 8, 8)),
    ("ConvTranspose2d(3, 4, 3, padding_mode='reflect')",),
    ("ConvTranspose2d(3, 4, 3)", (2, 4, 8, 8)),
    ("MaxPool2d(2)", (4, 5)),
    ("MaxPool2d(2, padding=2)", x4),
    ("ReflectionPad2d(9)", x4),
    ("BatchNorm2d(6)", x3),
    ("BatchNorm2d(5)", x4),
    ("BatchNorm1d(6)", x4),
    ("BatchNorm1d(6)", (1, 6)),
    ("InstanceNorm2d(5, affine=True)", x4),
    ("InstanceNorm2d(6)", x5),
    ("LayerNorm(5)", x4),
    ("GroupNorm(4, 6)",),
    ("GroupNorm(3, 6)", (2, 5, 4)),
    ("Embedding(5, 3)", np.array([5])),
    ("Embedding(5, 3)", np.array([-1])),
    ("Embedding(5, 3, padding_idx=5)",),
    ("Embedding(5, 3)", (2, 3)),
    ("Embedding(5, 3, _weight=m.zeros(4, 3))",),
    ("EmbeddingBag(5, 3, mode='median')", integers),
    ("PixelShuffle(2)", (2, 3, 4, 4)),
    ("Unflatten('rows', 2)",),
    ("Upsample(mode='nearest')", x4),
    ("Dropout(1.5)",),
    ("Flatten(3, 1)", x4),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case[0]} {case[1:]}"[:80])
def test_refused(case):
    refused(*case)


LAZY = [
    ("LazyLinear(3)", x2),
    ("LazyLinear(3, bias=False)", (2, 3, 7)),
    ("LazyConv1d(4, 3)", x3),
    ("LazyConv2d(4, 3, padding=1, groups=2)", x4),
    ("LazyConv2d(4, 3, bias=False)", (6, 8, 9)),
    ("LazyConv3d(4, 2)", x5),
    ("LazyConvTranspose1d(4, 3)", x3),
    ("LazyConvTranspose2d(4, 3, stride=2)", x4),
    ("LazyConvTranspose3d(4, 2)", x5),
    ("LazyBatchNorm1d()", x3),
    ("LazyBatchNorm2d(affine=False)", x4),
    ("LazyBatchNorm3d(track_running_stats=False)", x5),
    ("LazyInstanceNorm1d(affine=True)", x3),
    ("LazyInstanceNorm2d(track_running_stats=True)", x4),
    ("LazyInstanceNorm3d()", x5),
]


@pytest.mark.filterwarnings("ignore:Lazy modules")
@pytest.mark.parametrize("case", LAZY, ids=lambda case: case[0])
def test_lazy_layers_become_ordinary_ones(case):
    text, shape = case
    values = np.random.default_rng(0).standard_normal(shape).astype("f4")
    theirs, ours = built(torch, text), built(tg, text)
    assert repr(ours) == repr(theirs)
    optimizer = tg.optim.SGD(ours.parameters(), lr=1.0) if list(ours.parameters()) else None
    theirs(torch.from_numpy(values))
    ours(tg.from_numpy(values))
    assert repr(ours) == repr(theirs) and type(ours).__name__ == type(theirs).__name__
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    out, expected = ours(tg.from_numpy(values)), theirs(torch.from_numpy(values))
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), rtol=1e-4, atol=1e-5)
    if optimizer is not None:
        before = [p.detach().numpy().copy() for p in ours.parameters()]
        (out**2).sum().backward()
        optimizer.step()
        assert any((p.detach().numpy() != b).any() for p, b in zip(ours.parameters(), before))


@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_a_lazy_layer_takes_its_sizes_from_a_state():
    for m in (tg, torch):
        layer = m.nn.LazyLinear(3)
        layer.load_state_dict(m.nn.Linear(5, 3).state_dict())
        assert layer.weight.shape == (3, 5)
        assert layer(m.ones(2, 5)).shape == (2, 3) and layer.in_features == 5
