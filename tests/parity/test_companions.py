"""What PyTorch programs use beside tensors and models: distributions, mixed precision, assert_close."""

from __future__ import annotations

import importlib
import math
import warnings

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.parity.compare import compare, refused

torch = pytest.importorskip("torch")

REAL, POSITIVE = np.array([[-1.0, 0.3, 2.0]]), np.array([[0.5], [1.5]])
SHARES = np.array([[0.2, 0.5, 0.3], [1.0, 2.0, 1.0]])
ODDS = np.array([[-2.0, 0.4, 30.0], [0.0, 1.0, -40.0]])
BOTH = [  # the constructor of each distribution, its parameters, and possible values
    ("Normal(p, q)", (REAL, POSITIVE), np.array([0.1, -4.0, 2.0])),
    ("Normal(0.5, p)", (POSITIVE,), np.array([[0.1], [-4.0]])),
    ("Uniform(p, q)", (REAL, np.array([[3.0], [2.5]])), np.array([1.0, 0.5, 2.0])),
    ("Uniform(p, p + q)", (REAL, POSITIVE), REAL),
    ("Bernoulli(p)", (np.array([0.2, 0.5, 0.0, 1.0]),), np.array([0.0, 1.0, 0.0, 1.0])),
    ("Bernoulli(logits=p)", (ODDS,), np.array([[0.0, 1.0, 1.0]])),
    ("Categorical(p)", (SHARES,), np.array([[0, 1], [2, 2], [1, 0]])),
    ("Categorical(logits=p)", (ODDS,), np.array([2, 1])),
    ("Categorical(p)", (SHARES[0],), np.array(1)),
]


def made(m, text, *parameters):
    space = vars(importlib.import_module(m.__name__ + ".distributions"))
    return eval(text, {**space, **dict(zip("pq", parameters))})


@pytest.mark.parametrize("text, parameters, values", BOTH, ids=[b[0] for b in BOTH])
class TestDistributions:
    def test_log_prob_and_entropy_and_their_gradients(self, text, parameters, values):
        compare(lambda m: lambda *p: made(m, text, *p).log_prob(m.tensor(values)), *parameters)
        compare(lambda m: lambda *p: made(m, text, *p).entropy(), *parameters, order=1)

    def test_moments_and_shapes(self, text, parameters, values):
        names = ["batch_shape", "event_shape"]
        if text.startswith("Categorical"):  # the others are nan there
            names += ["probs", "logits", "mode"]
        else:
            names += ["mean", "variance", "stddev", *{"N": ["loc", "mode"], "U": ["low"], "B": ["probs", "logits"]}[text[0]]]
        mine, theirs = made(tg, text, *map(tg.tensor, parameters)), made(torch, text, *map(torch.tensor, parameters))
        for name in names:
            got, want = np.asarray(getattr(mine, name)), np.asarray(getattr(theirs, name))
            np.testing.assert_allclose(got, want, rtol=1e-12, err_msg=name)

    def test_samples_have_the_distribution_and_no_tape(self, text, parameters, values):
        tg.manual_seed(0)
        d = made(tg, text, *[tg.tensor(p, requires_grad=True) for p in parameters])
        sample = d.sample((4000,))
        assert tuple(sample.shape) == (4000, *d.batch_shape) and not sample.requires_grad
        assert sample.dtype == (tg.int64 if text.startswith("Categorical") else tg.float64)
        if text.startswith("Categorical"):
            shares = tg.stack([(sample == k).double().mean(0) for k in range(3)], dim=-1)
            np.testing.assert_allclose(shares.numpy(), d.probs.detach().numpy(), atol=0.04)
        else:
            np.testing.assert_allclose(sample.mean(0).numpy(), d.mean.detach().numpy(), atol=0.1)
            np.testing.assert_allclose(sample.std(0).numpy(), d.stddev.detach().numpy(), atol=0.1)


VECTORS, COVARIANCE = np.array([[-1.0, 0.3], [0.5, 2.0]]), np.array([[2.0, 0.3], [0.3, 0.5]])
OF_SEVERAL = [  # the same for distributions of vectors, and distributions composed of others
    ("MultivariateNormal(p, q)", (VECTORS, COVARIANCE), VECTORS[:1] + 1),
    ("MultivariateNormal(p, precision_matrix=q)", (VECTORS[0], COVARIANCE), np.stack([VECTORS, -VECTORS])),
    ("MultivariateNormal(p, scale_tril=q.tril())", (VECTORS, np.stack([COVARIANCE, COVARIANCE * 2])), VECTORS[0]),
    ("Independent(Normal(p, q), 1)", (VECTORS, POSITIVE), VECTORS[0]),
    ("Independent(Normal(p, q), 0)", (VECTORS, POSITIVE), VECTORS),
    ("Independent(Independent(Bernoulli(logits=p), 1), 1)", (VECTORS,), np.array([[0.0, 1.0], [1.0, 1.0]])),
    ("MixtureSameFamily(Categorical(p), Normal(q, 1.0))", (SHARES, REAL + POSITIVE), np.array([[0.1, -4.0], [2.0, 0.0]])),
    ("MixtureSameFamily(Categorical(p[0, :2].exp()), MultivariateNormal(p, q))", (VECTORS, COVARIANCE), VECTORS),
]


@pytest.mark.parametrize("text, parameters, values", OF_SEVERAL, ids=[b[0] for b in OF_SEVERAL])
class TestDistributionsOfSeveral:
    def test_log_prob_and_its_gradients(self, text, parameters, values):
        compare(lambda m: lambda *p: made(m, text, *p).log_prob(m.tensor(values)), *parameters)

    def test_moments_shapes_and_entropy(self, text, parameters, values):
        mixed = text.startswith("Mixture")
        names = ["batch_shape", "event_shape", "mean", "variance"] + ([] if mixed or "Bernoulli" in text else ["mode"])
        if text.startswith("Multi"):
            names += ["covariance_matrix", "precision_matrix", "scale_tril"]
        for name in names:
            if name.endswith("shape"):
                assert tuple(getattr(made(tg, text, *map(tg.tensor, parameters)), name)) == tuple(
                    getattr(made(torch, text, *map(torch.tensor, parameters)), name)
                )
            else:
                compare(lambda m, name=name: lambda *p: getattr(made(m, text, *p), name), *parameters, order=0)
        if not mixed:
            compare(lambda m: lambda *p: made(m, text, *p).entropy(), *parameters, order=1)

    def test_samples_have_the_distribution(self, text, parameters, values):
        tg.manual_seed(0)
        d = made(tg, text, *[tg.tensor(p, requires_grad=True) for p in parameters])
        sample = d.sample((4000,))
        assert tuple(sample.shape) == (4000, *d.batch_shape, *d.event_shape) and not sample.requires_grad
        np.testing.assert_allclose(sample.mean(0).numpy(), d.mean.detach().numpy(), atol=0.12)
        np.testing.assert_allclose(sample.var(0).numpy(), d.variance.detach().numpy(), atol=0.25)
        if d.has_rsample:
            assert d.rsample((2, 3)).requires_grad and d.rsample().shape == (*d.batch_shape, *d.event_shape)


def test_bad_distributions_of_several_are_refused():
    refused(lambda m: lambda p, q: made(m, "MultivariateNormal(p)", p, q), VECTORS, COVARIANCE)
    refused(lambda m: lambda p, q: made(m, "MultivariateNormal(p, q, q)", p, q), VECTORS, COVARIANCE)
    refused(lambda m: lambda p, q: made(m, "MultivariateNormal(p, -q)", p, q), VECTORS, COVARIANCE)
    refused(lambda m: lambda p, q: made(m, "MultivariateNormal(p[0, 0], q)", p, q), VECTORS, COVARIANCE)
    refused(lambda m: lambda p: made(m, "Independent(Normal(p, 1.0), 3)", p), VECTORS)
    refused(lambda m: lambda p: made(m, "MixtureSameFamily(Categorical(p), Normal(p[:, :2], 1.0))", p), SHARES)
    refused(lambda m: lambda p: made(m, "MixtureSameFamily(Normal(p, p), Normal(p, 1.0))", p), SHARES)


def test_divergences():
    shares, others = SHARES, np.array([[0.3, 0.3, 0.4], [1.0, 1.0, 2.0]])
    for text, p, q in (
        ("Normal(p, q)", (REAL, POSITIVE), (REAL + 1, 2 * POSITIVE)),
        ("Uniform(p, q)", (REAL, REAL + 1), (REAL - 0.5, REAL + np.array([0.9, 1.0, 2.0]))),
        ("Bernoulli(p)", (np.array([0.2, 0.7]),), (np.array([0.4, 0.7]),)),
        ("Categorical(p)", (shares,), (others,)),
        ("Independent(Normal(p, q), 1)", (REAL, POSITIVE), (REAL + 1, 2 * POSITIVE)),
    ):

        def divergence(m, text=text, p=p):
            space = importlib.import_module(m.__name__ + ".distributions")
            return lambda *ps: space.kl_divergence(made(m, text, *ps[: len(p)]), made(m, text, *ps[len(p) :]))

        compare(divergence, *p, *q, order=1)


def test_bad_parameters_and_values_are_refused():
    refused(lambda m: lambda: made(m, "Normal(0.0, -1.0)"))
    refused(lambda m: lambda: made(m, "Uniform(1.0, 0.0)"))
    refused(lambda m: lambda: made(m, "Bernoulli(1.5)"))
    refused(lambda m: lambda: made(m, "Bernoulli()"))
    refused(lambda m: lambda p: made(m, "Categorical(p, p)", p), SHARES)
    refused(lambda m: lambda p: made(m, "Categorical(p)", p), SHARES - 0.4)
    refused(lambda m: lambda p: made(m, "Categorical(p)", p).log_prob(m.tensor(3)), SHARES)
    refused(lambda m: lambda p: made(m, "Bernoulli(p)", p).log_prob(m.tensor(0.5)), SHARES[0])
    refused(lambda m: lambda p: made(m, "Uniform(0.0, p)", p).log_prob(m.tensor(-1.0)), POSITIVE)


class TestGradScaler:
    @staticmethod
    def run(m, gradients, **options):
        """Scales and weights over steps whose gradients are multiplied by `gradients`."""
        weight = m.nn.Parameter(m.tensor([1.0, 2.0]))
        optimizer = m.optim.SGD([weight], lr=0.1)
        scaler = m.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2, **options)
        seen = []
        for i, factor in enumerate(gradients):
            optimizer.zero_grad()
            scaler.scale((weight * factor).sum()).backward()
            if i % 2:
                scaler.unscale_(optimizer)
                m.nn.utils.clip_grad_norm_([weight], 1.0)
            scaler.step(optimizer)
            scaler.update()
            seen += [scaler.get_scale(), *weight.tolist()]
        return seen, scaler.state_dict()

    @pytest.mark.parametrize("options", [{}, {"enabled": False}, {"growth_factor": 3.0, "backoff_factor": 0.25}], ids=str)
    def test_it_scales_steps_and_adapts(self, options):
        gradients = [1.0, 2.0, math.inf, 3.0, math.nan, 1.0, 1.0] if options.get("enabled", True) else [1.0, 2.0]
        (got, state), (want, expected) = (self.run(m, gradients, **options) for m in (tg, torch))
        np.testing.assert_allclose(got, want, rtol=1e-6)
        assert state == expected
        again = tg.amp.GradScaler("cpu", enabled=bool(state))
        again.load_state_dict(state)
        assert again.state_dict() == state

    @pytest.mark.parametrize("calls", ["update", "unscale_ unscale_", "step step", "step unscale_"])
    def test_calls_out_of_order_are_refused(self, calls):
        for m in (tg, torch):
            weight = m.nn.Parameter(m.ones(1))
            optimizer, scaler = m.optim.SGD([weight], lr=0.1), m.amp.GradScaler("cpu")
            if calls != "update":
                scaler.scale(weight.sum()).backward()
            with pytest.raises((RuntimeError, AssertionError)):
                for call in calls.split():
                    getattr(scaler, call)(*[] if call == "update" else [optimizer])


def test_autocast_and_a_scaler_without_a_gpu_say_that_they_do_nothing():
    for m in (tg, torch):
        for build in (lambda m=m: m.autocast("cuda"), lambda m=m: m.amp.GradScaler(), lambda m=m: m.autocast("cpu", m.float32)):
            with pytest.warns(UserWarning):
                build()
        with warnings.catch_warnings(), m.amp.autocast("cpu", enabled=False), m.autocast("cuda", m.float16, enabled=False):
            warnings.simplefilter("error")
            assert (m.ones(2, 2) @ m.ones(2, 2)).dtype == m.float32


def test_there_is_a_name_for_bfloat16_but_no_such_tensor():
    assert {"float32": tg.float32, "bfloat16": tg.bfloat16}["bfloat16"] != tg.ones(1).dtype
    for use in (lambda: tg.zeros(2, dtype=tg.bfloat16), lambda: tg.ones(2).to(tg.bfloat16), lambda: tg.nn.Linear(2, 2).to(tg.bfloat16)):
        with pytest.raises(TypeError, match="no bfloat16"):
            use()


PAIRS = {
    "equal": "(m.ones(2), m.ones(2))", "a little off": "(m.ones(2), m.ones(2) + 1e-6)", "off": "(m.ones(2), m.ones(2) + 1e-3)",
    "shape": "(m.ones(2), m.ones(1, 2))", "dtype": "(m.ones(2), m.ones(2).double())", "integers": "(m.tensor([1, 2]), m.tensor([1, 3]))",
    "bool": "(m.tensor([True]), m.tensor([False]))", "nan": "(m.tensor(m.nan), m.tensor(m.nan))", "numbers": "(1.0, 1.0 + 1e-9)",
    "int and float": "(1, 1.0)", "lists": "([m.ones(1), 2.0], [m.ones(1), 2.0])", "lengths": "([1.0], [1.0, 2.0])",
    "dicts": "({'a': m.ones(1)}, {'a': m.ones(1)})", "keys": "({'a': 1.0}, {'b': 1.0})", "inf": "(m.tensor(m.inf), m.tensor(m.inf))",
    "tensor and number": "(m.ones(1), 1.0)", "strings": "('a', 'a')", "half": "(m.ones(1).half(), (m.ones(1) + 1e-3).half())",
}  # fmt: skip


@pytest.mark.parametrize("options", ["", "check_dtype=False", "equal_nan=True", "rtol=0, atol=0.01"])
@pytest.mark.parametrize("pair", PAIRS)
def test_assert_close_agrees(pair, options):
    verdicts = []
    for m in (tg, torch):
        try:
            eval(f"assert_close(*{PAIRS[pair]}, {options})", {"m": m, "assert_close": m.testing.assert_close})
            verdicts.append("close")
        except (AssertionError, TypeError, ValueError) as error:
            verdicts.append(type(error).__name__)
    assert verdicts[0] == verdicts[1]


def test_a_failure_says_where_and_how_much():
    with pytest.raises(AssertionError, match=r"(?s)Mismatched elements: 1 / 2 \(50.0%\).*0.5 at index \(1,\).*item \['w'\]\[0\]"):
        tg.testing.assert_close({"w": [tg.tensor([1.0, 2.0])]}, {"w": [tg.tensor([1.0, 2.5])]})
    with pytest.raises(AssertionError, match="mine"):
        tg.testing.assert_close(1.0, 2.0, msg="mine")
    with pytest.raises(ValueError, match="both rtol and atol"):
        tg.testing.assert_close(1.0, 1.0, rtol=0.1)


def test_the_older_names_of_mixed_precision():
    for m in (tg, torch):
        amp = importlib.import_module(m.__name__ + ".cuda.amp")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)
            scaler = amp.GradScaler(enabled=False)
            with amp.autocast(enabled=False):
                assert scaler.scale(m.ones(1)).item() == 1 and m.cuda.amp.GradScaler(enabled=False).get_scale() == 1


def test_a_model_in_data_parallel_keeps_its_name_and_results():
    results = []
    for m in (tg, torch):
        m.manual_seed(0)
        model = m.nn.DataParallel(m.nn.Linear(2, 1))
        m.nn.init.ones_(model.module.weight)
        m.nn.init.zeros_(model.module.bias)
        results.append((list(model.state_dict()), model(m.tensor([[1.0, 2.0]])).tolist(), repr(model)))
    assert results[0] == results[1]
    with pytest.raises(NotImplementedError, match="several devices"):
        tg.nn.DataParallel(tg.nn.Linear(2, 1), device_ids=[0, 1])
