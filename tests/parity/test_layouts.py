"""An array's memory layout never changes a result, for the inputs of PyTorch's database of operations.

The same call on the same values with other strides, orders, offsets and repeated elements gives the same results, gradients
and second gradients here as on contiguous arrays, and is refused if that is.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")  # the database imports it

from tests.parity.compare import leaves, results  # noqa: E402
from tests.parity.test_opinfo import converted, entries, name_of, ours  # noqa: E402
from tests.test_layouts import assert_same, empty_memory_is_full_of_nan, in_order, same_order  # noqa: E402, F401
from tinygrad_lite.engine.tape import traced  # noqa: E402
from tinygrad_lite.testing.layouts import LAYOUTS, REPEATED  # noqa: E402

# Whose meaning is the layout itself, or which change their input.
OF_THE_LAYOUT = ("as_strided", "view", "resize", "cauchy", "exponential", "geometric", "log_normal", "uniform")
SKIPPED = {
    "normal in_place": "changes its input",
    "nn.functional.batch_norm": "changes its running statistics",
    "nn.functional.instance_norm": "changes its running statistics",
}


def moved(value: Any, layout: Any) -> Any:
    """The arguments for us, each array in `layout`."""
    if isinstance(value, torch.Tensor):
        array = layout(value.detach().numpy())
        return traced(array).requires_grad_(value.requires_grad)
    if type(value) in (list, tuple):
        return type(value)(moved(v, layout) for v in value)
    if isinstance(value, dict):
        return {name: moved(v, layout) for name, v in value.items()}
    return converted(value)


def outcome(function: Any, sample: Any, layout: Any, of_gradients: Any) -> Any:
    def gradients(outs: list[Any], wave: Any, **options: Any) -> list[Any]:
        roots = [o for o in outs if isinstance(o, tg.Tensor) and o.requires_grad]
        if not roots or not inputs:
            return []
        arrays = [of_gradients(wave(np.arange(o.array.size)).reshape(o.array.shape).astype(o.array.dtype)) for o in roots]
        return list(tg.autograd.grad(roots, inputs, [traced(a) for a in arrays], allow_unused=True, **options))

    x, args, kwargs = moved([sample.input, list(sample.args), sample.kwargs], layout)
    inputs = leaves(tg, [x, args, kwargs])
    tg.manual_seed(0)
    try:
        outs = results(ours(sample.output_process_fn_grad)(function(x, *args, **kwargs)))
        first = gradients(outs, np.cos, retain_graph=True)
        outs += [*first, *gradients([g for g in gradients(outs, np.cos, create_graph=True) if g is not None], np.sin)]
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
        return type(error)
    return [np.array(o.array) if isinstance(o, tg.Tensor) else None if o is None else np.asarray(o) for o in outs]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", entries())
def test_of_operations(op):
    if op.name.startswith(OF_THE_LAYOUT) or name_of(op) in SKIPPED:
        return
    function = ours(op.op, op.name)
    for dtype, count in ((torch.float64, 3), (torch.float32, 1), (torch.int64, 1)):
        if dtype not in op.dtypes:
            continue
        torch.manual_seed(0)
        derived = dtype.is_floating_point and op.supports_autograd
        rtol = 1e-9 if dtype == torch.float64 else 1e-3
        for sample in itertools.islice(op.sample_inputs_func(op, "cpu", dtype, derived), count):
            plain = outcome(function, sample, lambda a: a.copy(order="C"), same_order)
            for name in LAYOUTS:
                assert_same(outcome(function, sample, LAYOUTS[name], LAYOUTS[name]), plain, name, rtol)
            for name in REPEATED if dtype == torch.float64 else ():
                layout = REPEATED[name]

                def values(array: Any, layout: Any = layout) -> Any:
                    return in_order([layout(array)])[0]

                assert_same(outcome(function, sample, layout, layout), outcome(function, sample, values, values), name, rtol)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", [e for e in entries() if hasattr(torch.Tensor, getattr(e.values[0].inplace_variant, "__name__", ""))])
def test_of_changes_in_place(op):
    name = op.inplace_variant.__name__
    if torch.float64 not in op.dtypes or "resize" in name or "as_strided" in name:
        return
    torch.manual_seed(0)
    for sample in itertools.islice(op.sample_inputs_func(op, "cpu", torch.float64, False), 3):
        if sample.broadcasts_input:
            continue

        def changed(layout: Any, sample: Any = sample) -> Any:
            x, args, kwargs = moved([sample.input, list(sample.args), sample.kwargs], layout)
            tg.manual_seed(0)
            try:
                assert getattr(x, name)(*args, **kwargs) is x
            except (RuntimeError, ValueError, TypeError, IndexError) as error:
                return type(error)
            return [np.array(x.array)]

        plain = changed(lambda a: a.copy(order="C"))
        for layout in ("Fortran order", "first dim last", "stepped", "offset", "odd strides"):
            assert_same(changed(LAYOUTS[layout]), plain, layout, 1e-9)
