"""Shapes, joining, splitting, repeating and diagonals, as in PyTorch."""

from __future__ import annotations

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import tinygrad_lite as tg  # noqa: E402
from tests.parity.compare import compare, refused  # noqa: E402


def given(*shape, dtype=np.float64):
    draw = np.random.default_rng(len(shape) + sum(shape))
    return np.asarray(draw.standard_normal(shape) * (9 if dtype == np.int64 else 1)).astype(dtype)


DTYPES = [np.float64, np.float32, np.int64, np.bool_]


def method(name, *args, **kwargs):
    return lambda m: lambda x: getattr(x, name)(*args, **kwargs)


# name of the function, shape, arguments
FUNCTIONS = [
    ("reshape", (2, 6), ((3, 4),)), ("reshape", (2, 6), ((-1,),)), ("reshape", (2, 6), ([4, -1],)), ("reshape", (), ((1, 1),)),
    ("reshape", (0, 3), ((3, 0),)), ("reshape", (0, 3), ((-1, 3),)), ("reshape", (1,), ((),)), ("ravel", (2, 3), ()), ("ravel", (), ()),
    ("flatten", (2, 3, 4), ()), ("flatten", (2, 3, 4), (1,)), ("flatten", (2, 3, 4), (0, 1)), ("flatten", (2, 3, 4), (-2, -1)),
    ("flatten", (), ()), ("flatten", (3,), ()), ("flatten", (2, 0, 3), ()), ("unflatten", (2, 6), (1, (2, 3))),
    ("unflatten", (2, 6), (-1, (2, -1))), ("unflatten", (6,), (0, [3, 2])), ("squeeze", (1, 2, 1), ()), ("squeeze", (1, 2, 1), (0,)),
    ("squeeze", (1, 2, 1), (1,)), ("squeeze", (1, 2, 1), (-1,)), ("squeeze", (1, 2, 1), ((0, 2),)), ("squeeze", (1, 2, 1), ((0, 1),)),
    ("squeeze", (), ()), ("squeeze", (), (0,)), ("squeeze", (1, 1), ()), ("unsqueeze", (2, 3), (0,)), ("unsqueeze", (2, 3), (2,)),
    ("unsqueeze", (2, 3), (-1,)), ("unsqueeze", (2, 3), (-3,)), ("unsqueeze", (), (0,)), ("transpose", (2, 3, 4), (0, 2)),
    ("transpose", (2, 3, 4), (-1, 1)), ("transpose", (), (0, -1)), ("swapaxes", (2, 3), (0, 1)), ("swapdims", (2, 3), (1, 0)),
    ("t", (2, 3), ()), ("t", (3,), ()), ("t", (), ()), ("permute", (2, 3, 4), ((2, 0, 1),)), ("permute", (2, 3), ((-1, 0),)),
    ("permute", (), ((),)), ("movedim", (2, 3, 4), (0, -1)), ("movedim", (2, 3, 4), ((0, 1), (2, 0))), ("movedim", (), (0, 0)),
    ("moveaxis", (2, 3, 4), (2, 0)), ("adjoint", (2, 3, 4), ()), ("broadcast_to", (3, 1), ((2, 3, 4),)), ("broadcast_to", (3, 1), ((3, -1),)),
    ("broadcast_to", (), ((2,),)), ("broadcast_to", (1,), ((0,),)), ("atleast_1d", (), ()), ("atleast_1d", (2,), ()),
    ("atleast_2d", (), ()), ("atleast_2d", (2,), ()), ("atleast_2d", (0,), ()), ("atleast_2d", (2, 3), ()), ("atleast_3d", (), ()), ("atleast_3d", (2,), ()),
    ("atleast_3d", (2, 3), ()), ("atleast_3d", (2, 3, 1), ()), ("clone", (2, 3), ()),
    ("tile", (2, 3), ((2,),)), ("tile", (2, 3), ((2, 1, 3),)), ("tile", (2,), ((0,),)), ("tile", (2,), ((),)),
    ("repeat_interleave", (2, 3), (2,)), ("repeat_interleave", (2, 3), (2, 0)), ("repeat_interleave", (2, 3), (0, 1)),
    ("repeat_interleave", (), (2,)),
    ("flip", (2, 3), ((0,),)), ("flip", (2, 3), ((0, -1),)), ("flip", (2, 3), ((),)), ("flip", (), ((),)), ("fliplr", (2, 3), ()), ("flipud", (2, 3), ()),
    ("flipud", (3,), ()), ("roll", (2, 3), (1,)), ("roll", (2, 3), (-4,)), ("roll", (2, 3), (1, 1)), ("roll", (2, 3), ((1, 2), (0, 1))),
    ("roll", (2, 3), ((1, 2), (1, 1))), ("roll", (0,), (1,)), ("roll", (), (1,)), ("rot90", (2, 3), ()), ("rot90", (2, 3), (2,)), ("rot90", (2, 3, 4), (3, (1, 2))),
    ("rot90", (2, 3, 4), (-1, (2, 0))), ("rot90", (2, 3), (0,)),
    ("diagonal", (3, 4), ()), ("diagonal", (3, 4), (1,)), ("diagonal", (3, 4), (-2,)), ("diagonal", (3, 4), (7,)), ("diagonal", (2, 3, 4), (0, 1, 2)),
    ("diagonal", (2, 3, 4), (-1, -1, 0)), ("diagonal", (0, 0), ()), ("diag", (3,), ()), ("diag", (3,), (1,)), ("diag", (3, 4), ()), ("diag", (3, 4), (-1,)),
    ("diag", (3, 3), (5,)), ("diag_embed", (2, 3), ()), ("diag_embed", (2, 3), (1,)), ("diag_embed", (2, 3), (-2, 0, 2)), ("diag_embed", (0, 3), (1,)), ("diagonal", (0, 3, 3), (1, 1, 2)), ("diag_embed", (3,), (0, 1, 0)),
    ("diagflat", (2, 2), ()), ("diagflat", (2,), (-1,)), ("diagflat", (), ()), ("tril", (3, 4), ()), ("tril", (2, 3, 3), (-1,)), ("triu", (3, 4), (1,)), ("triu", (4, 3), (-1,)),
    ("triu", (0, 3), ()), ("narrow", (4, 3), (0, 1, 2)), ("narrow", (4, 3), (1, -2, 2)), ("narrow", (4, 3), (-1, 3, 0)), ("select", (2, 3), (0, 1)), ("select", (2, 3), (-1, -3)),
    ("select", (3,), (0, 1)), ("as_strided", (3, 4), ((2, 2), (4, 2))), ("as_strided", (3, 4), ((2, 3), (1, 2), 3)), ("as_strided", (3, 4), ((2, 3), (1, 1))),
    ("as_strided", (3, 4), ((), (), 5)), ("as_strided", (3, 4), ((0, 2), (9, 9))), ("constant_pad_nd", (2, 3), ((1, 2),)), ("constant_pad_nd", (2, 3), ((1, 2, 0, 1), 3)), ("constant_pad_nd", (2, 3), ((-1, 2, 1, -1), 1)),
    ("constant_pad_nd", (2, 3), ((),)),
    ("unbind", (2, 3), ()), ("unbind", (2, 3), (1,)), ("unbind", (0, 3), ()), ("split", (5, 2), (2,)), ("split", (5, 2), (7,)), ("split", (5, 2), ([1, 0, 4],)), ("split", (2, 5), (2, 1)),
    ("split", (2, 5), ((2, 3), -1)), ("split", (0, 2), (2,)), ("split", (0, 2), (0,)), ("split_with_sizes", (5,), ([2, 3],)), ("chunk", (5, 2), (2,)), ("chunk", (5, 2), (4,)), ("chunk", (5, 2), (9, 1)),
    ("chunk", (0, 2), (3,)), ("tensor_split", (7,), (3,)), ("tensor_split", (7, 2), ((1, 3),)), ("tensor_split", (7,), ((1, -2, 9),)), ("tensor_split", (2, 5), (4, 1)), ("tensor_split", (5,), ((3, 1),)),
    ("tensor_split", (2,), (5,)), ("hsplit", (4,), (2,)), ("hsplit", (2, 4), (2,)), ("hsplit", (2, 4), ((1, 3),)), ("vsplit", (4, 2), (2,)), ("vsplit", (4, 2), ([1],)), ("dsplit", (1, 2, 4), (2,)),
    ("combinations", (4,), ()), ("combinations", (3,), (3,)), ("combinations", (3,), (2, True)), ("combinations", (3,), (1,)), ("combinations", (2,), (3,)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
@pytest.mark.parametrize("name,shape,args", FUNCTIONS, ids=str)
def test_function(name, shape, args, dtype):
    compare(name, given(*shape, dtype=dtype), *args)


METHODS = [
    ("view", (2, 6), (3, 4)), ("view", (2, 6), ((4, -1),)), ("view", (2, 6), (-1,)), ("view", (), (1,)), ("view", (0, 2), (0,)), ("reshape", (2, 6), (3, 4)), ("reshape", (2,), (2, 1)),
    ("reshape", (1,), ((),)), ("permute", (2, 3, 4), (1, 2, 0)), ("expand", (3, 1), (2, 3, 4)), ("expand", (3, 1), (-1, 4)), ("expand", (3, 1), ((3, 2),)), ("expand", (), (2,)), ("expand", (), ((),)),
    ("repeat", (2, 3), (2, 1)), ("repeat", (2, 3), (2, 1, 3)), ("repeat", (2,), ((1,),)), ("repeat", (), (3,)), ("repeat", (), ((),)), ("repeat", (2, 3), (0, 1)), ("tile", (2, 3), (2, 2)), ("flip", (2, 3), (0, 1)),
    ("unfold", (7,), (0, 3, 2)), ("unfold", (5, 4), (0, 2, 1)), ("unfold", (5, 4), (1, 4, 1)), ("unfold", (5,), (0, 0, 1)), ("unfold", (), (0, 1, 1)), ("contiguous", (2, 3), ()), ("split", (5,), (2,)),
    ("view_as", (2, 3), (lambda m: m.zeros(6),)), ("reshape_as", (2, 3), (lambda m: m.zeros(3, 2),)), ("expand_as", (1, 3), (lambda m: m.zeros(2, 3),)), ("T", (2, 3), None), ("mT", (2, 3, 4), None),
    ("H", (2, 3), None), ("mH", (2, 3, 4), None), ("movedim", (2, 3), (0, 1)), ("unflatten", (6,), (0, (2, 3))), ("squeeze", (1, 2), (0,)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES[1:3], ids=lambda d: d.__name__)
@pytest.mark.parametrize("name,shape,args", METHODS, ids=lambda value: re.sub(" at 0x[0-9a-f]+", "", str(value)))
def test_method(name, shape, args, dtype):
    def call(m):
        if args is None:
            return lambda x: getattr(x, name)
        return lambda x: getattr(x, name)(*(a(m) if callable(a) else a for a in args))

    compare(call, given(*shape, dtype=dtype))


REFUSED = [
    ("reshape", (2, 3), ((4,),)), ("reshape", (2, 3), ((-1, -1),)), ("reshape", (2, 3), ((-2, 3),)), ("reshape", (0, 3), ((0, -1),)), ("reshape", (2, 3), ((2.0, 3),)), ("flatten", (2, 3), (1, 0)),
    ("flatten", (2, 3), (2,)), ("unflatten", (2, 6), (1, (4, 2))), ("unflatten", (2, 6), (1, ())), ("unflatten", (2, 6), (2, (1,))), ("squeeze", (1, 2), (2,)), ("unsqueeze", (2,), (2,)), ("unsqueeze", (2,), (-3,)),
    ("transpose", (2, 3), (0, 2)), ("t", (2, 3, 4), ()), ("permute", (2, 3), ((0,),)), ("permute", (2, 3), ((0, 0),)), ("permute", (2, 3), ((0, 2),)), ("movedim", (2, 3), ((0, 0), (0, 1))), ("movedim", (2, 3), (0, (0, 1))),
    ("broadcast_to", (3,), ((2,),)), ("broadcast_to", (3,), ((),)), ("broadcast_to", (3,), ((-1, 3),)), ("tile", (2,), ((-1,),)), ("repeat_interleave", (2,), (-1,)), ("flip", (2, 3), ((0, 0),)), ("flip", (2, 3), ((2,),)),
    ("fliplr", (3,), ()), ("flipud", (), ()), ("roll", (2, 3), ((1, 2),)), ("roll", (2, 3), ((1, 2), (0,))), ("roll", (2, 3), (1, 2)), ("rot90", (2, 3), (1, (0,))), ("rot90", (3,), ()), ("rot90", (2, 3), (1, (0, 0))),
    ("diagonal", (3,), ()), ("diagonal", (3, 3), (0, 1, 1)), ("diag", (2, 2, 2), ()), ("diag", (), ()), ("diag_embed", (3,), (0, 0, 0)), ("tril", (3,), ()), ("triu", (), ()), ("narrow", (4,), (0, 3, 2)), ("narrow", (4,), (0, 5, 0)),
    ("narrow", (4,), (0, 0, -1)), ("narrow", (), (0, 0, 1)), ("select", (2, 3), (0, 2)), ("select", (), (0, 0)), ("as_strided", (3,), ((2, 2), (2, 2))), ("as_strided", (3,), ((2,), (1, 1))), ("constant_pad_nd", (3,), ((1,),)),
    ("constant_pad_nd", (3,), ((-2, -2),)), ("constant_pad_nd", (3,), ((1, 1, 1, 1),)), ("unbind", (), ()), ("split", (5,), ([2, 2],)), ("split", (5,), (-1,)), ("split", (5,), (0,)), ("split", (), (1,)), ("chunk", (3,), (0,)),
    ("chunk", (), (1,)), ("tensor_split", (3,), (0,)), ("tensor_split", (), (1,)), ("hsplit", (5,), (2,)), ("hsplit", (), (1,)), ("vsplit", (4,), (2,)), ("dsplit", (2, 2), (1,)), ("combinations", (2, 2), ()),
    ("combinations", (2,), (-1,)), ("split_with_sizes", (4,), ([1, 2],)), ("split_with_sizes", (4,), ([-1, 5],)),
]  # fmt: skip


@pytest.mark.parametrize("name,shape,args", REFUSED, ids=str)
def test_refused(name, shape, args):
    refused(name, given(*shape), *args)


def test_refused_methods():
    refused(lambda m: lambda x: x.t().view(6), given(2, 3))
    refused(method("view", 4), given(2, 3))
    refused(method("expand", 2), given(3))
    refused(method("expand", 3), given(2, 3))
    refused(method("repeat", 2), given(2, 3))
    refused(method("repeat", -1, 2), given(2, 3))
    refused(method("unfold", 0, 4, 1), given(3))
    refused(method("unfold", 0, 2, 0), given(3))


JOINED = [
    ("cat", [(2, 3), (1, 3)], {}), ("cat", [(2, 3), (2, 1)], {"dim": 1}), ("cat", [(2, 3), (0,), (1, 3)], {}), ("cat", [(2,), (0,)], {"dim": -1}), ("cat", [(2, 3)], {"dim": -1}), ("concat", [(2,), (3,)], {}),
    ("concatenate", [(2,), (3,)], {"axis": 0}), ("stack", [(2, 3), (2, 3)], {}), ("stack", [(2, 3), (2, 3)], {"dim": -1}), ("stack", [(2, 3), (2, 3)], {"dim": 1}), ("stack", [(), ()], {}), ("hstack", [(2,), (3,)], {}),
    ("hstack", [(2, 1), (2, 2)], {}), ("hstack", [(), ()], {}), ("vstack", [(2,), (2,)], {}), ("vstack", [(2,), (1, 2)], {}), ("row_stack", [(2,), (2,)], {}), ("dstack", [(2,), (2,)], {}), ("dstack", [(2, 3), (2, 3)], {}),
    ("column_stack", [(2,), (2, 3)], {}), ("column_stack", [(), ()], {}), ("column_stack", [(0,), (0,)], {}), ("cat", [(0,), (0,)], {}), ("dstack", [(2, 3, 1), (2, 3, 2)], {}),
]  # fmt: skip


@pytest.mark.parametrize("dtypes", [(np.float64,), (np.float32, np.float64), (np.int64, np.float32), (np.bool_, np.int64)], ids=str)
@pytest.mark.parametrize("name,shapes,kwargs", JOINED, ids=str)
def test_joined(name, shapes, kwargs, dtypes):
    arrays = [given(*shape, dtype=dtypes[i % len(dtypes)]) for i, shape in enumerate(shapes)]
    compare(name, arrays, **kwargs)
    compare(name, tuple(arrays), **kwargs)


@pytest.mark.parametrize("name,shapes,kwargs", [
    ("cat", [(2, 3), (2, 2)], {}), ("cat", [(2, 3), (2,)], {}), ("cat", [(), ()], {}), ("cat", [], {}), ("cat", [(2,), (2,)], {"dim": 1}), ("stack", [(2,), (3,)], {}), ("stack", [], {}), ("stack", [(2,), (2,)], {"dim": 2}),
    ("hstack", [], {}), ("vstack", [(2,), (3,)], {}), ("column_stack", [(2,), (3,)], {}),
], ids=str)  # fmt: skip
def test_refused_joined(name, shapes, kwargs):
    refused(name, [given(*shape) for shape in shapes], **kwargs)


def test_cat_takes_tensors_only():
    refused("cat", given(2, 3)[0], given(2))
    refused("cat", [given(2), 1.0])
    refused("stack", 3)


SEVERAL = [
    ("broadcast_tensors", [(3, 1), (2,)], {}), ("broadcast_tensors", [(), (2, 0)], {}), ("meshgrid", [(2,), (3,)], {"indexing": "ij"}), ("meshgrid", [(2,), (3,), (1,)], {"indexing": "xy"}), ("meshgrid", [(), (2,)], {"indexing": "ij"}),
    ("meshgrid", [(0,), (2,)], {"indexing": "ij"}), ("meshgrid", [(2,)], {"indexing": "xy"}), ("cartesian_prod", [(2,), (3,)], {}), ("cartesian_prod", [(3,)], {}), ("cartesian_prod", [(2,), (0,)], {}), ("block_diag", [(2, 3), (2,), ()], {}), ("block_diag", [(2, 0), (1, 1)], {}),
    ("block_diag", [], {}), ("atleast_1d", [(), (2,)], {}), ("atleast_2d", [(), (2,)], {}), ("atleast_3d", [(2,), (2, 3)], {}),
]  # fmt: skip


@pytest.mark.parametrize("name,shapes,kwargs", SEVERAL, ids=str)
def test_several(name, shapes, kwargs):
    compare(name, *[given(*shape) for shape in shapes], **kwargs)
    if name in ("meshgrid", "broadcast_tensors", "atleast_2d"):
        compare(lambda m: lambda xs: getattr(m, name)(*xs, **kwargs), [given(*shape) for shape in shapes])


def test_refused_several():
    refused("broadcast_tensors", given(2), given(3))
    refused("meshgrid", given(2, 2), given(2), indexing="ij")
    refused("meshgrid", given(2), indexing="no")
    refused("cartesian_prod", given(2, 2), given(2))
    refused("block_diag", given(1, 1, 1))
    refused(lambda m: lambda: m.broadcast_shapes((2,), (3,)))
    assert compare(lambda m: lambda: tuple(m.broadcast_shapes((2, 1), (3,), 1))) == (2, 3)


def test_repeats_of_each():
    counts = np.array([2, 0, 1])
    compare("repeat_interleave", given(3), counts)
    compare("repeat_interleave", given(2, 3), counts, dim=1)
    compare("repeat_interleave", given(3, 2), counts, 0, output_size=3)
    compare("repeat_interleave", given(3, 2), np.array([2]), 0)
    compare("repeat_interleave", counts)
    refused("repeat_interleave", given(2), counts)
    refused("repeat_interleave", given(3), -counts)
    refused("repeat_interleave", given(3))


@pytest.mark.parametrize("name", ["tril_indices", "triu_indices"])
def test_triangle_indices(name):
    for args in [(3, 3), (3, 4, 1), (4, 2, -1), (0, 3), (3, 3, 9), (3, 3, -9)]:
        compare(lambda m, args=args: lambda: getattr(m, name)(*args))
    compare(lambda m: lambda: getattr(m, name)(2, 2, dtype=m.int32))
    refused(lambda m: lambda: getattr(m, name)(-1, 2))


def test_names_of_arguments():
    x = given(2, 3)
    compare(lambda m: lambda x: m.flatten(input=x, start_dim=0, end_dim=1), x)
    compare(lambda m: lambda x: m.squeeze(input=x, dim=0), x)
    compare(lambda m: lambda x: m.transpose(input=x, dim0=0, dim1=1), x)
    compare(lambda m: lambda x: m.swapaxes(x, axis0=0, axis1=1), x)
    compare(lambda m: lambda x: m.movedim(x, source=0, destination=1), x)
    compare(lambda m: lambda x: m.broadcast_to(x, size=(2, 2, 3)), x)
    compare(lambda m: lambda x: m.permute(x, dims=(1, 0)), x)
    compare(lambda m: lambda x: m.split(x, split_size_or_sections=1, dim=1), x)
    compare(lambda m: lambda x: x.split(split_size=1, dim=1), x)
    compare(lambda m: lambda x: m.chunk(input=x, chunks=2), x)
    compare(lambda m: lambda x: m.cat(tensors=[x, x], axis=1), x)
    compare(lambda m: lambda x: m.stack(tensors=[x, x], dim=1), x)
    compare(lambda m: lambda x: m.roll(x, shifts=1, dims=0), x)
    compare(lambda m: lambda x: m.rot90(x, k=1, dims=[0, 1]), x)
    compare(lambda m: lambda x: m.diagonal(x, offset=0, dim1=0, dim2=1), x)
    compare(lambda m: lambda x: m.diag_embed(x, offset=0, dim1=0, dim2=1), x)
    compare(lambda m: lambda x: m.diag(x, diagonal=1), x)
    compare(lambda m: lambda x: m.tril(x, diagonal=1), x)
    compare(lambda m: lambda x: m.narrow(x, dim=0, start=0, length=1), x)
    compare(lambda m: lambda x: m.select(x, dim=0, index=0), x)
    compare(lambda m: lambda x: m.unflatten(x, dim=1, sizes=(3, 1)), x)
    compare(lambda m: lambda x: m.repeat_interleave(x, repeats=2, dim=0), x)
    compare(lambda m: lambda x: m.tile(x, dims=(2,)), x)
    compare(lambda m: lambda x: m.flip(x, dims=[0]), x)
    compare(lambda m: lambda x: m.constant_pad_nd(x, pad=(1, 1), value=2), x)
    compare(lambda m: lambda x: m.tensor_split(x, sections=2, dim=1), x)
    compare(lambda m: lambda x: m.tensor_split(x, indices=(1,), dim=1), x)
    compare(lambda m: lambda x: m.as_strided(x, size=(2,), stride=(1,), storage_offset=1), x)
    compare(lambda m: lambda x: x.unfold(dimension=1, size=2, step=1), x)
    compare(lambda m: lambda x: x.permute(dims=(1, 0)), x)
    compare(lambda m: lambda x: x.reshape(shape=(3, 2)), x)
    compare(lambda m: lambda x: x.view(size=(3, 2)), x)
    compare(lambda m: lambda x: x.expand(size=(2, 2, 3)), x)
    compare(lambda m: lambda x: x.repeat(repeats=(2, 1)), x)
    compare(lambda m: lambda x: x.flip(dims=(1,)), x)
    compare(lambda m: lambda x: x.tile(dims=(2,)), x)


def test_views_of_other_dtypes():
    compare(lambda m: lambda x: x.view(m.int32), given(2, 4, dtype=np.float32), order=0)
    compare(lambda m: lambda x: x.view(m.uint8), given(2, 4, dtype=np.float32), order=0)
    compare(lambda m: lambda x: x.view(m.float64), given(2, 4, dtype=np.float32), order=0)
    compare(lambda m: lambda x: x.view(dtype=m.int64), given(2, 4), order=0)
    compare(lambda m: lambda x: x.view(m.float64), given(2, 4))
    refused(lambda m: lambda x: x.view(m.float64), given(2, 3, dtype=np.float32))
    refused(lambda m: lambda x: x.t().view(m.int16), given(2, 3, dtype=np.float32))


@pytest.mark.parametrize("call", [
    lambda x: x.t(), lambda x: x[:, 1:], lambda x: x.reshape(4, 3), lambda x: x.t().reshape(12), lambda x: x.expand(1, 3, 4), lambda x: x.contiguous(), lambda x: x.t().contiguous(), lambda x: x.flatten(),
    lambda x: x.diagonal(), lambda x: x.unfold(1, 2, 1), lambda x: x.permute(1, 0), lambda x: x.unsqueeze(0), lambda x: x.squeeze(), lambda x: x.narrow(0, 1, 1), lambda x: x.split(2)[1], lambda x: x.unbind(1)[2],
    lambda x: x[1], lambda x: x[1, 2], lambda x: x[[0, 1]], lambda x: x.flip(0), lambda x: x.repeat(1, 1), lambda x: x.clone(), lambda x: x.as_strided((2,), (3,)), lambda x: x.ravel(), lambda x: x.t().ravel(), lambda x: x.mT,
    lambda x: x.movedim(0, 1), lambda x: x.view(12), lambda x: x.tile(1, 1), lambda x: x.diag(), lambda x: x.chunk(2)[0], lambda x: x.select(1, 0), lambda x: x.index_select(0, x[0, :2].long() * 0), lambda x: x.detach(), lambda x: x.data,
    lambda x: x.roll(1), lambda x: x.tril(), lambda x: x.rot90(), lambda x: x.view_as(x), lambda x: x.reshape_as(x), lambda x: x[:], lambda x: x[None], lambda x: x[...], lambda x: x.T, lambda x: x.swapaxes(0, 1),
])  # fmt: skip
def test_what_shares_memory(call):
    import tinygrad_lite as tg

    array = given(3, 4)
    x, y = tg.from_numpy(array.copy()), torch.from_numpy(array.copy())
    a, b = call(x), call(y)
    a.zero_()
    b.zero_()
    np.testing.assert_array_equal(x.numpy(), y.numpy())
    assert a.is_contiguous() == b.is_contiguous() and tuple(a.shape) == tuple(b.shape)


def test_views_of_memory_that_came_from_elsewhere_with_gaps():
    every_second = torch.arange(12.0).reshape(3, 4)[:, ::2]
    x = tg.from_numpy(every_second.numpy()).requires_grad_()
    wide = x[:, None].expand(3, 5, 2)
    assert wide.tolist() == every_second[:, None].expand(3, 5, 2).tolist()
    assert x.diagonal().tolist() == [0.0, 6.0]
    product = (x * x).sum()
    with tg.no_grad():
        x.diagonal().mul_(2)
    with pytest.raises(RuntimeError, match="changed"):
        product.backward()


def test_as_strided_counts_in_memory():
    x = given(4, 6)
    for view in (lambda x: x, lambda x: x.t(), lambda x: x[1:], lambda x: x[1:].t(), lambda x: x[2]):
        compare(lambda m, view=view: lambda x: view(x * 1).as_strided((2, 3), (1, 2)), x)
        compare(lambda m, view=view: lambda x: view(x * 1).as_strided((2, 2), (1, 2), 13), x)
    for view in (lambda x: x[:, ::2], lambda x: x[:, :1].expand(4, 6), lambda x: x[1:]):  # off the tape: of all the memory
        compare(lambda m, view=view: lambda x: view(x).as_strided((2, 3), (1, 2)), x, order=0)
        compare(lambda m, view=view: lambda x: view(x).as_strided((2, 2), (1, 2), 0), x, order=0)
    on_tape = tg.ones(4, 6).requires_grad_() * 1
    for view in (lambda x: x[:, ::2], lambda x: x[:, :1].expand(4, 6)):
        with pytest.raises(RuntimeError, match="gaps"):
            view(on_tape).as_strided((2,), (1,))
    with pytest.raises(RuntimeError, match="beyond"):  # where PyTorch reads the rest of the storage
        on_tape[1:].as_strided((2,), (1,), 0)
    with pytest.raises(RuntimeError, match="beyond"):
        tg.ones(4, 6).as_strided((5, 6), (6, 1))


def test_slice_copy():
    x = given(4, 6)
    for args in ((), (0, 1), (1, 2, 5, 2), (-1, -3), (0, None, 2)):
        compare("slice_copy", x, *args)
    refused("slice_copy", x, 2)
    refused("slice_copy", x, 0, 0, 4, 0)
