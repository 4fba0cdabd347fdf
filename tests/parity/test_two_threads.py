"""One thread trains while another works in its own mode: each gets the same results as alone."""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading

import numpy as np
import pytest

import tinygrad_lite as tg
from tests.parity import test_programs, test_programs_of_science, test_programs_of_trainers
from tests.parity.programs import Start
from tinygrad_lite.autograd import detect_anomaly, graph
from tinygrad_lite.utils.checkpoint import checkpoint

PROGRAMS = [*test_programs.PROGRAMS, *test_programs_of_science.PROGRAMS, *test_programs_of_trainers.PROGRAMS]


# -- what the other thread does: each returns what must be equal each time -----------------------------------------


def values():
    return tg.linspace(0.1, 1.0, 5, dtype=tg.float64)


def leaf():
    return values().requires_grad_()


def network(x):
    return ((x * x).exp().cumsum(0).sqrt() + x[:3].sum()).sum()


def gradient(forward, *args):
    x = leaf()
    (g,) = tg.autograd.grad(forward(network, x, *args), x)
    return g.tolist()


def without_grad():
    with tg.no_grad():
        y = network(leaf())
        assert not y.requires_grad and not tg.is_grad_enabled()
    return y.item()


def in_inference_mode():
    with tg.inference_mode():
        y = network(leaf())
        assert not y.requires_grad and tg.is_inference_mode_enabled()
    return y.item()


def with_checkpoints():
    return gradient(lambda f, x: checkpoint(f, x, use_reentrant=False))


def with_reentrant_checkpoints():
    return gradient(lambda f, x: checkpoint(f, x, use_reentrant=True))


def with_vmap():
    rows = values().reshape(5, 1) * tg.ones(1, 4, dtype=tg.float64)
    return tg.vmap(tg.func.grad(lambda row: network(row)))(rows).tolist()


def with_a_hessian():
    return tg.func.hessian(network)(values()).tolist()


def with_packed_values():
    me, packed = threading.get_ident(), []

    def pack(tensor):
        assert threading.get_ident() == me, "what another thread saves is none of ours"
        packed.append(1)
        return tensor.numpy().copy()

    def unpack(array):
        assert threading.get_ident() == me
        return tg.from_numpy(array)

    with graph.saved_tensors_hooks(pack, unpack):
        y = (x := leaf()) * x
        z = network(y)
    (g,) = tg.autograd.grad(z, x)
    return g.tolist(), len(packed)


def where_hooks_are_refused():
    hooks = graph.saved_tensors_hooks(lambda t: t, lambda t: t)
    with graph.disable_saved_tensors_hooks("none here"), pytest.raises(RuntimeError, match="none here"), hooks:
        pass
    return gradient(lambda f, x: f(x))


def looking_for_anomalies():
    with detect_anomaly():
        assert tg.is_anomaly_enabled()
        with pytest.raises(RuntimeError, match="returned nan values"):
            (tg.zeros(2, requires_grad=True).sqrt() * 0).sum().backward()
        return gradient(lambda f, x: f(x))


def noting_lines():
    with tg.autograd.tape_lines():
        y = network(leaf())
    assert all(entry.line.startswith("test_two_threads.py") for entry in tg.tape_of(y) if entry.operation != "leaf")
    return y.item()


def refused_in_between():
    with pytest.raises(ValueError), tg.no_grad():
        tg.ones(2) + tg.ones(3)
    return gradient(lambda f, x: f(x))


MODES = [
    without_grad, in_inference_mode, with_checkpoints, with_reentrant_checkpoints, with_vmap, with_a_hessian, with_packed_values,
    where_hooks_are_refused, looking_for_anomalies, noting_lines, refused_in_between,
]  # fmt: skip


@contextlib.contextmanager
def beside(modes):
    """A thread that cycles through `modes`; at the end nothing unexpected must have happened."""
    expected = {mode: mode() for mode in modes}
    stop, errors, rounds = threading.Event(), [], 0

    def work():
        nonlocal rounds
        try:
            for mode in itertools.cycle(modes):
                assert mode() == expected[mode], mode.__name__
                assert tg.is_grad_enabled() and not tg.is_anomaly_enabled() and not tg.is_inference_mode_enabled()
                rounds += 1
                if stop.is_set() and rounds >= len(modes):
                    return
        except BaseException as error:
            errors.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        sys.setswitchinterval(interval)
    if errors:
        raise errors[0]
    assert rounds >= len(modes)


def check(function, modes):
    start = Start()
    alone = start.run(function, "tinygrad_lite")
    tg.set_default_dtype(tg.float64)  # as the program has it, for the other thread as well
    try:
        with beside(modes):
            together = start.run(function, "tinygrad_lite")
    finally:
        tg.set_default_dtype(tg.float32)
    assert len(alone) == len(together)
    for one, other in zip(alone, together):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("function", PROGRAMS, ids=lambda f: f.__name__)
def test_a_program_beside_every_mode(function):
    check(function, MODES)


@pytest.mark.parametrize("mode", MODES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("function", PROGRAMS[-2:], ids=lambda f: f.__name__)
def test_a_program_beside_one_mode(function, mode):
    check(function, [mode])


@pytest.mark.parametrize("mode", MODES, ids=lambda f: f.__name__)
def test_a_mode_beside_the_others(mode):
    expected = mode()
    with beside(MODES):
        for _ in range(30):
            assert mode() == expected
