"""Gradients held against finite differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lite.arrays import device_of, to_device, to_numpy
from tinygrad_lite.autograd.backward import grad
from tinygrad_lite.autograd.node import Traced, traced


class GradcheckError(RuntimeError):
    """A gradient that finite differences do not confirm.

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
) -> bool:
    """Whether the gradients of `func(*inputs)` agree with central differences of step `eps`.

    Every input that requires grad is checked, element by element; they should be float64. With
    `raise_exception` a disagreement raises and says where.

    >>> import tinygrad_lite as tg
    >>> gradcheck(tg.sin, tg.tensor([0.1, 0.2], dtype=tg.float64, requires_grad=True))
    True
    """
    inputs = (inputs,) if isinstance(inputs, Traced) else tuple(inputs)
    checked = [i for i, x in enumerate(inputs) if isinstance(x, Traced) and x.node is not None]
    if not checked:
        raise ValueError("gradcheck: expected at least one input that requires grad")
    try:
        outputs = _outputs(func, inputs)
        for place, output in enumerate(outputs):
            if output.node is None:
                continue
            analytic = _analytic(output, [inputs[i] for i in checked])
            for i, rows in zip(checked, analytic):
                columns = _numeric(func, inputs, i, place, eps)
                if not np.allclose(rows, columns, rtol=rtol, atol=atol, equal_nan=True):
                    worst = np.unravel_index(np.argmax(np.nan_to_num(np.abs(rows - columns), nan=np.inf)), rows.shape)
                    raise GradcheckError(
                        f"gradcheck: output {place}, element {worst[0]}, with respect to input {i}, element {worst[1]}: "
                        f"the tape says {rows[worst]:.8g}, finite differences say {columns[worst]:.8g}"
                    )
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
) -> bool:
    """Whether the second derivatives of `func(*inputs)` agree with differences of its gradients.

    `grad_outputs`: the cotangents to start from; drawn at random where not given.

    >>> import tinygrad_lite as tg
    >>> gradgradcheck(tg.sin, tg.tensor([0.5, 1.0], dtype=tg.float64, requires_grad=True))
    True
    """
    inputs = (inputs,) if isinstance(inputs, Traced) else tuple(inputs)
    outputs = [o for o in _outputs(func, inputs) if o.node is not None]
    if grad_outputs is None:
        draw = np.random.default_rng(0)
        grad_outputs = [_like(o, draw.standard_normal(o.array.shape)) for o in outputs]
        for cotangent in grad_outputs:
            cotangent.requires_grad_()
    cotangents = (grad_outputs,) if isinstance(grad_outputs, Traced) else tuple(grad_outputs)
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
        return tuple(g for g in found if g is not None and g.node is not None)

    return gradcheck(gradients, (*inputs, *cotangents), eps=eps, atol=atol, rtol=rtol, raise_exception=raise_exception)


def _outputs(func: Callable[..., Any], inputs: Sequence[Any]) -> list[Any]:
    result = func(*inputs)
    return [o for o in (result if isinstance(result, (tuple, list)) else (result,)) if isinstance(o, Traced)]


def _like(tensor: Traced, values: np.ndarray) -> Any:
    """A leaf tensor of `values` with the dtype and the device of `tensor`."""
    return traced(to_device(values.astype(tensor.array.dtype), device_of(tensor.array)))


def _analytic(output: Any, inputs: list[Any]) -> list[np.ndarray]:
    """Jacobians of `output`, a row for each of its elements."""
    rows: list[list[np.ndarray]] = [[] for _ in inputs]
    for k in range(output.array.size):
        unit = np.zeros(output.array.size)
        unit[k] = 1
        found = grad(output, inputs, _like(output, unit.reshape(output.array.shape)), retain_graph=True, allow_unused=True)
        for into, x, g in zip(rows, inputs, found):
            into.append(np.zeros(x.array.size) if g is None else to_numpy(g.array).ravel())
    return [np.array(r).reshape(output.array.size, x.array.size) for r, x in zip(rows, inputs)]


def _numeric(func: Callable[..., Any], inputs: Sequence[Any], i: int, place: int, eps: float) -> np.ndarray:
    """The Jacobian of output number `place` by central differences, a column for each element."""
    base = to_numpy(inputs[i].array).astype(np.float64)
    columns = []
    for k in range(base.size):
        sides = []
        for sign in (1, -1):
            moved = base.copy().ravel()
            moved[k] += sign * eps
            replaced = list(inputs)
            replaced[i] = _like(inputs[i], moved.reshape(base.shape))
            replaced[i].requires_grad_()
            sides.append(to_numpy(_outputs(func, replaced)[place].array).astype(np.float64).ravel())
        columns.append((sides[0] - sides[1]) / (2 * eps))
    return np.array(columns).T.reshape(-1, base.size)
