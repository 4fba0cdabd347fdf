"""The printed form of tensors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lite.arrays import device_of, get_default_dtype, quietly, to_numpy
from tinygrad_lite.arrays.devices import is_default
from tinygrad_lite.engine.tape import Node


class Options(NamedTuple):
    """`precision`: digits after the point. Tensors with more than `threshold` elements show `edgeitems` at both ends of
    each dim. `sci_mode`: scientific notation always or never; None: when it fits better."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES = {"default": Options(), "short": Options(precision=2, edgeitems=2), "full": Options(threshold=math.inf)}
_options = Options()


def set_printoptions(
    precision: int | None = None, threshold: float | None = None, edgeitems: int | None = None, linewidth: int | None = None,
    profile: str | None = None, sci_mode: bool | None = None,
) -> None:  # fmt: skip
    """Change how tensors are printed; `profile` starts from "default", "short" or "full"."""
    global _options
    if profile is not None and profile not in _PROFILES:
        raise ValueError(f"set_printoptions: expected a profile among {', '.join(_PROFILES)}, got {profile!r}")
    given: dict[str, Any] = {"precision": precision, "threshold": threshold, "edgeitems": edgeitems, "linewidth": linewidth}
    start = _options if profile is None else _PROFILES[profile]
    _options = start._replace(sci_mode=sci_mode, **{name: value for name, value in given.items() if value is not None})


@quietly
def represent(tensor: Any) -> str:
    """`tensor([1.0000, 2.5000], requires_grad=True)`, formatted as in PyTorch."""
    array = to_numpy(tensor.array)
    head = "tensor("
    notes = []
    device = device_of(tensor.array)
    if not is_default(device):
        notes.append(f"device='{device}'")
    if not array.size and array.ndim != 1:
        notes.append(f"size={tuple(array.shape)}")
    if array.dtype != get_default_dtype() and (not array.size or array.dtype not in (np.int64, np.bool_)):
        notes.append(f"dtype={array.dtype}")
    if type(tensor.node) is Node:
        notes.append(f"grad_fn={tensor.node}")
    elif tensor.node is not None:
        notes.append("requires_grad=True")
    text = head + (_text(array, len(head)) if array.size else "[]")
    used = len(text) - text.rfind("\n") + 1
    for note in notes:
        if used + len(note) + 2 > _options.linewidth:
            text, used = f"{text},\n{' ' * len(head)}{note}", len(head) + len(note)
        else:
            text, used = f"{text}, {note}", used + len(note) + 2
    return text + ")"


def _text(array: np.ndarray, indent: int) -> str:
    if array.size > _options.threshold:
        array = _ends(array)
        return _nested(array, indent, *_format(array.data[~array.mask]))
    return _nested(np.ma.array(array), indent, *_format(array.reshape(-1)))


def _ends(array: np.ndarray) -> np.ma.MaskedArray:
    """The first and last elements along each dim, with a masked one in between for the omitted ones."""
    edge = _options.edgeitems
    mask = np.zeros(array.shape, bool)
    for dim, n in enumerate(array.shape):
        if n > 2 * edge:
            places = [*range(edge), edge, *range(n - edge, n)]
            array, mask = array.take(places, dim), mask.take(places, dim)
            mask[(slice(None),) * dim + (edge,)] = True
    return np.ma.array(array, mask=mask)


def _nested(array: np.ma.MaskedArray, indent: int, form: Callable[[Any], str], width: int) -> str:
    if not array.ndim:
        return form(array.item())
    if array.ndim > 1:
        rows = ["..." if np.all(np.ma.getmaskarray(row)) else _nested(row, indent + 1, form, width) for row in array]
        return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(rows) + "]"
    items = [" ..." if hidden else form(item) for item, hidden in zip(array.data.tolist(), np.ma.getmaskarray(array))]
    count = max(1, (_options.linewidth - indent) // (width + 2))
    lines = [", ".join(items[i : i + count]) for i in range(0, len(items), count)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def _format(values: np.ndarray) -> tuple[Callable[[Any], str], int]:
    """The format function for `values`, and their width."""
    if values.dtype.kind != "f":
        width = max(len(str(value)) for value in values.tolist())
        return lambda value: str(value).rjust(width), width
    digits = _options.precision
    numbers = values[np.isfinite(values) & (values != 0)].astype(np.float64)
    whole = not (numbers % 1).any()
    scientific = _options.sci_mode
    if scientific is None:
        sizes = np.abs(numbers)
        low, high = (sizes.min(), sizes.max()) if sizes.size else (1.0, 1.0)
        scientific = bool(high / low > 1000 or high > 1e8 or (low < 1e-4 and not whole))
    form = f".{digits}e" if scientific else ".0f" if whole else f".{digits}f"

    def write(value: float) -> str:
        return f"{value:{form}}" + "." * (whole and not scientific and math.isfinite(value))

    width = max((len(write(value)) for value in numbers.tolist()), default=1)
    return lambda value: write(value).rjust(width), width
