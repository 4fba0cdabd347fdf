"""Window functions: weights that fall off towards both ends of a signal.

`periodic` windows are for spectral analysis: a window with one more element, without its last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lite.arrays import default_device, float64, to_device
from tinygrad_lite.arrays.errors import Refusal
from tinygrad_lite.ops.arguments import integer
from tinygrad_lite.ops.creation.factories import as_made, creator, dtype_or_default
from tinygrad_lite.ops.typing import AnyTensor

__all__ = ["bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window"]


def _window(length: int, periodic: bool, options: dict[str, Any], weight: Callable[[Any], Any]) -> Any:
    """`weight(t)` at `length` points t from 0 to 1, computed on the CPU because a window is created once."""
    length, dtype = integer("window_length", length), dtype_or_default(options.get("dtype"))
    if length < 0 or dtype.kind != "f":
        raise Refusal(argument="length", expected="a length of 0 or more and a floating-point dtype", got=f"{length} and {dtype}")
    places = np.arange(length, dtype=float64)
    out = weight(places / (length if periodic else length - 1)) if length > 1 else places + 1
    device = default_device() if options.get("device") is None else options["device"]
    return as_made(to_device(out.astype(dtype, copy=False), device), options.get("requires_grad", False))


@creator
def bartlett_window(window_length: int, periodic: bool = True, **options: Any) -> AnyTensor:
    """A triangle: `1 - abs(2 t - 1)`.

    >>> import tinygrad_lite as tg
    >>> tg.bartlett_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _window(window_length, periodic, options, lambda t: 1 - np.abs(2 * t - 1))


@creator
def blackman_window(window_length: int, periodic: bool = True, **options: Any) -> AnyTensor:
    """`0.42 - cos(2 pi t) / 2 + 0.08 cos(4 pi t)`.

    >>> import tinygrad_lite as tg
    >>> tg.blackman_window(5, periodic=False)[1:4]
    tensor([0.3400, 1.0000, 0.3400])
    """

    def weight(t: Any) -> Any:
        return 0.42 - 0.5 * np.cos(2 * math.pi * t) + 0.08 * np.cos(4 * math.pi * t)

    return _window(window_length, periodic, options, weight)


@creator
def hamming_window(window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, **options: Any) -> AnyTensor:
    """`alpha - beta cos(2 pi t)`.

    >>> import tinygrad_lite as tg
    >>> tg.hamming_window(4)
    tensor([0.0800, 0.5400, 1.0000, 0.5400])
    """
    return _window(window_length, periodic, options, lambda t: alpha - beta * np.cos(2 * math.pi * t))


@creator
def hann_window(window_length: int, periodic: bool = True, **options: Any) -> AnyTensor:
    """`sin(pi t)**2`.

    >>> hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return _window(window_length, periodic, options, lambda t: np.sin(math.pi * t) ** 2)


@creator
def kaiser_window(window_length: int, periodic: bool = True, beta: float = 12.0, **options: Any) -> AnyTensor:
    """`i0(beta sqrt(1 - (2 t - 1)**2)) / i0(beta)`, with the modified Bessel function i0.

    >>> import tinygrad_lite as tg
    >>> tg.kaiser_window(3, periodic=False, beta=0.0)
    tensor([1., 1., 1.])
    """

    def weight(t: Any) -> Any:
        return np.i0(beta * np.sqrt(np.maximum(1 - (2 * t - 1) ** 2, 0))) / np.i0(beta)

    return _window(window_length, periodic, options, weight)
