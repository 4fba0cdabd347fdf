"""What a tensor looks like when printed."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.arrays import device_of, get_default_dtype, quietly, to_numpy
from tinygrad_lite.autograd.node import Node


@quietly
def represent(tensor: Any) -> str:
    """`tensor([1.0000, 2.5000], requires_grad=True)`: four digits, as PyTorch prints by default."""
    array = to_numpy(tensor.array)
    head = "tensor("
    body = np.array2string(array, separator=", ", prefix=head, threshold=1000, **_style(array)) if array.size else "[]"
    notes = []
    if not array.size and array.ndim != 1:
        notes.append(f"size={tuple(array.shape)}")
    device = device_of(tensor.array)
    if device.type != "cpu":
        notes.append(f"device='{device}'")
    if array.dtype not in (get_default_dtype(), np.int64, np.bool_):
        notes.append(f"dtype={array.dtype}")
    if type(tensor.node) is Node:
        notes.append(f"grad_fn={tensor.node}")
    elif tensor.node is not None:
        notes.append("requires_grad=True")
    return head + ", ".join([body, *notes]) + ")"


def _style(array: np.ndarray) -> dict[str, Any]:
    if array.dtype.kind != "f":
        return {}
    finite = array[np.isfinite(array)]
    size = np.abs(finite[finite != 0])
    if size.size and (size.max() / size.min() > 1e5 or size.max() > 1e8 or size.min() < 1e-4) and np.any(finite % 1):
        return {"formatter": {"float_kind": lambda v: f"{v:.4e}"}}
    if not np.any(finite % 1):
        return {"precision": 0, "floatmode": "fixed", "suppress_small": True}
    return {"precision": 4, "floatmode": "fixed", "suppress_small": True}
