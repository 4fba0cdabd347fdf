"""Under `create_graph=True` a gradient requires grad here where it does in PyTorch, and its backward reaches the same
tensors: for each entry of PyTorch's databases of operations and modules.

A piecewise constant gradient (relu's, or that of pooling) requires grad and has derivative zero. The gradient of a linear
operation does not require grad.
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # the databases import it

from tests.parity.compare import leaves, results  # noqa: E402
from tests.parity.test_module_database import DTYPE, database, in_both  # noqa: E402
from tests.parity.test_opinfo import RANDOM, converted, entries, name_of, ours  # noqa: E402

# Entries that differ, all in that a gradient here is one of zeros, or requires grad, and PyTorch's does not.
ZEROS_HERE = {
    "cumprod": "PyTorch has a rule of its own for one element",
    "linalg.det": "PyTorch has a rule of its own for matrices of one element and of none",
    "linalg.householder_product": "PyTorch has no gradient where there is nothing to reflect",
    "linalg.norm": "PyTorch has no gradient of the norm 0",
    "linalg.norm subgradients_at_zero": "PyTorch has no gradient of the norm 0",
    "linalg.vector_norm": "PyTorch has no gradient of the norm 0",
    "logcumsumexp": "PyTorch has a rule of its own for one element",
    "nn.functional.grid_sample": "PyTorch has no second gradient from the image to the nearest pixel",
    "nn.functional.group_norm": "the bias: here one rule serves all norms, as in PyTorch for the others",
    "nn.functional.rms_norm": "the weight alone: here one rule serves all norms",
    "norm": "PyTorch has no gradient of the norm 0",
    "prod": "PyTorch has a rule of its own for one element",
}
DIFFER = {
    "nn.functional.layer_norm": "the bias alone: linear in it, and for PyTorch one function with the rest",
    "LinearCrossEntropyLoss": "PyTorch works out the gradients beforehand",
}


def gradients(library: Any, outs: list[Any], inputs: list[Any], **options: Any) -> list[Any]:
    roots = [o for o in outs if isinstance(o, library.Tensor) and o.requires_grad]
    if not roots or not inputs:
        return []
    weights = [library.ones_like(o).detach() for o in roots]
    return list(library.autograd.grad(roots, inputs, weights, allow_unused=True, **options))


def on_the_tape(library: Any, outs: list[Any], inputs: list[Any]) -> tuple[list[bool | None], list[bool]]:
    """Which first gradients require grad (None: there is none), and which inputs have a second gradient."""
    first = gradients(library, outs, inputs, create_graph=True)
    second = gradients(library, [g for g in first if g is not None], inputs)
    return [None if g is None else g.requires_grad for g in first], [g is not None for g in second]


def no_less(mine: list[Any], theirs: list[Any]) -> bool:
    return all(bool(a) >= bool(b) for a, b in itertools.zip_longest(mine, theirs))


def check(op: Any, sample: Any, given: list[Any]) -> None:
    independent = sample.output_process_fn_grad  # of the signs of eigenvectors, say
    outs = results(independent(op.op(given[0], *given[1], **given[2])))
    try:
        theirs = on_the_tape(torch, outs, leaves(torch, given))
    except (RuntimeError, NotImplementedError):  # no second gradient there
        return
    x, args, kwargs = converted(given)
    outs = results(ours(independent)(ours(op.op, op.name)(x, *args, **kwargs)))
    mine = on_the_tape(tg, outs, leaves(tg, [x, args, kwargs]))
    name = name_of(op)
    if name in ZEROS_HERE:
        assert all(map(no_less, mine, theirs)), (mine, theirs)
    elif name not in DIFFER or all(y.requires_grad for y in floats(given)):
        assert mine == theirs


def floats(value: Any) -> list[Any]:
    if isinstance(value, torch.Tensor):
        return [value] if value.dtype == DTYPE else []
    if isinstance(value, dict):
        value = tuple(value.values())
    return [t for v in value for t in floats(v)] if isinstance(value, (tuple, list)) else []


DIFFERENTIABLE = [
    entry
    for entry in entries()
    if not RANDOM.search((op := entry.values[0]).name) and op.supports_autograd and DTYPE in op.dtypes
    if not op.name.startswith("as_strided")
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", DIFFERENTIABLE)
def test_of_operations(op):
    torch.manual_seed(0)
    for i, sample in enumerate(itertools.islice(op.sample_inputs_func(op, "cpu", DTYPE, True), 24)):
        given = [sample.input, list(sample.args), sample.kwargs]
        check(op, sample, given)
        wanted = [y for y in floats(given) if y.requires_grad]
        if len(wanted) < 2 or i > 4:
            continue
        for chosen in wanted:  # the others are constants
            for y in wanted:
                y.requires_grad_(y is chosen)
            check(op, sample, given)


@pytest.mark.parametrize("info", database.module_db, ids=lambda info: info.module_cls.__name__)
@pytest.mark.filterwarnings("ignore")
def test_of_modules(info):
    torch.manual_seed(0)
    samples = info.module_inputs_func(info, device="cpu", dtype=DTYPE, requires_grad=True, training=False)
    for sample in samples[:: 1 + len(samples) // 12]:
        known: dict[int, Any] = {}
        options, inputs = in_both(sample.constructor_input, known), in_both(sample.forward_input, known)
        found = []
        for library, (args, kwargs), given in zip((torch, tg), options, inputs):
            module = getattr(library.nn, info.module_cls.__name__)(*args, **kwargs).eval().to(library.float64)
            outs = results(module(*given[0], **given[1]))
            found.append((library, outs, [*leaves(library, list(given)), *module.parameters()]))
        try:
            theirs = on_the_tape(*found[0])
        except (RuntimeError, NotImplementedError):
            continue
        mine = on_the_tape(*found[1])
        if info.module_cls.__name__ in ("GroupNorm", "RMSNorm"):
            assert all(map(no_less, mine, theirs))
        elif info.module_cls.__name__ not in DIFFER:
            assert mine == theirs


class TestWithDerivativeZero:
    """The gradient is on the tape, and its own gradient is zero."""

    @pytest.mark.parametrize("library", [tg, torch], ids=["here", "PyTorch"])
    @pytest.mark.parametrize(
        "name", ["relu", "relu6", "leaky_relu", "hardtanh", "hardshrink", "softshrink", "rrelu"]
    )
    def test_of_an_activation(self, library, name):
        x = library.tensor([-2.0, 0.3, 4.0], requires_grad=True)
        (g,) = library.autograd.grad(getattr(library.nn.functional, name)(x).sum(), x, create_graph=True)
        g.sum().backward()
        assert x.grad.tolist() == [0, 0, 0]

    @pytest.mark.parametrize("library", [tg, torch], ids=["here", "PyTorch"])
    @pytest.mark.parametrize("name", ["max_pool1d", "avg_pool1d", "adaptive_max_pool1d", "adaptive_avg_pool1d"])
    def test_of_a_pooling(self, library, name):
        x = library.tensor([[[1.0, 4.0, 2.0, 3.0]]], requires_grad=True)
        (g,) = library.autograd.grad(getattr(library.nn.functional, name)(x, 2).sum(), x, create_graph=True)
        g.sum().backward()
        assert x.grad.tolist() == [[[0, 0, 0, 0]]]

    @pytest.mark.parametrize("library", [tg, torch], ids=["here", "PyTorch"])
    def test_where_the_gradient_is_on_the_tape_by_another_way(self, library):
        x = library.tensor([-2.0, 0.3], requires_grad=True)
        w = library.tensor([1.0, 5.0], requires_grad=True)
        (g,) = library.autograd.grad((w * library.relu(x)).sum(), x, create_graph=True)
        of_x, of_w = library.autograd.grad(g.sum(), (x, w))
        assert (of_x.tolist(), of_w.tolist()) == ([0, 0], [0, 1])

    @pytest.mark.parametrize("library", [tg, torch], ids=["here", "PyTorch"])
    def test_the_gradient_of_the_result_of_relu(self, library):
        x = library.tensor([-2.0, 0.3], requires_grad=True)
        y = library.relu(x)
        (g,) = library.autograd.grad(y.sum(), x, create_graph=True)
        assert library.autograd.grad(g.sum(), y)[0].tolist() == [0, 0]

    @pytest.mark.parametrize("library", [tg, torch], ids=["here", "PyTorch"])
    def test_a_penalty_of_the_gradient_of_a_frozen_convolution(self, library):
        x, weight = library.ones(1, 1, 4, requires_grad=True), library.ones(2, 1, 3)
        (g,) = library.autograd.grad(library.conv1d(x, weight).sum(), x, create_graph=True)
        assert g.requires_grad
        g.square().sum().backward()
        assert x.grad is None

    @pytest.mark.parametrize("library", [tg, torch], ids=["here", "PyTorch"])
    @pytest.mark.parametrize(
        "linear", [lambda x: x * 2, lambda x: x.sum(), lambda x: x.cumsum(0), lambda x: x[[0, 0]], lambda x: x.flip(0)]
    )
    def test_one_that_is_linear_does_not_require_grad(self, library, linear):
        x = library.tensor([1.0, 2.0], requires_grad=True)
        (g,) = library.autograd.grad(linear(x).sum(), x, create_graph=True)
        assert not g.requires_grad

    @pytest.mark.parametrize("library", [tg, torch], ids=["here", "PyTorch"])
    @pytest.mark.parametrize("name, sizes", [("layer_norm", (3,)), ("rms_norm", (3,)), ("group_norm", 2)])
    def test_of_a_norm_of_nothing(self, library, name, sizes):
        x = library.zeros(0, 2, 3, requires_grad=True)
        (g,) = library.autograd.grad(getattr(library.nn.functional, name)(x, sizes).sum(), x, create_graph=True)
        g.sum().backward()
        assert tuple(x.grad.shape) == (0, 2, 3)
