"""The tape as a table: operations, Functions, hooks and parameters."""

from __future__ import annotations

import pytest

import tinygrad_lite as tg
from tinygrad_lite.autograd import Function, graph, tape_of


class Square(Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.save_for_backward(x)
        ctx.scale = scale
        return x * x

    @staticmethod
    def backward(ctx, g):
        return 2 * g * ctx.saved_tensors[0], None


class Exp(Function):
    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        return g * ctx.saved_tensors[0]


def kept(*tensors):
    return [entry.bytes_kept for entry in tape_of(*tensors)]


class TestWhatIsKept:
    def test_by_a_function(self):
        x = tg.ones(4, requires_grad=True)
        assert kept(Square.apply(x, 3.0)) == [0, 16, 0]
        assert kept(Square.apply(x, tg.ones(3))) == [0, 16 + 12, 0], "what is set on ctx counts, too"
        assert kept(Exp.apply(x)) == [0, 16, 0]

    def test_by_two_entries_is_counted_once(self):
        x = tg.ones(4, requires_grad=True)
        assert sum(kept(x * x, Square.apply(x, 3.0))) == 16

    def test_after_backward_nothing_is(self):
        x = tg.ones(4, requires_grad=True)
        y = (Exp.apply(x) * x).sum()
        assert sum(kept(y)) == 32
        y.backward()
        assert sum(kept(y)) == 0

    def test_of_what_hooks_packed_it_is_what_they_made(self):
        x = tg.ones(4, requires_grad=True)
        with graph.saved_tensors_hooks(lambda t: (t.half(), "note"), lambda packed: packed[0].float()):
            y, z = x * x, Exp.apply(x)
        assert sum(kept(y)) == 16 and sum(kept(z)) == 8
        with graph.saved_tensors_hooks(lambda t: "a file's name", lambda packed: tg.ones(4)):
            y = x * x
        assert sum(kept(y)) == 0


class TestNames:
    def test_of_a_module_s_parameters(self):
        model = tg.nn.Sequential(tg.nn.Linear(4, 2), tg.nn.Linear(2, 1))
        x = tg.ones(4, requires_grad=True)
        tape = tape_of(model(x), model)
        assert sorted(entry.name for entry in tape if entry.operation == "leaf") == ["", "0.bias", "0.weight", "1.bias", "1.weight"]
        assert all((entry.name.endswith("weight")) == (len(entry.shape) == 2) for entry in tape if entry.name)
        assert "0.weight" in str(tape)

    def test_of_tensors_in_a_dict(self):
        x = tg.ones(4, requires_grad=True)
        y = x * 2
        assert [(entry.operation, entry.name) for entry in tape_of(y.sum(), {"input": x, "doubled": y, "constant": tg.ones(1)})] == [
            ("leaf", "input"),
            ("mul", "doubled"),
            ("sum", ""),
        ]

    def test_without_any_there_is_no_column(self):
        x = tg.ones(4, requires_grad=True)
        assert "name" not in str(tape_of(x * 2)) and str(tape_of(x * 2, {})) == str(tape_of(x * 2))

    def test_what_is_neither_is_refused(self):
        with pytest.raises(TypeError, match="tape_of: expected Tensors, a Module or a dict of Tensors by name, got float"):
            tape_of(3.0)
