"""Random numbers: distributions, streams, and invalid arguments."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import tinygrad_lite as tg

N = 4000

# name, a call that draws N numbers, the distribution they should have
CONTINUOUS = {
    "rand": (lambda: tg.rand(N), stats.uniform()),
    "randn": (lambda: tg.randn(N), stats.norm()),
    "rand float16": (lambda: tg.rand(N, dtype=tg.float16), stats.uniform()),
    "normal": (lambda: tg.normal(2.0, 3.0, (N,)), stats.norm(2, 3)),
    "normal of tensors": (lambda: tg.normal(tg.full((N,), 2.0), tg.full((N,), 3.0)), stats.norm(2, 3)),
    "normal_": (lambda: tg.empty(N).normal_(-1, 0.5), stats.norm(-1, 0.5)),
    "uniform_": (lambda: tg.empty(N).uniform_(-1, 3), stats.uniform(-1, 4)),
    "exponential_": (lambda: tg.empty(N).exponential_(2), stats.expon(scale=0.5)),
    "log_normal_": (lambda: tg.empty(N).log_normal_(0, 1), stats.lognorm(1)),
    "cauchy_": (lambda: tg.empty(N).cauchy_(1, 2), stats.cauchy(1, 2)),
}
DISCRETE = {
    "randint": (lambda: tg.randint(2, 6, (N,)), stats.randint(2, 6)),
    "randint of one bound": (lambda: tg.randint(4, (N,)), stats.randint(0, 4)),
    "bernoulli": (lambda: tg.bernoulli(tg.full((N,), 0.3)), stats.bernoulli(0.3)),
    "bernoulli_": (lambda: tg.empty(N).bernoulli_(0.7), stats.bernoulli(0.7)),
    "poisson": (lambda: tg.poisson(tg.full((N,), 2.5)), stats.poisson(2.5)),
    "geometric_": (lambda: tg.empty(N).geometric_(0.3), stats.geom(0.3)),
    "random_": (lambda: tg.empty(N).random_(3, 7), stats.randint(3, 7)),
    "random_ of one bound": (lambda: tg.empty(N, dtype=tg.int64).random_(5), stats.randint(0, 5)),
    "multinomial": (lambda: tg.multinomial(tg.tensor([1.0, 2.0, 1.0]), N, replacement=True), stats.rv_discrete(values=([0, 1, 2], [0.25, 0.5, 0.25]))),
    "multinomial of one": (lambda: tg.multinomial(tg.tensor([[1.0, 2.0, 1.0]]).expand(N, 3), 1), stats.rv_discrete(values=([0, 1, 2], [0.25, 0.5, 0.25]))),
}  # fmt: skip


@pytest.mark.parametrize("name", CONTINUOUS)
def test_continuous(name):
    tg.manual_seed(3)
    draw, distribution = CONTINUOUS[name]
    assert stats.kstest(draw().numpy().astype(float), distribution.cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete(name):
    tg.manual_seed(3)
    draw, distribution = DISCRETE[name]
    values, counts = np.unique(draw().numpy(), return_counts=True)
    expected = distribution.pmf(values) * N
    often = expected > 5
    rest, others = N - counts[often].sum(), max(N - expected[often].sum(), 0)
    found, wanted = counts[often], expected[often]
    if others > 1:
        found, wanted = np.append(found, rest), np.append(wanted, others)
    assert abs(rest - others) < 40
    assert stats.chisquare(found, wanted * found.sum() / wanted.sum()).pvalue > 1e-3


def test_uniform_is_below_one():
    for dtype in (tg.float16, tg.float32, tg.float64):
        values = tg.rand(100_000, dtype=dtype)
        assert values.dtype == dtype and values.min() >= 0 and values.max() < 1


def test_without_replacement_all_differ():
    for _ in range(20):
        chosen = tg.multinomial(tg.rand(3, 10) + 0.1, 10)
        assert chosen.sort(-1).values.tolist() == [list(range(10))] * 3
    assert sorted(tg.multinomial(tg.tensor([0.0, 1.0, 0.0, 3.0]), 2).tolist()) == [1, 3]


def test_permutations():
    assert sorted(tg.randperm(100).tolist()) == list(range(100)) != tg.randperm(100).tolist()
    assert tg.randperm(3, dtype=tg.int32).dtype == tg.int32 and tg.randperm(0).shape == (0,)
    firsts = [tg.randperm(3)[0].item() for _ in range(300)]
    assert min(firsts.count(i) for i in range(3)) > 60


CALLS = [
    lambda g: tg.rand(3, generator=g), lambda g: tg.randn(3, generator=g), lambda g: tg.randint(9, (3,), generator=g), lambda g: tg.randperm(9, generator=g), lambda g: tg.normal(0.0, 1.0, (3,), generator=g), lambda g: tg.bernoulli(tg.full((9,), 0.5), generator=g),
    lambda g: tg.multinomial(tg.ones(9), 5, generator=g), lambda g: tg.poisson(tg.full((9,), 4.0), generator=g), lambda g: tg.empty(3).normal_(generator=g), lambda g: tg.empty(3).uniform_(generator=g), lambda g: tg.empty(3).random_(99, generator=g), lambda g: tg.empty(9).bernoulli_(generator=g),
    lambda g: tg.empty(3).exponential_(generator=g), lambda g: tg.empty(3).log_normal_(generator=g), lambda g: tg.empty(3).cauchy_(generator=g), lambda g: tg.empty(3).geometric_(0.1, generator=g), lambda g: tg.rand_like(tg.ones(3), generator=g), lambda g: tg.randint_like(tg.ones(9), 99, generator=g),
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_streams(call, device):
    """The same seed or state gives the same numbers; a generator's draws leave the global stream alone."""
    generator, global_ = tg.Generator(device).manual_seed(5), tg if device == "cpu" else tg.cuda
    first = call(generator).tolist()
    second = call(generator).tolist()
    assert call(generator.manual_seed(5)).tolist() == first != second
    state = generator.get_state()
    later = [call(generator).tolist() for _ in range(3)]
    generator.set_state(state)
    assert [call(generator).tolist() for _ in range(3)] == later
    tg.manual_seed(7)
    a = call(None).tolist()
    tg.manual_seed(7)
    before = global_.get_rng_state()
    call(generator)
    assert (global_.get_rng_state() == before).all()
    assert call(None).tolist() == a
    global_.set_rng_state(before)
    assert call(None).tolist() == a


def test_seeds():
    generator = tg.Generator()
    assert generator.manual_seed(12) is generator and generator.initial_seed() == 12
    assert generator.seed() == generator.initial_seed() != 12
    assert generator.device == tg.device("cpu")
    assert tg.manual_seed(4).initial_seed() == tg.initial_seed() == 4
    assert tg.seed() == tg.initial_seed() != 4
    assert tg.get_rng_state().dtype == tg.uint8
    tg.manual_seed(-1)
    tg.manual_seed(2**63)
    tg.manual_seed(np.int64(3))
    assert tg.rand(3).tolist() != tg.rand(3).tolist()


def test_forms_and_dtypes():
    for m in (tg, pytest.importorskip("torch")):
        assert tuple(m.rand(2, 3).shape) == tuple(m.randn((2, 3)).shape) == tuple(m.rand([2, 3]).shape) == (2, 3)
        assert tuple(m.rand(()).shape) == () and m.rand(0, 2).numel() == 0
        assert m.rand(2, dtype=m.float64).dtype == m.float64 and m.randn(2, requires_grad=True).requires_grad
        assert m.randint(5, (2,)).dtype == m.int64 and m.randint(5, (2,), dtype=m.float32).dtype == m.float32
        assert tuple(m.randint(low=1, high=5, size=(2, 2)).shape) == (2, 2) and tuple(m.randint(high=5, size=(2,)).shape) == (2,)
        assert m.randint_like(m.ones(2), 3).dtype == m.float32 and tuple(m.randint_like(m.ones(2), 1, 3).shape) == (2,)
        assert m.rand_like(m.ones(2, dtype=m.float64)).dtype == m.float64 and m.randn_like(m.ones(2), dtype=m.float64).dtype == m.float64
        assert m.normal(m.ones(2), 1.0).dtype == m.float32 and m.normal(0.0, m.ones(2)).shape == (2,) and m.normal(0, 1, (2,)).shape == (2,)
        assert m.bernoulli(m.full((2,), 1.0)).tolist() == [1, 1] and m.bernoulli(m.ones(2), 0.0).tolist() == [0, 0]
        assert m.ones(2).bernoulli(0.0).tolist() == [0, 0] and m.ones(3, dtype=m.int64).bernoulli_(1.0).tolist() == [1, 1, 1]
        assert tuple(m.multinomial(m.ones(2, 4), 3).shape) == (2, 3) and m.multinomial(m.ones(4), 9, True).dtype == m.int64
        assert m.poisson(m.zeros(2)).tolist() == [0, 0] and m.poisson(m.tensor(0.0)).shape == () and m.empty(2, dtype=m.bool).random_().dtype == m.bool
        assert m.empty(2, dtype=m.int64).random_().min() >= 0 and m.empty(2).uniform_(3, 3).tolist() == [3, 3]
        assert m.empty(3).random_(to=5).max() < 5 and m.empty(3).uniform_(to=0.5).max() < 0.5


@pytest.mark.parametrize("call", [
    lambda m: m.rand(-1), lambda m: m.rand(2, dtype=m.int64), lambda m: m.randn(2.5), lambda m: m.randint(0, (2,)), lambda m: m.randint(3, 3, (2,)), lambda m: m.randint(5), lambda m: m.randperm(-1), lambda m: m.normal(0.0, 1.0), lambda m: m.normal(0.0, -1.0, (2,)), lambda m: m.normal(m.ones(2), -m.ones(2)),
    lambda m: m.bernoulli(m.full((2,), 1.5)), lambda m: m.bernoulli(m.ones(2, dtype=m.int64)), lambda m: m.ones(2).bernoulli_(1.5), lambda m: m.multinomial(m.ones(3), 4), lambda m: m.multinomial(m.zeros(3), 1), lambda m: m.multinomial(-m.ones(3), 1), lambda m: m.multinomial(m.ones(3), 0),
    lambda m: m.multinomial(m.ones(1, 1, 3), 1), lambda m: m.multinomial(m.tensor([1.0, float("nan")]), 1), lambda m: m.multinomial(m.ones(3, dtype=m.int64), 1), lambda m: m.poisson(-m.ones(2)), lambda m: m.ones(2).normal_(0, -1), lambda m: m.ones(2).uniform_(2, 1), lambda m: m.ones(2, dtype=m.int64).normal_(),
    lambda m: m.ones(2, dtype=m.int64).uniform_(), lambda m: m.ones(2).exponential_(0), lambda m: m.ones(2).geometric_(0), lambda m: m.ones(2).cauchy_(0, 0), lambda m: m.ones(2).log_normal_(0, 0), lambda m: m.ones(2).random_(3, 3), lambda m: m.rand(2, generator=3), lambda m: m.Generator().set_state(m.ones(2)),
    lambda m: m.ones(2, dtype=m.int8).random_(300), lambda m: m.ones(2, dtype=m.uint8).random_(-1, 3), lambda m: m.ones(2, dtype=m.bool).random_(5), lambda m: m.randint(0, 300, (2,), dtype=m.int8), lambda m: m.randint_like(m.ones(2, dtype=m.int8), 300), lambda m: m.randperm(300, dtype=m.uint8), lambda m: m.randperm(2, dtype=m.bool), lambda m: m.ones(2).half().uniform_(0, 1e6),
    lambda m: m.ones(2, requires_grad=True).normal_(), lambda m: m.rand_like([1.0]), lambda m: m.manual_seed("a"),
])  # fmt: skip
def test_refused(call):
    for m in (tg, pytest.importorskip("torch")):
        with pytest.raises((TypeError, ValueError, IndexError, RuntimeError, NotImplementedError) if m is not tg else (TypeError, ValueError, RuntimeError)):
            call(m)
