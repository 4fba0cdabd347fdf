"""The stand-in for CuPy is as strict as tests/standin/ says."""

from __future__ import annotations

import numpy as np
import pytest

from tests.standin import modules, runtime

MODULES = modules.built()
cupy, cupyx = MODULES["cupy"], MODULES["cupyx"]


def test_it_becomes_no_numpy_array_by_accident():
    x = cupy.arange(3.0)
    for convert in (
        lambda: np.asarray(x), lambda: np.array([x, x]), lambda: np.exp(x), lambda: np.zeros(3) + x, lambda: x * np.ones(3),
        lambda: x.__iadd__(np.ones(3)), lambda: cupy.add(x, np.ones(3)), lambda: cupy.concatenate([x, np.ones(3)]), lambda: x.__setitem__(0, np.ones(1)),
        lambda: x[np.array([0])], lambda: x[[0, 1]], lambda: cupy.where(np.array([True]), x, x),
    ):  # fmt: skip
        with pytest.raises(TypeError):
            convert()
    assert x.get().tolist() == cupy.asnumpy(x).tolist() == [0, 1, 2]
    assert (np.float64(2) * x + np.int64(1)).tolist() == [1, 3, 5], "NumPy's scalars are numbers"


def test_reductions_give_arrays():
    x = cupy.arange(6.0).reshape(2, 3)
    for value in (x.sum(), x.max(), cupy.mean(x), x[0, 1], x.argmax(), x[0] @ x[0]):
        assert type(value) is cupy.ndarray and value.shape == ()
    assert x[0, 1].base is not None, "also an element is a view"


def test_an_index_out_of_range_wraps():
    x = cupy.arange(4)
    assert x[cupy.asarray(np.array([5, -1, -6]))].tolist() == x.take(cupy.asarray(np.array([5, -1, -6]))).tolist() == [1, 3, 2]
    with pytest.raises(IndexError):
        x[7]  # the host knows


def test_of_several_values_for_one_place_none_arrives():
    x, twice = cupy.zeros(3), cupy.asarray(np.array([1, 1, 2]))
    x[twice] = cupy.asarray(np.array([5.0, 6.0, 7.0]))
    assert np.isnan(x.get()[1]) and x.get()[2] == 7
    x = cupy.zeros(3)
    x[twice] = 4.0
    assert x.tolist() == [0, 4, 4], "one value is no question"
    cupy.add.at(x, twice, cupy.ones(3))
    assert x.tolist() == [0, 6, 5]


def test_only_what_cupy_has_with_the_arguments_it_takes():
    x = cupy.ones(3)
    for call in (
        lambda: cupy.ediff1d_, lambda: cupy.put_along_axis_, lambda: x.newbyteorder, lambda: x.flags.writeable, lambda: x.ctypes,
        lambda: x.__array_interface__, lambda: cupy.add.nargs_,
    ):  # fmt: skip
        with pytest.raises(AttributeError):
            call()
    for call in (lambda: x.max(initial=0), lambda: cupy.sum(x, where=x > 0), lambda: x.sum(axis=0, initial=1), lambda: cupy.clip(x, min=0)):
        with pytest.raises(TypeError):
            call()
    for call in (lambda: cupy.maximum.accumulate(x), lambda: cupy.multiply.at(x, x.astype(int), 2.0)):
        with pytest.raises(NotImplementedError):
            call()


def test_two_devices_do_not_meet():
    x = cupy.ones(3)
    with cupy.cuda.Device(1):
        y = cupy.ones(3)
        for call in (lambda: x + y, lambda: x + 1, lambda: x.sum(), lambda: cupy.stack([y, x]), lambda: y.__setitem__(0, x[0])):
            with pytest.raises(ValueError, match="different from the current device"):
                call()
        assert (x.copy() + y).device.id == cupy.asarray(x).device.id == 1, "copies come over"
    assert cupy.cuda.Device().id == 0
    with pytest.raises(runtime.CUDARuntimeError):
        cupy.cuda.Device(2).use()


def test_a_singular_matrix_is_refused_only_if_asked_for():
    singular = cupy.ones((2, 2))
    assert np.isnan(cupy.linalg.inv(singular).get()).all() and np.isnan(cupy.linalg.cholesky(-singular).get()).all()
    with cupyx.errstate(linalg="raise"), pytest.raises(np.linalg.LinAlgError):
        cupy.linalg.inv(singular)


@pytest.fixture
def recording():
    """A function that records one on a stream of its own."""

    def record(function):
        stream = cupy.cuda.Stream(non_blocking=True)
        with stream, cupy.cuda.using_allocator(cupy.cuda.MemoryPool().malloc):
            stream.begin_capture()
            try:
                return function()
            finally:
                record.graph = stream.end_capture()

    return record


def test_a_graph_does_at_each_launch_what_was_recorded(recording):
    x, index = cupy.arange(3.0), cupy.asarray(np.array([0, 1]))

    def function():
        x[...] = x + 1
        y = x.take(index) * 2
        x[index] = y
        return y, x[index].sum()

    y, total = recording(function)
    assert x.tolist() == [0, 1, 2] and not np.isfinite(y.get()).any(), "nothing has been done so far"
    recording.graph.launch()
    assert (x.tolist(), y.tolist(), total.item()) == ([2, 4, 3], [2, 4], 6)
    index[...] = cupy.asarray(np.array([2, 2]))
    recording.graph.launch()
    assert y.tolist() == [8, 8]


def test_what_needs_the_host_cannot_be_recorded(recording):
    x, mask = cupy.arange(3.0), cupy.arange(3.0) > 0
    for function in (
        lambda: x.get(), lambda: float(x[0]), lambda: cupy.asarray(np.ones(3)), lambda: x[mask], lambda: cupy.unique(x), lambda: cupy.sort(x),
        lambda: x.argsort(), lambda: cupy.cuda.get_current_stream().synchronize(), lambda: cupy.cuda.Device().synchronize(),
    ):  # fmt: skip
        with pytest.raises(RuntimeError, match="captur"):
            recording(function)
    with pytest.raises(RuntimeError, match="default"):
        cupy.cuda.Stream.null.begin_capture()
    assert x.tolist() == [0, 1, 2]


def test_a_graph_needs_the_memory_that_was_recorded(recording):
    held = [cupy.arange(3.0)]
    y = recording(lambda: held[0] + 1)
    recording.graph.launch()
    assert y.tolist() == [1, 2, 3]
    held.clear()
    with pytest.raises(runtime.CUDARuntimeError, match="illegal memory access"):
        recording.graph.launch()


def test_memory_is_counted():
    pool = cupy.get_default_memory_pool()
    before = pool.used_bytes()
    x = cupy.zeros(1000)
    view = x[10:]
    assert pool.used_bytes() - before == 8000
    del x
    assert pool.used_bytes() - before == 8000, "a view holds it"
    del view
    assert pool.used_bytes() == before and pool.total_bytes() >= before + 8000
