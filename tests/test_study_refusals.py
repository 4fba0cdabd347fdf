"""What the tools of `study` say to a tensor without a tape, a freed tape, a tape of another thread, and a loss that is no scalar:
a sentence that says what to do; and nothing changes."""

from __future__ import annotations

import threading

import pytest

import tinygrad_lite as tg
from tinygrad_lite import study


def leaf():
    return tg.tensor([1.0, 2.0], requires_grad=True)


def recorded():
    w = leaf()
    with study.record() as tape:
        h = w * 2
        loss = (h * h).sum()
    return w, h, loss, tape


def refusal(call):
    """The message of the error that a call raises."""
    with pytest.raises((RuntimeError, KeyError, TypeError)) as raised:
        call()
    assert raised.value.__context__ is None or raised.value.__suppress_context__  # one traceback
    return raised.value.args[0]


def test_a_tensor_without_a_tape():
    (w, _, _, tape), plain = recorded(), tg.ones(())
    needs_none = "it needs no gradient"
    assert needs_none in refusal(lambda: tape.backward(plain)) and "explain(x) says why" in refusal(lambda: tape[plain])
    assert needs_none in refusal(lambda: study.memory(plain)) and needs_none in refusal(lambda: study.holders(plain))
    assert "does not require grad" in refusal(lambda: study.paths(plain, w))
    assert "does not require grad" in refusal(lambda: study.insert_grad(plain))
    assert study.explain(plain, tape).cause == "not required" and not tape.passes


def test_a_tensor_made_outside_of_the_block():
    (_, _, _, tape), other = recorded(), (leaf() * 2).sum()
    assert "made outside of the block: make it inside" in refusal(lambda: tape.backward(other))
    assert not tape.passes


def test_a_freed_tape():
    w = leaf()
    with study.record() as tape:
        loss = (w * w).sum()
        loss.backward()
    message = refusal(lambda: tape.backward(loss))
    assert "backward: an earlier pass has freed what the tape had saved" in message
    assert "tape.stepper() steps through that pass" in message and "retain_graph=True" in message
    assert len(tape.passes) == 1 and tape.passes[0].complete and w.grad.tolist() == [2, 4]
    assert "retain_graph=True" in refusal(lambda: study.paths(loss, w))
    assert "A backward pass has freed what an operation had saved" in str(study.memory(loss))


def test_the_error_of_a_rule_is_its_own_and_its_steps_stay_on_the_tape():
    class Bad(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise RuntimeError("no idea")

    w = leaf()
    with study.record() as tape:
        loss = (Bad.apply(w) * w).sum()
    with pytest.raises(RuntimeError, match="^no idea$"):
        tape.backward(loss)
    assert [tape[step.entry].operation for step in tape.passes[0].steps] == ["sum", "mul", "result 0", "Bad"]
    assert not tape.passes[0].complete and w.grad is None


def test_a_tape_of_another_thread():
    w, _, loss, tape = recorded()
    said = []
    thread = threading.Thread(target=lambda: said.append(refusal(lambda: tape.backward(loss))))
    thread.start()
    thread.join()
    assert said == ["this tape was recorded in another thread: step through it there"]
    assert not tape.passes and w.grad is None
    tape.backward(loss)
    stops = []
    thread = threading.Thread(target=lambda: stops.append(tape.stepper().next()))
    thread.start()
    thread.join()
    assert stops[0].entry.operation == "sum"  # what was recorded can be looked at anywhere


def test_a_loss_that_is_no_scalar():
    w, h, _, tape = recorded()
    for call in (lambda: tape.backward(h), lambda: study.paths(h, w)):
        assert refusal(call).endswith("this one has shape (2,); sum() it, or pass the gradient")
    assert not tape.passes and w.grad is None
    assert tape.backward(h, tg.ones(2)).next().entry.name == "h"


def test_a_tape_without_a_backward_pass():
    w, _, _, tape = recorded()
    assert "call backward inside the block, or tape.backward(loss) after it" in refusal(tape.stepper)
    why = study.explain(w, tape)
    assert why.cause == "no backward" and "tape.backward(loss)" in why.causes[0].cure


def test_arguments_of_the_wrong_type():
    _, _, loss, tape = recorded()
    stepper = tape.backward(loss)
    assert refusal(lambda: tape.replay(3)) == "replay: inputs must be a dict of new values by name, got int"
    assert refusal(lambda: tape.latex(most="a")) == "latex: most must be a number of entries, got str"
    assert refusal(lambda: stepper.goto(None)) == "goto: target must be a position or the name of an entry, got NoneType"
    assert refusal(lambda: stepper.run_until(condition=3)) == "run_until: condition must be a function of a stop, got int"
    assert stepper.position == 0
