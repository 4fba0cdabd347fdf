"""Products of matrices, vectors and tensors against PyTorch."""

import numpy as np
import pytest

from tests.parity.compare import compare, refused

draw = np.random.default_rng(0)
FLOATS = (np.float32, np.float64)


def normal(*shape):
    return draw.standard_normal(shape)


def ints(*shape, dtype=np.int64):
    return draw.integers(-3, 4, shape).astype(dtype)


MATMUL = [
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3,)), ((3,), (5, 3, 4)), ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)), ((5, 2, 3), (5, 3, 4)), ((1, 2, 3), (5, 3, 4)), ((6, 1, 2, 3), (5, 3, 4)), ((6, 5, 2, 3), (3,)),
    ((0, 3), (3, 4)), ((2, 0), (0, 4)), ((2, 3), (3, 0)), ((0, 2, 3), (3, 4)), ((0, 2, 3), (0, 3, 4)), ((0,), (0,)), ((1, 1),
    (1,)),
]  # fmt: skip


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("x, y", MATMUL)
def test_matmul(x, y, dtype):
    compare("matmul", normal(*x), normal(*y), dtype=dtype)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int32, np.int64])
@pytest.mark.parametrize("x, y", [((2, 3), (3, 4)), ((5, 2, 3), (3,)), ((3,), (3,)), ((5, 2, 3), (5, 3, 4))])
def test_integers(x, y, dtype):
    compare("matmul", ints(*x, dtype=dtype), ints(*y, dtype=dtype))


def test_half():
    x, y = normal(8, 8).astype(np.float16), normal(8, 8).astype(np.float16)
    compare("matmul", x, y, order=1, atol=1e-2)
    compare("nn.functional.linear", x, y, y[0], order=1, atol=1e-2)


def test_operands_that_are_views():
    compare(lambda m: lambda x, y: x.mT @ y.permute(2, 0, 1).transpose(-1, -2), normal(4, 2, 3), normal(5, 2, 4))
    compare(lambda m: lambda x, y: x[::2] @ y[:, ::2], normal(4, 3), normal(3, 4))
    compare(lambda m: lambda q, k: q.transpose(1, 2) @ k.transpose(1, 2).mT, normal(2, 5, 3, 4), normal(2, 6, 3, 4))
    compare(lambda m: lambda x, y: x.expand(4, 2, 3) @ y, normal(2, 3), normal(4, 3, 2))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "x, weight, bias",
    [((2, 3), (4, 3), (4,)), ((2, 3), (4, 3), None), ((2, 5, 3), (4, 3), (4,)), ((3,), (4, 3), (4,)), ((2, 3), (4, 3), (1,)),
     ((2, 3), (4, 3), ()), ((2, 3), (4, 3), (2, 4)), ((0, 3), (4, 3), (4,)), ((2, 0), (4, 0), (4,)), ((3,), (3,), None)],
)  # fmt: skip
def test_linear(x, weight, bias, dtype):
    compare("nn.functional.linear", normal(*x), normal(*weight), None if bias is None else normal(*bias), dtype=dtype)


@pytest.mark.filterwarnings("ignore:torch.chain_matmul")
@pytest.mark.parametrize(
    "name, shapes",
    [("mm", ((2, 3), (3, 4))), ("bmm", ((5, 2, 3), (5, 3, 4))), ("mv", ((2, 3), (3,))), ("dot", ((3,), (3,))), ("vdot", ((3,),
     (3,))),
     ("inner", ((3,), (3,))), ("inner", ((2, 3), (4, 3))), ("inner", ((2, 5, 3), (3,))), ("inner", ((2, 3), ())),
     ("inner", ((), ())),
     ("outer", ((3,), (4,))), ("ger", ((3,), (4,))), ("kron", ((2,), (2, 3))), ("kron", ((2, 3), (4, 1, 2))), ("kron", ((),
     (2, 2))),
     ("chain_matmul", ((2, 3), (3, 4), (4, 2))), ("chain_matmul", ((2, 3),)), ("trace", ((3, 4),)), ("trace", ((0, 0),)),
     ("linalg.vecdot", ((2, 3), (2, 3))), ("linalg.vecdot", ((2, 3), (3,))), ("linalg.matmul", ((2, 3), (3, 2))),
     ("linalg.vander", ((4,),)), ("linalg.vander", ((2, 3),)), ("linalg.diagonal", ((2, 3, 4),))],
)  # fmt: skip
def test_products_by_name(name, shapes):
    for dtype in FLOATS:
        compare(name, *(normal(*s) for s in shapes), dtype=dtype)


def test_products_of_integers():
    for name in ("mm", "inner", "kron"):
        compare(name, ints(3, 3, dtype=np.int32), ints(3, 3, dtype=np.int32))
    compare("outer", ints(3), normal(3).astype(np.float32))
    compare("trace", ints(3, 3, dtype=np.int32))
    compare("linalg.vander", ints(4))
    compare("dot", ints(3), ints(3))
    compare("linalg.cross", ints(2, 3), ints(2, 3))
    compare("linalg.vander", np.array([0.0, 1.0, -2.0]), N=4)


def test_cross():
    compare("linalg.cross", normal(2, 3), normal(1, 3))
    compare("linalg.cross", normal(3, 2), normal(3, 2), dim=0)
    compare("cross", normal(4, 3, 2), normal(4, 3, 2), dim=1)
    compare("cross", normal(2, 3), normal(2, 3), dim=-1)
    refused("linalg.cross", normal(2, 3), normal(3))
    refused("linalg.cross", normal(3, 2), normal(3, 2))
    refused("cross", normal(2, 2), normal(2, 2))


@pytest.mark.parametrize("options", [{}, {"alpha": 0.5}, {"beta": 2}, {"beta": 0}, {"alpha": -1, "beta": 3.0}])
@pytest.mark.parametrize(
    "name, shapes",
    [("addmm", ((2, 4), (2, 3), (3, 4))), ("addmm", ((4,), (2, 3), (3, 4))), ("addmm", ((2, 1), (2, 3), (3, 4))),
     ("addmv", ((2,), (2, 3), (3,))),
     ("addmv", ((1,), (2, 3), (3,))), ("addr", ((2, 3), (2,), (3,))), ("addr", ((3,), (2,), (3,))), ("addbmm", ((2, 4),
     (5, 2, 3), (5, 3, 4))),
     ("baddbmm", ((5, 2, 4), (5, 2, 3), (5, 3, 4))), ("baddbmm", ((2, 4), (5, 2, 3), (5, 3, 4))), ("addmm", ((), (2, 3),
     (3, 4)))],
)  # fmt: skip
def test_sums_with_products(name, shapes, options):
    compare(name, *(normal(*s) for s in shapes), dtype=np.float32, **options)


def test_beta_of_zero_ignores_the_input():
    compare("addmm", np.full((2, 2), np.nan), normal(2, 3), normal(3, 2), beta=0)
    compare("baddbmm", np.full((2, 2), np.nan), normal(1, 2, 3), normal(1, 3, 2), beta=0)
    compare(lambda m: lambda x, y, z: m.addmm(x, y, z, beta=2, alpha=3), ints(2, 2), ints(2, 3), ints(3, 2))


def test_in_place():
    compare(lambda m: lambda x, y, z: (x * 1).addmm_(y, z, alpha=2), normal(2, 4), normal(2, 3), normal(3, 4))
    compare(lambda m: lambda x, y, z: (x * 1).baddbmm_(y, z, beta=0.5), normal(1, 2, 4), normal(1, 2, 3), normal(1, 3, 4))


def test_multi_dot():
    compare("linalg.multi_dot", [normal(2, 3), normal(3, 5), normal(5, 4), normal(4, 2)])
    compare("linalg.multi_dot", [normal(3), normal(3, 5), normal(5)])
    compare("linalg.multi_dot", [normal(3), normal(3, 5)])
    compare("linalg.multi_dot", [normal(2, 3), normal(3)])
    refused("linalg.multi_dot", [normal(2, 3)])
    refused("linalg.multi_dot", [normal(2, 3), normal(2, 3)])
    refused("linalg.multi_dot", [normal(2, 3), normal(1, 3, 2), normal(2, 2)])


EINSUM = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ij,jk->ki", (2, 3), (3, 4)), ("ii", (3, 3)), ("ii->i", (3, 3)),
    ("iji->j", (3, 2, 3)), ("iij,jk->k", (3, 3, 2), (2, 4)), ("...ij,...jk", (2, 1, 3, 4), (5, 4, 6)),
    ("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)),
    ("i,j->ij", (3,), (4,)), ("i,j->ji", (3,), (4,)), ("ij,ij->", (3, 4), (3, 4)), ("ij,ij->ij", (3, 4), (3, 4)),
    ("ij->", (3, 4)), ("ij->ji", (3, 4)),
    ("ij,j->i", (3, 1), (4,)), ("ij,j->ij", (3, 1), (4,)), ("abc,cd,de->ae", (2, 3, 4), (4, 5), (5, 6)), ("...i,i->i", (2, 3),
    (3,)),
    ("bA", (2, 3)), ("...", (2, 3)), ("i...i->...", (2, 3, 2)), ("ij->j...", (2, 3)), ("bi,oij,bj->bo", (2, 3), (5, 3, 4),
    (2, 4)), ("->", ()),
    (",->", (), ()), ("i,->i", (3,), ()), ("iii->i", (2, 2, 2)), ("iijj->ij", (2, 2, 3, 3)), ("ab,ab,ab->ab", (2, 3), (2, 3),
    (1, 3)),
    ("bi,bi->b", (4, 3), (4, 3)), ("ij,ik,il->jkl", (2, 3), (2, 4), (2, 5)), ("abcd,befd->acef", (2, 3, 4, 5), (3, 6, 7, 5)),
    ("ij,kl->", (2, 3), (4, 5)), ("ij,jk->ki", (0, 3), (3, 4)), ("ij,jk->ki", (2, 0), (0, 4)), ("i...,...->...i", (2, 3, 1),
    (1, 4)),
    ("i,i->", (1,), (3,)), (" i j , j k -> i k ", (2, 3), (3, 4)), ("nhwc,c->nhwc", (2, 3, 3, 4), (4,)),
    ("btd,dhk->bthk", (2, 3, 4), (4, 2, 5)),
    ("...a,...b->...", (2, 3), (2, 4)), ("ij,jk,kl,lm->im", (2, 3), (3, 2), (2, 4), (4, 2)), ("ij,ij,j->i", (2, 3), (2, 3),
    (3,)),
]  # fmt: skip


@pytest.mark.parametrize("equation, shapes", [(e, s) for e, *s in EINSUM])
def test_einsum(equation, shapes):
    for dtype in FLOATS:
        compare(lambda m: lambda *x: m.einsum(equation, *x), *(normal(*s) for s in shapes), dtype=dtype)


def test_einsum_of_integers():
    for equation, *shapes in [("ij,jk->ik", (2, 3), (3, 4)), ("i,i->", (3,), (3,)), ("ij,k->i", (2, 3), (3,))]:
        compare(lambda m, e=equation: lambda *x: m.einsum(e, *x), *(ints(*s, dtype=np.int32) for s in shapes))


def test_einsum_by_sublists():
    x, y = normal(2, 3), normal(3, 4)
    compare(lambda m: lambda x, y: m.einsum(x, [0, 1], y, [1, 2]), x, y)
    compare(lambda m: lambda x, y: m.einsum(x, [0, 1], y, [1, 2], [2, 0]), x, y)
    compare(lambda m: lambda x, y: m.einsum(x, [..., 1], y, [1, 30], [..., 30]), x, y)
    compare(lambda m: lambda x, y: m.einsum("ij,jk", [x, y]), x, y)
    compare(lambda m: lambda x, y: m.einsum(x, [30, 2], y, [2, 1]), x, y)


@pytest.mark.parametrize(
    "equation, shapes",
    [("i->ij", [(3,)]), ("i->ii", [(3,)]), ("ij", [(3,)]), ("i", [(3, 3)]), ("i,j", [(3,)]), ("ij,jk", [(3, 4), (5, 6)]),
     ("i1->i", [(2, 3)]),
     ("ii", [(3, 1)]), ("......", [(2, 2)]), ("i->j", [(2,)]), ("i,j->ij", [(2,), (3,), (4,)])],
)  # fmt: skip
def test_einsum_refuses(equation, shapes):
    refused(lambda m: lambda *x: m.einsum(equation, *x), *(normal(*s) for s in shapes))


@pytest.mark.parametrize(
    "x, y, dims",
    [((2, 3), (3, 2), 1), ((2, 3), (2, 3), 2), ((2, 3), (3, 2), 0), ((2, 3, 4), (4, 3, 5), ([1, 2], [1, 0])), ((2, 3), (3, 2),
     ([1, 0], [0, 1])),
     ((2, 1), (4, 2), 1), ((2, 3, 4), (5, 2, 3), ([-3, 1], [1, -1])), ((2, 3), (3, 4), ([], []))],
)  # fmt: skip
def test_tensordot(x, y, dims):
    compare("tensordot", normal(*x), normal(*y), dims=dims)


@pytest.mark.parametrize(
    "name, shapes",
    [("matmul", ((2, 3), (4, 2))), ("matmul", ((2, 3), ())), ("matmul", ((2, 2, 3), (5, 3, 4))), ("mm", ((2, 3), (3,))),
     ("mm", ((2, 2, 3), (3, 2))),
     ("mm", ((2, 3), (2, 3))), ("bmm", ((1, 2, 3), (5, 3, 4))), ("bmm", ((2, 3), (3, 4))), ("mv", ((2, 3), (2,))),
     ("mv", ((2, 3), (3, 1))),
     ("dot", ((3,), (2,))), ("dot", ((3,), (1,))), ("dot", ((2, 3), (3,))), ("outer", ((2, 3), (3,))), ("inner", ((2, 3),
     (4, 2))), ("trace", ((3,),)),
     ("addmm", ((3, 2, 4), (2, 3), (3, 4))), ("addmm", ((5,), (2, 3), (3, 4))), ("baddbmm", ((2, 4), (5, 2, 3), (4, 3, 4))),
     ("chain_matmul", ((3,), (3, 4))),
     ("nn.functional.linear", ((2, 3), (4, 2))), ("nn.functional.linear", ((2, 3), (2, 4, 3))),
     ("nn.functional.linear", ((2, 3), (4, 3), (3,))),
     ("tensordot", ((2, 3), (4, 2))), ("linalg.vander", ((),)), ("linalg.vander", ((1,),))],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:torch.chain_matmul")
def test_shapes_that_do_not_fit_are_refused(name, shapes):
    refused(name, *(normal(*s) for s in shapes))


def test_dtypes_that_do_not_fit_are_refused():
    single, double = normal(3, 3).astype(np.float32), normal(3, 3)
    for name in ("matmul", "mm", "inner", "nn.functional.linear"):
        refused(name, single, double)
        refused(name, single, ints(3, 3))
        refused(name, single > 0, single > 0)
    refused("addmm", double, single, single)
    refused("nn.functional.linear", single, single, double[0])
    refused("linalg.vecdot", ints(3), ints(3))
    refused("matmul", single, 3)
    refused(lambda m: lambda x: x @ 3, single)
    refused(lambda m: lambda x, y: m.einsum("ij,jk->ik", x, y), single, double)
