"""What a tape keeps in memory, over a step, and who keeps it alive."""

from __future__ import annotations

import functools
import gc
import runpy
import threading
import tracemalloc
import weakref
from collections import deque
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lite as tg
from benchmarks.programs import MODELS
from tinygrad_lite import nn, study

FLOATS = 1000
BYTES = 4 * FLOATS


def leaf():
    return tg.ones(FLOATS, requires_grad=True)


def allocated():
    """The bytes of NumPy's arrays that were allocated since tracemalloc was started."""
    gc.collect()
    of_numpy = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    return sum(trace.size for trace in tracemalloc.take_snapshot().filter_traces([of_numpy]).traces)


@pytest.fixture
def measured():
    """A function that runs another, and gives its result and how many bytes of arrays it left allocated."""

    def run(function):
        tracemalloc.start()
        try:
            before = allocated()
            result = function()
            return result, allocated() - before
        finally:
            tracemalloc.stop()

    return run


# -- what the tape keeps ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_totals_equal_what_a_forward_pass_allocates(name, measured):
    loss_of, _ = MODELS[name](tg, "cpu")
    loss_of().backward()  # what is allocated once is there
    loss, count = measured(loss_of)
    assert study.memory(loss).total == pytest.approx(count, rel=0.02)


def test_dropping_the_graph_frees_the_total(measured):
    x = leaf()
    kept = []
    measured_total = []

    def forward():
        h = x.exp()
        kept.append((h * h).sum())
        measured_total.append(study.memory(kept[0]).total)

    measured(lambda: leaf().exp().sum())
    _, count = measured(forward)
    assert measured_total == [0]  # while `h` was alive, it held the array too
    assert study.memory(kept[0]).total == BYTES and count == pytest.approx(BYTES, rel=0.02)


def test_bytes_by_operation_line_module_name_and_parameter():
    model = nn.Sequential(nn.Linear(4, 250), nn.Tanh(), nn.Linear(250, 1))
    x = tg.ones(4, 4)
    with study.record(model) as tape:
        h = model[:2](x)
        loss = (model[2](h) * h).sum()
    del h
    found = study.memory(loss, tape)
    assert found.total == sum(found.by("operation").values()) == BYTES + 16  # h, and the column of results
    assert found.by("operation") == {"tanh": BYTES, "mul": 16} and found.by("parameter") == {"tanh.out": BYTES, "mul.input": 16}
    assert found.by("module") == {"1": BYTES, "": 16} and found.by("name") == {"h": BYTES, "": 16}
    assert [line.split(":")[0] for line in found.by("line")] == ["test_study_memory.py"] * 2
    assert found.by("device") == {"cpu": BYTES + 16} or next(iter(found.by("device"))).startswith("cuda")
    (shared,) = found.shared
    assert [(use.operation, use.parameter) for use in shared.uses] == [("tanh", "out"), ("linear", "input"), ("mul", "other")]
    assert found.held_by("program") == x.nbytes and found.held_by("parameter") == 250 * 4


def test_an_array_counts_as_the_programs_while_a_tensor_uses_it():
    x = leaf()
    h = x.exp()
    loss = h.sin().sum()
    found = study.memory(loss)
    assert (found.total, found.held_by("program")) == (0, BYTES)
    view = h[:10]
    del h
    assert study.memory(loss).total == 0
    del view
    assert study.memory(loss).total == BYTES


def test_the_tensors_given_go_with_the_tape():
    outputs = [leaf().exp(), leaf().tanh()]
    assert study.memory(outputs).total == 2 * BYTES and study.memory(outputs[0]).total == BYTES
    other = outputs[0].detach()
    assert study.memory(outputs).total == BYTES and other.shape == (FLOATS,)


def test_memory_kept_whole_for_a_view_of_a_part():
    big = leaf().exp().detach()
    scale = tg.tensor(1.0, requires_grad=True)
    loss = (big[:10] * scale).sum()
    del big
    (block,) = [block for block in study.memory(loss).blocks if block.holder == "tape"]
    assert (block.nbytes, block.saved_bytes, block.kept_for_a_view) == (BYTES, 40, True)
    assert "kept whole for a view of a part" in str(study.memory(loss))


def test_functions_and_packed_tensors_are_seen():
    class Cube(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            ctx.twice = x * 2
            return x**3

        @staticmethod
        def backward(ctx, g):
            return 3 * g * ctx.saved_tensors[0] ** 2

    loss = Cube.apply(leaf().exp()).sum()
    assert study.memory(loss).by("operation", None)["Cube"] == BYTES
    with tg.autograd.graph.saved_tensors_hooks(lambda t: t.half(), lambda t: t.float()):
        packed = leaf().exp()
        loss = packed.sum()
    del packed
    assert study.memory(loss).by("operation", None) == {"exp": BYTES // 2}


def test_the_report_names_what_is_large_and_how_to_see_lines():
    with study.record() as tape:
        h = leaf().exp()
        loss = h.sin().sum()
    del h
    text = str(study.memory(loss, tape))
    assert text.startswith("The tape alone keeps 3.9 KiB; it also uses 0 B of parameters and 0 B of other tensors.")
    assert "by line\n     3.9 KiB  100%  test_study_memory.py:" in text and "with study.record()" not in text
    assert "shared, counted once\n     3.9 KiB  (1000,) float32: exp.out (test_study_memory.py:" in text
    assert "run the forward pass in `with study.record() as tape`" in str(study.memory(loss))


def test_a_freed_tape_says_so():
    loss = leaf().exp().sum()
    loss.backward()
    found = study.memory(loss)
    assert found.total == 0 and found.freed == 1
    assert "A backward pass has freed what an operation had saved: look before backward, or pass retain_graph=True." in str(found)


def test_refusals_of_memory():
    with pytest.raises(TypeError, match="memory: expected a Tensor or a list of Tensors, got str"):
        study.memory("loss")
    with pytest.raises(RuntimeError, match="memory: this tensor has no tape"):
        study.memory(tg.ones(2))
    with pytest.raises(ValueError, match="by: expected 'operation', .* got 'lines'"):
        study.memory(leaf()).by("lines")


# -- over a step -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_the_live_bytes_after_a_forward_pass_are_those_allocated(name, measured):
    loss_of, _ = MODELS[name](tg, "cpu")
    loss_of().backward()

    def forward():
        with study.timeline() as found:
            return found, loss_of()

    (found, _loss), count = measured(forward)
    assert found.moments[-1].total == pytest.approx(count, rel=0.02)


def test_live_bytes_rise_in_the_forward_and_fall_in_the_backward_pass():
    x = leaf()
    with study.timeline() as found:
        y = x.exp().sin().sum()
        y.backward()
    assert [(m.phase, m.operation, m.total // BYTES) for m in found.moments] == [
        ("forward", "exp", 1), ("forward", "sin", 2), ("forward", "sum", 2),  # whose argument is still there
        ("backward", "sum", 1), ("backward", "sin", 2), ("backward", "exp", 3),  # the gradients before and after
    ]  # fmt: skip
    assert found.peak.operation == "exp" and found.peak.line.startswith("test_study_memory.py:")
    assert [life.shape for life in found.live_at(len(found.moments) - 1)][:2] == [(FLOATS,), (FLOATS,)]
    assert "6 moments, at most" in str(found) and "live at the peak" in str(found)


def test_tensors_from_before_the_block_do_not_count():
    x, scale = leaf(), tg.ones(FLOATS)
    with study.timeline() as found:
        loss = (x * scale).sum()
    assert [m.total for m in found.moments] == [BYTES, BYTES + 4] and loss.item() == FLOATS
    with study.timeline() as found:
        x.mul(tg.full((FLOATS,), 2.0))
    assert found.moments[0].total == 2 * BYTES  # the factor was made inside


def test_a_block_without_operations():
    with study.timeline() as found:
        leaf().detach().exp()
    assert str(found) == "no operations were recorded" and not found.moments
    with pytest.raises(RuntimeError, match="recorded no operation"):
        _ = found.peak


# -- who keeps it alive ----------------------------------------------------------------------------

losses_of_the_module: list = []


def described(found):
    return [str(holder) for holder in found]


def test_a_list_in_a_module_and_a_local_variable_are_named():
    losses_of_the_module.clear()
    x = leaf()
    losses_of_the_module.extend((x * i).sum() for i in range(3))
    found = study.holders(losses_of_the_module[0])
    (holder,) = found
    assert (holder.kind, holder.name, holder.path, holder.function) == ("list", "losses_of_the_module", "losses_of_the_module[0]", "")
    assert str(holder) == f"list 'losses_of_the_module' in test_study_memory.py:{holder.line} by losses_of_the_module[0]"
    with open(__file__) as lines:
        assert lines.readlines()[holder.line - 1].startswith("losses_of_the_module")
    total = losses_of_the_module[0] + losses_of_the_module[1]
    found = study.holders(losses_of_the_module[0])
    assert {(each.name, each.function) for each in found} == {
        ("losses_of_the_module", ""),
        ("total", test_a_list_in_a_module_and_a_local_variable_are_named.__name__),
    }
    losses_of_the_module.clear()
    assert total.node is not None


class Log:
    losses: tuple | list = ()


def test_an_attribute_of_a_class_is_named():
    Log.losses = [leaf().sum()]
    try:
        assert [holder.path for holder in study.holders(Log.losses[0])] == ["Log.losses[0]"]
    finally:
        Log.losses = ()


class Trainer:
    __slots__ = ("history",)

    def __init__(self, loss):
        self.history = {"loss": [None, loss]}


@pytest.mark.parametrize(
    "keep, path",
    [
        (lambda loss: Trainer(loss), "kept.history['loss'][1]"),
        (lambda loss: {loss}, "an element of kept"),
        (lambda loss: deque([1, loss]), "kept[1]"),
        (lambda loss: {loss: 1}, "a key of kept"),
        (lambda loss: lambda: loss, "loss in the closure of kept"),
        (lambda loss: lambda of=loss: 1, "a default of kept"),
        (lambda loss: functools.partial(print, loss), "kept.args[0]"),
        (lambda loss: Trainer(loss).__init__, "kept.__self__.history['loss'][1]"),
        (lambda loss: [loss.exp()], "kept[0]"),
        (lambda loss: [loss.grad_fn], "kept[0]"),
        (lambda loss: (1, tg.autograd.graph.get_gradient_edge(loss)), "kept[1]"),
        (lambda loss: running(loss), "of in kept"),
        (lambda loss: raised(loss), "of in the traceback of kept"),
    ],
)
def test_the_way_from_a_variable_to_the_graph(keep, path):
    loss = (leaf() * 2).sum()
    kept = keep(loss)
    edge = tg.autograd.graph.get_gradient_edge(loss)
    of_this_test = [holder for holder in study.holders(loss) if holder.name == "kept"]
    assert [holder.path for holder in of_this_test] == [path] and kept is not None and edge.node is loss.node


def running(of):
    def numbers():
        yield of

    def generator(of):
        yield 1
        yield of

    started = generator(of)
    next(started)
    return started


def raised(of):
    try:
        of.nothing()
    except AttributeError as error:
        return error


def test_a_recorded_tape_keeps_a_graph_alive():
    x = leaf()
    with study.record() as tape:
        loss = x.exp().sum()
    names = [holder.name for holder in study.holders(loss)]
    assert sorted(names) == ["loss", "tape"] and len(tape) == 3


def test_what_no_variable_leads_to_is_told_of():
    loss = leaf().sum()
    hidden = iter([loss.exp()])
    found = study.holders(loss)
    assert [holder.name for holder in found] == ["loss"] and found.hidden == ("a list",)
    assert "a Tensor that no variable leads to, in a list" in str(found)
    next(hidden)


def test_calls_in_other_threads_are_looked_at():
    loss, ready, done = leaf().sum(), threading.Event(), threading.Event()

    def worker(mine):
        ready.set()
        done.wait(10)

    thread = threading.Thread(target=worker, args=(loss.exp(),))
    thread.start()
    ready.wait(10)
    try:
        assert "Tensor 'mine' of worker()" in str(study.holders(loss))
    finally:
        done.set()
        thread.join()


def test_looking_keeps_nothing_alive():
    loss = leaf().exp()
    array = weakref.ref(loss.array)
    kept, found = study.memory(loss), study.holders(loss)
    with study.record() as tape:
        again = loss.sum()
    del loss, tape, again
    assert array() is None and kept.blocks and found


def test_a_tensor_whose_making_was_left_by_an_error():
    w = leaf()
    with pytest.raises(study.NonFiniteError) as raised, study.first_bad():
        (w * 0).log()
    loss = (w * 2).exp().sum()
    assert raised.value is not None and study.holders(loss) and study.memory(loss).total >= BYTES
    with study.timeline() as found:
        loss.backward()
    assert found.peak


def test_refusals_of_holders():
    with pytest.raises(TypeError, match="holders: expected a Tensor, got int"):
        study.holders(3)
    with pytest.raises(RuntimeError, match="holders: this tensor has no tape"):
        study.holders(tg.ones(2))


def test_the_example_finds_where_memory_goes(capsys):
    example = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "study_memory.py"))
    found = example["main"](["--batch", "8", "--steps", "3"])
    printed = capsys.readouterr().out
    assert found["checkpointed"] < found["peak"] and found["grown"] > 3 * found["kept"]
    assert "list 'losses' of main() in study_memory.py:" in printed and "by losses[0]" in printed
    assert "relu.out (first.1, study_memory.py:" in printed
