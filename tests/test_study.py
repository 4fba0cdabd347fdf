"""Recording a step with its values, and stepping through its backward pass."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest

import tinygrad_lite as tg
import tinygrad_lite.nn.functional as F
from tinygrad_lite import nn, study
from tinygrad_lite.study.latex import latex
from tinygrad_lite.study.rules import text_of
from tinygrad_lite.study.values import values_of


def network():
    tg.manual_seed(0)
    return nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1))


# -- recording -------------------------------------------------------------------------------------


def test_entries_have_names_places_modules_values_and_what_is_saved():
    model, x = network(), tg.ones(3, 2)
    with study.record(model) as tape:
        h = model(x)
        loss = (h * h).mean()
    assert [e.operation for e in tape] == ["leaf", "leaf", "linear", "tanh", "leaf", "leaf", "linear", "mul", "mean"]
    assert [e.name for e in tape] == ["0.weight", "0.bias", "", "", "2.weight", "2.bias", "h", "", "loss"]
    assert [e.module for e in tape] == ["", "", "0", "1", "", "", "2", "", ""]
    entry = tape["h"]
    assert entry.number == tape.number_of(h) == 6 and entry.inputs == (3, 4, 5)
    assert entry.source == "h = model(x)" and entry.calls[0].file == __file__
    np.testing.assert_array_equal(entry.values.array, h.detach().numpy())
    assert entry.bytes_saved == {"input": 48, "weight": 16} or set(entry.bytes_saved) >= {"input", "weight"}
    np.testing.assert_array_equal(tape["loss"].values.array, loss.detach().numpy())


def test_models_in_variables_give_names_without_being_passed():
    net = network()
    with study.record() as tape:
        net(tg.ones(1, 2))
    assert [e.name for e in tape if e.is_leaf] == ["net.0.weight", "net.0.bias", "net.2.weight", "net.2.bias"]
    assert [e.module for e in tape if not e.is_leaf] == ["net.0", "net.1", "net.2"]
    assert not any(module._registered_hooks and module._registered_hooks.of("forward") for module in net.modules())


def test_names_follow_assignments_through_returns_loops_and_lines():
    w = tg.ones(3, requires_grad=True)

    class Holder:
        pass

    holder = Holder()

    def twice(v):
        half = v * 2
        return (half + 1).exp()

    with study.record() as tape:
        for _ in range(2):
            z = w.tanh()
        k = twice(z)
        k = twice(k)
        holder.total = k.sum()
        holder.total *= 2
        a, b, _ = w.split(1)
        long = (
            a
            + b
        )  # fmt: skip
        long.sin()
    names = [(e.name, e.operation) for e in tape if not e.is_leaf and not e.operation.startswith("result")]
    assert names == [
        ("z", "tanh"), ("z", "tanh"), ("half", "mul"), ("", "add"), ("k", "exp"), ("half", "mul"), ("", "add"), ("k", "exp"),
        ("holder.total", "sum"), ("holder.total", "mul"), ("(a, b, _)", "split"), ("long", "add"), ("", "sin"),
    ]  # fmt: skip


def test_large_arrays_are_summarized():
    x = np.linspace(-1, 3, 4001, dtype=np.float32)
    x[:1000] = 0
    found = values_of(x)
    assert found.array is None and found.shape == (4001,) and found.dtype == "float32"
    np.testing.assert_allclose([found.mean, found.std, found.min, found.max], [x.mean(), x.std(), x.min(), x.max()], rtol=1e-5)
    assert found.zero == pytest.approx(1001 / 4001, abs=2e-4) and found.finite and sum(found.histogram) == 4001


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64, np.bool_])
def test_values_of_every_dtype(dtype):
    for shape in ((), (0,), (3,), (2, 600)):
        found = values_of(np.ones(shape, dtype))
        assert found.shape == shape and (found.array is None) == (shape == (2, 600))
        assert found.mean == (None if shape == (0,) else 1)


def test_values_that_are_no_numbers_are_counted_apart():
    found = values_of(np.array([1, np.nan, 3, -np.inf, np.inf, 0]))
    assert (found.nan, found.inf, found.mean, found.max, found.finite) == (1, 2, pytest.approx(4 / 3), 3, False)
    found = values_of(np.full(2000, np.nan))
    assert found.mean is None and str(found) == "no finite values, 2000 nan"
    assert values_of(np.array([3e38, -3e38], np.float32)).min == pytest.approx(-3e38)


@pytest.mark.parametrize("offset, scale", [(0, 1), (1, 1), (1e4, 1), (-1e6, 1), (0, 1e-30), (0, 1e150)])
def test_mean_and_standard_deviation(offset, scale):
    array = offset + scale * np.random.default_rng(0).standard_normal(5000)
    found = values_of(array)
    assert found.mean == pytest.approx(array.mean()) and found.std == pytest.approx(np.longdouble(array).std(), rel=1e-6)


def test_values_are_copies():
    w = tg.ones(3, requires_grad=True)
    with study.record() as tape:
        y = w * 2
        with tg.no_grad():
            y.detach().zero_()
            w.fill_(7)
        _ = w * 2
    np.testing.assert_array_equal(tape["y"].values.array, [2, 2, 2])
    np.testing.assert_array_equal(tape["_"].values.array, [14, 14, 14])


def test_what_was_recorded_before_the_block_is_an_entry_without_inputs():
    w = tg.ones(3, requires_grad=True)
    y = w.exp()
    with study.record() as tape:
        y.sin()
    assert [(e.operation, e.inputs) for e in tape] == [("exp", ()), ("sin", (0,))]


def test_gradients_of_gradients_name_the_entry_whose_rule_made_them():
    x = tg.tensor(2.0, requires_grad=True)
    with study.record() as tape:
        y = x * x * x
        (g,) = tg.autograd.grad(y, x, create_graph=True)
        g.backward()
    assert {e.by_rule_of for e in tape} == {None, 1, 2}
    assert [p.complete for p in tape.passes] == [True, True]
    assert float(tape.passes[1].gradients[tape.number_of(x)].array) == 12


def test_recording_changes_no_result():
    model, x = network(), tg.ones(5, 2)
    model(x).sum().backward()
    expected = [p.grad.numpy().copy() for p in model.parameters()]
    model.zero_grad()
    with study.record(model):
        model(x).sum().backward()
    for parameter, gradient in zip(model.parameters(), expected):
        np.testing.assert_array_equal(parameter.grad.numpy(), gradient)


def test_each_total_is_that_of_its_moment():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    with study.record() as tape:
        y = x + 0
        (y * 1 + y * 10 + y * 100 + y * 1000).sum().backward()
    totals = [sent.total.array[0] for step in tape.passes[0].steps for sent in step.sent if sent.to == tape.number_of(y)]
    assert totals == [1000, 1100, 1110, 1111]
    assert next(step for step in tape.passes[0].steps if step.entry == tape.number_of(y)).cotangent.array[0] == 1111


# -- stepping --------------------------------------------------------------------------------------


def test_a_stop_shows_the_rule_what_it_names_and_what_it_sends():
    x = tg.tensor([0.5, -1.0], requires_grad=True)
    with study.record() as tape:
        y = x.tanh()
        loss = (y * 3).sum()
    stepper = tape.backward(loss)
    stop = stepper.goto("y")
    assert stop.entry.name == "y" and stop.position == 3 and not stop.to_come
    first = stepper.goto(1)
    assert [entry.number for entry in first.to_come] == [stepper.goto(i).entry.number for i in (2, 3)]
    assert first.to_come[:1] == (first.to_come[0],) and first.to_come[-1].name == "y" and len(first.to_come) == 2
    np.testing.assert_array_equal(stop.cotangent.array, [3, 3])
    (sent,) = stop.sent
    assert (sent.argument, sent.rule.formula) == ("input", "g * (1 - out * out)")
    assert sent.rule.latex == r"\bar{y} \, (1 - y^{2})"
    np.testing.assert_array_equal(sent.saved["out"].array, y.detach().numpy())
    np.testing.assert_array_equal(sent.gradient.array, x.grad.numpy())
    assert sent.to is tape["x"]


def test_a_stop_shows_the_whole_of_a_rule_that_is_a_function_and_shows_it_once():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    with study.record() as tape:
        (x.softmax(0) * x).sum().backward()
    shown = str(tape.stepper().run_until("softmax"))
    assert "to %0 x = leaf (input):\n    def _softmax_rule(g: Any, out: Any, dim: int) -> Any:\n        return softmax_gradient(" in shown
    q = tg.randn(2, 3, requires_grad=True)
    with study.record() as tape:
        F.scaled_dot_product_attention(q, q * 2, q * 3).sum().backward()
    shown = str(tape.stepper().run_until("attention"))
    assert shown.count("fused_vjp") == 1 and shown.count("the same rule") == 2


def test_a_stop_shows_tuples_as_python_writes_them():
    x = tg.ones(3, requires_grad=True)
    with study.record() as tape:
        loss = x.mean()
    assert "\n    input_shape = (3,)\n" in str(tape.backward(loss).next())


def test_contributions_add_up():
    x = tg.tensor(3.0, requires_grad=True)
    with study.record() as tape:
        y = x * x
    stop = tape.backward(y).next()
    assert [(s.argument, float(s.gradient.array), float(s.total.array)) for s in stop.sent] == [("input", 3, 3), ("other", 3, 6)]


def test_sums_that_grow_in_place_are_shown_as_they_were():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    with study.record() as tape:
        h = x * 1
        y = (h * 1 + h * 2 + h * 3 + h * 4).sum()
    stepper = tape.backward(y)
    totals = [float(sent.total.array[0]) for step in stepper.steps for sent in step.sent if sent.to == tape["h"].number]
    assert totals == [4, 7, 9, 10] and float(stepper.goto("h").cotangent.array[0]) == 10


def test_the_position_moves_both_ways_and_stays_inside():
    x = tg.tensor(0.3, requires_grad=True)
    with study.record() as tape:
        y = x.sin().exp().tanh()
    stepper = tape.backward(y)
    assert stepper.stop is None and stepper.prev() is None
    order = []
    while (stop := stepper.next()) is not None:
        order.append(stop.entry.operation)
    assert order == ["tanh", "exp", "sin"] and stepper.next() is None
    assert stepper.prev().entry.operation == "sin" and stepper.prev().entry.operation == "exp"
    stepper.reset()
    assert stepper.position == 0 and str(stepper) == "before the first of 3 steps"
    assert stepper.run_until(operation="sin").position == 3
    assert stepper.run_until(operation="sin") is None
    stepper.reset()
    assert stepper.run_until(condition=lambda stop: float(stop.cotangent.array) != 1).entry.operation == "exp"
    assert set(stepper.gradients()) == {3, 2, 1}


def test_run_until_a_module():
    model = network()
    with study.record(model) as tape:
        loss = model(tg.ones(1, 2)).sum()
    assert tape.backward(loss).run_until(module="1").entry.operation == "tanh"


def test_results_of_one_operation_wait_for_each_other():
    w = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    with study.record() as tape:
        a, b, _ = w.split(1)
        loss = (a * b).sum()
    stepper = tape.backward(loss)
    stop = stepper.run_until(operation="split")
    assert [None if part is None else float(part.array[0]) for part in stop.cotangent] == [2, 1, None]
    assert [e.name for e in tape if e.operation.startswith("result")] == ["a", "b"]


def test_functions_hooks_and_checkpoints():
    class Cube(tg.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            return 3 * g * x * x

    x = tg.tensor(2.0, requires_grad=True)
    with study.record() as tape:
        h = Cube.apply(x)
        h.register_hook(lambda g: g * 10)
        y = tg.utils.checkpoint.checkpoint(lambda v: v.sin(), h, use_reentrant=False)
    stepper = tape.backward(y)
    stop = stepper.goto("h")
    assert stop.entry.operation == "result 0" and float(stop.cotangent.array) == pytest.approx(10 * np.cos(8.0))
    stop = stepper.next()
    assert stop.entry.operation == "Cube" and float(stop.sent[0].gradient.array) == float(x.grad)


def test_a_breakpoint_inside_a_rule_is_reached():
    reached = []

    @tg.autograd.primitive
    def halved(x):
        return x / 2

    def rule(g):
        reached.append(g)
        return g / 2

    halved.vjp(x=rule)
    x = tg.tensor(1.0, requires_grad=True)
    with study.record() as tape:
        y = halved(x)
    stop = tape.backward(y).next()
    assert len(reached) == 1 and stop.sent[0].rule.source.startswith("def rule(g):")


# -- what cannot be done ---------------------------------------------------------------------------


def test_refusals():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    with study.record() as tape:
        y = x * 2
    with pytest.raises(RuntimeError, match="no backward pass was recorded"):
        tape.stepper()
    with pytest.raises(KeyError, match="no entry of the tape is named 'z'; names: x, y"):
        tape["z"]
    with pytest.raises(IndexError, match="has 2 entries"):
        tape[2]
    with pytest.raises(KeyError, match="has no entry"):
        tape.backward(tg.ones(2))
    with pytest.raises(RuntimeError, match="scalar"):
        tape.backward(y)
    with pytest.raises(TypeError, match="model must be a Module, got int"):
        study.record(3)
    stepper = tape.backward(y, tg.ones(2))
    with pytest.raises(KeyError, match="no step at %0 x = leaf"):
        stepper.goto("x")
    with pytest.raises(IndexError, match="from 0 to 2, got 3"):
        stepper.goto(3)
    with pytest.raises(RuntimeError, match="freed|second time"):
        tape.backward(y, tg.ones(2))


def test_a_tape_of_another_thread_is_refused():
    x = tg.tensor(1.0, requires_grad=True)
    with study.record() as tape:
        y = x * 2
    errors = []

    def step():
        try:
            tape.backward(y)
        except RuntimeError as error:
            errors.append(str(error))

    thread = threading.Thread(target=step)
    thread.start()
    thread.join()
    assert errors == ["this tape was recorded in another thread: step through it there"]


def test_a_block_that_raises_leaves_nothing_behind():
    model = network()
    with pytest.raises(ZeroDivisionError), study.record(model) as tape:
        model(tg.ones(1, 2))
        1 / 0  # noqa: B018
    entries = len(tape)
    model(tg.ones(1, 2))
    assert len(tape) == entries
    assert not any(module._registered_hooks and module._registered_hooks.of("forward") for module in model.modules())


# -- formulas --------------------------------------------------------------------------------------


def cases(*rows):
    """LaTeX of a choice: each value and its condition, the last without one."""
    written = [rf"{value} & \text{{if }} {condition}" if condition else rf"{value} & \text{{otherwise}}" for value, condition in rows]
    return rf"\begin{{cases}} {' '.join(written[:1])} \\ " + r" \\ ".join(written[1:]) + r" \end{cases}"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("g * other", r"\bar{y} \, z"),
        ("g * out * out * slope", r"\bar{y} \, y^{2} \, \mathit{slope}"),
        ("-g * (x / y)", r"-\bar{y} \, \frac{x}{y}"),
        ("g / (2 * out)", r"\frac{\bar{y}}{2 \, y}"),
        ("(a + b) ** 2 - (c - d)", r"(a + b)^{2} - (c - d)"),
        ("(a / b) ** 2", r"\left(\frac{a}{b}\right)^{2}"),
        ("-g * (input / other / other)", r"-\bar{y} \, \frac{x}{z^{2}}"),
        ("-g / sqrt(1 - input * input)", r"-\frac{\bar{y}}{\sqrt{1 - x^{2}}}"),
        ("-g * a / b", r"-\frac{\bar{y} \, a}{b}"),
        ("g * 1e-12 + 2.0", r"\bar{y} \cdot 10^{-12} + 2"),
        ("g * exp(-x)", r"\bar{y} \, e^{-x}"),
        ("g @ weight.T", r"\bar{y} W^\top"),
        ("-(out.mT @ g @ _inv(A, False).mT)", r"-y^\top \bar{y} A^{-\top}"),
        ("A * (B @ C)", r"A \odot (B C)"),
        ("g * (x > 0)", r"\bar{y} \, [x > 0]"),
        ("sqrt(abs(x))", r"\sqrt{\lvert x \rvert}"),
        ("abs(a / b)", r"\left\lvert \frac{a}{b}\right\rvert"),
        ("where_nan(x_1)", r"\mathrm{where\_nan}(\mathit{x\_1})"),
        ("x[i]", "x_{i}"),
        ("g[..., None] * x1[i, 2 * j]", r"\bar{y} \, {x_{1}}_{i, 2 \, j}"),
        ("where((x > 0) & (x < 1), g, 0.0)", r"\begin{cases} \bar{y} & \text{if } x > 0 \land x < 1 \\ 0 & \text{otherwise} \end{cases}"),
        ("0 if a is None else 1 if a <= b < c else 2", cases(("0", r"a = \text{None}"), ("1", r"a \le b < c"), ("2", ""))),
        ("g * (1 if x > 0 else 2)", rf"\bar{{y}} \, \left({cases(('1', 'x > 0'), ('2', ''))}\right)"),
        ("restored(g * (1 / (count(input_shape, axes) or 1)), input_shape, axes)", r"\bar{y} \, \frac{1}{n}"),
        ("out * (g - (g * out).sum(axis=dim, keepdims=True))", r"y \, \left(\bar{y} - \sum_{\mathit{dim}} \bar{y} \, y\right)"),
        ("sum(x[j] for j in range(i + 1))", r"\sum_{j \le i} x_{j}"),
        ("prod(x[j] for j in range(n) if j != i)", r"\prod_{j \ne i} x_{j}"),
        ("sum(x[j] for i in range(I) for j in range(J) if i + j == m)", r"\sum_{i, j : i + j = m} x_{j}"),
        ("sum(x[k] for k in range(inf))", r"\sum_{k \ge 0} x_{k}"),
        ("sum(x[k] for k in range(j, n))", r"\sum_{k \ge j} x_{k}"),
        ("max(x[j] for j in range(i + 1, k))", r"\max_{i < j < k} x_{j}"),
        ("integral(lambda tau: exp(-tau**2), 0, input) / math.pi", r"\frac{\int_{0}^{x} e^{-\tau^{2}} \, d\tau}{\pi}"),
        ("reshape(g, with_ones(shape, axes)) * mean(x, axes, True)", r"\bar{y} \, (\mathrm{mean}_{\mathit{axes}} x)"),
        ("reshape(g, input_shape)", r"\mathrm{reshape}(\bar{y}, \mathrm{shape}(x))"),
        ("_contract(g, other, ('ab', 'bc', 'ac'))", r"\mathrm{einsum}_{ab, bc \to ac}(\bar{y}, z)"),
        ("delta_bar * w_1_bar", r"\bar{\delta} \, \bar{\mathit{w\_1}}"),
    ],
)
def test_expressions_as_latex(text, expected):
    import ast

    assert latex(ast.parse(text, mode="eval").body) == expected


def test_the_text_of_every_rule_is_found():
    for name, primitive in tg.autograd.REGISTRY.items():
        rules = [rule for rule, _ in primitive.rules.values()] + ([primitive.fused] if primitive.fused else [])
        assert all(text_of(rule).source for rule in rules), name


def test_gelu_agrees_with_backward():
    x = tg.tensor([0.3, -2.0], requires_grad=True)
    with study.record() as tape:
        loss = F.gelu(x).sum()
    stop = tape.backward(loss).run_until(operation="gelu")
    assert "share" in stop.sent[0].saved and "def _(needs, g" in stop.sent[0].rule.source
    np.testing.assert_array_equal(stop.sent[0].gradient.array, x.grad.numpy())


def test_a_pass_inside_a_hook_is_a_pass_of_its_own():
    x, z = tg.tensor(1.0, requires_grad=True), tg.tensor(1.0, requires_grad=True)
    h = x.exp()
    h.register_hook(lambda g: (z * 5).backward())
    with study.record() as tape:
        (h * 2).backward()
    outer, inner = tape.passes
    assert [tape[step.entry].operation for step in outer.steps] == ["mul", "exp"]
    assert [tape[step.entry].operation for step in inner.steps] == ["mul"] and outer.complete and inner.complete


@pytest.mark.skipif(sys.version_info < (3, 11), reason="an instruction has no column")
def test_each_of_several_values_assigned_at_once_has_its_own_name():
    def double(v):
        return v * 2

    x = tg.tensor([2.0], requires_grad=True)
    with study.record() as tape:
        q, k = (x * 2).exp(), double(x)
        a, b = (
            x + 1,
            3.0,
        )  # fmt: skip
        total, [c, d] = q * k + a + b, (x + q).expand(2)
    assert total.requires_grad and c is not d
    named = [(entry.operation, entry.name) for entry in tape if entry.name and not entry.is_leaf]
    assert named[:4] == [("exp", "q"), ("mul", "k"), ("add", "a"), ("add", "total")] and named[4][1] == "[c, d]"


def _twice(v):
    return v * 2


@pytest.mark.skipif(sys.version_info < (3, 11), reason="an instruction has no column")
def test_arguments_and_lambdas_do_not_take_the_name_of_what_is_assigned():
    w = tg.ones(3, requires_grad=True)

    def rounded(v):
        return v.round().long()

    with study.record() as tape:
        double = lambda v: v.exp() * 2
        a = double(w)
        places = rounded(a + 1)
        flags = (a * 3).long()
        stacked = tg.stack([each.sin() for each in (w, a)])
        total = sum([w, a, a])
        values, chosen = stacked.max(0)
        same = nn.functional.dropout(w * 5, 0.0)
        kept = _twice(w - 1)
        loss = total.sum()
    assert len(places) == len(flags) == len(chosen[0:3]) == 3
    names = [(entry.operation, entry.name) for entry in tape if not entry.is_leaf]
    assert names[:2] == [("exp", ""), ("mul", "a")]
    assert names[2][1] == "" and ("mul", "") in names and "places" not in [name for _, name in names]
    assert "flags" not in [name for _, name in names]
    assert [name for operation, name in names if operation == "sin"] == ["", ""] and ("stack", "stacked") in names
    assert [name for _, name in names].count("total") == 1 and tape.number_of("total") == tape.number_of(total)
    for name, tensor in (("values", values), ("same", same), ("kept", kept), ("loss", loss)):
        assert tape.number_of(name) == tape.number_of(tensor), name
    assert ("sub", "") in names


@pytest.mark.skipif(sys.version_info < (3, 11), reason="an instruction has no column")
def test_statements_on_one_line_are_told_apart():
    w = tg.ones(3, requires_grad=True)
    with study.record() as tape:
        h = w * 2; text = "of no tensor"; loss = (h * h).sum(); w2 = h + 1  # noqa: E702 # fmt: skip
    assert text and [entry.name for entry in tape] == ["w", "h", "", "loss", "w2"]
    assert tape.number_of(loss) == 3 and tape.number_of(w2) == 4


def test_a_program_that_looks_at_its_local_variables_keeps_what_it_saw():
    w = tg.tensor([1.0], requires_grad=True)
    seen = locals()
    with study.record() as tape:
        (w * 2).sum().backward()
    assert seen["w"] is w and tape["w"].is_leaf
