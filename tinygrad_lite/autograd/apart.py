"""Several GPUs: what is done to an array is done by the GPU that holds it.

CuPy works on its current GPU, whichever holds the arrays. So once there are several, the forward functions,
the rules and the sums of backward are led to the GPU of the first array that they are given. Where there is
one GPU or none, nothing here is in force.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import FunctionType, ModuleType
from typing import Any

from tinygrad_lite.arrays.gpu import at_home, use_home, when_several
from tinygrad_lite.autograd import anomaly
from tinygrad_lite.engine import grad as backward
from tinygrad_lite.engine import plan


class _Gradients(dict[Any, Any]):
    """The gradients of a walk; whoever takes one out works on its GPU from then on."""

    def pop(self, node: Any, default: Any = None) -> Any:
        return _led_to(super().pop(node, default))

    def __getitem__(self, node: Any) -> Any:
        return _led_to(super().__getitem__(node))

    def get(self, node: Any, default: Any = None) -> Any:
        return _led_to(super().get(node, default))


class _CheckedGradients(anomaly.Checked, _Gradients):
    """The same under detect_anomaly()."""

    def __setitem__(self, node: Any, gradient: Any) -> None:
        super().__setitem__(node, _led_to(gradient))


def _led_to(value: Any) -> Any:
    use_home(value)
    return value


def keep_apart() -> None:
    """From here on, lead every operation to its arrays' GPU."""
    plan.led = led
    anomaly.kinds[:] = _Gradients, _CheckedGradients
    backward.new_gradients = anomaly.new_gradients
    for name in ("_walk", "_starting_gradient", "_unshared", "accumulate"):
        setattr(backward, name, led(getattr(backward, name)))


def led(function: Callable[..., Any], home: Callable[[Any], Any] | None = None) -> Callable[..., Any]:
    """`function`, run on the GPU of the first CuPy array among its arguments; or of `home` of the first of these."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with at_home(*args, *kwargs.values()) if home is None else at_home(home(args[0])):
            return function(*args, **kwargs)

    return call


def lead_all(owner: Any, home: Callable[[Any], Any] | None = None) -> None:
    """Once there are several GPUs, lead the functions of a module, or the methods of a class, whose arrays
    are `home(self)`. A module's functions that wrap others (operations, primitives) lead themselves, and stay
    what they are, since a pickle finds them by their name."""

    def lead() -> None:
        for name, value in list(vars(owner).items()):
            leads_itself = isinstance(owner, ModuleType) and hasattr(value, "__wrapped__")
            if isinstance(value, FunctionType) and not leads_itself and name not in ("__getattr__", "__init__"):
                setattr(owner, name, led(value, home))

    when_several(lead)


when_several(keep_apart)
