"""Results are contiguous where PyTorch's are, so that a program that calls `view` on one works here too.

NumPy gives a result the layout of its inputs, PyTorch in many cases the order of the dims. Where PyTorch keeps the order of
the input, ours may be either.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tinygrad_lite as tg
import tinygrad_lite.nn  # tg.nn

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # the database imports it

from tests.parity.test_layouts import moved  # noqa: E402
from tests.parity.test_opinfo import entries, ours  # noqa: E402
from tinygrad_lite.testing.layouts import LAYOUTS, REPEATED  # noqa: E402

# Not those that lie in memory in order, nor those that from_numpy refuses.
IN_MEMORY = {name: layout for name, layout in {**LAYOUTS, **REPEATED}.items() if name not in ("offset", "reversed", "read-only")}


def tensors(result: Any) -> list[Any]:
    """The tensors in a result, those in tuples and lists too."""
    if isinstance(result, (tuple, list)):
        return [t for item in result for t in tensors(item)]
    return [result] if isinstance(result, (torch.Tensor, tg.Tensor)) else []


def assert_contiguous_as(theirs: Any, mine: Any, what: str) -> None:
    theirs, mine = tensors(theirs), tensors(mine)
    assert len(theirs) == len(mine), what
    for a, b in zip(theirs, mine):
        assert b.is_contiguous() or not a.is_contiguous(), f"{what}: shape {tuple(b.shape)}, strides {b.stride()}"


# -- PyTorch's database of operations ---------------------------------------------------------------

REFUSED = TypeError, ValueError, IndexError, RuntimeError, NotImplementedError


def moved_for_torch(value: Any, layout: Any) -> Any:
    """The arguments for PyTorch, each tensor in `layout`."""
    if isinstance(value, torch.Tensor):
        return torch.from_numpy(np.asarray(layout(value.detach().numpy())))
    if type(value) in (list, tuple):
        return type(value)(moved_for_torch(v, layout) for v in value)
    if isinstance(value, dict):
        return {name: moved_for_torch(v, layout) for name, v in value.items()}
    return value


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", entries())
def test_of_operations(op):
    function = ours(op.op, op.name)
    for dtype in (torch.float64, torch.int64):
        if dtype not in op.dtypes:
            continue
        torch.manual_seed(0)
        for sample in itertools.islice(op.sample_inputs_func(op, "cpu", dtype, False), 8):
            given = [sample.input, list(sample.args), sample.kwargs]
            for name, layout in IN_MEMORY.items():
                try:
                    x, args, kwargs = moved_for_torch(given, layout)
                    theirs = op.op(x, *args, **kwargs)
                    x, args, kwargs = moved(given, layout)
                    mine = function(x, *args, **kwargs)
                except REFUSED:  # other tests compare the refusals
                    continue
                if len(tensors(theirs)) == len(tensors(mine)):
                    assert_contiguous_as(theirs, mine, name)


# -- calls as programs write them -------------------------------------------------------------------

# Tensors of three dims, each of at least two elements.
LAID_OUT = {
    "transposed": lambda m, x: x.permute(2, 1, 0),
    "its last dims swapped": lambda m, x: x.transpose(1, 2),
    "rotated": lambda m, x: x.permute(1, 2, 0),
    "expanded": lambda m, x: x[:1].expand(5, 3, 4),
    "expanded in the middle": lambda m, x: x[:, :1].expand(2, 5, 4),
    "transposed and expanded": lambda m, x: x[:1].transpose(1, 2).expand(5, 4, 3),
    "stepped": lambda m, x: x[:, :, ::2],
    "transposed and stepped": lambda m, x: x.transpose(1, 2)[:, ::2],
    "large and transposed": lambda m, x: m.linspace(-1, 1, 73728).to(x.dtype).reshape(2, 512, 72).permute(2, 1, 0),
    "large and expanded": lambda m, x: m.linspace(-1, 1, 36864).to(x.dtype).reshape(1, 512, 72).expand(5, 512, 72),
}

CALLS = {
    # joining and moving
    "cat": lambda m, x: m.cat([x, x]),
    "cat of one": lambda m, x: m.cat([x]),
    "cat, last dim": lambda m, x: m.cat([x, x], -1),
    "stack": lambda m, x: m.stack([x, x], 1),
    "roll": lambda m, x: x.roll(1, 0),
    "repeat once": lambda m, x: x.repeat(1, 1, 1),
    "repeat": lambda m, x: x.repeat(2, 1, 1),
    "tile": lambda m, x: x.tile((1,)),
    "rot90 by nothing": lambda m, x: x.rot90(0),
    "flip": lambda m, x: x.flip(0),
    "pad": lambda m, x: m.nn.functional.pad(x, (-1, 1), mode="replicate"),
    # along a dim
    **{
        f"{name} along {dim}": lambda m, x, name=name, dim=dim: getattr(x, name)(dim)
        for name in ("softmax", "log_softmax", "cumsum", "cumprod", "cummax", "cummin", "logcumsumexp", "sum", "mean", "prod",
                     "amax", "amin", "max", "std", "var", "logsumexp", "argmax", "median")
        for dim in (0, 1, 2)
    },
    "sum over two dims": lambda m, x: x.sum((0, 2)),
    "sum, keepdim": lambda m, x: x.sum(2, keepdim=True),
    "sum of ints": lambda m, x: x.long().sum(0),
    "any": lambda m, x: (x > 0).any(0),
    "all of uint8": lambda m, x: (x > 0).byte().all(1),
    **{f"norm {ord}": lambda m, x, ord=ord: x.norm(ord, dim=1) for ord in (0, 1, 2, 3, float("inf"))},
    "aminmax": lambda m, x: x.aminmax(dim=0),
    "topk": lambda m, x: x.topk(2, 1),
    "unique": lambda m, x: x.unique(dim=0),
    "einsum of one": lambda m, x: m.einsum("ijk->ki", x),
    "einsum": lambda m, x: m.einsum("ijk,i->ki", x, x[:, 0, 0]),
    # chosen elements
    "masked_fill": lambda m, x: x.masked_fill(x > 0, 0),
    "tril": lambda m, x: x.tril(),
    "an index": lambda m, x: x[m.tensor([1, 0])],
    "an index of the last dim": lambda m, x: x[..., m.tensor([1, 0])],
    "two indices": lambda m, x: x[m.tensor([1, 0]), :, m.tensor([0, 1])],
    "a transposed index": lambda m, x: x[m.tensor([[1, 0], [0, 1], [1, 1]]).t()],
    "gather": lambda m, x: x.gather(0, (x.permute(2, 1, 0) * 0).long().permute(2, 1, 0)),
    "nonzero": lambda m, x: x.nonzero(as_tuple=True),
    "one_hot": lambda m, x: m.nn.functional.one_hot(m.tensor([[0, 1], [1, 0], [1, 1]]).t()),
    # copies
    "clone": lambda m, x: x.clone(),
    "clone of an expanded": lambda m, x: x.expand(2, *x.shape).clone(),
    "float": lambda m, x: x.float(),
    "long": lambda m, x: x.long(),
    "bool": lambda m, x: x.bool(),
    "to a dtype, in order": lambda m, x: x.to(m.float32, memory_format=m.contiguous_format),
    "tensor": lambda m, x: x.new_tensor(x),
    "permute_copy": lambda m, x: m.permute_copy(x, (1, 0, 2)),
    "sin of ints": lambda m, x: x.long().sin(),
    "ints and floats": lambda m, x: x.long() / 2.5 + x.float(),
    # layers
    **{
        name: lambda m, x, name=name: getattr(m.nn.functional, name)(x)
        for name in ("relu", "gelu", "silu", "elu", "softplus", "logsigmoid", "rrelu", "mish", "softmin", "normalize")
    },
    "bce": lambda m, x: m.nn.functional.binary_cross_entropy_with_logits(x, x.sigmoid(), reduction="none"),
    "cosine_similarity": lambda m, x: m.nn.functional.cosine_similarity(x, x, dim=0),
    "batch_norm": lambda m, x: m.nn.functional.batch_norm(x, None, None, training=True),
    "layer_norm": lambda m, x: m.nn.functional.layer_norm(x, x.shape[-1:]),
    "adaptive_avg_pool1d": lambda m, x: m.nn.functional.adaptive_avg_pool1d(x, 1),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layout", LAID_OUT)
@pytest.mark.parametrize("call", CALLS)
def test_of_calls(call, layout):
    results = []
    for m in (torch, tg):
        x = m.tensor((np.arange(24.0).reshape(2, 3, 4) / 7 - 1).tolist(), dtype=m.float64)
        results.append(CALLS[call](m, LAID_OUT[layout](m, x)))
    assert_contiguous_as(*results, layout)


BATCHED = {
    "matmul": lambda m, x: x @ x.mT,
    "svdvals": lambda m, x: m.linalg.svdvals(x),
    "solve": lambda m, x: m.linalg.solve(x @ x.mT + m.eye(x.shape[-2], dtype=x.dtype), x[..., :1]),
    "V of svd": lambda m, x: m.svd(x)[2],
    "attention": lambda m, x: m.nn.functional.scaled_dot_product_attention(x, x, x),
}


@pytest.mark.parametrize("call", BATCHED)
def test_of_two_batch_dims_in_another_order(call):
    results = []
    for m in (torch, tg):
        x = m.linspace(-1, 1, 120, dtype=m.float64).reshape(5, 4, 3, 2)
        results.append(BATCHED[call](m, x.permute(3, 2, 1, 0)))
    assert_contiguous_as(*results, call)


@pytest.mark.parametrize("equation", ["ijk->ki", "i,ijk->ki", "ijk,kji->ki", "i,jk,i->kj", "ij,ljk,lj->ijk"])
def test_of_einsum(equation):
    sizes = {"i": 2, "j": 3, "k": 4, "l": 5}
    results = []
    for m in (torch, tg):
        shapes = [[sizes[c] for c in term] for term in equation.partition("->")[0].split(",")]
        operands = [m.ones(*shape[::-1]).permute(*range(len(shape))[::-1]) for shape in shapes]
        results.append(m.einsum(equation, *operands))
    assert_contiguous_as(*results, equation)


def test_of_results_that_programs_view():
    x = tg.arange(12.0).reshape(3, 4)
    assert tg.cat([x.t(), x.t()]).view(-1)[:4].tolist() == [0, 4, 8, 1]
    assert x.t()[tg.tensor([1, 0])].view(-1).tolist() == [1, 5, 9, 0, 4, 8]
    assert x[:1].expand(2, 4).clone().view(-1).tolist() == [0, 1, 2, 3] * 2
    assert x.reshape(2, 3, 2).permute(2, 1, 0).sum(0).view(-1).tolist() == [1, 13, 5, 17, 9, 21]


def test_of_channels_last():
    """Images whose channels come last in memory, joined, are such images."""
    for m in (torch, tg):
        x = m.ones(2, 3, 4, 5).to(memory_format=m.channels_last)
        assert m.cat([x, x], 1).is_contiguous(memory_format=m.channels_last)
        assert m.cat([x, m.ones(2, 3, 4, 5)], 1).is_contiguous()
