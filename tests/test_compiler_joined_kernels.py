"""Two kernels as one in compiled programs: a sum and its normalization, a gradient and the result that it makes again."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite import nn
from tinygrad_lite.arrays.compiling import available
from tinygrad_lite.arrays.kernels import channel_loops
from tinygrad_lite.arrays.kernels.activations import (
    gelu_alone,
    gelu_gradient,
    gelu_gradient_and_result,
    gelu_gradient_and_result_of,
    gelu_of,
)
from tinygrad_lite.arrays.kernels.joint import normalize_gradient_and_result, sum_and_normalize
from tinygrad_lite.arrays.kernels.normalization import normalize, normalize_gradient
from tinygrad_lite.arrays.row_loops import run

F = nn.functional
DTYPES = np.float32, np.float64
SIZES = (1, 1), (3, 7), (0, 5), (37, 65), (64, 129), (1024, 128)


@pytest.fixture(params=[1, 2])
def threads(request):
    before = tg.get_num_threads()
    tg.set_num_threads(request.param)
    yield
    tg.set_num_threads(before)


def drawn(dtype, *shapes, special=False):
    draw = np.random.default_rng(0)
    arrays = [draw.standard_normal(shape).astype(dtype) for shape in shapes]
    if special and arrays[0].size > 20:
        arrays[0].reshape(-1)[[0, 5, 11, 17]] = np.nan, np.inf, -np.inf, -0.0
    return arrays


def assert_alike(found, wanted):
    tolerance = 2e-5 if wanted.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SIZES)
def test_a_sum_and_its_normalization(threads, shape, dtype, special):
    given, y, weight, bias = drawn(dtype, shape, shape, shape[1:], shape[1:], special=special)
    for x in (given, np.asfortranarray(given), np.broadcast_to(given[:1], shape)):
        with np.errstate(all="ignore"):
            total, *found = sum_and_normalize(x, y, weight, bias, 1, 1, 1e-5, True)
            wanted = normalize(x + y, weight, bias, 1, 1, 1e-5, True)
        np.testing.assert_array_equal(total, x + y)
        for a, b in zip(found, wanted, strict=True):
            assert_alike(a, b)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_sum_and_the_normalization_of_groups(dtype):
    x, y, weight, bias = drawn(dtype, (40, 64), (40, 64), (64,), (64,))
    for groups, center in ((4, True), (1, False), (4, False)):
        total, *found = sum_and_normalize(x, y, weight, bias, 1, groups, 1e-5, center)
        for a, b in zip((total, *found), (x + y, *normalize(x + y, weight, bias, 1, groups, 1e-5, center)), strict=True):
            assert_alike(a, b)


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("adds", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SIZES[1:2] + SIZES[3:])
def test_the_gradient_of_a_normalization_and_its_result(threads, shape, dtype, adds, special):
    g, x, more, weight, bias = drawn(dtype, shape, shape, shape, shape[1:], shape[1:], special=special)
    more = np.asfortranarray(more)
    for groups, center in ((1, True), (1, False)):
        out, normal, rate = normalize(x, weight, bias, 1, groups, 1e-5, center)
        own = g.copy()
        with np.errstate(all="ignore"):
            wanted = normalize_gradient((True, True, True), g, normal, rate, weight, bias, center)[:3]
            found = normalize_gradient_and_result(own, normal, rate, weight, bias, center, *([more] if adds else []))
        assert_alike(found[0], out)
        assert np.shares_memory(found[0], normal)
        for a, b in zip((own, *found[1:]), (wanted[0] + more if adds else wanted[0], *wanted[1:]), strict=True):
            assert_alike(a / 10, b / 10)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SIZES)
def test_the_gradient_of_gelu_and_its_result(threads, shape, dtype, approximate):
    x, given = drawn(dtype, shape, shape, special=True)
    for g in (given, np.ascontiguousarray(given.T).T):
        with np.errstate(all="ignore"):
            out, share = gelu_of(x, approximate)
            wanted, own = gelu_gradient(g, x, share, approximate)[0], g.copy(order="K")
            gelu_gradient_and_result(own, x, share, approximate)
            alone, other = gelu_alone(x, approximate), g.copy(order="K")
            anew = gelu_gradient_and_result_of(other, x, approximate)
        for a, b in ((share, out), (own, wanted), (alone, out), (anew, out), (other, wanted)):
            assert_alike(a, b)


@pytest.mark.skipif(not available(), reason="there are no compiled loops")
def test_there_are_loops_for_normalizations():
    matrices = drawn(np.float32, *[(64, 64)] * 5)
    rate, weight, bias, of_weight, of_bias = drawn(np.float32, *[(64,)] * 5)
    assert run(channel_loops.standardize_sum, matrices, [rate], [weight, bias], numbers=(1 / 64, 1e-5), flags=(True, True, True))
    for count in (2, 3):
        totals = [of_weight, of_bias]
        loop = channel_loops.standardize_gradient_and_result
        assert run(loop, matrices[:count], [rate], [weight, bias], totals, numbers=(1 / 64,), flags=(True,))


# -- in programs -----------------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.mix, self.up, self.down = nn.Linear(width, width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.mix(self.norm1(x))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Broad(nn.Module):
    """Gradients that are broadcast, and a result that is used twice."""

    def __init__(self, width):
        super().__init__()
        self.norm, self.up = nn.LayerNorm(width), nn.Linear(width, width)

    def forward(self, x):
        y = F.gelu(self.up(self.norm(x + x)))
        return y + y * y


class Kept(Block):
    """Results and gradients that are read by two."""

    def forward(self, x):
        y = self.norm1(x + x * 2)
        z = F.gelu(self.mix(y))
        return self.norm2(F.gelu(z + y) + z).tanh() + z


class Written(Block):
    """Results that are changed in place."""

    def forward(self, x):
        y = F.gelu(self.mix(self.norm1(x)) + x)
        return self.norm2(y.clone().mul_(2).add_(x)).mul_(0.5) + self.mix(x)


def two_steps(model, x, **options):
    other = copy.deepcopy(model)

    def step_of(model):
        optimizer = tg.optim.AdamW(model.parameters(), lr=1e-3)

        def step(x):
            optimizer.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        return step

    step, eager = tg.compile(step_of(model), fullgraph=True, **options), step_of(other)
    for i in range(4):
        given = x * (1 + i / 8)
        assert float(step(given)) == pytest.approx(float(eager(given)), rel=1e-4)
    for (name, p), q in zip(model.named_parameters(), other.parameters(), strict=True):
        assert (p.grad is None) == (q.grad is None), name
        if p.grad is not None:
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-3, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-3, atol=1e-5, err_msg=name)
    return step


def two_gradients(model, x):
    other = copy.deepcopy(model)

    def step_of(model):
        def step(x):
            return tg.autograd.grad((model(x) ** 2).mean(), [p for p in model.parameters() if p.requires_grad])

        return step

    step, eager = tg.compile(step_of(model), fullgraph=True), step_of(other)
    for _ in range(3):
        for a, b in zip(step(x), eager(x), strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-3, atol=1e-6)
    return step


def kernels(step):
    return [call.function.__name__ for call in step.program().calls if callable(call.function)]


def test_blocks_of_a_transformer():
    tg.manual_seed(0)
    step = two_steps(nn.Sequential(*(Block(64) for _ in range(3))), tg.randn(8, 32, 64))
    found = kernels(step)
    assert found.count("sum_and_normalize") == 5
    assert found.count("normalize_gradient_and_result") == 5
    assert found.count("normalize_gradient") == 1  # x needs no gradient
    assert found.count("gelu_gradient_and_result") == 3
    assert not any(call.function == "+" and call.section == "backward" for call in step.program().calls)


@pytest.mark.skipif(not available(), reason="there are no compiled loops")
@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_a_large_gelu_saves_its_operand_alone(approximate):
    tg.manual_seed(0)
    x = tg.randn(512, 16)
    model = nn.Sequential(nn.Linear(16, 600), nn.GELU(approximate), nn.Linear(600, 520), nn.GELU(approximate), nn.Linear(520, 8))
    step = two_steps(model, x)
    found = kernels(step)
    assert found.count("gelu_alone") == found.count("gelu_gradient_and_result_of") == 2
    assert "gelu_of" not in found
    function = tg.compile(lambda x: tg.autograd.grad((model(x) ** 2).mean(), list(model.parameters())), fullgraph=True)
    wanted = [function(x) for _ in range(3)][-1]
    for a, b in zip(function.program().run(x.array), wanted, strict=True):
        np.testing.assert_allclose(a, b.array, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("make", [Broad, Kept, Written])
def test_what_others_need_is_left_alone(make):
    tg.manual_seed(0)
    two_steps(make(64), tg.randn(96, 64))


def test_parameters_without_gradients():
    tg.manual_seed(0)
    model = nn.Sequential(*(Block(64) for _ in range(2)))
    model[0].norm2.weight.requires_grad_(False)
    model[1].up.weight.requires_grad_(False)
    step = two_gradients(model, tg.randn(96, 64))
    assert kernels(step).count("normalize_gradient") >= 1


def test_without_fusion_kernels_stay_apart():
    tg.manual_seed(0)
    step = two_steps(Block(64), tg.randn(96, 64), options={"fuse": False})
    assert not any("_and_" in name for name in kernels(step))


def test_the_program_with_numpy_alone():
    tg.manual_seed(0)
    x = tg.randn(96, 64)
    model = nn.Sequential(Block(64), Block(64))
    step = tg.compile(lambda x: tg.autograd.grad((model(x) ** 2).mean(), list(model.parameters())), fullgraph=True)
    wanted = [step(x) for _ in range(3)][-1]
    program = step.program()
    assert any("_and_result" in name for name in kernels(step))
    for found, value in zip(program.run(x.array), wanted, strict=True):
        np.testing.assert_allclose(found, value.array, rtol=1e-3, atol=1e-6)
