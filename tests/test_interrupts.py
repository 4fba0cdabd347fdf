"""Ctrl-C may come after any call, and must not leave any of the library's switches changed."""

from __future__ import annotations

import gc
import random
import signal
import sys
import threading

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite.autograd import grad_mode
from tinygrad_lite.engine import context

COUNT = 200


def leaf():
    return tg.tensor([1.0, 2.0, 3.0], requires_grad=True)


def training():
    w = leaf()
    optimizer = tg.optim.SGD([w], lr=0.1)

    def step():
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()

    return step


def on(make, function):
    """A program that calls `function` on one and the same tensor."""

    def program():
        x = make()
        return lambda: function(x)

    return program


def refused(x):
    with pytest.raises(ValueError):
        x + tg.ones(2)


def ones():
    return tg.ones(3)


PROGRAMS = {
    "an operation": on(leaf, lambda x: x + x),
    "an operation with options": on(leaf, lambda x: x.sum(0, keepdim=True)),
    "a refusal": on(leaf, refused),
    "a comparison": on(leaf, lambda x: x < 2),
    "creation": on(leaf, lambda x: tg.tensor([1.0, 2.0]).to(tg.float64)),
    "backward": on(leaf, lambda x: (x * x).sum().backward()),
    "a second derivative": on(leaf, lambda x: tg.autograd.grad((x**3).sum(), x, create_graph=True)),
    "a change in place": on(ones, lambda x: x.add_(1)),
    "an assignment": on(ones, lambda x: x.__setitem__(0, 2.0)),
    "a step of an optimizer": training,
    "printing": on(leaf, repr),
    "a decorated function": on(leaf, tg.no_grad()(lambda x: x.exp())),
}
if sys.version_info < (3, 11):
    del PROGRAMS["a refusal"]  # Python 3.10 looks for signals also as `finally` begins where an exception is on its way


def switches():
    return np.geterr(), tg.is_grad_enabled(), tg.is_inference_mode_enabled(), context.observers.get()


@pytest.fixture(params=["as NumPy has it", "as the program has set it"])
def state(request):
    """The state that must hold afterwards."""
    before = np.seterr(**({} if request.param == "as NumPy has it" else {"over": "raise", "invalid": "print"}))
    tg.tensor(1.0)  # makes the library notice it
    try:
        yield switches()
    finally:
        np.seterr(**before)
        context.grad_enabled.set(True)
        grad_mode._inference.set(False)


@pytest.mark.skipif(threading.current_thread() is not threading.main_thread(), reason="signals go to the main thread")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # what Python drops, see below
@pytest.mark.parametrize("name", PROGRAMS)
def test_at_random_moments(name, state):
    program, moments = PROGRAMS[name](), random.Random(0)
    program()  # imports on the way leave files open where they are interrupted
    arrived = 0
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    gc.disable()  # an exception in one of its callbacks, of which the runner of the tests has some, is nobody's
    try:
        for _ in range(COUNT):
            try:
                # More than one, for where Python drops the exception: in a callback of a weak reference, say.
                signal.setitimer(signal.ITIMER_REAL, 2e-4 + moments.random() * 5e-4, 2)
                while True:
                    program()
            except KeyboardInterrupt:
                signal.setitimer(signal.ITIMER_REAL, 0)
                arrived += 1
            assert switches() == state
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        gc.enable()
    assert arrived == COUNT
