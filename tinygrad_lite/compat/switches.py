"""Switches of PyTorch's internals, so that programs that set them run unchanged."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import set_default_dtype
from tinygrad_lite.ops.creation import conversion

__all__ = [
    "are_deterministic_algorithms_enabled", "channels_last", "channels_last_3d", "contiguous_format",
    "get_float32_matmul_precision", "preserve_format", "set_default_tensor_type", "set_float32_matmul_precision",
    "strided", "use_deterministic_algorithms",
]  # fmt: skip

# Memory formats: operations choose their own, whatever is passed.
contiguous_format, preserve_format = "contiguous_format", "preserve_format"
channels_last, channels_last_3d, strided = "channels_last", "channels_last_3d", "strided"

_precision, _deterministic = "highest", False


def set_default_tensor_type(t: Any) -> None:
    """Set the default dtype by the name of an old tensor type (`DoubleTensor`, or "torch.DoubleTensor")."""
    name = t.__name__ if isinstance(t, type) else str(t)
    kind: Any = vars(conversion).get(name.rpartition(".")[2])
    if "cuda" in name or not hasattr(kind, "dtype"):
        raise TypeError(f"set_default_tensor_type: expected a type of tensors on the CPU, as DoubleTensor, got {t!r}")
    set_default_dtype(kind.dtype)


def set_float32_matmul_precision(precision: str) -> None:
    """Store "highest", "high" or "medium"; float32 products always have full precision."""
    global _precision
    if precision not in ("highest", "high", "medium"):
        raise ValueError(f"set_float32_matmul_precision: expected 'highest', 'high' or 'medium', got {precision!r}")
    _precision = precision


def get_float32_matmul_precision() -> str:
    """The last argument of `set_float32_matmul_precision`."""
    return _precision


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Store `mode`. On a CPU every operation gives the same bits each time; on a GPU, sums with repeated indices (the
    gradient of an embedding) are atomic, in no fixed order."""
    global _deterministic
    _deterministic = bool(mode)


def are_deterministic_algorithms_enabled() -> bool:
    """The last argument of `use_deterministic_algorithms`."""
    return _deterministic
