"""Several GPUs: what is done to an array is done by the GPU that holds it.

CuPy works on its current GPU, whichever holds the arrays. So once there are several, the forward functions,
the rules and the sums of backward are led to the GPU of the first array that they are given. Where there is
one GPU or none, nothing here is in force.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tinygrad_lite.arrays.gpu import at_home, use_home, when_several
from tinygrad_lite.autograd import anomaly, backward, primitive


class _Gradients(dict[Any, Any]):
    """The gradients of a walk; whoever takes one out works on its GPU from then on."""

    def pop(self, node: Any, default: Any = None) -> Any:
        return _led_to(super().pop(node, default))

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
    primitive.led = led
    for known in primitive.REGISTRY.values():
        known.lead()
    backward.new_gradients = _Gradients
    anomaly.kinds[:] = _Gradients, _CheckedGradients
    backward._walk, backward.accumulate = led(backward._walk), led(backward.accumulate)


def led(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, run on the GPU of the first CuPy array among its arguments."""

    @functools.wraps(function)
    def call(*args: Any) -> Any:
        with at_home(*args):
            return function(*args)

    return call


when_several.append(keep_apart)
