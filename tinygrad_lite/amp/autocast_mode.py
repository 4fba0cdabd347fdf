"""`autocast` casts nothing here and says so: operations run in the dtypes of their inputs. `model.half()` converts a
model to half precision."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

__all__ = ["autocast"]


class autocast:
    """A block (or a decorated function) in which operations run in the dtypes of their inputs.

    With `enabled=False` it behaves as in PyTorch. Enabled, it warns once per call site and runs in full precision, as
    PyTorch does for a dtype that the device does not support.

    >>> with autocast("cpu", enabled=False):
    ...     pass
    """

    def __init__(self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None):
        if not isinstance(device_type, str):
            raise ValueError(f"autocast: expected device_type of type str, got {type(device_type).__name__}")
        if device_type not in ("cpu", "cuda", "mps", "xpu"):
            raise RuntimeError(f"autocast: expected 'cpu' or 'cuda' for device_type, got {device_type!r}")
        self.device, self.fast_dtype = device_type, dtype
        if enabled:
            warnings.warn("autocast: there is no mixed precision here; this runs in the dtype of its inputs", stacklevel=2)

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return call
