"""Reading and writing by index, as in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")

from tests.parity.compare import REFUSALS, compare, refused  # noqa: E402


def given(*shape, dtype=np.float64):
    draw = np.random.default_rng(len(shape) + sum(shape))
    return np.asarray(draw.standard_normal(shape) * (9 if dtype == np.int64 else 1)).astype(dtype)


def i(*values, dtype="int64"):
    """An index tensor."""
    return lambda m: m.tensor(values[0] if len(values) == 1 else values, dtype=getattr(m, dtype))


def b(*values):
    return i(*values, dtype="bool")


ALL = slice(None)

# For a tensor of shape (2, 3, 4). A function is called with the library.
INDICES = [
    0, -1, (0, 1), (0, -2, 3), ..., None, (), (..., 0), (0, ..., -1), (None, 0), (0, None), (..., None), (None, ..., None, 1), ALL, slice(1, None), slice(-1, None), slice(0, 0), slice(5, 9),
    (ALL, slice(None, None, 2)), (slice(0, 2), slice(1, 3), slice(None, -1, 3)), (0, slice(1, 2)), (slice(0, 1), 1), (ALL, ALL, ALL), (..., ALL), (..., slice(1, 3), 0),
    i([0, 1]), i([1, 1, 0]), i([]), i([[0, 1], [1, 1]]), i([-1, 0]), i(1), i([0, 1], dtype="int32"), (ALL, i([0, 2, 2])), (..., i([3, 0])), (i([0, 1]), i([2, 0])),
    (i([0, 1]), ALL, i([1, 1])), (ALL, i([0, 1]), i([1, 3])), (i([[0], [1]]), i([0, 2])), (0, i([1, 1])), (0, ALL, i([1, 2])), (i([0, 1]), 0), (i([0, 1]), ALL, 0), (i([0, 1]), 0, i([1, 1])), (ALL, 1, i([0, 3, 3])),
    (slice(0, 1), i([0, 1])), (i([0, 1]), slice(1, 3)), (None, i([0, 1])), (i([0, 1]), None), (i([0, 1]), None, i([0, 1])), (i([0, 1]), ..., i([0, 1])), (..., i([0, 1]), None), (i(0), i([1, 2])), (i([0]), i(1), slice(0, 2)),
    (i([0, 1]), i(1)), (i(1), i(2)), (i(0), slice(0, 2), None), [0, 1], [1], [[0, 1], [1, 1]], [[0, 1], [2, 2]], ([0, 1], ALL), (ALL, [2, 0]), ([0, 1], [1, 2], [0, 0]), (0, [1, 2]), [], ([],), range(2), [slice(0, 1), 0], [True, False], np.array([1, 0]),
    np.array([True, False]), np.int64(1), np.array(1), (np.array([0, 1]), 0), (ALL, np.array([True, False, True])),
    b([True, False]), b([False, False]), b([[True, False, True], [False, True, False]]), (ALL, b([True, False, True])), (..., b([True, False, True, True])), (b([True, False]), 0), (0, b([True, False, True])), (b([True, False]), ALL, i([1, 2])),
    (b([True, True]), i([0, 2])), (b([True, False]), b([True, False, False])), (i([0, 1]), b([True, False, True])), (ALL, b([[True] * 4, [False, True] * 2, [False] * 4])), (b([True, False]), None), b(True), b(False), True, False, (True, 0),
    (0, True), (ALL, True), (True, i([0, 1])), (i([0, 1]), True), (ALL, i([0, 1]), True), (None, True, i([0, 1])), (i([0]), ALL, False),
    (i([0, 1]), slice(0, 2), i([1, 1])), (0, slice(0, 2), i([1, 1])), (None, 0, i([1]), slice(1, 2)), (slice(0, 2), 0, b([True, False, True, False])), (0, 1, i([2, 2, 0])), (i([1, 0]), 1, 2),
]  # fmt: skip


def made(index, m):
    if isinstance(index, tuple):
        return tuple(made(part, m) for part in index)
    return index(m) if callable(index) else index


@pytest.fixture(autouse=True)
def quiet():
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns of uint8 masks and of lists of lists
        yield


@pytest.mark.parametrize("place", range(len(INDICES)))
def test_read(place):
    index = INDICES[place]
    compare(lambda m: lambda x: x[made(index, m)], given(2, 3, 4))
    compare(lambda m: lambda x: x[made(index, m)], given(2, 3, 4, dtype=np.int64))


@pytest.mark.parametrize("place", range(len(INDICES)))
def test_write(place):
    index = INDICES[place]
    part = torch.zeros(2, 3, 4)[made(index, torch)]
    repeats = len(set(torch.arange(24).reshape(2, 3, 4)[made(index, torch)].reshape(-1).tolist())) < part.numel()

    def write(m):
        def call(x, value):
            y = x * 2
            y[made(index, m)] = value
            return y

        return call

    compare(write, given(2, 3, 4), 3.5)
    compare(write, given(2, 3, 4, dtype=np.int64), 3)
    compare(write, given(2, 3, 4), given())
    if not repeats:
        compare(write, given(2, 3, 4), given(*part.shape))
        compare(write, given(2, 3, 4), given(1, *part.shape))
        if part.ndim and part.numel():
            compare(write, given(2, 3, 4), given(*part.shape[1:]))

    def add(m):
        def call(x, value):
            y = x * 2
            y[made(index, m)] += value
            return y

        return call

    if not repeats:
        compare(add, given(2, 3, 4), 3.5)
        compare(add, given(2, 3, 4), given(*part.shape))


def test_uint8_is_a_mask():
    compare(lambda m: lambda x: x[m.tensor([1, 0], dtype=m.uint8)], given(2, 3, 4))


BAD = [
    2, -3, (0, 3), (0, 0, 0, 0), (ALL, ALL, ALL, ALL), 1.0, "a", slice(None, None, -1), slice(None, None, 0), i([0, 2]), i([-3]), (ALL, i([3])), (i([0, 1]), i([0, 1, 2])), b([True]), b([True, False, True]), (ALL, b([True, False])), i([0.0, 1.0], dtype="float32"),
    b([[True, False]]), (0, b([True, False])), (i([0, 5]), 0), (0, i([9])), (i(2),), (ALL, 4, i([0])), b([[[[True]]]]), {}, {1},
]  # fmt: skip


@pytest.mark.parametrize("place", range(len(BAD)))
def test_refused_index(place):
    refused(lambda m: lambda x: x[made(BAD[place], m)], given(2, 3, 4))
    x = tg.from_numpy(given(2, 3, 4))
    before = x.numpy().copy()
    with pytest.raises(REFUSALS):
        x[made(BAD[place], tg)] = 1.0
    np.testing.assert_array_equal(x.numpy(), before)


@pytest.mark.parametrize("shape", [(0, 0), (0, 1, 0), (2, 0), (0,)])
@pytest.mark.parametrize("index", [i([[0], [0]]), i([5]), i([-3]), i([])], ids=["0", "5", "-3", "none"])
def test_an_index_into_a_dim_of_no_elements(shape, index):
    def read(m):
        return lambda x: x[..., index(m)]

    if index(tg).numel():
        refused(read, given(*shape))
    else:
        compare(read, given(*shape))


def test_refused_values():
    def write(index, value):
        def of(m):
            def call(x):
                x = x.detach()
                x[made(index, m)] = made(value, m) if not isinstance(value, np.ndarray) else m.from_numpy(value)

            return call

        return of

    for index, value in [
        (0, given(4, 3)), (0, given(2)), (0, given(2, 3, 4)), (i([0, 1]), given(3, 3, 4)), (b([True, False]), given(2, 3, 4)), (0, "a"), (0, None), (0, [1.0, 2.0]), (i([0]), given(3, 4, dtype=np.float32)), (b([True, False]), given(3, 4, dtype=np.int64)),
    ]:  # fmt: skip
        refused(write(index, value), given(2, 3, 4))


INTEGERS = (i([0, 1]), (ALL, i([1])))


def test_values_of_another_dtype():
    def write(index, value):
        def of(m):
            def call(x):
                x = x.detach()
                x[made(index, m)] = made(value, m)
                return x

            return call

        return of

    for dtype in (np.int64, np.float32, np.bool_):
        for value in (2, 2.7, True, i(2.7, dtype="float64"), i(3), i(2.7, dtype="float32"), b(True), b([True])):
            for index in (0, (0, 0, 0), b([True, False]), (0, b([True, False, True])), *INTEGERS):
                if callable(value) and index in INTEGERS and value(tg).dtype != dtype:
                    refused(write(index, value), given(2, 3, 4, dtype=dtype))
                else:
                    compare(write(index, value), given(2, 3, 4, dtype=dtype), order=0)
    for index in (0, (0, slice(1, 2)), ...):
        compare(write(index, i([1.5] * 4, dtype="float64")), given(2, 3, 4, dtype=np.float32), order=0)
        compare(write(index, i([1] * 4)), given(2, 3, 4, dtype=np.float32), order=0)


# -- functions ----------------------------------------------------------------------------------

INDEX = np.array([2, 0, 2])
GRID = np.array([[0, 1, 1], [1, 0, 0]])

READS = [
    ("index_select", (3, 4), (0, INDEX)), ("index_select", (2, 3), (1, INDEX)), ("index_select", (2, 3), (-1, INDEX[:0])), ("index_select", (3,), (0, np.array(1))), ("index_select", (), (0, np.array([0]))), ("index_select", (), (0, np.array(0))),
    ("gather", (2, 3), (0, GRID)), ("gather", (4, 3), (1, GRID)), ("gather", (3,), (0, INDEX)), ("gather", (), (0, np.array(0))), ("gather", (), (0, np.array([0, 0]))), ("gather", (3,), (0, np.array(2))), ("gather", (2, 3), (-1, GRID[:1, :2])),
    ("gather", (2, 3), (0, np.zeros((0, 3), np.int64))), ("gather", (2, 3), (1, np.zeros((0,), np.int64))),
    ("take_along_dim", (2, 3), (GRID, 0)), ("take_along_dim", (2, 3), (GRID[:1], 0)), ("take_along_dim", (2, 1), (GRID % 1, 1)), ("take_along_dim", (2, 3), (GRID,)), ("take_along_dim", (2, 3), (INDEX,)), ("take_along_dim", (2, 3), (GRID + 5, 1)), ("take_along_dim", (2, 3), (GRID - 9, 1)), ("take", (2, 3), (GRID,)), ("take", (2, 3), (np.array([-1, 5]),)), ("take", (2, 3), (np.array(3),)),
    ("masked_select", (2, 3), (GRID > 0,)), ("masked_select", (2, 3), (INDEX > 0,)), ("masked_select", (3,), (GRID > 0,)), ("masked_select", (), (np.array(True),)), ("nonzero", (2, 3), ()), ("argwhere", (2, 3), ()), ("nonzero", (), ()), ("argwhere", (3,), ()),
]  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64, np.bool_], ids=lambda d: d.__name__)
@pytest.mark.parametrize("name,shape,args", READS, ids=lambda v: str(getattr(v, "shape", v)))
def test_named_reads(name, shape, args, dtype):
    compare(name, given(*shape, dtype=dtype), *args)
    compare(lambda m: lambda x, *args: getattr(x, name)(*args), given(*shape, dtype=dtype), *args)


@pytest.mark.parametrize("name,shape,args", [
    ("index_select", (3, 4), (0, np.array([3]))), ("index_select", (3, 4), (0, np.array([-1]))), ("index_select", (3, 4), (0, GRID)), ("index_select", (3,), (0, np.array([1.0]))), ("index_select", (3,), (1, INDEX)), ("gather", (2, 3), (0, GRID + 1)), ("gather", (2, 3), (0, -GRID)),
    ("gather", (2, 3), (0, INDEX)), ("gather", (1, 3), (1, GRID)), ("gather", (2, 3), (2, GRID)), ("gather", (2, 3), (0, GRID * 1.0)), ("take_along_dim", (2, 3), (INDEX, 1)), ("take", (2, 3), (np.array([6]),)), ("take", (2, 3), (np.array([-7]),)),
    ("masked_select", (2, 3), (GRID,)), ("masked_select", (2, 3), (np.array([True, False]),)), ("gather", (2, 3), (0, GRID > 0)), ("take", (2,), (np.array([0.5]),)),
], ids=lambda v: str(getattr(v, "shape", v)))  # fmt: skip
def test_refused_reads(name, shape, args):
    refused(name, given(*shape), *args)


def test_nonzero_as_tuple():
    for shape in [(), (3,), (2, 3)]:
        compare(lambda m: lambda x: m.nonzero(x, as_tuple=True), given(*shape))
        compare(lambda m: lambda x: m.where(x > 0), given(*shape))
    compare(lambda m: lambda x: m.nonzero(x), np.array(0.0))
    compare(lambda m: lambda x: m.nonzero(x), np.zeros((2, 0)))


def src(*shape):
    return np.asarray(given(*shape) + 0.5)


WRITES = [
    ("scatter", (3, 3), (0, GRID, src(2, 3))), ("scatter", (2, 4), (1, np.array([[0, 3], [2, 1]]), src(2, 3))), ("scatter", (2, 3), (0, np.array([[0, 1, 1]]), 2.5)), ("scatter", (2, 3), (0, GRID[:0], src(2, 3))), ("scatter", (3,), (0, np.array(1), src())), ("scatter", (), (0, np.array(0), src())),
    ("scatter_add", (3, 3), (0, GRID, src(2, 3))), ("scatter_add", (2, 4), (1, GRID, src(2, 3))), ("scatter_add", (2, 4), (1, GRID[:1], src(2, 3))), ("scatter_add", (3,), (0, INDEX, src(4))), ("scatter_add", (), (0, np.array([0]), src(1))),
    ("index_add", (3, 2), (0, INDEX, src(3, 2))), ("index_add", (2, 3), (1, INDEX, src(2, 3))), ("index_add", (3,), (0, np.array(1), src(1))), ("index_add", (), (0, np.array([0]), src())), ("index_add", (3, 2), (-2, INDEX[:0], src(0, 2))),
    ("index_copy", (3, 2), (0, INDEX[:2], src(2, 2))), ("index_copy", (2, 3), (1, INDEX[:2], src(2, 2))), ("index_copy", (3,), (0, np.array(1), src())), ("index_fill", (3, 2), (0, INDEX, 2.5)), ("index_fill", (3, 2), (0, INDEX, src())), ("index_fill", (2, 3), (1, np.array([-1]), 1)), ("index_fill", (), (0, np.array(0), 1.5)),
    ("index_put", (3, 2), ((INDEX[:2],), src(2, 2))), ("index_put", (3, 2), ((INDEX,), src(3, 2), True)), ("index_put", (3, 2), ((INDEX, INDEX % 2), src(3), True)), ("index_put", (3, 2), ((INDEX,), src(2), True)), ("index_put", (2, 3), ((GRID > 0,), src(), False)), ("index_put", (2, 3), ((GRID > 0,), src(3), True)),
    ("index_put", (3, 2), ((INDEX[:2],), src())),
    ("put", (2, 3), (np.array([5, 0]), src(2))), ("put", (2, 3), (np.array([[-1], [0]]), src(2))), ("put", (2, 3), (np.array([1, 1]), src(2), True)), ("masked_fill", (2, 3), (GRID > 0, 2.5)), ("masked_fill", (2, 3), (GRID > 0, src())), ("masked_fill", (2, 3), (INDEX > 0, -np.inf)), ("masked_fill", (3,), (GRID > 0, 1)),
    ("masked_fill", (), (np.array(True), src())), ("masked_scatter", (2, 3), (GRID > 0, src(2, 3))), ("masked_scatter", (2, 3), (INDEX > 0, src(7))), ("masked_scatter", (3,), (GRID > 0, src(7))), ("masked_scatter", (), (np.array(True), src(2))), ("masked_scatter", (2, 3), (GRID > 5, src(0))),
    ("select_scatter", (2, 3), (src(3), 0, 1)), ("select_scatter", (2, 3), (src(2), -1, -1)), ("slice_scatter", (4, 3), (src(2, 3), 0, 1, 3)), ("slice_scatter", (4, 3), (src(2, 3), 0, None, None, 2)), ("slice_scatter", (4, 3), (src(4, 3),)), ("slice_scatter", (4, 3), (src(4, 2), 1, -2)), ("slice_scatter", (4, 3), (src(2, 3), 0, 2, 99)),
    ("diagonal_scatter", (3, 3), (src(3),)), ("diagonal_scatter", (3, 4), (src(3), 1)), ("diagonal_scatter", (2, 3, 4), (src(3, 2), 0, 0, 2)), ("as_strided_scatter", (3, 4), (src(2, 2), (2, 2), (4, 2), 1)), ("scatter_reduce", (3, 3), (0, GRID, src(2, 3), "sum")),
    ("scatter", (3, 3), (0, GRID, 2.0)), ("fill", (2, 3), (2.5,)), ("fill", (2, 3), (src(),)), ("fill", (), (1,)),
]  # fmt: skip


# PyTorch itself gives no gradient here, or a wrong one: where src is larger than the index, and here.
FIRST_ORDER_WRONG = {"as_strided_scatter"}


@pytest.mark.parametrize("name,shape,args", WRITES, ids=lambda v: str(getattr(v, "shape", v)) if not isinstance(v, tuple) else None)
def test_named_writes(name, shape, args):
    order = 0 if name in FIRST_ORDER_WRONG or (name.startswith("scatter") and getattr(args[2], "shape", ()) != args[1].shape) else 2
    compare(name, given(*shape), *args, order=order)
    compare(name, given(*shape), *args, dtype=np.float32, order=order)
    compare(lambda m: lambda x, *args: getattr(x, name)(*args) if hasattr(x, name) else getattr(m, name)(x, *args), given(*shape), *args, order=order)
    if hasattr(torch.Tensor, f"{name}_"):
        def changed(m):
            def call(x, *args):
                y = x * 2
                z = getattr(y, f"{name}_")(*args)
                assert z is y
                return y
            return call

        if args and name in ("masked_fill", "masked_scatter") and args[0].ndim > len(shape):
            return refused(changed, given(*shape), *args)
        compare(changed, given(*shape), *args, order=order)


def distinct(*shape):
    return np.random.default_rng(3).permutation(int(np.prod(shape))).reshape(shape) * 0.7 - 2


@pytest.mark.parametrize("reduce", ["sum", "prod", "mean", "amax", "amin"])
@pytest.mark.parametrize("include_self", [True, False])
def test_scatter_reduce(reduce, include_self):
    for x, dim, index, source in [
        (distinct(3, 3), 0, GRID, distinct(2, 3) + 0.3), (distinct(2, 3), 1, GRID, distinct(2, 3) + 0.3), (np.ones((2, 3)), 1, GRID, np.ones((2, 3))), (distinct(4), 0, INDEX, distinct(3) + 0.1), (np.array(2.0), 0, np.array([0, 0]), distinct(2)),
        (distinct(3, 3), 0, GRID, np.where(GRID > 0, 0.0, distinct(2, 3))), (np.zeros((3, 3)), 0, GRID, distinct(2, 3)),
    ]:  # fmt: skip
        order = 2
        if reduce in ("amax", "amin") and (np.asarray(x) == 1).all():
            order = int(include_self)  # PyTorch counts x among those that share, even where it was left out
        compare("scatter_reduce", x, dim, index, source, reduce=reduce, include_self=include_self, order=order)
        compare("scatter_reduce", np.asarray(x * 3).astype(np.int64), dim, index, (source * 3).astype(np.int64), reduce=reduce, include_self=include_self)


def test_products_with_zeros():
    x, source = distinct(3, 3) * [0, 1, 1], distinct(2, 3) * [[0, 0, 1], [1, 1, 0]]
    compare("scatter_reduce", x, 0, GRID, source, "prod")
    zeros = tg.zeros(2, requires_grad=True)
    out = tg.scatter_reduce(tg.ones(1), 0, tg.tensor([0, 0]), zeros, "prod")
    with pytest.raises(RuntimeError, match="two zeros"):  # PyTorch gives a wrong second gradient
        tg.autograd.grad(out.sum(), zeros, create_graph=True)


def test_the_mean_and_the_extremes_keep_the_dtype():
    for dtype in (np.uint8, np.int8, np.int32, np.bool_):
        for reduce in ("mean", "amax", "amin")[dtype == np.bool_ :]:
            for include_self in (True, False):
                x, source = (np.arange(size).astype(dtype) for size in (5, 3))
                compare("scatter_reduce", x, 0, INDEX, source, reduce, include_self=include_self, order=0)


@pytest.mark.parametrize("reduce", ["prod", "mean", "amax", "amin"])
@pytest.mark.parametrize("include_self", [True, False])
def test_index_reduce(reduce, include_self):
    for x, dim, index, source in [(distinct(3, 2), 0, INDEX, distinct(3, 2) + 0.3), (distinct(2, 3), 1, INDEX[:2], distinct(2, 2) + 0.3), (distinct(4), 0, INDEX[:0], distinct(0))]:
        compare("index_reduce", x, dim, index, source, reduce, include_self=include_self)


@pytest.mark.parametrize("reduce", ["add", "multiply"])
def test_scatter_with_reduce(reduce):
    compare("scatter", distinct(3, 3), 0, GRID, distinct(2, 3), reduce=reduce, order=0)
    compare("scatter", distinct(3, 3), 0, GRID, 2.5, reduce=reduce, order=0)


@pytest.mark.parametrize("name,shape,args", [
    ("scatter", (3, 3), (0, GRID, src(1, 3))), ("scatter", (2, 3), (0, GRID + 1, src(2, 3))), ("scatter", (2, 3), (0, -GRID, src(2, 3))), ("scatter", (2, 2), (0, GRID, src(2, 3))), ("scatter", (3, 3), (0, GRID, src(2, 3).astype(np.float32))), ("scatter", (3, 3), (0, GRID * 1.0, src(2, 3))),
    ("scatter_add", (3, 3), (0, GRID + 2, src(2, 3))), ("index_add", (3, 2), (0, INDEX, src(2, 2))), ("index_add", (3, 2), (0, INDEX + 1, src(3, 2))), ("index_add", (3, 2), (0, INDEX, src(3, 3))), ("index_add", (3, 2), (0, -INDEX, src(3, 2))), ("index_copy", (3, 2), (0, INDEX, src(2, 2))),
    ("index_fill", (3, 2), (0, INDEX, src(2))), ("index_fill", (3, 2), (0, INDEX + 1, 1.0)), ("index_put", (3, 2), ((INDEX,), src(4, 2))), ("index_put", (3, 2), ((INDEX + 1,), src(3, 2))), ("put", (2, 3), (INDEX, src(2))), ("put", (2, 3), (INDEX + 9, src(3))), ("masked_fill", (2, 3), (GRID, 1.0)), ("masked_fill", (2, 3), (GRID > 0, src(3))),
    ("masked_fill", (2, 3), (np.array([True, False]), 1.0)), ("masked_scatter", (2, 3), (GRID > 0, src(2))), ("masked_scatter", (2, 3), (GRID > 0, src(6).astype(np.float32))), ("select_scatter", (2, 3), (src(2), 0, 1)), ("select_scatter", (2, 3), (src(3), 0, 2)), ("slice_scatter", (4, 3), (src(3, 3), 0, 1, 3)), ("diagonal_scatter", (3, 3), (src(2),)),
    ("scatter_reduce", (3, 3), (0, GRID, src(2, 3), "no")), ("fill", (2, 3), (src(2),)),
], ids=lambda v: str(getattr(v, "shape", v)) if not isinstance(v, tuple) else None)  # fmt: skip
def test_refused_writes(name, shape, args):
    refused(name, given(*shape), *args)


def test_values_for_integers():
    for value in (1.5, -2.5, True, np.asarray(1.5)):
        compare("masked_fill", given(2, 3, dtype=np.int64), GRID > 0, value, order=0)
        compare("index_fill", given(3, 2, dtype=np.int64), 0, INDEX, value, order=0)
        compare("fill", given(3, 2, dtype=np.int64), value, order=0)
    refused("masked_fill", given(2, 3, dtype=np.int64), GRID > 0, 2.0**70)
    compare("masked_fill", given(2, 3, dtype=np.int64), GRID > 0, 4)
    compare("masked_fill", given(2, 3, dtype=np.int64), GRID > 0, True)
    compare("masked_fill", given(2, 3, dtype=np.bool_), GRID > 0, 1)
    compare("masked_fill", given(2, 3, dtype=np.float32), GRID > 0, np.asarray(2.0))


def test_unravel_index():
    for shape in [(2, 3), (4,), (2, 2, 3)]:
        compare(lambda m, shape=shape: lambda i: m.unravel_index(i, shape), np.array([[0, 3], [1, 2]]))
    compare(lambda m: lambda i: m.unravel_index(i, (2, 3)), np.array(5))


def test_names_of_arguments():
    x, index = given(2, 3), GRID
    compare(lambda m: lambda x, i: m.gather(input=x, dim=0, index=i, sparse_grad=False), x, index)
    compare(lambda m: lambda x, i: m.index_select(x, dim=1, index=i[0]), x, index)
    compare(lambda m: lambda x, i: m.take_along_dim(x, indices=i, dim=1), x, index)
    compare(lambda m: lambda x, i: m.scatter(x, dim=0, index=i, src=x), x, index)
    compare(lambda m: lambda x, i: m.scatter(x, dim=0, index=i, value=1.5), x, index)
    compare(lambda m: lambda x, i: m.scatter_add(x, dim=0, index=i, src=x), x, index)
    compare(lambda m: lambda x, i: m.index_add(x, dim=0, index=i[0, :2], source=x, alpha=2), x, index)
    compare(lambda m: lambda x, i: m.index_copy(x, dim=0, index=i[0, :2], source=x), x, index)
    compare(lambda m: lambda x, i: m.index_fill(x, dim=0, index=i[0], value=2.0), x, index)
    compare(lambda m: lambda x, i: m.index_put(x, indices=(i[:, 0],), values=x, accumulate=True), x, index)
    compare(lambda m: lambda x, i: m.masked_fill(x, mask=i > 0, value=2.0), x, index)
    compare(lambda m: lambda x, i: m.masked_scatter(x, mask=i > 0, source=x), x, index)
    compare(lambda m: lambda x, i: m.masked_select(x, mask=i > 0), x, index)
    compare(lambda m: lambda x, i: m.select_scatter(x, src=x[0], dim=0, index=1), x, index)
    compare(lambda m: lambda x, i: m.slice_scatter(x, src=x, dim=0, start=0, end=2, step=1), x, index)
    compare(lambda m: lambda x, i: m.diagonal_scatter(x, src=x[0, :2], offset=0, dim1=0, dim2=1), x, index)
    compare(lambda m: lambda x, i: m.take(x, index=i), x, index)
    compare(lambda m: lambda x, i: m.put(x, index=i[:, 0], source=x[0, :2], accumulate=True), x, index)
    compare(lambda m: lambda x, i: m.fill(x, value=2.0), x, index)
