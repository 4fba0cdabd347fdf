"""`check_op`, which finds the check for what it is given."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.nn import Module
from tinygrad_lite.optim import Optimizer
from tinygrad_lite.testing.losses import check_loss
from tinygrad_lite.testing.modules import check_module
from tinygrad_lite.testing.operations import check_function
from tinygrad_lite.testing.optimizers import check_optimizer
from tinygrad_lite.testing.report import Report


def check_op(op: Any, inputs: Any = None, **options: Any) -> Report:
    """Check what a program has written itself: a primitive, a `Function` or another function of Tensors, a Module, a loss (a
    Module with a `reduction`) or an Optimizer subclass.

    Calls `check_function`, `check_module`, `check_loss` or `check_optimizer`, which take the `options`; of all of them:
    `reference`, the same in NumPy; `ignore`, names of checks whose findings do not count; `raise_exception=False`, to get the
    Report where something is wrong instead of an AssertionError with its text. `inputs`: the arguments of one call, in a tuple
    if they are several (an Optimizer takes none).

    >>> import numpy as np
    >>> import tinygrad_lite as tg
    >>> class Square(tg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * x
    >>> check_op(Square, np.array([0.5, -1.0, 2.0]), reference=np.square)
    Traceback (most recent call last):
    AssertionError: Square: 1 thing wrong
      gradient: the gradient of x is wrong by a factor 1/2 (factor 0.5, largest difference 2.55567)
        with x (3,) float64
      checked: value, determinism, gradient, dtype, strides, in place, aliasing, leaks, saved bytes, 0-d, empty and broadcast shapes
    """
    is_class = isinstance(op, type)
    if is_class and issubclass(op, Optimizer):
        if inputs is not None:
            raise TypeError("check_op: an Optimizer takes no inputs; its parameters come from the option shapes")
        return check_optimizer(op, **options)
    if is_class and issubclass(op, Module):
        raise TypeError(f"check_op: expected a Module, got the class {op.__name__}; make one")
    if inputs is None:
        raise TypeError("check_op: inputs is missing: the arguments of one call")
    if isinstance(op, Module):
        return (check_loss if hasattr(op, "reduction") else check_module)(op, inputs, **options)
    return check_function(op, inputs, **options)
