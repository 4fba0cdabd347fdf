"""Checks of gradients against finite differences."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.arrays import device_of, to_device, to_numpy
from tinygrad_lite.arrays.errors import MissingRule
from tinygrad_lite.arrays.indexing import overlaps
from tinygrad_lite.autograd.gradients import grad
from tinygrad_lite.engine.tape import Traced, traced


class GradcheckError(RuntimeError):
    """A gradient that disagrees with finite differences.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([1.0], dtype=tg.float64, requires_grad=True)
    >>> try:
    ...     gradcheck(lambda x: x * x.detach(), x)  # half of the gradient of x^2 is cut off
    ... except GradcheckError:
    ...     print("wrong")
    wrong
    """


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    fast_mode: bool = False,
) -> bool:
    """Whether the gradients of `func(*inputs)` agree with central differences of step `eps`.

    Checks every element of every input that requires grad (also with PyTorch's `fast_mode`). These inputs should be
    float64, and none may have elements that share memory; their values are perturbed in place while func runs. A result
    that does not require grad must not depend on them, unless another result does require grad. Backward must give the same
    result twice, up to `nondet_tol`. With `raise_exception`, a disagreement raises and says where it is.
    `check_undefined_grad` and `check_grad_dtypes` have no effect, because both always hold: a missing gradient counts as
    zeros, and a gradient has its input's dtype.

    >>> import tinygrad_lite as tg
    >>> gradcheck(tg.sin, tg.tensor([0.1, 0.2], dtype=tg.float64, requires_grad=True))
    True
    """
    inputs = _inputs(inputs)
    checked = _checked("gradcheck", inputs)
    compare = functools.partial(_compare, func, inputs, checked, eps, atol, rtol, nondet_tol, every_result=False)
    return _agree("gradcheck", compare, raise_exception)


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    fast_mode: bool = False,
) -> bool:
    """Whether the second derivatives of `func(*inputs)` agree with differences of its gradients.

    `grad_outputs`: the cotangents to start from (default: random). See `gradcheck` for the rest.

    >>> import tinygrad_lite as tg
    >>> gradgradcheck(tg.sin, tg.tensor([0.5, 1.0], dtype=tg.float64, requires_grad=True))
    True
    """
    inputs = _inputs(inputs)
    _checked("gradgradcheck", inputs)
    outputs = [o for o in _outputs(func, inputs) if o.node is not None]
    if not outputs:  # constant or detached
        return gradcheck(func, inputs, eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception)
    if grad_outputs is None:
        draw = np.random.default_rng(0)
        grad_outputs = [_like(o, draw.standard_normal(o.array.shape)) for o in outputs]
        for cotangent in grad_outputs:
            cotangent.requires_grad_()
    cotangents = _inputs(grad_outputs)
    count = len(inputs)

    def gradients(*arguments: Any) -> tuple[Any, ...]:
        xs, gs = arguments[:count], arguments[count:]
        found = grad(
            [o for o in _outputs(func, xs) if o.node is not None],
            [x for x in xs if isinstance(x, Traced) and x.node is not None],
            gs,
            create_graph=True,
            allow_unused=True,
        )
        return tuple(g for g in found if g is not None)

    arguments = (*inputs, *cotangents)
    # A gradient that does not require grad is constant, or its rule lost its dependencies.
    compare = functools.partial(_compare, gradients, arguments, _places(arguments), eps, atol, rtol, nondet_tol, every_result=True)
    return _agree("gradgradcheck", compare, raise_exception)


def _agree(name: str, compare: Callable[[], None], raise_exception: bool) -> bool:
    """Whether `compare` finds agreement; with `raise_exception`, a disagreement raises."""
    try:
        compare()
    except (GradcheckError, MissingRule) as error:
        if not raise_exception:
            return False
        if isinstance(error, MissingRule):
            raise GradcheckError(f"{name}: {error}") from error
        raise
    return True


def _inputs(inputs: Any) -> tuple[Any, ...]:
    return tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)


def _places(inputs: Sequence[Any]) -> list[int]:
    """The positions of the inputs that require grad."""
    return [i for i, x in enumerate(inputs) if isinstance(x, Traced) and x.node is not None]


def _checked(name: str, inputs: Sequence[Any]) -> list[int]:
    """The same positions, after checking that finite differences are possible there."""
    places = _places(inputs)
    if not places:
        raise ValueError(f"{name}: expected at least one input that requires grad, none does")
    for i in places:
        array = inputs[i].array
        if overlaps(array.shape, tuple(map(abs, array.strides))):
            raise RuntimeError(
                f"{name}: several elements of input {i} share one place in memory (is it expanded?), so they cannot be perturbed "
                "one by one; call contiguous() on it first"
            )
        if array.dtype != np.float64:
            warnings.warn(
                f"{name}: input {i} is {array.dtype}, where differences over a step of eps are mostly rounding error; "
                "use float64, or the check is likely to fail",
                stacklevel=3,
            )
    return places


def _compare(
    func: Callable[..., Any],
    inputs: Sequence[Any],
    checked: list[int],
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
    every_result: bool,
) -> None:
    """Raise a GradcheckError unless the tape and finite differences agree."""
    before = [to_numpy(inputs[i].array).copy() for i in checked]
    outputs = _outputs(func, inputs)
    for i, values in zip(checked, before):
        if not np.array_equal(values, to_numpy(inputs[i].array), equal_nan=True):
            raise GradcheckError(f"gradcheck: func changes input {i} in place; let it change a clone()")
    every_result = every_result or all(o.node is None for o in outputs)
    places = [place for place, o in enumerate(outputs) if o.node is not None or every_result]
    analytic = {place: _analytic(place, outputs[place], [inputs[i] for i in checked], nondet_tol) for place in places}
    for number, i in enumerate(checked):
        numeric = _numeric(func, inputs, i, len(outputs), eps)
        for place in places:
            rows = analytic[place][number]
            columns = numeric[place].reshape(rows.shape)
            if np.allclose(rows, columns, rtol=rtol, atol=atol):
                continue
            error = np.where(np.isclose(rows, columns, rtol=rtol, atol=atol), 0, np.abs(rows - columns))
            worst = np.unravel_index(np.argmax(np.nan_to_num(error, nan=np.inf)), rows.shape)
            raise GradcheckError(
                f"gradcheck: output {place}, element {worst[0]}, with respect to input {i}, element {worst[1]}: "
                f"the tape says {rows[worst]:.8g}, finite differences say {columns[worst]:.8g}"
                + _reason(func, inputs, i, outputs[place], place)
            )


def _reason(func: Callable[..., Any], inputs: Sequence[Any], i: int, output: Any, place: int) -> str:
    """The likely reason for a disagreement."""
    if output.node is None:
        return "; the output does not require grad: it was detached, or computed on arrays or under no_grad()"
    again = _outputs(func, inputs)[place]
    if not np.array_equal(to_numpy(output.array), to_numpy(again.array), equal_nan=True):
        return "; func returns other values each time it is called, with the same inputs"
    single = [str(t.array.dtype) for t in (inputs[i], output) if t.array.dtype != np.float64]
    return f"; use float64, {single[0]} is too coarse for a step of eps" if single else ""


def _outputs(func: Callable[..., Any], inputs: Sequence[Any]) -> list[Any]:
    result = func(*inputs)
    outputs = [o for o in (result if isinstance(result, (tuple, list)) else (result,)) if isinstance(o, Traced)]
    if not outputs and not isinstance(result, tuple):
        raise TypeError(f"gradcheck: expected func to return Tensors, got {type(result).__name__}")
    return outputs


def _like(tensor: Traced, values: np.ndarray) -> Any:
    """A leaf tensor of `values` with the dtype and device of `tensor`."""
    return traced(to_device(values.astype(tensor.array.dtype), device_of(tensor.array)))


def _analytic(place: int, output: Any, inputs: list[Any], nondet_tol: float) -> list[np.ndarray]:
    """The Jacobians of `output`, number `place`, with a row per element."""
    count = output.array.size
    if output.node is None:
        return [np.zeros((count, x.array.size)) for x in inputs]

    def gradients(cotangent: np.ndarray) -> list[np.ndarray]:
        given = _like(output, cotangent.reshape(output.array.shape))
        found = grad(output, inputs, given, retain_graph=True, allow_unused=True)
        return [np.zeros(x.array.size) if g is None else to_numpy(g.array).ravel() for x, g in zip(inputs, found)]

    def jacobians() -> list[np.ndarray]:
        rows = [gradients(row) for row in np.eye(count)]
        return [np.array([row[j] for row in rows], np.float64).reshape(count, x.array.size) for j, x in enumerate(inputs)]

    first = jacobians()
    if any((np.abs(a - b) > nondet_tol).any() for a, b in zip(first, jacobians())):
        raise GradcheckError(
            f"gradcheck: backward of output {place} gives other gradients each time it runs, by more than nondet_tol={nondet_tol}"
        )
    if any(g.any() and np.isfinite(g).all() for g in gradients(np.zeros(count))):
        raise GradcheckError(f"gradcheck: a rule behind output {place} is not multiplied by g: it makes other numbers of zeros")
    return first


def _numeric(func: Callable[..., Any], inputs: Sequence[Any], i: int, count: int, eps: float) -> list[np.ndarray]:
    """The Jacobians of the `count` outputs by central differences, with a column per element of input i."""
    array = inputs[i].array
    columns: list[list[np.ndarray]] = [[] for _ in range(count)]
    for place in np.ndindex(array.shape):
        known = array[place].item()
        sides = []
        try:
            for step in (eps, -eps):
                array[place] = known + step
                sides.append([to_numpy(o.array).astype(np.float64).ravel() for o in _outputs(func, inputs)])
        finally:
            array[place] = known
        if any(len(side) != count or side[k].size != sides[0][k].size for side in sides for k in range(count)):
            raise GradcheckError("gradcheck: func does not always return as many outputs, of the same shapes")
        for column, up, down in zip(columns, *sides):
            column.append((up - down) / (2 * eps))
    return [np.array(column).reshape(array.size, -1).T if array.size else np.zeros((0, 0)) for column in columns]
