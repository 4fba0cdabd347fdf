"""Chains of elementwise operations as compiled loops (the extra `fast`): the same numbers as NumPy's, in one pass."""

from __future__ import annotations

import functools
import gc
import subprocess
import sys
import weakref

import numpy as np
import pytest

import tinygrad_lite as tg
import tinygrad_lite.nn.functional as F
from tinygrad_lite.arrays import blocked, compiling, fusion, loops, row_loops
from tinygrad_lite.arrays.blocked import as_one_loop
from tinygrad_lite.arrays.kernels import where
from tinygrad_lite.arrays.loops import SMALLEST

pytest.importorskip("llvmlite", minversion="0.46")
pytestmark = pytest.mark.skipif(not compiling.available(), reason="loops are switched off")

SIZE = SMALLEST + 13  # not a multiple of any vector's length


@pytest.fixture(autouse=True)
def _folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYGRAD_LITE_CACHE", str(tmp_path / "loops"))
    loops.loop_of.cache_clear()
    fusion._recordings.clear()
    compiling._announce.cache_clear()
    yield
    loops.loop_of.cache_clear()
    fusion._recordings.clear()


def without_loops(monkeypatch):
    monkeypatch.setattr(blocked, "available", lambda: False)


def values(dtype, low=-20.0, high=20.0):
    x = np.random.default_rng(0).uniform(low, high, SIZE).astype(dtype)
    x[:9] = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 1e-30, -1e-30]
    return x


def units(got, want):
    """How many units in the last place two arrays are apart; nan where only one is nan."""
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    with np.errstate(all="ignore"):
        apart = np.abs(got.astype(np.longdouble) - want) / np.spacing(np.abs(want))
    return np.where(same, 0, apart).max()


ONE = ["negative", "absolute", "sqrt", "floor", "reciprocal", "square", "exp", "log", "tanh"]
TWO = ["add", "subtract", "multiply", "true_divide", "maximum", "minimum"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ONE)
def test_a_function_of_one_array(name, dtype):
    x, out = values(dtype), np.empty(SIZE, dtype)
    with np.errstate(all="ignore"):
        want = getattr(np, name)(x.astype(np.float64)).astype(dtype)
    if dtype == np.float64 and name in ("exp", "log", "tanh"):
        assert as_one_loop(lambda x, out, xp=np: getattr(xp, name)(x, out=out), [x, out]) is None
        return
    as_one_loop(lambda x, out, xp=np: getattr(xp, name)(x, out=out), [x, out])
    assert units(out, want) <= 2
    assert (np.signbit(out) == np.signbit(want))[~np.isnan(want)].all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", TWO)
def test_a_function_of_two_arrays(name, dtype):
    x, y, out = values(dtype), values(dtype)[::-1].copy(), np.empty(SIZE, dtype)
    y[:9] = [np.nan, 0.0, np.inf, np.inf, 1.0, np.nan, -1.0, 0.0, 1e30]
    as_one_loop(lambda x, y, out, xp=np: getattr(xp, name)(x, y, out=out), [x, y, out])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(out, getattr(np, name)(x, y))


@pytest.mark.parametrize("name", ["less", "less_equal", "greater", "greater_equal", "equal", "not_equal"])
def test_comparisons_choose_and_count(name):
    x, y, out = values(np.float32), values(np.float32)[::-1].copy(), np.empty(SIZE, np.float32)

    def kernel(x, y, out, xp=np):
        chosen = getattr(xp, name)(x, y)
        out[...] = xp.where(chosen, x, y) + chosen

    as_one_loop(kernel, [x, y, out])
    want = np.empty_like(out)
    kernel(x, y, want)
    np.testing.assert_array_equal(out, want)


def test_the_largest_and_smallest_results_of_exp():
    x = np.linspace(-104, 89, SIZE, dtype=np.float32)
    out = np.empty_like(x)
    as_one_loop(np.exp, [x, out])
    with np.errstate(all="ignore"):
        want = np.exp(x.astype(np.float64)).astype(np.float32)
    assert units(out, want) <= 2 and np.isinf(out).sum() == np.isinf(want).sum()


def test_log_of_numbers_below_the_smallest_normal_one():
    x = np.geomspace(1e-45, 1e-37, SIZE, dtype=np.float64).astype(np.float32)
    out = np.empty_like(x)
    as_one_loop(np.log, [x, out])
    assert units(out, np.log(x.astype(np.float64)).astype(np.float32)) <= 1


@pytest.mark.parametrize("count", [1 << 13, (1 << 17) + 1, (1 << 18) + 77])
def test_threads_share_every_element(count):
    x, out = np.arange(count, dtype=np.float64), np.zeros(count)
    as_one_loop(lambda x, out: out.__iadd__(x * 2 + 1), [x, out])
    np.testing.assert_array_equal(out, np.arange(count) * 2.0 + 1)


def test_what_a_loop_begins_is_laid_out_as_its_arrays():
    x = np.asfortranarray(np.random.default_rng(0).random((100, 101)))
    made = as_one_loop(lambda x: {"twice": x + x, "square": x * x}, [x])
    assert made["twice"].flags.f_contiguous
    np.testing.assert_array_equal(made["twice"], 2 * x)
    np.testing.assert_array_equal(made["square"], x * x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_condition_is_read_as_it_lies_in_memory(dtype):
    x, y = values(dtype), values(dtype)[::-1].copy()
    condition = np.random.default_rng(1).random(SIZE) < 0.5
    made = as_one_loop(lambda x, y, c, xp=np: {"out": xp.where(c, x, y), "count": x + c}, [x, y, condition])
    np.testing.assert_array_equal(made["out"], np.where(condition, x, y))
    np.testing.assert_array_equal(made["count"], x + condition)


class TestSelection:
    LARGE = (1 << 17) + 5

    def arrays(self, dtype):
        draw = np.random.default_rng(4)
        x, y = (draw.normal(size=self.LARGE).astype(dtype) for _ in range(2))
        x[:6] = y[3:9] = [np.nan, np.inf, -np.inf, -0.0, 0.0, 1e-40]
        return draw.random(self.LARGE) < 0.5, x, y

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_choose(self, dtype, monkeypatch):
        condition, x, y = self.arrays(dtype)
        looped = []
        monkeypatch.setattr(where, "as_one_loop", lambda *args: looped.append(as_one_loop(*args)) or looped[-1])
        for a, b in ((x, y), (x, 0.0), (0.0, y), (x, 1), (-0.1, y), (x, np.nan), (dtype(0.3), y), (2**60 + 1, y)):
            got, want = where.choose(condition, a, b), np.where(condition, a, b).astype(dtype)
            assert got.dtype == dtype and got.tobytes() == want.tobytes()
        assert all(looped)

    def test_layouts(self):
        condition, x, y = (a[: 1 << 17].reshape(256, 512) for a in self.arrays(np.float32))
        for form in (np.asfortranarray, lambda a: a[:, ::-1], lambda a: np.repeat(a, 2, 1)[:, ::2], lambda a: a[:0]):
            got = where.choose(form(condition), form(x), y[: len(form(x))])
            np.testing.assert_array_equal(got, np.where(form(condition), form(x), y[: len(form(x))]))
        np.testing.assert_array_equal(where.choose(condition[:1], x, y), np.where(condition[:1], x, y))

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_the_gradient_of_relu(self, dtype, monkeypatch):
        _, x, g = self.arrays(dtype)
        found = []
        for step in range(2):
            if step:
                without_loops(monkeypatch)
            t = tg.tensor(x, requires_grad=True)
            y = F.relu(t)
            y.backward(tg.tensor(g))
            found.append((y.detach().numpy(), t.grad.numpy()))
        for got, want in zip(*found):
            np.testing.assert_array_equal(got, want)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_dropout(self, dtype, monkeypatch):
        kept, x, g = self.arrays(dtype)
        with np.errstate(invalid="ignore"):
            want = np.where(kept, x * dtype(1.25), dtype(0))
        np.testing.assert_array_equal(where.masked(x, kept, 1.25), want)
        found = []
        for step in range(2):
            if step:
                without_loops(monkeypatch)
            tg.manual_seed(3)
            t = tg.tensor(x, requires_grad=True)
            y = F.dropout(t, 0.2)
            y.backward(tg.tensor(g))
            found.append((y.detach().numpy(), t.grad.numpy()))
        for got, want in zip(*found):
            np.testing.assert_array_equal(got, want)

    def test_the_second_derivative_of_relu_is_zero(self):
        x = tg.tensor(np.ones(self.LARGE), requires_grad=True)
        (g,) = tg.autograd.grad(F.relu(x).sum(), x, create_graph=True)
        (h,) = tg.autograd.grad(g.sum(), x)
        assert not h.numpy().any()


class TestTracing:
    """A function is traced again only if it may do something else."""

    def counted(self, monkeypatch):
        count, recorded = [], fusion._recorded
        monkeypatch.setattr(fusion, "_recorded", lambda *args: count.append(1) or recorded(*args))
        return count

    def test_once_for_the_same_code_and_numbers(self, monkeypatch):
        count = self.counted(monkeypatch)
        for factor in (2.0, 3.0, 2.0, 3.0, 2.0):
            x = np.ones(SIZE)
            as_one_loop(lambda x, factor=factor: x.__imul__(factor), [x])
            as_one_loop(lambda x: x.__imul__(factor), [x])
            np.testing.assert_array_equal(x, factor**2)
        assert len(count) == 4

    def test_once_for_a_function_that_cannot_be_compiled(self, monkeypatch):
        count = self.counted(monkeypatch)
        for shift in (1.0, 1.0, 2.0):
            assert as_one_loop(lambda x, xp=np: x.__iadd__(xp.arctan(x + shift)), [np.ones(SIZE)]) is None
        assert len(count) == 2

    def test_signs_of_zero_and_dtypes_are_different_numbers(self):
        made = []
        for number in (0.0, -0.0, True, 1, np.float32(0.0), float("nan"), float("nan")):
            x = np.full(SIZE, -1.0)
            as_one_loop(lambda x: x.__imul__(number), [x])
            made.append(x[0])
        np.testing.assert_array_equal(np.signbit(made[:5]), [True, False, True, True, True])
        assert np.isnan(made[5:]).all()

    def test_again_for_what_may_change(self):
        state = {"factor": 2.0}
        for factor in (2.0, 3.0):
            state["factor"] = factor
            x = np.ones(SIZE)
            as_one_loop(lambda x: x.__imul__(state["factor"]), [x])
            np.testing.assert_array_equal(x, factor)

    def test_functions_of_functions(self):
        def applied(inner):
            x = np.full(SIZE, 3.0)
            as_one_loop(lambda x: x.__imul__(inner(x)), [x])
            return x[0]

        assert [applied(lambda x: x + 1), applied(lambda x: x + 2), applied(lambda x: x + 1)] == [12, 15, 12]

    def test_the_function_is_not_kept(self):
        held = np.ones(SIZE)

        def kernel(x):
            x += held.max()

        gone = weakref.ref(kernel)
        as_one_loop(kernel, [np.ones(SIZE)])
        plain = lambda x: x.__iadd__(1)
        away = weakref.ref(plain)
        as_one_loop(plain, [np.ones(SIZE)])
        del kernel, plain
        gc.collect()
        assert gone() is None and away() is None


class TestNumPyDoesTheRest:
    """A chain that cannot be a loop is refused before anything has changed."""

    def refused(self, kernel, *arrays):
        before = [a.copy() for a in arrays]
        assert as_one_loop(kernel, arrays) is None
        for a, b in zip(arrays, before):
            np.testing.assert_array_equal(a, b)

    def test_few_elements(self):
        self.refused(lambda x: x.__iadd__(1), np.zeros(SMALLEST - 1))

    def test_other_dtypes(self):
        self.refused(lambda x: x.__iadd__(1), np.zeros(SIZE, np.float16))
        self.refused(lambda x: x.__iadd__(1), np.zeros(SIZE, np.int64))
        self.refused(lambda x, y: x.__iadd__(y), np.zeros(SIZE), np.zeros(SIZE, np.float32))

    def test_overlapping_arrays(self):
        memory = np.zeros(SIZE + 1)
        self.refused(lambda x, y: x.__iadd__(y), memory[1:], memory[:-1])
        self.refused(lambda x, y: x.__iadd__(y), memory, memory)

    def test_gaps_and_different_layouts(self):
        self.refused(lambda x: x.__iadd__(1), np.zeros((SIZE, 2))[:, 0])
        self.refused(lambda x, y: x.__iadd__(y), np.zeros((128, 100)), np.zeros((100, 128)).T)
        self.refused(lambda x, y: x.__iadd__(y), np.zeros((128, 100)), np.broadcast_to(np.zeros(1), (128, 100)))

    def test_an_unknown_function_after_known_ones(self):
        self.refused(lambda x, xp=np: x.__iadd__(xp.arctan(x * 2)), np.ones(SIZE))

    def test_a_branch_on_values(self):
        self.refused(lambda x: x.__iadd__(1) if (x > 0).all() else x.__isub__(1), np.ones(SIZE))


ACTIVATIONS = {
    "gelu": F.gelu, "gelu tanh": functools.partial(F.gelu, approximate="tanh"), "silu": F.silu, "sigmoid": tg.sigmoid, "tanh": tg.tanh,
    "exp": lambda x: tg.exp(x / 4), "softplus": F.softplus, "elu": F.elu, "selu": F.selu, "mish": F.mish, "logsigmoid": F.logsigmoid,
    "log": lambda x: (x.abs() + 0.1).log(), "sqrt": lambda x: (x.abs() + 0.1).sqrt(), "relu": F.relu, "softsign": F.softsign,
    "bce": lambda x: F.binary_cross_entropy_with_logits(x, tg.full_like(x, 0.25), reduction="none"),
    "huber": lambda x: F.smooth_l1_loss(x, tg.zeros_like(x), reduction="none"),
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_operations_give_what_they_give_without(name, monkeypatch):
    array = np.random.default_rng(1).normal(size=(3, 2 * SIZE // 3)).astype(np.float32) * 4
    weight = tg.tensor(np.random.default_rng(2).normal(size=array.shape).astype(np.float32))
    found = []
    for step in range(2):
        if step:
            without_loops(monkeypatch)
        x = tg.tensor(array, requires_grad=True)
        y = ACTIVATIONS[name](x)
        (g,) = tg.autograd.grad((y * weight).sum(), x, create_graph=True)
        (h,) = tg.autograd.grad(g.sum(), x) if g.requires_grad else (tg.zeros_like(x),)
        found.append([a.detach().numpy().astype(np.float64) for a in (y, g, h)])
    for got, want in zip(*found):
        np.testing.assert_allclose(got, want, rtol=3e-6, atol=1e-6)


OPTIMIZERS = {
    "SGD": {"momentum": 0.9, "nesterov": True}, "Adam": {"amsgrad": True}, "AdamW": {}, "NAdam": {}, "RAdam": {}, "Adamax": {},
    "RMSprop": {"momentum": 0.9, "centered": True}, "Adagrad": {}, "Adadelta": {}, "Rprop": {}, "ASGD": {},
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_go_the_same_way_as_without(name, dtype, monkeypatch):
    draw = np.random.default_rng(3)
    shapes = (SIZE,), (100, 200), (7,), (3, 3)
    start, gradients = ([draw.normal(size=shape).astype(dtype) for shape in shapes] for _ in range(2))
    found = []
    for step in range(2):
        if step:
            without_loops(monkeypatch)
        params = [tg.tensor(a.copy(), requires_grad=True) for a in start]
        optimizer = getattr(tg.optim, name)(params, lr=0.01, **OPTIMIZERS[name])
        for k in range(4):
            for p, g in zip(params, gradients):
                p.grad = tg.tensor(g * (1 - 0.4 * k))
            optimizer.step()
        state = [value.numpy() for entries in optimizer.state.values() for value in entries.values() if value is not None]
        found.append([p.detach().numpy() for p in params] + state)
    assert len(found[0]) == len(found[1]) > len(shapes) - 1
    for got, want in zip(*found):
        np.testing.assert_allclose(got, want, rtol=2e-5 if dtype == np.float32 else 1e-13, atol=1e-6 if dtype == np.float32 else 1e-14)


class TestTheCache:
    def run(self):
        loops.loop_of.cache_clear()
        x = np.ones(SIZE)
        as_one_loop(lambda x: x.__iadd__(3), [x])
        assert (x == 4).all()

    def test_a_loop_is_compiled_once(self, tmp_path, monkeypatch):
        self.run()
        (file,) = (tmp_path / "loops").iterdir()
        monkeypatch.setattr(compiling, "_object_code", None)  # it is not called again
        self.run()
        assert list((tmp_path / "loops").iterdir()) == [file]

    @pytest.mark.parametrize("damage", [lambda code: code[:100], lambda code: b"", lambda code: code[:-1] + b"?", lambda code: b"x" + code])
    def test_a_damaged_file_is_compiled_anew(self, tmp_path, damage):
        self.run()
        (file,) = (tmp_path / "loops").iterdir()
        whole = file.read_bytes()
        file.write_bytes(damage(whole))
        self.run()
        assert file.read_bytes() == whole

    def test_a_folder_that_cannot_be_written_is_a_warning(self, tmp_path, monkeypatch):
        (tmp_path / "file").touch()
        monkeypatch.setenv("TINYGRAD_LITE_CACHE", str(tmp_path / "file" / "loops"))
        with pytest.warns(UserWarning, match="cannot be kept"):
            self.run()

    def test_a_folder_that_cannot_be_written_warns_once(self, tmp_path, monkeypatch, recwarn):
        (tmp_path / "file").touch()
        monkeypatch.setenv("TINYGRAD_LITE_CACHE", str(tmp_path / "file" / "loops"))
        self.run()
        self.run()
        assert sum("cannot be kept" in str(warning.message) for warning in recwarn) == 1

    @pytest.mark.parametrize("place", ["_object_code", "os.replace", "_link"])
    def test_ctrl_c_leaves_no_files_and_the_next_call_compiles(self, place, tmp_path, monkeypatch):
        def interrupted(*args):
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(f"tinygrad_lite.arrays.compiling.{place}", interrupted)
            with pytest.raises(KeyboardInterrupt):
                self.run()
        folder = tmp_path / "loops"
        assert not folder.exists() or all(file.suffix == ".o" for file in folder.iterdir())
        self.run()
        assert len(list(folder.iterdir())) == 1

    @pytest.mark.parametrize("terminal", [True, False])
    def test_a_terminal_is_told_once_that_loops_are_compiled(self, terminal, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
        for name in ("first", "second"):
            (tmp_path / "loops").mkdir(exist_ok=True)
            for file in (tmp_path / "loops").iterdir():
                file.rename(tmp_path / name)
            self.run()
        told = f"tinygrad_lite: compiling loops for this processor; they are kept in {tmp_path / 'loops'}\n"
        assert capsys.readouterr().err == (told if terminal else "")


class TestRows:
    """Functions of rows give what NumPy gives."""

    x = np.random.default_rng(5).normal(size=(70, 41))

    def run(self, function, out=None, scalars=(), **more):
        x, out = self.x.copy(), np.zeros_like(self.x) if out is None else out
        return row_loops.run(function, [x, out], scalars, **more), x, out

    def test_three_passes(self):
        def softmax(row, x, out):
            e = row.exp(x - row.max(x))
            out[...] = e
            out *= 1 / row.sum(e)

        x = self.x.astype(np.float32)
        out = np.empty_like(x)
        assert row_loops.run(softmax, [x, out])
        e = np.exp(x - x.max(1, keepdims=True))
        np.testing.assert_allclose(out, e / e.sum(1, keepdims=True), rtol=1e-6)

    def test_every_operator(self):
        def function(row, x, out):
            out[...] = 2 - x
            out += x * 3
            out -= x / 4
            out /= 5
            out *= -row.where(row.less_equal(x, 0), 1.5, x)

        assert self.run(function)[0]
        x = self.x
        np.testing.assert_allclose(self.run(function)[2], (2 - x + x * 3 - x / 4) / 5 * -np.where(x <= 0, 1.5, x))

    def test_one_number_per_row(self):
        def function(row, x, out, sums, count):
            sums[...] = row.sum(x)
            out[...] = x - sums * (1 / count)

        sums = np.empty(70)
        done, x, out = self.run(function, scalars=[sums], numbers=(41,))
        assert done
        np.testing.assert_allclose(sums, x.sum(1), atol=1e-12)
        np.testing.assert_allclose(out, x - x.mean(1, keepdims=True), atol=1e-12)

    def test_a_number_is_stored_in_the_whole_row(self):
        def function(row, x, out):
            out[...] = row.max(x)

        done, x, out = self.run(function)
        assert done
        np.testing.assert_array_equal(out, np.broadcast_to(x.max(1, keepdims=True), x.shape))

    @pytest.mark.parametrize("rows", [70, 4096])
    def test_totals_of_all_rows_and_threads(self, rows):
        def function(row, x, out, weight, total):
            row.add_up(total, x * weight)

        x, weight, total = np.random.default_rng(6).normal(size=(rows, 41)), np.arange(41.0), np.ones(41)
        assert row_loops.run(function, [x, np.empty_like(x)], vectors=[weight], totals=[total])
        np.testing.assert_allclose(total, 1 + (x * weight).sum(0), atol=1e-10)

    def test_stores_keep_their_order(self):
        def function(row, x, out):
            out[...] = x - row.sum(x)
            out[...] = x

        done, x, out = self.run(function)
        assert done
        np.testing.assert_array_equal(out, x)

    def test_what_has_been_overwritten_is_not_read(self):
        def function(row, x, out):
            twice = x * 2
            x[...] = x + 1
            out[...] = twice - row.sum(twice)

        done, x, _ = self.run(function)
        assert not done
        np.testing.assert_array_equal(x, self.x)

    def test_numpy_does_what_would_be_computed_twice(self):
        def function(row, x, out):
            e = row.exp(x)
            out[...] = e / row.sum(e)

        x = self.x.astype(np.float32)
        assert not row_loops.run(function, [x, np.empty_like(x)])


PROGRAM = """
import sys
{before}
import tinygrad_lite as tg
x = tg.linspace(-3, 3, 20000).requires_grad_()
tg.nn.functional.gelu(x).sum().backward()
print(x.grad.sum().item(), "llvmlite.binding" in sys.modules)
"""


@pytest.mark.parametrize(
    "before", ["import os; os.environ['TINYGRAD_LITE_FAST'] = '0'", "sys.modules['llvmlite'] = None"], ids=["switched off", "not installed"]
)
def test_everything_works_without(before):
    with_loops, without = (
        subprocess.run([sys.executable, "-c", PROGRAM.format(before=b)], capture_output=True, text=True, check=True).stdout.split()
        for b in ("", before)
    )
    assert [with_loops[1], without[1]] == ["True", "False"]
    assert float(with_loops[0]) == pytest.approx(float(without[0]), rel=1e-5)
