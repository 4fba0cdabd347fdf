"""Strides, sizes and memory of tensors, as in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")

from tests.parity.compare import compare, refused  # noqa: E402

x = np.arange(6.0).reshape(2, 3)


@pytest.mark.parametrize("size, stride", [((2, 3), (1, 2)), ((2, 3), (0, 1)), ((), ()), ((4,), (3,))])
def test_empty_strided(size, stride):
    compare(lambda m: lambda: (m.empty_strided(size, stride).stride(), m.empty_strided(size, stride, dtype=m.int8).dtype.itemsize))
    compare(lambda m: lambda x: x.new_empty_strided(size, stride).fill_(2), x, order=0)
    compare(lambda m: lambda: m.empty_permuted((2, 3, 4), (0, 2, 1)).stride())
    assert tg.empty_strided((2,), (1,), requires_grad=True).is_leaf


def test_strides_that_do_not_belong_to_a_size_are_refused():
    for size, stride in (((2, 3), (1,)), ((2, 3), (-1, 2)), ((-2, 3), (1, 2))):
        refused("empty_strided", size, stride)
    for layout in ((0, 0), (0, 2), (0,)):
        refused("empty_permuted", (2, 3), layout)


def test_resize():
    for view in (lambda x: x, lambda x: x.t(), lambda x: x[1:]):
        compare(lambda m, view=view: lambda x: view(x).resize_(1, 3), x, order=0)
    compare(lambda m: lambda x: x.resize_((3, 2)), x, order=0)
    compare(lambda m: lambda x: x.resize_as_(m.ones(2, 2)), x, order=0)
    compare(lambda m: lambda x: x.clone().resize_(4, 2)[:3], x, order=0)  # the last two are not initialized
    refused(lambda m: lambda x: x.resize_(2), x)  # it requires grad
    refused(lambda m: lambda: m.ones(3).resize_(-1))
    with pytest.raises(RuntimeError, match="clone"):  # PyTorch makes the whole storage grow
        tg.ones(2, 3)[1:].resize_(4)


def test_set():
    compare(lambda m: lambda x: m.empty(0, dtype=m.float64).set_(x), x, order=0)
    compare(lambda m: lambda x: (x.is_set_to(x), x.is_set_to(x.view(2, 3)), x.is_set_to(x.t()), x.is_set_to(x.clone())), x, order=0)
    refused(lambda m: lambda x: m.empty(0, dtype=m.int64).set_(x.detach()), x)


def test_functions_of_python():
    compare(lambda m: lambda x: x.apply_(lambda v: v * v + 1), x, order=0)
    compare(lambda m: lambda x: x.apply_(lambda v: v / 2), np.arange(4), order=0)
    compare(lambda m: lambda x: x.map_(m.ones(3, dtype=m.float64), lambda a, b: a - b), x, order=0)
    refused(lambda m: lambda x: x.apply_(abs), x)
    refused(lambda m: lambda x: x.detach().map_(m.ones(3, dtype=m.int64), max), x)
    refused(lambda m: lambda x: x.detach().map_(m.ones(4, dtype=m.float64), max), x)


def test_frombuffer():
    data = bytearray(b"abcdefgh")
    compare(lambda m: lambda: m.frombuffer(data, dtype=m.int32))
    compare(lambda m: lambda: m.frombuffer(data, dtype=m.int16, count=2, offset=2))
    for buffer, options in ((data, {"count": 3}), (b"", {}), (b"abcde", {}), (data, {"offset": 9}), (data, {"count": 0})):
        refused(lambda m, buffer=buffer, options=options: lambda: m.frombuffer(buffer, dtype=m.int32, **options))


def test_as_strided_in_place():
    compare(lambda m: lambda x: x.as_strided_((3, 2), (1, 3)), x, order=0)
    compare(lambda m: lambda x: (x * 2).as_strided_((2, 2), (3, 1), 1), x)


def test_nonzero_static():
    for array in (np.array([[1, 0], [2, 3]]), np.array(1), np.array([0, 0]), np.zeros((0, 2), int)):
        for size in (0, 2, 5):
            compare("nonzero_static", array, size=size)
            compare("nonzero_static", array, size=size, fill_value=7)
    refused("nonzero_static", np.array([1]), size=-1)


@pytest.mark.parametrize("change", [lambda x: x.set_(tg.tensor([5.0, 6.0])), lambda x: x.resize_(3)])
def test_a_tensor_with_other_memory_is_no_view_and_has_no_views_any_more(change):
    w = tg.tensor([2.0, 3.0], requires_grad=True)
    x = tg.ones(2)
    view = x[:]
    change(x)
    values = x.tolist()
    view.mul_(w)
    assert view.requires_grad and not x.requires_grad and x.tolist() == values
    whole = tg.ones(2)
    view = whole[:]
    view.set_(tg.tensor([5.0, 6.0]))
    whole.mul_(w)
    assert view.tolist() == [5.0, 6.0] and not view.requires_grad
