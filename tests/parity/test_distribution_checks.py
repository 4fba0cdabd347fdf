"""Which parameters and values a distribution refuses, with and without `validate_args`, as in PyTorch."""

from __future__ import annotations

import itertools
from math import inf, nan

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")


def tensor(lib, value):
    return lib.tensor(value) if isinstance(value, list) else value


def outcome(function):
    """What `function` returns, or which kind of error it raises; PyTorch's linear algebra has one of its own."""
    try:
        return function()
    except Exception as error:
        return "LinAlgError" if "LinAlgError" in type(error).__name__ else "ValueError" if isinstance(error, ValueError) else "error"


def shapes(distribution):
    return tuple(distribution.batch_shape), tuple(distribution.event_shape)


NUMBERS = [nan, inf, -inf, 0.0, -1.0, 1.0, 2.0, 0.5, 1, [1.0, nan], [0.0, 1.0], [1.0, inf], [0.5, 0.5], [-0.1, 1.1], [1.0, 2.0, 3.0]]


@pytest.mark.parametrize("checked", [None, True, False])
@pytest.mark.parametrize("name", ["Normal", "Uniform"])
def test_two_parameters(name, checked):
    for a, b in itertools.product(NUMBERS, NUMBERS):
        ours, theirs = (
            outcome(lambda lib=lib: shapes(getattr(lib.distributions, name)(tensor(lib, a), tensor(lib, b), validate_args=checked)))
            for lib in (tg, torch)
        )
        assert ours == theirs or {ours, theirs} == {"ValueError", "error"}, (a, b)


SHARES = [
    *NUMBERS, [[0.2, 0.8], [0.5, 0.6]], [[0.2, 0.8], [nan, 0.6]], [0.0, 0.0], [0.3, 0.3, 0.4], [nan, 0.5], [inf, 0.5], [-inf, 0.0],
    [-inf, -inf], [1e-30, 1.0], [0.0, 0.0, 1.0], [3.0, 1.0],
]  # fmt: skip


@pytest.mark.parametrize("checked", [None, False])
@pytest.mark.parametrize("form", ["probs", "logits"])
@pytest.mark.parametrize("name", ["Bernoulli", "Categorical"])
def test_shares(name, form, checked):
    for value in SHARES:
        if name == "Categorical" and not isinstance(value, list):
            continue
        ours, theirs = (
            outcome(
                lambda lib=lib: shapes(getattr(lib.distributions, name)(**{form: tensor(lib, value)}, validate_args=checked))
            )
            for lib in (tg, torch)
        )
        assert ours == theirs, value


def test_either_shares_or_scores():
    for name in ("Bernoulli", "Categorical"):
        for given in ({}, {"probs": [0.5, 0.5], "logits": [0.5, 0.5]}):
            for lib in (tg, torch):
                with pytest.raises(ValueError):
                    getattr(lib.distributions, name)(**{form: lib.tensor(v) for form, v in given.items()})


MATRICES = {
    "the identity": [[1.0, 0.0], [0.0, 1.0]], "upper triangular": [[1.0, 0.5], [0.0, 1.0]], "symmetric": [[1.0, 0.5], [0.5, 1.0]],
    "lower triangular": [[1.0, 0.0], [0.5, 1.0]], "indefinite": [[1.0, 2.0], [2.0, 1.0]], "nan": [[1.0, nan], [nan, 1.0]],
    "negative": [[-1.0, 0.0], [0.0, 1.0]], "singular": [[0.0, 0.0], [0.0, 1.0]], "a negative end": [[1.0, 0.0], [0.5, -1.0]],
    "all but symmetric": [[1.0, 1e-7], [0.0, 1.0]], "of a batch": [[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.5], [0.5, 1.0]]],
    "of a batch, one asymmetric": [[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.5], [0.0, 1.0]]],
    "a vector": [1.0, 2.0],
}  # fmt: skip


@pytest.mark.parametrize("checked", [None, False])
@pytest.mark.parametrize("loc", [[0.0, 0.0], [nan, 0.0], [inf, 0.0]], ids=str)
@pytest.mark.parametrize("form", ["covariance_matrix", "precision_matrix", "scale_tril"])
def test_matrices(form, loc, checked):
    for what, matrix in MATRICES.items():
        ours, theirs = (
            outcome(
                lambda lib=lib: shapes(
                    lib.distributions.MultivariateNormal(
                        lib.tensor(loc), **{form: lib.tensor(matrix)}, validate_args=checked
                    )
                )
            )
            for lib in (tg, torch)
        )
        assert ours == theirs, what


def test_an_infinite_covariance():
    for lib in (tg, torch):
        with pytest.raises(ValueError):
            lib.distributions.MultivariateNormal(lib.zeros(2), lib.tensor([[inf, 0.0], [0.0, 1.0]]))


MADE = {
    "Normal": lambda lib, **o: lib.distributions.Normal(0.0, 1.0, **o),
    "Normal, a batch": lambda lib, **o: lib.distributions.Normal(lib.zeros(2), lib.ones(2), **o),
    "Uniform": lambda lib, **o: lib.distributions.Uniform(0.0, 2.0, **o),
    "Bernoulli": lambda lib, **o: lib.distributions.Bernoulli(0.25, **o),
    "Bernoulli, by logits": lambda lib, **o: lib.distributions.Bernoulli(logits=lib.tensor([0.3, 1.0]), **o),
    "Categorical": lambda lib, **o: lib.distributions.Categorical(lib.tensor([0.25, 0.25, 0.5]), **o),
    "Categorical, a batch": lambda lib, **o: lib.distributions.Categorical(logits=lib.tensor([[0.0, 1.0], [2.0, 0.0]]), **o),
    "MultivariateNormal": lambda lib, **o: lib.distributions.MultivariateNormal(lib.zeros(2), lib.eye(2), **o),
    "Independent": lambda lib, **o: lib.distributions.Independent(lib.distributions.Normal(lib.zeros(2), lib.ones(2), **o), 1, **o),
}
VALUES = [
    nan, inf, -inf, 0.0, -1.0, 1.0, 2.0, 2.5, 0.5, 3.0, [0.0, 1.0], [nan, 0.0], [2.0, 3.0], [0.0, 0.0, 0.0],
    [[0.0, 1.0], [1.0, 2.0]], [inf, 0.0], [0.5, 1.0], [[1.0], [0.0]],
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
@pytest.mark.parametrize("checked", [None, False])
@pytest.mark.parametrize("method", ["log_prob", "cdf", "icdf"])
@pytest.mark.parametrize("name", MADE)
def test_values(name, method, checked):
    for value in VALUES:
        results = []
        for lib in (tg, torch):
            made = MADE[name](lib, validate_args=checked)
            results.append(outcome(lambda made=made, lib=lib: np.asarray(getattr(made, method)(lib.tensor(value)))))
        ours, theirs = results
        if isinstance(theirs, str) or isinstance(ours, str):
            assert isinstance(ours, str) and isinstance(theirs, str), (value, ours, theirs)
            assert theirs != "ValueError" or ours == "ValueError", value
        else:
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6, err_msg=str(value))


def test_the_default_can_be_set():
    for lib in (tg, torch):
        base = lib.distributions.Distribution
        try:
            base.set_default_validate_args(False)
            lib.distributions.Normal(nan, 1.0).log_prob(lib.tensor(nan))
            with pytest.raises(ValueError):
                lib.distributions.Normal(nan, 1.0, validate_args=True)
            with pytest.raises(ValueError):
                base.set_default_validate_args("no")
        finally:
            base.set_default_validate_args(True)
        with pytest.raises(ValueError):
            lib.distributions.Normal(nan, 1.0)


def test_the_refusal_names_the_parameter():
    for make, words in (
        (lambda: tg.distributions.Normal(nan, 1.0), "Normal: expected loc a number, got nan"),
        (lambda: tg.distributions.MultivariateNormal(tg.zeros(2), tg.tensor([[1.0, 0.5], [0.0, 1.0]])), "covariance_matrix symmetric"),
        (lambda: tg.distributions.Bernoulli(logits=nan), "logits a number"),
        (lambda: tg.distributions.Normal(0.0, 1.0).log_prob(nan), "a value a number"),
        (lambda: tg.distributions.Normal(tg.zeros(2), 1.0).log_prob(tg.zeros(3)), r"broadcasts with \(2,\)"),
    ):
        with pytest.raises(ValueError, match=words):
            make()
