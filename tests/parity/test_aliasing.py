"""Which memory a result shares: an input's if PyTorch returns the input or a view of it, and its own if PyTorch returns a
copy, even if there is nothing to do (the tensor's own size, dropout in evaluation).

If a copy is missing, an in-place change of the result changes the input; if a view is missing, the change is lost.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import operator
import re
from typing import Any

import numpy as np
import pytest

import tinygrad_lite as tg
import tinygrad_lite.nn  # tg.nn

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # the database imports it

from tests.parity.compare import REFUSALS, results  # noqa: E402
from tests.parity.test_opinfo import converted, entries, name_of, ours  # noqa: E402

# Entries whose results share more or less than in PyTorch.
DIFFER = {"as_strided partial_views": "PyTorch reads beyond the view; refused here"}


def shared(library: Any, out: Any, inputs: list[Any]) -> list[bool]:
    if library is tg:
        return [bool(np.shares_memory(out.array, t.array)) for t in inputs]
    return [out.numel() > 0 and t.numel() > 0 and memory(out) == memory(t) for t in inputs]


def memory(tensor: Any) -> int:
    return tensor.untyped_storage().data_ptr()


def tensors(library: Any, value: Any) -> list[Any]:
    if isinstance(value, library.Tensor):
        return [value]
    if isinstance(value, dict):
        value = tuple(value.values())
    return [t for v in value for t in tensors(library, v)] if isinstance(value, (tuple, list)) else []


def check(mine: Any, theirs: Any, my_inputs: list[Any], their_inputs: list[Any], what: str) -> None:
    a, b = tensors(tg, results(mine)), tensors(torch, results(theirs))
    assert len(a) == len(b), what
    for x, y in zip(a, b):
        assert shared(tg, x, my_inputs) == shared(torch, y, their_inputs), what
        assert type(x.array) is np.ndarray, f"{what}: {type(x.array)} cannot be changed in place"
        assert min(x.array.strides, default=0) >= 0, f"{what}: negative strides"
        frozen = any(not t.array.flags.writeable for t in my_inputs)
        assert x.array.flags.writeable or frozen or 0 in x.array.strides, f"{what}: the result is read-only"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", entries())
def test_of_operations(op):
    if name_of(op) in DIFFER:
        return
    for dtype in (torch.float64, torch.int64):
        if dtype not in op.dtypes:
            continue
        torch.manual_seed(0)
        for sample in itertools.islice(op.sample_inputs_func(op, "cpu", dtype, False), 24):
            given = [sample.input, list(sample.args), sample.kwargs]
            x, args, kwargs = converted(given)
            for requires_grad in sorted({False, dtype.is_floating_point and op.supports_autograd}):
                inputs = tensors(tg, [x, args, kwargs]), tensors(torch, given)
                for t in (t for t in itertools.chain(*inputs) if t.is_leaf):
                    t.requires_grad_(requires_grad and t.is_floating_point())
                try:
                    theirs = op.op(given[0], *given[1], **given[2])
                except (*REFUSALS, NotImplementedError):
                    continue
                mine = ours(op.op, op.name)(x, *args, **kwargs)
                check(mine, theirs, *inputs, f"{name_of(op)}: {[getattr(v, 'shape', v) for v in (x, *args)]} {kwargs}")


# Calls that may have nothing to do, with x (2, 3), v (3,), s (), k (2, 3) of int64, q (3, 3), one (1,), and
# signals (1, 2, 4), images (1, 2, 4, 4), volumes (1, 1, 2, 2, 2).
CALLS = """
F.dropout(x, 0.5, False)  F.dropout(x, 0.0)  F.dropout2d(images, 0.5, False)  F.dropout2d(images, 0.0)
F.alpha_dropout(x, 0.5, False)  F.alpha_dropout(x, 0.0)  F.feature_alpha_dropout(images, 0.5, False)
x.to(m.float32)  x.to("cpu")  x.to(x)  x.to(x.device, m.float32)  x.to(m.float32, copy=True)  x.to("cpu", copy=True)
x.to(m.float32, True, True)  x.to(x, False, True)  x.to(x.device, m.float32, False, True)  x.to(x, True)
x.type(m.float32)  x.type_as(x)  x.float()  x.cpu()  k.long()  k.int()  x.double()  x.half()  x.bool()
x.to(memory_format=m.contiguous_format)  x.t().to(memory_format=m.contiguous_format)  x.to(memory_format=m.preserve_format)
images.to(memory_format=m.channels_last)  images.float(memory_format=m.channels_last)
images.contiguous(memory_format=m.channels_last)  images.clone(memory_format=m.channels_last)
images.contiguous(memory_format=m.channels_last).contiguous(memory_format=m.channels_last)  volumes.to(memory_format=m.channels_last_3d)
x.contiguous()  x.t().contiguous()  x.clone()  x.detach()  x.data  x.expand(2, 3)  x.expand(-1, -1)  x.expand_as(x)
x.broadcast_to((2, 3))  m.broadcast_tensors(x, x)  m.broadcast_tensors(x, v)
x.view(2, 3)  x.view(-1)  x.view(m.float32)  x.view(m.int32)  x.view_as(x)  x.reshape(2, 3)  x.reshape(-1)  x.t().reshape(-1)
x.flatten()  v.flatten()  s.flatten()  x.flatten(0, 0)  x.t().flatten()  v[::2].flatten()  x.unflatten(1, (3, 1))
x.ravel()  v.ravel()  s.ravel()  x.t().ravel()  v[::2].ravel()  x.expand(2, 2, 3).ravel()
x.squeeze()  x.squeeze(0)  x.unsqueeze(0)  s.squeeze()  x.permute(0, 1)  x.transpose(0, 0)  x.t()  v.t()  s.t()  x.T  x.mT  x.adjoint()
x.movedim(0, 0)  x.swapaxes(0, 0)  x.narrow(0, 0, 2)  x.select(0, 0)  x[:]  x[...]  x[0:2]  x[None]  x[x > -100]  x[[0, 1]]
x.index_select(0, m.arange(2))  s[...]  s[None]  x.diagonal()  m.diag(x)  m.diag(v)  x.take(m.arange(6))  x.unbind()
x.split(2)  x.split(1)  x.chunk(1)  x.tensor_split(1)  m.hsplit(x, 1)  x.unfold(1, 3, 1)  x.as_strided((2, 3), (3, 1))
x.repeat(1, 1)  v.repeat(1)  m.tile(x, (1,))  m.tile(x, ())  m.repeat_interleave(x, 1)  m.repeat_interleave(x, 1, 0)
x.roll(0)  x.roll(0, 0)  x.roll(3, 1)  x.flip(())  x.flip(0)  m.fliplr(x)  m.flipud(x)  m.rot90(x, 0)  m.rot90(x, 2)  m.rot90(x, 4)
m.cat([x])  m.cat([x, x[:0]])  m.cat([v])  m.stack([x])  m.hstack([x])  m.vstack([x])  m.dstack([x])  m.column_stack([x])
m.block_diag(x)  m.cartesian_prod(v)  m.meshgrid(v)  m.combinations(v, 1)  m.atleast_1d(x)  m.atleast_1d(s)  m.atleast_2d(x)  m.atleast_3d(x)
x.sum(())  s.sum()  s.sum(0)  s.sum(())  s.mean()  s.prod()  s.prod(0)  s.max()  s.amax()  s.amin(())  s.max(0)  s.cumsum(0)  s.cumprod(0)
s.cummax(0)  s.sort()  s.median()  s.median(0)  s.mode()  s.kthvalue(1)  s.topk(1)  s.nansum()  s.logsumexp(0)  s.logcumsumexp(0)
one.sum(0)  one.sum(0, keepdim=True)  one.mean(0)  one.amax(0, keepdim=True)  one.prod(0)  one.max(0)  one.cumsum(0)  one.sort()
one.mode(0, keepdim=True)  m.quantile(s, 0.5)  m.nanmedian(s)  s.sum(dtype=m.float32)  s.softmax(0)  m.aminmax(s)  m.diff(x, n=0)
x.clamp(min=-100)  x.clip(-100, 100)  x.nan_to_num()  k.nan_to_num()  x.tril()  x.tril(5)  x.triu(-5)  x.round()  k.round()  k.floor()
k.ceil()  k.trunc()  k.abs()  m.positive(x)  +x  x.real  x.conj()  x.resolve_conj()  x.resolve_neg()  x * 1  x + 0  x / 1  x ** 1
k ** 1  x.float_power(1)  x.lerp(x, 0)  x.addcmul(x, x, value=0)  m.where(x == x, x, x)  x.masked_fill(x != x, 0)  x.masked_scatter(x != x, x)
x.index_fill(0, k[0, :0], 1)  x.index_add(0, k[0, :0], x[:0])  x.index_copy(0, k[0, :0], x[:0])  x.scatter(0, k[:0], x[:0])
x.scatter_add(0, k[:0], x)  x.scatter_reduce(0, k[:0], x, "sum")  x.index_put((k[0, :0],), x[:0])  x.renorm(2, 0, 1e9)  x.put(k[0, :0], v[:0])
m.slice_scatter(x, x)  m.select_scatter(x, x[0], 0, 0)  m.diagonal_scatter(x, x.diagonal())  m.as_strided_scatter(x, x, (2, 3), (3, 1))
m.matrix_power(q, 1)  m.linalg.matrix_power(q, 0)  m.linalg.multi_dot([x, q])  m.chain_matmul(q)  m.einsum("ij->ij", x)  m.einsum("ij->ji", x)
m.einsum("i->i", v)  m.einsum("ii->i", q)  m.kron(x, one)  m.linalg.diagonal(q)
F.pad(x, (0, 0))  F.pad(x, ())  F.pad(x, (-1, 0))  F.pad(signals, (0, 0), "reflect")  F.pad(signals, (0, 0), "replicate")
F.pad(signals, (0, 0), "circular")  F.pad(signals, (-1, 0), "replicate")  F.pad(signals, (-1, 0), "reflect")  F.pad(signals, (-1, 0), "circular")
F.pad(images, (0, 0, 0, 0), "reflect")  F.pad(images, (-1, 0, 0, 0), "circular")
F.interpolate(images, (4, 4))  F.interpolate(images, scale_factor=1)  F.interpolate(images, (4, 4), mode="bilinear")
F.interpolate(images, (4, 4), mode="bilinear", align_corners=True)  F.interpolate(images, (4, 4), mode="bicubic")
F.interpolate(images, (4, 4), mode="area")  F.interpolate(images, (4, 4), mode="nearest-exact")  F.interpolate(signals, 4)
F.interpolate(signals, 4, mode="linear")  F.interpolate(images, (4, 4), mode="bilinear", antialias=True)
F.interpolate(images, (4, 4), mode="bicubic", antialias=True)  F.interpolate(volumes, (2, 2, 2), mode="trilinear")  F.interpolate(volumes, (2, 2, 2))
F.upsample(images, (4, 4))  F.interpolate(signals, 4, mode="area")
F.adaptive_avg_pool2d(images, 4)  F.adaptive_avg_pool2d(images, (None, None))  F.adaptive_avg_pool1d(signals, 4)  F.adaptive_max_pool2d(images, 4)
F.adaptive_max_pool2d(images, 4, True)  F.avg_pool2d(images, 1)  F.max_pool2d(images, 1)  F.max_pool1d(signals, 1)  F.lp_pool2d(images, 1, 1)
F.adaptive_avg_pool2d(images[..., :1, :1], 1)  F.max_pool2d(images, 1, return_indices=True)
F.pixel_shuffle(images, 1)  F.pixel_unshuffle(images, 1)  F.channel_shuffle(images, 1)  F.channel_shuffle(images, 2)  F.unfold(images, 4)
F.fold(signals, (2, 2), 1)  F.normalize(x)  F.local_response_norm(images, 1)  F.relu(x)  F.leaky_relu(x, 1.0)  F.hardtanh(x, -99, 99)
F.threshold(x, -99, 0)  F.rrelu(x)  F.softshrink(x, 0)  F.hardshrink(x, 0)  F.softmax(x, 0)  F.batch_norm(images, None, None, None, None, True)
m.asarray(x)  m.as_tensor(x)  m.tensor(x)  m.asarray(x, copy=True)  m.asarray(x, dtype=m.float32)  m.as_tensor(x, dtype=m.float64)  x.new_tensor(x)
m.view_copy(x, (6,))  m.expand_copy(x, (2, 3))  m.squeeze_copy(x)  m.t_copy(x)  m.permute_copy(x, (0, 1))  m.alias_copy(x)  m.detach_copy(x)
nn.Identity()(x)  nn.Dropout().eval()(x)  nn.Flatten()(x)  nn.Flatten()(images)  nn.Sequential()(x)  nn.ReLU(inplace=True)(x)  nn.PixelShuffle(1)(images)
nn.Upsample(scale_factor=1)(images)  nn.ZeroPad2d(0)(images)  nn.ReflectionPad2d(0)(images)  nn.CircularPad2d(0)(images)  nn.ReplicationPad1d(0)(signals)
nn.ChannelShuffle(1)(images)  nn.BatchNorm2d(2, affine=False).eval()(images)
F.relu_(x)  F.dropout(x, 0.5, False, True)  F.dropout(x, 0.0, True, True)  F.hardtanh(x, inplace=True)
v.unique()  m.histogram(v, v.sort()[0])  m.histogram(v, one.new_tensor([0.0, 1.0]))  m.frexp(s)  m.normal(s, s.abs())  m.bernoulli(s * 0)
m.linalg.lu_factor_ex(q)  m.linalg.lu(q)  m.linalg.qr(q)  m.gradient(v)  m.cov(x)  x.sum()  x.max()  x[0, 0] * 2  s * 2  s.exp()  s > 0  v @ v
"""
CASES = [call.strip() for line in CALLS.strip().splitlines() for call in line.split("  ") if call.strip()]


def scope(library: Any) -> dict[str, Any]:
    draw = np.random.default_rng(0)
    shapes = {"x": (2, 3), "v": (3,), "q": (3, 3), "one": (1,)}
    shapes |= {"signals": (1, 2, 4), "images": (1, 2, 4, 4), "volumes": (1, 1, 2, 2, 2)}
    arrays = {name: draw.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    values = {name: library.from_numpy(array) for name, array in arrays.items()}
    values |= {"s": library.tensor(0.7), "k": library.from_numpy(draw.integers(1, 2, (2, 3)))}
    return {**values, "m": library, "F": library.nn.functional, "nn": library.nn}


# Functions whose results, according to PyTorch, are not views of the input although they share its memory.
UNSAFE = ("unsafe_chunk", "unsafe_split")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", entries())
def test_a_result_is_a_view_of_nothing_hidden(op):
    """An in-place change of a view of the result reaches the result, whatever the operation is composed of."""
    function = ours(op.op, op.name)
    if torch.float64 not in op.dtypes or op.name in UNSAFE:
        return
    torch.manual_seed(0)
    for sample in itertools.islice(op.sample_inputs_func(op, "cpu", torch.float64, False), 12):
        x, args, kwargs = converted([sample.input, list(sample.args), sample.kwargs])
        try:
            mine = function(x, *args, **kwargs)
        except REFUSALS:
            continue
        given = tensors(tg, [x, args, list(kwargs.values())])
        for tensor in tensors(tg, mine):
            assert tensor.base is None or any(tensor.base is t or tensor.base is t.base for t in given)


@pytest.mark.parametrize("library", [tg, torch], ids=["here", "PyTorch"])
def test_a_view_of_a_result_leads_through_it(library):
    x = library.ones(2, requires_grad=True)
    y = library.kron(x * 1, library.ones(2))
    y.retain_grad()
    view = y[1:]
    view.mul_(3)
    (view * view).sum().backward()
    assert y.grad.tolist() == [0, 6, 6, 6]
    assert x.grad.tolist() == [18, 36]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("call", CASES)
def test_where_there_may_be_nothing_to_do(call):
    mine, theirs = scope(tg), scope(torch)
    names = [name for name, value in theirs.items() if isinstance(value, torch.Tensor)]
    result = eval(call, mine)
    check(result, eval(call, theirs), [mine[n] for n in names], [theirs[n] for n in names], call)
    again = tensors(tg, results(eval(call, scope(tg))))
    for x, y in zip(tensors(tg, results(result)), again):  # nothing cached for the next call is returned
        assert not np.shares_memory(x.array, y.array)


# -- every public function, of one tensor and at most one number -----------------------------------

ARRAYS = [
    *[np.random.default_rng(1).standard_normal(shape).astype(np.float32) for shape in ((2, 3), (3,), (3, 3), (1, 2, 4), (1, 2, 4, 4), (1,))],
    np.array([[1, 3], [2, 2]]), np.array([True, False]), np.asfortranarray(np.ones((3, 2))),
]  # fmt: skip
MORE: list[tuple[Any, ...]] = [(), (0,), (1,), (-1,), (0, 0), (0, 1), ((0,),), (0.0,), (1.0,), (2, 3)]
NOT_OF_A_TENSOR = re.compile(
    r"_|set_|new|backward|register|requires_grad|retain|numpy|cuda|pin|data_ptr|load|save|compile|manual|seed|storage|apply_|map_|get_|"
    r"to$|empty|geometric|cauchy|log_normal|exponential|resize|adaptive_max_pool1d$|.*(rand|normal|uniform|bernoulli|dropout|rrelu|gumbel)"
)


def functions() -> Any:
    for where in ("", "nn.functional", "linalg", "special", "Tensor"):
        mine, theirs = (operator.attrgetter(where)(m) if where else m for m in (tg, torch))
        for name in sorted({*dir(mine)} & {*dir(theirs)}):
            function = getattr(theirs, name)
            if callable(function) and not inspect.isclass(function) and not NOT_OF_A_TENSOR.match(name):
                yield pytest.param(getattr(mine, name), function, id=f"{where}.{name}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mine, theirs", list(functions()))
def test_of_every_public_function(mine, theirs):
    for array, more in itertools.product(ARRAYS, MORE):
        x, y = (library.from_numpy(array.copy(order="K")) for library in (tg, torch))
        try:
            expected = theirs(y, *more)
        except Exception:  # whatever PyTorch raises for arbitrary arguments
            continue
        with contextlib.suppress(*REFUSALS):
            check(mine(x, *more), expected, [x], [y], f"of {array.shape} {array.dtype} and {more}")


@pytest.mark.parametrize("library", [tg, torch], ids=["here", "PyTorch"])
def test_a_result_of_the_same_size_can_be_changed(library):
    x = library.ones(1, 1, 3, 3)
    library.nn.functional.interpolate(x, size=(3, 3), mode="bilinear").zero_()
    library.nn.functional.pad(x, (0, 0, 0, 0), mode="reflect").zero_()
    library.nn.functional.pixel_shuffle(x, 1).zero_()
    x.to(library.float32, False, True).zero_()
    assert x.sum() == 9


@pytest.mark.parametrize("library", [tg, torch], ids=["here", "PyTorch"])
@pytest.mark.parametrize("shape, name", [((2, 3, 4, 5), "channels_last"), ((2, 3, 4, 5, 2), "channels_last_3d")])
def test_memory_formats(library, shape, name):
    layout, x = getattr(library, name), library.ones(shape)
    for y in (x.to(memory_format=layout), x.contiguous(memory_format=layout), x.clone(memory_format=layout)):
        assert y.is_contiguous(memory_format=layout)
        assert not y.is_contiguous()
        assert y.contiguous(memory_format=layout) is y
        assert y.clone(memory_format=library.contiguous_format).is_contiguous()
    with pytest.raises(RuntimeError):
        library.ones(2, 3).contiguous(memory_format=layout)
