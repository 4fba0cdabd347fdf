"""Anomaly detection: where a nan comes from, in backward and in forward."""

from __future__ import annotations

import re
import threading
import warnings

import pytest

import tinygrad_lite as tg
from tinygrad_lite.autograd import detect_anomaly
from tinygrad_lite.nn import functional as F


def leaf(*values):
    return tg.tensor(list(values), requires_grad=True)


def line_of(word):
    """The number of the line of this file that ends in `# word`."""
    with open(__file__) as file:
        return next(i for i, text in enumerate(file, 1) if text.rstrip().endswith(f"# {word}"))


class TestOfTheForward:
    def test_a_loss_that_is_nan_is_told_with_the_operation_that_made_it(self):
        x = leaf(-1.0, 2.0)
        with detect_anomaly():
            y = x.log()  # made here
            loss = (y * 2 + 1).sum()
            with pytest.warns(UserWarning, match=rf"differentiated has nan: log .recorded at test_anomaly.py:{line_of('made here')}. made the first") as warned:
                loss.backward()  # asked here
        assert (warned[0].filename, warned[0].lineno) == (__file__, line_of("asked here"))
        assert x.grad.tolist() == [-2, 1], "a warning changes nothing: PyTorch goes on, too"

    def test_a_gradient_that_is_nan_names_it_too(self):
        x = leaf(-1.0)
        with detect_anomaly(), pytest.raises(RuntimeError) as refusal:
            y = x.log()  # born here
            (y * x).sqrt().sum().backward()
        assert re.search(rf"sqrt \(.*\) returned nan values .*; the forward had nan already: log \(.*:{line_of('born here')}\) made the first", str(refusal.value))

    def test_a_nan_of_the_backward_alone_is_told_as_before(self):
        with detect_anomaly(), pytest.raises(RuntimeError, match=r"sqrt \(.*\) returned nan values in the gradient of its input of shape \(1,\)$"):
            (leaf(0.0).sqrt() * 0).sum().backward()

    @pytest.mark.parametrize("where", ["a leaf", "a constant"])
    def test_one_that_was_there_is_told_of_the_operation_that_took_it(self, where):
        nan = float("nan")
        x, other = (leaf(nan, 1.0), tg.ones(2)) if where == "a leaf" else (leaf(1.0, 2.0), tg.tensor([nan, 1.0]))
        with detect_anomaly():
            loss = ((x * 2) + other).sum()
            name = "mul" if where == "a leaf" else "add"
            with pytest.warns(UserWarning, match=rf": {name} \(.*\) was the first to take it from its arguments"):
                tg.autograd.grad(loss, x)

    @pytest.mark.parametrize(
        "operation",
        [
            lambda x: x.log(), lambda x: x.sqrt().mul(0).add(1), lambda x: (x - x) / (x - x), lambda x: x * float("inf") * 0, lambda x: x.exp().log().log(),
            lambda x: F.softmax(x * float("-inf") * -1, 0), lambda x: x.acos(), lambda x: x.std(), lambda x: tg.stack([x, x * float("nan")])[1], lambda x: Faulty.apply(x),
        ],
    )  # fmt: skip
    def test_whatever_made_it(self, operation):
        with detect_anomaly(), warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            try:
                operation(leaf(-2.0)).sum().backward()
            except RuntimeError as error:
                assert "the forward had nan already: " in str(error)
            else:
                assert [str(w.message).startswith("backward: the tensor of shape () that was differentiated has nan: ") for w in found] == [True]

    def test_one_that_is_masked_away_is_nobodys_concern(self):
        """As in attention, where masked scores may hold anything."""
        x, out = leaf(1.0, 2.0), tg.tensor([False, True])
        with detect_anomaly():
            scores = (x + tg.tensor([0.0, float("nan")])).masked_fill(out, float("-inf"))
            (scores.softmax(0) * x.detach()).sum().backward()
        assert x.grad.tolist() == [0, 0]

    def test_where_values_are_finite_nothing_is_said(self):
        x = leaf(1.0, 2.0)
        with detect_anomaly():
            (x.exp() / x).sum().backward()

    def test_only_lines_are_noted_without_the_check(self):
        x = leaf(-1.0)
        with detect_anomaly(check_nan=False):
            loss = x.log().sum()
            loss.backward()
        assert x.grad.item() == -1


class Faulty(tg.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * float("nan")

    @staticmethod
    def backward(ctx, g):
        return g


class TestThreads:
    """Anomaly detection applies to its own thread only."""

    def test_the_mode_is_that_of_a_thread(self):
        seen = []
        with detect_anomaly():
            thread = threading.Thread(target=lambda: seen.append(tg.is_anomaly_enabled()))
            thread.start()
            thread.join()
            assert tg.is_anomaly_enabled() and seen == [False]
        assert not tg.is_anomaly_enabled()

    def test_a_nan_in_another_thread_is_no_error_there(self):
        result = []

        def innocent():
            x = tg.zeros(1, requires_grad=True)
            (x.sqrt() * 0).sum().backward()
            result.append(x.grad.isnan().all().item())

        with detect_anomaly():
            thread = threading.Thread(target=innocent)
            thread.start()
            thread.join()
        assert result == [True]

    def test_switched_in_two_threads_at_once_it_is_off_afterwards(self):
        from tinygrad_lite.engine import context

        def switch():
            for _ in range(300):
                with detect_anomaly():
                    (leaf(1.0) * 2).sum().backward()

        threads = [threading.Thread(target=switch) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert context.observers.get() == ()
