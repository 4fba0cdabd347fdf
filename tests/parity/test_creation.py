"""New tensors, dtypes, and what they look like: the same as PyTorch."""

from __future__ import annotations

import re

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")

from tests.parity.compare import REFUSALS, compare, refused  # noqa: E402

# Evaluated in both libraries, with `m` the library.
SAME = """
m.tensor([1, 2]); m.tensor([1., 2]); m.tensor([True, 2]); m.tensor([True, False]); m.tensor([]); m.tensor([[], []]); m.tensor(3); m.tensor(2.5); m.tensor(True); m.tensor([[1, 2], [3, 4]]); m.tensor((1, 2)); m.tensor(range(3)); m.tensor([(1, 2.), (3, 4)])
m.tensor(np.float64(3)); m.tensor(np.float32(3)); m.tensor(np.int32(3)); m.tensor(np.bool_(True)); m.tensor([np.float64(3)]); m.tensor([np.float32(3)]); m.tensor([np.int32(3)]); m.tensor([np.int32(3), 2.5]); m.tensor([np.array([1., 2.])]); m.tensor([np.array([1, 2], np.int16)])
m.tensor([m.tensor(1., dtype=m.float64)]); m.tensor([m.tensor(1), m.tensor(2.5)]); m.tensor([m.ones(1, requires_grad=True)]); m.tensor([m.tensor(2.), 3]); m.tensor(m.tensor([1, 2])); m.tensor(np.arange(3)); m.tensor(np.arange(3.)); m.tensor(np.arange(3, dtype=np.uint8))
m.tensor(-1, dtype=m.uint8); m.tensor(1.7, dtype=m.int64); m.tensor([1.7, -1.7], dtype=m.int64); m.tensor(5, dtype=m.bool); m.tensor([1, 2], dtype=m.float16); m.tensor([1., 2.], requires_grad=True); m.tensor([1, 2], dtype=float); m.tensor([1.5], dtype=int); m.tensor([1, 0], dtype=bool); m.tensor(1e50); m.tensor(3j)
m.zeros(2, 3); m.zeros((2, 3)); m.zeros([2, 3]); m.zeros(2, dtype=m.int32); m.zeros(()); m.zeros(0, 3); m.zeros(size=(2,)); m.ones(2, dtype=bool); m.ones(2, requires_grad=True); m.zeros(2, device="cpu"); m.empty(2, 3).zero_(); m.empty((0,), dtype=m.int64); m.zeros(m.tensor(2), 3)
m.full((2,), 3); m.full((2,), 3.); m.full((2,), True); m.full((2,), m.tensor(3.)); m.full((2,), m.tensor(3)); m.full((2,), m.tensor(3., dtype=m.float64)); m.full((2,), 3, dtype=m.float32); m.full([2], fill_value=1.5); m.full((2,), 1.5, dtype=m.int64); m.full((), 2)
m.eye(3); m.eye(2, 3); m.eye(3, 2); m.eye(0); m.eye(2, dtype=m.int64); m.arange(5); m.arange(5.); m.arange(1, 5); m.arange(1, 5, 2); m.arange(5, 1, -1); m.arange(0., 1., .1); m.arange(0, 1, .25); m.arange(3, dtype=m.float64); m.arange(0, 5, 1.5, dtype=m.int64); m.arange(m.tensor(3)); m.arange(start=1, end=3)
m.arange(end=3); m.arange(0); m.arange(2, 2); m.arange(True); m.arange(3, requires_grad=True, dtype=m.float32); m.arange(-3, 3); m.arange(1, 2, 0.3); m.linspace(0, 1, 5); m.linspace(0, 10, 5, dtype=m.int64); m.linspace(0, 7, 4, dtype=m.int64); m.linspace(-3, 8, 7, dtype=m.int32); m.linspace(1, 1, 3)
m.linspace(0, 1, 1); m.linspace(0, 1, 0); m.linspace(0, 1, steps=3); m.linspace(5, -5, 11); m.linspace(0, 1, 3, dtype=m.float64); m.linspace(start=0, end=1, steps=3); m.linspace(m.tensor(0.), m.tensor(1.), 3); m.logspace(0, 2, 3); m.logspace(0, 2, 3, base=2); m.logspace(0, 2, 3, 2); m.logspace(0, 2, 3, dtype=m.int64)
m.zeros_like(m.ones(2, dtype=m.int64)); m.ones_like(m.ones(2), dtype=m.int64); m.full_like(m.ones(2, dtype=m.int64), 1.5); m.full_like(m.ones(2), 2); m.full_like(m.ones(2), 2, dtype=m.bool); m.empty_like(m.ones(2, 3)).zero_(); m.zeros_like(input=m.ones(2)); m.full_like(input=m.ones(2), fill_value=3); m.zeros_like(m.ones(2), requires_grad=True); m.ones_like(m.zeros(0, 2))
m.ones(2).new_zeros(3); m.ones(2).new_zeros((3,)); m.ones(2).new_ones(3, 2); m.ones(2, dtype=m.int64).new_full((3,), 2.5); m.ones(2).new_tensor([1, 2]); m.ones(2).new_tensor(3, dtype=m.int64); m.ones(2).new_empty(3).zero_(); m.ones(2).new(3).zero_(); m.ones(2).new([1, 2]); m.scalar_tensor(3); m.ones(2).new_zeros(size=(2,))
m.Tensor(2, 3).zero_(); m.Tensor([1, 2]); m.Tensor([[1, 2], [3, 4]]); m.Tensor(m.ones(2, 3).size()).zero_(); m.Tensor(); m.Tensor(np.array([1, 2])); m.Tensor(3).zero_(); m.Tensor((1, 2)); m.Tensor(m.tensor([1., 2])); m.Tensor([True]); m.FloatTensor([1, 2]); m.LongTensor([1, 2]); m.LongTensor(2).zero_(); m.BoolTensor([1, 0]); m.DoubleTensor([1]); m.LongTensor([1.5])
m.from_numpy(np.arange(3)); m.from_numpy(np.array(3.)); m.as_tensor(np.arange(3)); m.as_tensor([1, 2.]); m.as_tensor([1, 2], dtype=m.float64); m.as_tensor(np.arange(3), dtype=m.float32); m.as_tensor(m.ones(2), dtype=m.int64); m.asarray([1, 2]); m.asarray(np.arange(2.)); m.asarray(3.5); m.asarray(m.ones(2)); m.from_dlpack(m.arange(3)); m.from_dlpack(np.arange(3.))
m.is_tensor(m.ones(1)); m.is_tensor(1); m.numel(m.ones(2, 3)); m.is_floating_point(m.ones(1)); m.is_floating_point(m.ones(1, dtype=m.int64)); m.is_complex(m.ones(1)); m.is_nonzero(m.tensor([0.])); m.is_nonzero(m.tensor(2)); m.ones(2, 3).numel(); m.ones(2).is_floating_point()
m.result_type(m.tensor([1, 2]), 1.0); m.result_type(m.tensor([1, 2], dtype=m.int32), 1); m.result_type(m.tensor(1.), m.tensor([1])); m.result_type(1, 2.); m.result_type(True, m.tensor([1], dtype=m.uint8)); m.promote_types(m.int32, m.float32); m.promote_types(m.uint8, m.int8); m.promote_types(m.int64, m.float16); m.promote_types(m.bool, m.uint8)
m.can_cast(m.float64, m.float32); m.can_cast(m.float32, m.int64); m.can_cast(m.int64, m.uint8); m.can_cast(m.uint8, m.int8); m.can_cast(m.int8, m.bool); m.can_cast(m.bool, m.int8); m.finfo(m.float32).eps; m.finfo().dtype; m.finfo(m.float16).max; m.finfo(m.float64).tiny; m.finfo(m.float32).min; m.finfo(m.float32).bits; m.finfo(m.float32).smallest_normal; m.finfo(m.float64).resolution
m.iinfo(m.int64).max; m.iinfo(m.uint8).min; m.iinfo(m.int32).dtype; m.iinfo(m.int16).bits; m.get_default_dtype(); f"{m.tensor(2.5)} {m.tensor(2.5):.2f} {m.tensor(3)} {m.tensor(True)}"; m.ones(2).to(float).dtype; m.ones(2).to(int).dtype
"""

REFUSED = """
m.tensor([[1, 2], [3]]); m.tensor("a"); m.tensor(None); m.tensor([None]); m.tensor(["a"]); m.tensor({1: 2}); m.tensor(2**63); m.tensor(2**40, dtype=m.int32); m.tensor(300, dtype=m.uint8); m.tensor(-129, dtype=m.int8); m.tensor(float("nan"), dtype=m.int64); m.tensor([1, 2], requires_grad=True); m.tensor(np.array(["a"])); m.tensor(); m.tensor(1, 2)
m.zeros(-1); m.zeros(2.0); m.zeros(); m.zeros((2, 3), 4); m.ones(2, dtype=m.int64, requires_grad=True); m.full(2, 3); m.full((2,)); m.eye(-1); m.arange(1, 5, -1); m.arange(1, 5, 0); m.arange(0, 1, 0.3, dtype=m.int64); m.arange(float("inf")); m.arange(float("nan")); m.arange(); m.linspace(0, 1, -1); m.linspace(0, 1)
m.zeros_like([1]); m.Tensor(1.5); m.from_numpy([1]); m.from_numpy(np.arange(3)[::-1]); m.from_numpy(np.array(["a"])); m.is_nonzero(m.ones(2)); m.finfo(m.int64); m.iinfo(m.float32); m.zeros(2, device="nowhere"); m.asarray([1, 2], copy=False)
"""


def expressions(text):
    return [part.strip() for line in text.strip().splitlines() for part in line.split("; ")]


@pytest.mark.parametrize("expression", expressions(SAME))
@pytest.mark.filterwarnings("ignore")
def test_same(expression):
    a, b = (eval(expression, {"m": m, "np": np}) for m in (tg, torch))
    if not isinstance(b, torch.Tensor):
        assert str(a) == str(b).removeprefix("torch.")
        return
    assert str(a.dtype) == str(b.dtype).removeprefix("torch.") and tuple(a.shape) == tuple(b.shape)
    assert a.requires_grad == b.requires_grad
    np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-6)


@pytest.mark.parametrize("expression", expressions(REFUSED))
@pytest.mark.filterwarnings("ignore")
def test_refused(expression):
    for m in (tg, torch):
        with pytest.raises(REFUSALS):
            eval(expression, {"m": m, "np": np})


def test_default_dtype():
    for m in (tg, torch):
        m.set_default_dtype(m.float64)
        try:
            made = [m.tensor(1.5), m.zeros(2), m.arange(2.0), m.linspace(0, 1, 2), m.rand(2), m.full((2,), 1.5), m.tensor([1, 2]) / 2, m.eye(2)]
            assert all(t.dtype == m.float64 for t in made)
            assert m.tensor([1]).dtype == m.int64
        finally:
            m.set_default_dtype(m.float32)


def test_what_shares_memory():
    for m in (tg, torch):
        array = np.zeros(3)
        for make, shared in [(m.from_numpy, True), (m.as_tensor, True), (m.asarray, True), (m.tensor, False), (m.from_dlpack, True), (lambda a, m=m: m.asarray(a, copy=True), False)]:
            array[:] = 0
            tensor = make(array)
            tensor[0] = 5
            assert (array[0] == 5) == shared
        tensor = m.ones(2)
        assert m.as_tensor(tensor) is tensor and m.Tensor(tensor).data_ptr() == tensor.data_ptr()
        assert m.as_tensor(tensor, dtype=m.float64) is not tensor


ARRAYS = [
    lambda draw, shape: draw.standard_normal(shape), lambda draw, shape: draw.standard_normal(shape) * 1e-3, lambda draw, shape: draw.standard_normal(shape) * 1e-6, lambda draw, shape: draw.standard_normal(shape) * 1e4, lambda draw, shape: draw.standard_normal(shape) * 1e10, lambda draw, shape: draw.uniform(1, 9, shape),
    lambda draw, shape: np.round(draw.standard_normal(shape) * 3), lambda draw, shape: np.round(draw.standard_normal(shape) * 3000), lambda draw, shape: np.round(draw.standard_normal(shape) * 1e9), lambda draw, shape: np.where(draw.uniform(size=shape) < 0.5, np.nan, draw.standard_normal(shape)),
    lambda draw, shape: np.where(draw.uniform(size=shape) < 0.5, np.inf, 2.0), lambda draw, shape: np.zeros(shape), lambda draw, shape: np.full(shape, -np.inf), lambda draw, shape: np.full(shape, 1e-10), lambda draw, shape: np.full(shape, 1000.5),
]  # fmt: skip
SHAPES = [(), (1,), (3,), (20,), (1001,), (2, 3), (5, 30), (40, 40), (2, 3, 4), (3, 2, 300), (7, 7, 7, 7), (0,), (2, 0), (0, 3, 4), (1, 1, 1), (6, 200)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_printed(shape):
    draw = np.random.default_rng(0)
    for make in ARRAYS:
        for dtype in ("float32", "float64", "float16", "int64", "int32", "uint8", "bool"):
            with np.errstate(all="ignore"):
                array = np.asarray(make(draw, shape)).astype(dtype)
            for requires_grad in (False, True) if dtype == "float32" else (False,):
                a, b = (repr(m.from_numpy(array.copy()).requires_grad_(requires_grad)) for m in (tg, torch))
                assert one_line_notes(a) == one_line_notes(b.replace("torch.", ""))


def one_line_notes(text):
    """PyTorch's notes are longer by `torch.`, so that their line may break earlier."""
    return re.sub(r",\s+(dtype|requires_grad|size)", r", \1", text)


def test_printed_by_option():
    array = np.random.default_rng(0).standard_normal((30, 40))
    for options in [{"precision": 2}, {"threshold": 10}, {"edgeitems": 2}, {"linewidth": 40}, {"sci_mode": True}, {"sci_mode": False}, {"profile": "short"}, {"profile": "full"}]:
        try:
            for m in (tg, torch):
                m.set_printoptions(**options)
            assert one_line_notes(repr(tg.from_numpy(array))) == one_line_notes(repr(torch.from_numpy(array)).replace("torch.", ""))
        finally:
            for m in (tg, torch):
                m.set_printoptions(profile="default")


def test_numbers_that_do_not_fit_are_refused():
    for dtype, fits, too_large in (("uint8", -9, 300), ("int8", -9.7, 200), ("int64", 2.5, 1e20), ("float16", 6e4, 7e4), ("bool", 300, None)):
        for call in (
            lambda m, v, d=dtype: m.full((2,), v, dtype=getattr(m, d)),
            lambda m, v, d=dtype: m.full_like(m.ones(2, dtype=getattr(m, d)), v),
            lambda m, v, d=dtype: m.ones(2, dtype=getattr(m, d)).fill_(v),
            lambda m, v, d=dtype: m.ones(2, dtype=getattr(m, d)).masked_fill(m.tensor([True, False]), v),
        ):
            compare(lambda m, call=call: lambda: call(m, fits))
            if too_large is not None:
                refused(lambda m, call=call: lambda: call(m, too_large))


@pytest.mark.parametrize("name", ["bartlett", "blackman", "hamming", "hann", "kaiser"])
def test_windows(name):
    name = f"{name}_window"
    for length in (0, 1, 2, 3, 10):
        for periodic in (True, False):
            compare(lambda m, a=(length, periodic): lambda: getattr(m, name)(*a))
            compare(lambda m, a=(length, periodic): lambda: getattr(m, name)(*a, dtype=m.float64))
    compare(lambda m: lambda: m.hamming_window(5, True, 0.6, 0.4))
    compare(lambda m: lambda: m.kaiser_window(5, True, 3.0))
    assert getattr(tg, name)(3, requires_grad=True).is_leaf
    for length in (-1, 2.5):
        refused(name, length)
    refused(lambda m: lambda: getattr(m, name)(3, dtype=m.int64))


def test_sequences_of_integers():
    for dtype in ("uint8", "int32", "int64"):
        for args in ((0.0, -8.000001, -4), (1.5, 5.9, 1.7), (-3.7, 3, 1)):
            compare(lambda m, args=args: lambda: m.arange(*args, dtype=getattr(m, dtype)))
    for dtype in ("int32", "int64"):
        compare(lambda m: lambda: m.linspace(4.3, -3, 50, dtype=getattr(m, dtype)))
        compare(lambda m: lambda: m.logspace(0, 2.3, 6, base=3.7, dtype=getattr(m, dtype)))
