"""The old constructors (`FloatTensor`, `x.new`, ...), what they treat as a size and what as values, and `type()`."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")

NAMES = [
    "Tensor", "FloatTensor", "DoubleTensor", "HalfTensor", "LongTensor", "IntTensor", "ShortTensor", "CharTensor", "ByteTensor",
    "BoolTensor", "new of float32", "new of int64",
]  # fmt: skip


def maker(lib, name):
    if name.startswith("new"):
        return lib.zeros(1, dtype=getattr(lib, name.split()[-1])).new
    return getattr(lib, name)


SIZES = {
    "a shape": lambda x: (x.shape,),
    "a size()": lambda x: (x.size(),),
    "the head of a shape": lambda x: (x.shape[:1],),
    "the end of a shape": lambda x: (x.shape[-1:],),
    "a shape reversed": lambda x: (x.shape[::-1],),
    "no dim at all": lambda x: (x.shape[:0],),
    "a shape and more": lambda x: (x.shape + (3,),),  # noqa: RUF005
    "more and a shape": lambda x: ((3,) + x.shape,),  # noqa: RUF005
    "two shapes": lambda x: (x.shape + x.shape,),
    "a shape twice": lambda x: (2 * x.shape,),
    "a copied shape": lambda x: (copy.deepcopy(x.shape),),
    "a pickled shape": lambda x: (pickle.loads(pickle.dumps(x.shape)),),
    "numbers": lambda x: tuple(x.shape),
    "numbers of NumPy": lambda x: (np.int64(2), 3),
    "nothing": lambda x: (),
    "zero": lambda x: (0,),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", SIZES)
def test_sizes(what, name):
    results = [maker(lib, name)(*SIZES[what](lib.zeros(2, 3))) for lib in (tg, torch)]
    ours, theirs = ((tuple(t.shape), str(t.dtype).removeprefix("torch.")) for t in results)
    assert ours == theirs


VALUES = {
    "a list": lambda lib: [2, 3],
    "a tuple": lambda lib: (2, 3),
    "a shape as a list": lambda lib: list(lib.zeros(2, 3).shape),
    "a shape as a tuple": lambda lib: tuple(lib.zeros(2, 3).shape),
    "a range": lambda lib: range(3),
    "an array": lambda lib: np.array([2.0, 3.0]),
    "nested": lambda lib: [[1, 2], [3, 4]],
    "floats": lambda lib: [1.0, 2.0],
    "an empty list": lambda lib: [],
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", VALUES)
def test_values(what, name):
    ours, theirs = (maker(lib, name)(VALUES[what](lib)) for lib in (tg, torch))
    assert (str(ours.dtype), ours.tolist()) == (str(theirs.dtype).removeprefix("torch."), theirs.tolist())


@pytest.mark.parametrize("name", NAMES)
def test_arguments_by_name(name):
    for arguments in ({"size": (2, 3)}, {"size": [2, 3], "device": "cpu"}, {"data": [2, 3]}, {"device": "cpu"}):
        assert tuple(maker(tg, name)(**arguments).shape) == tuple(maker(torch, name)(**arguments).shape)


REFUSED = {
    "a float": lambda lib: (2.5,), "a bool": lambda lib: (True,), "a string": lambda lib: ("ab",), "None": lambda lib: (None,),
    "a set": lambda lib: ({1, 2},), "a dict": lambda lib: ({},), "a negative size": lambda lib: (-1,),
    "a shape and a number": lambda lib: (lib.zeros(2, 3).shape, 3), "a list and a number": lambda lib: ([2], 3),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", REFUSED)
def test_refused(what, name):
    for lib in (tg, torch):
        with pytest.raises((TypeError, RuntimeError)):
            maker(lib, name)(*REFUSED[what](lib))


@pytest.mark.parametrize("name", NAMES[1:])
def test_a_tensor_of_another_dtype_is_refused(name):
    for lib in (tg, torch):
        given = lib.zeros(2, dtype=lib.float32 if name == "DoubleTensor" else lib.float64)
        with pytest.raises(TypeError):
            maker(lib, name)(given)


def test_tensor_takes_a_tensor_as_it_is():
    for lib in (tg, torch):
        x = lib.tensor([1, 2])
        same = lib.Tensor(x)
        same[0] = 5
        assert same.dtype == lib.int64 and x.tolist() == [5, 2]


def test_a_tensor_of_the_same_dtype_is_shared():
    for lib in (tg, torch):
        x = lib.ones(2)
        lib.FloatTensor(x)[0] = 5.0
        x.new(x)[1] = 6.0
        assert x.tolist() == [5.0, 6.0]


@pytest.mark.parametrize("given", [
    lambda lib: lib.LongTensor, lambda lib: lib.FloatTensor, lambda lib: lib.Tensor, lambda lib: lib.float16,
    lambda lib: "torch.FloatTensor", lambda lib: "torch.LongTensor",
])  # fmt: skip
def test_type_takes_a_constructor_and_its_name(given):
    ours, theirs = (lib.tensor([1, 2]).type(given(lib)) for lib in (tg, torch))
    assert str(ours.dtype) == str(theirs.dtype).removeprefix("torch.")


def test_what_type_gives_is_what_it_takes():
    for lib in (tg, torch):
        x, y = lib.ones(2, dtype=lib.float64), lib.ones(2)
        assert y.type(x.type()).dtype == lib.float64
    with pytest.raises(TypeError):
        tg.ones(2).type("NoTensor")


def test_a_class_is_no_dtype():
    class Thing:
        pass

    for function in (lambda: tg.zeros(2, dtype=Thing), lambda: tg.zeros(2).to(Thing), lambda: tg.zeros(2).type(Thing)):
        with pytest.raises((TypeError, ValueError)):
            function()


def test_parts_of_a_shape_are_shapes_and_equal_tuples():
    shape = tg.zeros(2, 3, 4).shape
    five = (5,)
    for part, expected in ((shape[1:], (3, 4)), (shape + five, (2, 3, 4, 5)), (five + shape, (5, 2, 3, 4)), (shape * 1, (2, 3, 4))):
        assert type(part) is tg.Size and part == expected and hash(part) == hash(expected)
    assert shape[1] == 3 and type(shape[1]) is int and shape[1:].numel() == 12
