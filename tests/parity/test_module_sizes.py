"""Every layer on no samples, on one, and with empty channels or spatial sizes, in training and in evaluation."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")


def with_extents(name, rank, options, *more):
    """The layer of this rank with the shapes that a layer of 4 channels is given."""
    extent = (6, 5, 4)[:rank]
    shapes = [(n, 4, *extent) for n in (0, 1, 2)] + [(2, 4, *(0,) * rank), (2, 4, *(1,) * rank), (2, 0, *extent), *more]
    return f"{name}{rank}d({options})", shapes


CASES = [
    *[with_extents(name, rank, options, *((4, *(6, 5, 4)[:rank]),))
      for rank in (1, 2, 3)
      for name, options in [("Conv", "4, 2, 3"), ("ConvTranspose", "4, 2, 3"), ("MaxPool", "2"), ("AvgPool", "2"), ("LPPool", "2, 2"),
                            ("AdaptiveAvgPool", "3"), ("AdaptiveMaxPool", "3"), ("BatchNorm", "4"), ("BatchNorm", "4, affine=False"),
                            ("BatchNorm", "4, track_running_stats=False"), ("BatchNorm", "4, momentum=None"), ("InstanceNorm", "4"),
                            ("InstanceNorm", "4, affine=True"), ("ReflectionPad", "1"), ("ReplicationPad", "1"), ("ZeroPad", "1"),
                            ("CircularPad", "1"), ("ConstantPad", "1, 2.0"), ("Dropout", "0.0")]],
    *[(name if ")" in name else f"{name}()", [(0, 4), (1, 4), (2, 0), (0, 0), (), (0,), (1,), (2, 0, 4), (0, 4, 2, 2)])
      for name in ["ELU", "Hardshrink", "Hardsigmoid", "Hardtanh", "Hardswish", "LeakyReLU", "LogSigmoid", "PReLU", "ReLU", "ReLU6", "SELU",
                   "CELU", "GELU", "Sigmoid", "SiLU", "Mish", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink",
                   "Threshold(0, 1)", "GLU", "Softmin(1)", "Softmax(1)", "LogSoftmax(1)", "Softmax(0)", "Softmax2d", "Identity",
                   "Flatten", "Dropout(0.0)", "AlphaDropout(0.0)"]],
    ("BatchNorm1d(4)", [(0, 4), (1, 4), (2, 4), (0, 4, 3), (1, 4, 1)]),
    ("Linear(4, 3)", [(0, 4), (1, 4), (4,), (2, 0, 4), (0,), (2, 0)]), ("Linear(0, 3)", [(2, 0), (0, 0)]),
    ("Linear(4, 0)", [(2, 4), (0, 4)]), ("LayerNorm(4)", [(0, 4), (1, 4), (4,), (2, 0, 4)]), ("LayerNorm((2, 0))", [(3, 2, 0)]),
    ("RMSNorm(4)", [(0, 4), (1, 4), (4,)]), ("GroupNorm(2, 4)", [(0, 4, 3), (1, 4), (1, 4, 1), (2, 4)]),
    ("LocalResponseNorm(2)", [(0, 4, 3), (2, 4, 0), (2, 0, 3)]), ("Upsample(scale_factor=2)", [(0, 4, 3), (2, 0, 3), (2, 4, 0)]),
    ("Upsample(size=4, mode='linear')", [(0, 4, 3), (2, 4, 0)]), ("Fold((4, 4), 2)", [(0, 16, 9), (1, 16, 9)]),
    ("Unfold(2)", [(0, 4, 4, 4), (2, 0, 4, 4), (2, 4, 0, 4)]), ("ChannelShuffle(2)", [(0, 4, 3, 3), (2, 4, 0, 3)]),
    *[(name, [(5, 0, 4), (0, 2, 4), (1, 1, 4), (5, 4), (0, 4)]) for name in ("RNN(4, 3)", "LSTM(4, 3)", "GRU(4, 3, 2, bidirectional=True)")],
    *[(name, [(0, 4), (1, 4), (4,), (2, 0)]) for name in ("RNNCell(4, 3)", "LSTMCell(4, 3)", "GRUCell(4, 3)")],
    ("TransformerEncoderLayer(4, 2, 8, dropout=0.0)", [(0, 2, 4), (3, 0, 4), (1, 1, 4), (3, 4), (0, 4)]),
]  # fmt: skip


def known(text, shape):
    """What differs, and why."""
    if text.startswith("BatchNorm") and shape[1] == 0:
        return "another number of channels than the layer's is refused, also where there is nothing to normalize"
    if text.startswith("InstanceNorm") and "affine" in text and shape[0] == 0:
        return "PyTorch cannot repeat the weights no times"
    return ""


def flat(value):
    return [tensor for part in value for tensor in flat(part)] if isinstance(value, (tuple, list)) else [value]


def outcome(lib, module, values, training):
    module = copy.deepcopy(module).train(training)
    x = lib.tensor(values, requires_grad=True)
    try:
        out = flat(module(x))
        sum((o * o).sum() for o in out).backward()
    except (RuntimeError, ValueError, TypeError, IndexError):
        return None
    gradients = [lib.zeros_like(p) if p.grad is None else p.grad for p in (x, *module.parameters())]
    return [np.array(t.detach().numpy()) for t in (*out, *gradients, *module.buffers())]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text, shapes", CASES, ids=[text for text, _ in CASES])
def test_no_samples_and_few(text, shapes):
    theirs, ours = (eval(f"lib.nn.{text}", {"lib": lib}).double() for lib in (torch, tg))
    ours.load_state_dict(theirs.state_dict())
    for shape in shapes:
        if known(text, shape):
            continue
        values = np.random.default_rng(0).normal(size=shape)
        for training in (True, False):
            got, wanted = outcome(tg, ours, values, training), outcome(torch, theirs, values, training)
            assert (got is None) == (wanted is None), (shape, training)
            for a, b in zip(got or (), wanted or (), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8, err_msg=str((shape, training)))
