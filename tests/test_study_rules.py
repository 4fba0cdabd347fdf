"""docs/rules.md: its formulas are what the primitives compute and what their rules give, and it is up to date."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("scipy.special")

import tests.samples
import tinygrad_lite as tg
from tests.check_op import SAMPLES, Sample, tensors, wanted
from tests.formula_values import ELEMENTWISE, actual, named, rule_of, value_of
from tinygrad_lite.arrays.kernels.windows import Windows
from tinygrad_lite.autograd import REGISTRY, grad
from tinygrad_lite.study.formulas import FORMULAS
from tinygrad_lite.study.rules import text_of

for module in pkgutil.iter_modules(tests.samples.__path__):
    importlib.import_module(f"tests.samples.{module.name}")

DOCS = Path(__file__).parents[1] / "docs"
SCRIPT = runpy.run_path(str(DOCS / "write_rules.py"))
NAMES = [primitive.name for primitive in SCRIPT["primitives"]()]

draw = np.random.default_rng(21)


def normal(*shape: int) -> np.ndarray:
    return draw.standard_normal(shape)


# -- points ----------------------------------------------------------------------------------------
# Formulas of one slice, of two matrices or of one channel are tried where they hold; the others at the samples of their primitive.

SLICE, LOGITS = normal(5), normal(4, 3)
REGULAR = normal(3, 3) + 3 * np.eye(3)
W = Windows((6,), (3,), (2,), (1,), (1,), (3,))
DENSE = Windows((6,), (2,), (2,), (1,), (0,), (3,))
CLASSES, ROWS = np.array([2, 0, 1, 2]), np.array([3, 0, 3])


def of_windows(**arguments: Any) -> dict[str, Any]:
    w = arguments["windows"]
    return {
        "s": w.stride[0], "d": w.dilation[0], "p": w.before[0], "K": w.kernel[0], "I": w.count[0], "B": 2, "C": 2, "O": 3,
    }  # fmt: skip


def of_step(**arguments: Any) -> dict[str, Any]:
    """One sample of a cell, whose parts are rows."""
    parts = {"z": 4 if "c" in arguments else 3, "v": 3}
    return {name: x.reshape(parts[name], -1) if name in parts else x[0] for name, x in arguments.items()}


def of_sequence(**arguments: Any) -> dict[str, Any]:
    states = {name: arguments[name][0] for name in ("h", "c") if name in arguments}
    return {"T": len(arguments["input"]), **states}


def weights(gates: int, width: int = 2) -> tuple[np.ndarray, ...]:
    return normal(2 * gates, 3), normal(2 * gates, width), normal(2 * gates), normal(2 * gates)


SIZES = (1, 1, 1, 1)
POINTS: dict[str, tuple[Any, ...]] = {
    "prod": ((SLICE, 0, False),),
    "cumsum": ((SLICE, 0, False),),
    "cumprod": ((SLICE, 0, False),),
    "logcumsumexp": ((SLICE, 0),),
    "recurrence": ((SLICE, normal(5), 0, False),),
    "vector_norm": ((normal(3, 4), 3.0, (1,), False), (normal(3, 4), 2.0, (0, 1), True)),
    "bincount": ((np.array([1, 0, 4, 1]), normal(4), 0), lambda **_: {"N": 4}),
    "distinct": ((np.round(SLICE), None, False),),
    "permute": ((normal(2, 3, 4), (2, 0, 1)),),
    "copy": ((normal(2, 3), np.dtype(float)),),
    "rows": ((normal(4, 2), ROWS, None), lambda **_: {"N": 3}),
    "scatter_reduce": ((normal(4), normal(3), (ROWS,), "amax"), lambda index, **_: {"index": index[0], "N": 3}),
    "getitem": ((normal(4, 2), (ROWS,)), (normal(4, 2), (slice(0, 3, 2), None, ...))),
    "into_zeros": ((normal(3, 2), (4, 2), (ROWS,)),),
    "replaced": ((normal(4, 2), normal(2), (1, ...)),),
    "cat": ((1, normal(2, 3), normal(2, 1)), lambda tensors, dim: {"sizes": [x.shape[dim] for x in tensors]}),
    "stack": ((1, normal(2, 3), normal(2, 3)),),
    "windows_of": ((normal(2, 2, 6), W), of_windows),
    "sum_of_windows": ((normal(2, 2, 3, 3), W), of_windows),
    "window_sums": ((normal(2, 2, 6), W), of_windows),
    "spread": ((normal(2, 2, 3), W), of_windows),
    "max_pool": ((normal(2, 2, 6), DENSE), of_windows),
    "unpool": ((normal(1, 2, 2), np.array([[[1, 3], [0, 2]]]), (1, 2, 4), False), lambda **_: {"I": 2}),
    "weighted_sums": ((normal(4, 3), normal(5, 4), 0),),
    "matmul": ((normal(3, 4), normal(4, 2)),),
    "linear": ((normal(5, 3), normal(2, 3), normal(2)), lambda **_: {"N": 5}),
    "attention": ((normal(4, 3), normal(5, 3), normal(5, 2), normal(4, 5), False, 0.5),),
    "convolution": ((normal(2, 2, 6), normal(3, 2, 3), normal(3), W, 1), of_windows),
    "convolution_input": ((normal(2, 3, 3), normal(3, 2, 3), W, 1), of_windows),
    "convolution_weight": ((normal(2, 3, 3), normal(2, 2, 6), W, 1), of_windows),
    "normalize": ((normal(1, 6), normal(6), normal(6), 1, 1, 1e-5, True),),
    "batch_norm": ((normal(6, 1), normal(1), normal(1), 1e-5, None, False),),
    "softmax": ((normal(3, 4), 1),),
    "log_softmax": ((normal(3, 4), 1),),
    "mse": ((normal(3, 4), normal(3, 4)), lambda input, target: {"n": input.size}),
    "cross_entropy": ((LOGITS, CLASSES, None, -100, "mean"), lambda **_: {"N": 4, "C": 3}),
    "lstm_cell": ((normal(1, 8), normal(1, 2)), of_step),
    "gru_cell": ((normal(1, 6), normal(1, 6), normal(1, 2)), of_step),
    "lstm": ((normal(4, 3), normal(1, 1), normal(1, 2), *weights(4, 1), normal(1, 2), SIZES, False), of_sequence),
    "gru": ((normal(4, 3), normal(1, 2), *weights(3), SIZES, False), of_sequence),
    "rnn": ((normal(4, 3), normal(1, 2), *weights(1), "tanh", SIZES, False), of_sequence),
    "inv": ((REGULAR, True),),
    "pinv": ((normal(3, 2), None, None), (normal(2, 3), None, None)),
    "solve": ((REGULAR, normal(3, 2), True),),
    "solve_triangular": ((REGULAR, normal(3, 2), False, False), (REGULAR, normal(3, 2), True, False)),
    "cholesky": ((REGULAR @ REGULAR.T,),),
    "qr": ((normal(4, 3), "reduced"),),
    "lu_factor": ((REGULAR[[2, 0, 1]],),),
    "eigh": ((REGULAR + REGULAR.T, "L"),),
    "svd": ((REGULAR, False),),
    "det": ((REGULAR,),),
    "slogdet": ((REGULAR,),),
    "matrix_exp": ((normal(3, 3) / 2,),),
    "euclidean": ((normal(4, 3), normal(5, 3), False), lambda **_: {"I": 4, "J": 5, "K": 3}),
}
SYMMETRIC = ("cholesky", "eigh")  # read one triangle: their derivatives are for symmetric changes
WITHOUT_STATES = ("lstm", "gru", "rnn")  # whose formulas leave out the gradient of the last state


def points(name: str) -> list[tuple[Any, Any, list[int]]]:
    """Arguments, what else the formula needs there, and the positions of the arguments that have a gradient."""
    if name in POINTS:
        entries, more = (POINTS[name][:-1], POINTS[name][-1]) if callable(POINTS[name][-1]) else (POINTS[name], None)
        return [(args, more, wanted(Sample(name, args, None))) for args in entries]
    found = [(s.args, None, wanted(s)) for s in SAMPLES[name] if suits(name, s)]
    assert found, f"{name}: no point to try its formula at"
    return found


def suits(name: str, s: Sample) -> bool:
    """Whether a formula holds for a sample: an elementwise one does not say what None means, and none is for empty arrays."""
    has_elements = any(isinstance(x, np.ndarray) and x.size for x in s.args)
    return has_elements and not (name in ELEMENTWISE and any(x is None for x in s.args))


def gradients_at(name: str, args: Any, chosen: list[int]) -> tuple[list[Any], list[Any], list[Any]]:
    outs, gradients, found = actual(name, args, chosen)
    if name in WITHOUT_STATES:
        gradients[1:] = [None] * (len(outs) - 1)
        outs, gradients, found = actual(name, args, chosen, gradients)
    return outs, gradients, found


def argument_at(name: str, place: int) -> str:
    return REGISTRY[name].argument_at(place)


def compare(found: Any, expected: Any, what: str, rtol: float = 1e-7) -> None:
    np.testing.assert_allclose(np.asarray(found).reshape(np.shape(expected)), expected, rtol=rtol, atol=1e-9, err_msg=what)


# -- formulas --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_formula_gives_the_value(name):
    for args, more, _ in points(name):
        outs, _, _ = actual(name, args, [])
        found = value_of(name, args, outs, more)
        for value, expected in zip(found, outs):
            compare(value, expected, name)


@pytest.mark.parametrize("name, argument", [(name, argument) for name in NAMES for argument in FORMULAS[name].rules])
def test_the_formula_of_a_rule_gives_what_the_rule_gives(name, argument):
    tried = 0
    for args, more, chosen in points(name):
        outs, gradients, found = gradients_at(name, args, chosen)
        by_place = dict(zip(chosen, found))
        places = [i for i in chosen if argument_at(name, i) == argument]
        if not places:
            continue
        tried += 1
        value = rule_of(name, argument, args, outs, gradients, more)
        for k, i in enumerate(places):
            part = value[k] if REGISTRY[name].star is not None else value
            compare(summed(part, np.shape(args[i])), by_place[i], f"{name}: {argument}")
    assert tried


def summed(x: Any, shape: tuple[int, ...]) -> Any:
    """A gradient summed over the dims that were broadcast."""
    x = np.asarray(x)
    if x.size == np.prod(shape):
        return x
    x = x.sum(tuple(range(x.ndim - len(shape))))
    return x.sum(tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "distinct"])
def test_the_gradients_are_the_derivatives_of_the_formula(name):
    for args, more, chosen in points(name):
        outs, gradients, found = gradients_at(name, args, chosen)

        def total(point: Any, outs=outs, gradients=gradients, more=more) -> float:
            values = value_of(name, point, outs, more)
            return sum(float(np.sum(np.asarray(v).reshape(g.shape) * g)) for v, g in zip(values, gradients) if g is not None)

        for i, gradient in zip(chosen, found):
            if gradient is None:  # declared to have none
                continue
            direction = np.random.default_rng(5).standard_normal(args[i].shape)
            if name in SYMMETRIC:
                direction = direction + direction.T
            step = 1e-5

            def moved(t: float, args=args, i=i, direction=direction) -> list[Any]:
                return [np.asarray(value + t * direction) if k == i else value for k, value in enumerate(args)]

            numeric = (8 * (total(moved(step)) - total(moved(-step))) - (total(moved(2 * step)) - total(moved(-2 * step)))) / (12 * step)
            exact = float(np.sum(gradient * direction))
            assert np.isclose(exact, numeric, rtol=1e-5, atol=1e-6), f"{name}, {argument_at(name, i)}: {exact:.9g}, {numeric:.9g}"


# -- the text of rules -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_text_of_a_rule_does_what_the_rule_does(name):
    primitive = REGISTRY[name]
    for args, _, chosen in points(name)[:2]:
        for i in chosen:
            argument = argument_at(name, i)
            rule, names = (primitive.fused, primitive.fused_names) if primitive.fused is not None else primitive.rules[argument]
            if not text_of(rule).source or argument in refused(primitive):
                continue
            outs, gradients, _ = actual(name, args, [i])
            given = values_for(primitive, args, outs, names)
            g = gradients[0] if len(outs) == 1 else tuple(np.zeros(np.shape(o)) if g is None else g for o, g in zip(outs, gradients))
            first = ([k == i for k in range(len(args))], g) if primitive.fused is not None else (g,)
            if primitive.fused is None and primitive.star is not None:
                first = (g, i - primitive.star)
            for found, expected in zip(flat(compiled(rule)(*first, *given)), flat(rule(*first, *given))):
                assert (found is None) == (expected is None)
                if expected is not None:
                    np.testing.assert_array_equal(found, expected)


def refused(primitive: Any) -> list[str]:
    if primitive.fused is not None:
        return []
    return [name for name, (rule, _) in primitive.rules.items() if SCRIPT["refusal"](text_of(rule)) is not None]


def flat(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def values_for(primitive: Any, args: Any, outs: Any, names: Any) -> list[Any]:
    """What the tape keeps for a rule."""
    known = named(primitive, args) | {"out": outs[0] if len(outs) == 1 else tuple(outs)}
    if primitive.keeps:
        known |= dict(zip(primitive.keeps, primitive.forward(*args)[1:]))

    def shape(value: Any) -> Any:
        return tuple(map(np.shape, value)) if isinstance(value, tuple) else np.shape(value)

    return [known[name] if name in known else shape(known[name.removesuffix("_shape")]) for name in names]


def compiled(rule: Any) -> Any:
    """A function made from the text of a rule, with the names that the rule sees."""
    text = text_of(rule)
    rule = getattr(rule, "__wrapped__", rule)
    cells = dict(zip(rule.__code__.co_freevars, [cell.cell_contents for cell in rule.__closure__ or ()]))
    names = rule.__globals__ | cells
    tree = ast.parse(text.source)
    if isinstance(tree.body[0], ast.Expr):
        return eval(text.source, names)
    tree.body[0].decorator_list = []
    exec(compile(tree, "<rule>", "exec"), names)
    return names[tree.body[0].name]


# -- points without a derivative -------------------------------------------------------------------

KINKS = [(name, kink) for name in NAMES for kink in FORMULAS[name].kinks]


def at_kink(value: Any, is_tensor: bool) -> Any:
    if value == "windows of 2":
        return Windows((2,), (2,), (2,), (1,), (0,), (1,))
    if isinstance(value, tuple) and value and isinstance(value[0], tuple):  # an index
        return tuple(map(np.array, value))
    return np.array(value, float) if isinstance(value, list) or (is_tensor and isinstance(value, float)) else value


@pytest.mark.parametrize("name, kink", KINKS, ids=[f"{name}-{i}" for i, (name, _) in enumerate(KINKS)])
def test_a_rule_gives_at_a_kink_what_the_page_says(name, kink):
    names = REGISTRY[name].arguments
    chosen = [names.index(argument) for argument in kink.gives]
    args = [at_kink(value, names[i] in REGISTRY[name].differentiable) for i, value in enumerate(kink.at)]
    inputs = tensors(args, "cpu", chosen)
    out = REGISTRY[name].apply(*inputs)
    outs = [o for o in (out if isinstance(out, tuple) else (out,)) if o.requires_grad]
    ones = tensors([np.ones(o.shape) for o in outs], "cpu")
    for argument, found in zip(kink.gives, grad(outs, [inputs[i] for i in chosen], ones)):
        np.testing.assert_allclose(found.numpy(), kink.gives[argument], rtol=1e-9, err_msg=f"{name}: {argument}")


@pytest.mark.parametrize("name", ["sort", "topk", "kthvalue", "mode", "cummax", "cummin", "max", "min", "median"])
def test_what_reads_by_an_index_gives_the_element_at_that_index_the_whole_gradient(name):
    x = tg.tensor([2.0, 3.0, 3.0, 1.0, 1.0, 2.0], requires_grad=True)
    found = getattr(x, name)(*{"topk": (3,), "kthvalue": (3,)}.get(name, ()), dim=0)
    found[0].sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.bincount(np.atleast_1d(found[1].numpy()), minlength=6))


@pytest.mark.parametrize("name, shares", [("max", [0, 0.5, 0.5]), ("min", [1, 0, 0]), ("median", [0, 0.5, 0.5])])
def test_extremes_of_a_whole_tensor_share_the_gradient(name, shares):
    x = tg.tensor([1.0, 3.0, 3.0], requires_grad=True)
    getattr(x, name)().backward()
    assert x.grad.tolist() == shares


# -- the page --------------------------------------------------------------------------------------


def test_the_page_is_what_the_script_writes():
    assert (DOCS / "rules.md").read_text() == SCRIPT["text"](), "run `python docs/write_rules.py`"


def test_every_primitive_has_a_section_and_every_formula_a_primitive():
    own = {name for name, each in REGISTRY.items() if each.forward.__module__.startswith("tinygrad_lite.")}
    headings = {line[4:] for line in (DOCS / "rules.md").read_text().splitlines() if line.startswith("### ")}
    assert headings == own == FORMULAS.keys()


def test_every_rule_is_written_as_a_formula():
    for name in NAMES:
        primitive = REGISTRY[name]
        for argument in primitive.differentiable:
            rows = SCRIPT["of_rule"](primitive, argument)
            assert rows or argument in refused(primitive), f"{name}: {argument}"
            assert argument not in FORMULAS[name].rules or argument in primitive.differentiable
            assert not any("texttt" in side for row in rows for side in row), f"{name}: {rows}"


