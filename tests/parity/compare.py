"""The same call here and in PyTorch: values, dtypes, shapes, first and second gradients, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")
torch.set_num_threads(1)

REFUSALS = (TypeError, ValueError, IndexError, RuntimeError)
TOLERANCE = {"float16": 2e-3, "float32": 2e-5, "float64": 1e-9}

Call = Callable[..., Any] | str


def both(call: Call) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """A function of the library `m` given as `lambda m: ...`, or its dotted name, in both libraries."""
    if isinstance(call, str):

        found = []
        for library in (tg, torch):
            for name in call.split("."):
                library = getattr(library, name)
            found.append(library)
        return found[0], found[1]
    return call(tg), call(torch)


def compare(call: Call, *args: Any, order: int = 2, dtype: Any = None, rtol: float | None = None, atol: float | None = None, **kwargs: Any) -> Any:
    """Run `call` on `args` in both libraries and compare all there is.

    `call`: a dotted name ("nn.functional.relu") or a function of the library. Arrays among the
    arguments (also in lists) become tensors; floating ones get `dtype` and are differentiated by,
    `order` times. Returns our result.
    """
    ours, theirs = both(call)
    mine, yours = _given(tg, args, dtype), _given(torch, args, dtype)
    my_kwargs, your_kwargs = _given(tg, kwargs, dtype), _given(torch, kwargs, dtype)
    my_inputs, your_inputs = _leaves(tg, (mine, my_kwargs)), _leaves(torch, (yours, your_kwargs))
    if not order:
        for x in (*my_inputs, *your_inputs):
            x.requires_grad_(False)
    result, expected = ours(*mine, **my_kwargs), theirs(*yours, **your_kwargs)
    what = f"{call if isinstance(call, str) else ours} of {[a.shape if hasattr(a, 'shape') else a for a in args]} {kwargs}"
    limits = (rtol, atol)
    a, b = _results(result), _results(expected)
    assert len(a) == len(b), f"{what}: {len(a)} results, PyTorch gives {len(b)}"
    for x, y in zip(a, b):
        _same(x, y, what, limits)
    if order:
        _same_gradients(a, b, my_inputs, your_inputs, order, what, limits)
    return result


def refused(call: Call, *args: Any, dtype: Any = None, **kwargs: Any) -> None:
    """Both libraries refuse the call."""
    for library, function in zip((tg, torch), both(call)):
        with pytest.raises((*REFUSALS, NotImplementedError) if library is torch else REFUSALS):
            function(*_given(library, args, dtype), **_given(library, kwargs, dtype))


def _given(library: Any, value: Any, dtype: Any) -> Any:
    if isinstance(value, np.ndarray):
        floating = value.dtype.kind == "f"
        value = value.astype(dtype) if dtype is not None and floating else value.copy()
        return library.from_numpy(value).requires_grad_(floating)
    if isinstance(value, (tuple, list)):
        return type(value)(_given(library, v, dtype) for v in value)
    if isinstance(value, dict):
        return {k: _given(library, v, dtype) for k, v in value.items()}
    return getattr(library, value.name) if isinstance(value, np.dtype) else value


def _leaves(library: Any, value: Any) -> list[Any]:
    if isinstance(value, library.Tensor):
        return [value] if value.requires_grad else []
    if isinstance(value, dict):
        value = value.values()
    return [leaf for v in value for leaf in _leaves(library, v)] if not isinstance(value, str) and hasattr(value, "__iter__") else []


def _results(value: Any) -> list[Any]:
    return [r for v in value for r in _results(v)] if isinstance(value, (tuple, list)) else [value]


def _same(x: Any, y: Any, what: str, limits: Any) -> None:
    if not isinstance(y, torch.Tensor):
        assert x == y, f"{what}: {x}, PyTorch gives {y}"
        return
    got, want = x.detach().numpy(), y.detach().numpy(force=True)  # force: PyTorch has tensors of zeros without memory
    assert got.dtype == want.dtype, f"{what}: dtype {got.dtype}, PyTorch gives {want.dtype}"
    assert got.shape == want.shape, f"{what}: shape {got.shape}, PyTorch gives {want.shape}"
    tolerance = TOLERANCE.get(got.dtype.name, 0)
    rtol, atol = (tolerance if limit is None else limit for limit in limits)
    np.testing.assert_allclose(got, want, rtol=rtol, atol=atol, err_msg=what)


def _same_gradients(a: list[Any], b: list[Any], xs: list[Any], ys: list[Any], order: int, what: str, limits: Any) -> None:
    """Gradients of a weighted sum of the results, then of a weighted sum of those, and so on."""
    draw = np.random.default_rng(5)
    for n in range(1, order + 1):
        live = [i for i, y in enumerate(b) if isinstance(y, torch.Tensor) and y.requires_grad]
        mine = [i for i, x in enumerate(a) if isinstance(x, tg.Tensor) and x.requires_grad]
        assert mine == live, f"{what}: gradient {n}: results {mine} require grad, in PyTorch {live}"
        if not live or not ys:
            return
        weights = [np.asarray(draw.standard_normal(b[i].shape)).astype(b[i].detach().numpy().dtype) for i in live]
        more = n < order
        ours = tg.autograd.grad([a[i] for i in live], xs, [tg.from_numpy(w) for w in weights], create_graph=more, allow_unused=True)
        theirs = torch.autograd.grad([b[i] for i in live], ys, [torch.from_numpy(w) for w in weights], create_graph=more, allow_unused=True)
        filled = []
        for x, y, like in zip(ours, theirs, ys):
            zero = np.zeros(like.shape, like.detach().numpy().dtype)
            _same(
                tg.from_numpy(zero) if x is None else x, torch.from_numpy(zero) if y is None else y, f"{what}: gradient {n}", limits
            )
            filled.append((x, y))
        a = [x for x, y in filled if x is not None and y is not None and y.requires_grad]
        b = [y for x, y in filled if x is not None and y is not None and y.requires_grad]
        a = [x if x.requires_grad else x.detach() for x in a]
        if any(not x.requires_grad for x in a):  # zero by our rules, a graph of zeros in PyTorch
            keep = [i for i, x in enumerate(a) if x.requires_grad]
            a, b = [a[i] for i in keep], [b[i] for i in keep]
