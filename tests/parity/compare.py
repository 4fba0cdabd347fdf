"""Run the same call here and in PyTorch: values, dtypes, shapes, first and second gradients, refusals."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lite as tg
import tinygrad_lite.nn  # tg.nn

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

REFUSALS = (TypeError, ValueError, IndexError, RuntimeError)


def caught_as(error: Exception) -> Any:
    """The exception type by which a program written for PyTorch would catch this error of PyTorch's."""
    if isinstance(error, NotImplementedError):
        return REFUSALS
    return next(kind for kind in (TypeError, ValueError, IndexError, RuntimeError) if isinstance(error, kind))
TOLERANCE = {"float16": 2e-3, "float32": 2e-5, "float64": 1e-9}

Call = Callable[..., Any] | str


class Fixed:
    """An array that is not differentiated."""

    def __init__(self, array: Any):
        self.array = np.asarray(array)
        self.shape = self.array.shape


def both(call: Call) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The function in both libraries: its dotted name, or `lambda m: ...` applied to the library `m`."""
    return tuple(operator.attrgetter(call)(m) if isinstance(call, str) else call(m) for m in (tg, torch))


def compare(
    call: Call,
    *args: Any,
    order: int = 2,
    dtype: Any = None,
    rtol: float | None = None,
    atol: float | None = None,
    **kwargs: Any,
) -> Any:
    """Run `call` on `args` in both libraries and compare everything. Returns our result.

    Arrays among the arguments (also in lists) become tensors; floating-point ones get `dtype` and are differentiated
    `order` times.
    """
    ours, theirs = both(call)
    my_args, your_args = ((given(m, args, dtype), given(m, kwargs, dtype)) for m in (tg, torch))
    xs, ys = leaves(tg, my_args), leaves(torch, your_args)
    if not order:
        for leaf in (*xs, *ys):
            leaf.requires_grad_(False)
    result, expected = ours(*my_args[0], **my_args[1]), theirs(*your_args[0], **your_args[1])
    shapes = [a.shape if hasattr(a, "shape") else a for a in args]
    what = f"{call if isinstance(call, str) else getattr(ours, '__name__', ours)} of {shapes} {kwargs} {dtype or ''}"
    limits = rtol, atol
    a, b = results(result), results(expected)
    assert len(a) == len(b), f"{what}: {len(a)} results, PyTorch gives {len(b)}"
    for x, y in zip(a, b):
        same(x, y, what, limits)
    if order and ys:
        same_gradients(a, b, xs, ys, order, what, limits)
    return result


def refused(call: Call, *args: Any, dtype: Any = None, **kwargs: Any) -> None:
    """Both libraries refuse the call, ours with an error that a program for PyTorch would catch."""
    mine, theirs = both(call)
    with pytest.raises((*REFUSALS, NotImplementedError)) as refusal:
        theirs(*given(torch, args, dtype), **given(torch, kwargs, dtype))
    with pytest.raises(caught_as(refusal.value)):
        mine(*given(tg, args, dtype), **given(tg, kwargs, dtype))


def accepted_or_refused(call: Call, *args: Any, **kwargs: Any) -> None:
    """Compare the call if PyTorch accepts it; otherwise check that we refuse it too."""
    with contextlib.suppress(RuntimeError, ValueError, IndexError, TypeError, NotImplementedError):
        both(call)[1](*given(torch, args, None), **given(torch, kwargs, None))
        compare(call, *args, **kwargs)
        return
    refused(call, *args, **kwargs)


def given(library: Any, value: Any, dtype: Any) -> Any:
    """`value` as an argument for `library`."""
    if isinstance(value, Fixed):
        return given(library, value.array, dtype).requires_grad_(False)
    if isinstance(value, np.ndarray):
        floating = value.dtype.kind == "f"
        value = value.astype(dtype) if dtype is not None and floating else value.copy()
        return library.from_numpy(value).requires_grad_(floating)
    if isinstance(value, (tuple, list)):
        return type(value)(given(library, v, dtype) for v in value)
    if isinstance(value, dict):
        return {k: given(library, v, dtype) for k, v in value.items()}
    return getattr(library, value.name) if isinstance(value, np.dtype) else value


def leaves(library: Any, value: Any) -> list[Any]:
    """The tensors in `value` that require grad."""
    if isinstance(value, library.Tensor):
        return [value] if value.requires_grad else []
    if isinstance(value, dict):
        value = tuple(value.values())
    return [leaf for v in value for leaf in leaves(library, v)] if isinstance(value, (tuple, list)) else []


def results(value: Any) -> list[Any]:
    return [r for v in value for r in results(v)] if isinstance(value, (tuple, list)) else [value]


def same(x: Any, y: Any, what: str, limits: tuple[float | None, float | None]) -> None:
    if not isinstance(y, torch.Tensor):
        assert x == y, f"{what}: {x}, PyTorch gives {y}"
        return
    got, want = x.detach().numpy(), y.detach().numpy(force=True)
    assert got.dtype == want.dtype, f"{what}: dtype {got.dtype}, PyTorch gives {want.dtype}"
    assert got.shape == want.shape, f"{what}: shape {got.shape}, PyTorch gives {want.shape}"
    tolerance = TOLERANCE.get(got.dtype.name, 0)
    rtol, atol = (tolerance if limit is None else limit for limit in limits)
    np.testing.assert_allclose(got, want, rtol=rtol, atol=atol, err_msg=what)


def same_gradients(a: list[Any], b: list[Any], xs: list[Any], ys: list[Any], order: int, what: str, limits: Any) -> None:
    """Compare gradients of a weighted sum of the results, then of a weighted sum of those, and so on."""
    draw = np.random.default_rng(5)
    for n in range(1, order + 1):
        pairs = [(x, y) for x, y in zip(a, b) if isinstance(y, torch.Tensor)]
        if n == 1:
            assert all(x.requires_grad == y.requires_grad for x, y in pairs), f"{what}: results differ in requires_grad"
        pairs = [(x, y) for x, y in pairs if x.requires_grad and y.requires_grad]
        if not pairs:
            return
        weights = [draw.standard_normal(tuple(y.shape)) for _, y in pairs]
        found = []
        for m, outs, ins in ((tg, [x for x, _ in pairs], xs), (torch, [y for _, y in pairs], ys)):
            ws = [m.from_numpy(np.asarray(w)).to(o.dtype) for w, o in zip(weights, outs)]
            found.append(m.autograd.grad(outs, ins, ws, create_graph=n < order, allow_unused=True))
        for x, y, leaf in zip(*found, ys):
            mine = tg.zeros(tuple(leaf.shape), dtype=xs[0].dtype) if x is None else x
            yours = torch.zeros_like(leaf) if y is None else y
            same(mine.to(yours.detach().numpy(force=True).dtype) if x is None else mine, yours, f"{what}: gradient {n}", limits)
        pairs = [(x, y) for x, y in zip(*found) if x is not None and y is not None]
        a, b = [x for x, _ in pairs], [y for _, y in pairs]
