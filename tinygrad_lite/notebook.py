"""What notebooks show of tensors and modules: HTML with its styles inside, for dark and light, and pictures as data."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np

from tinygrad_lite.arrays import device_of, quietly, to_numpy
from tinygrad_lite.arrays.devices import is_default

_LINE = "1px solid rgba(128, 128, 128, .4)"
_QUIET = "opacity: .7; font-size: 90%"
_SIDE = 64  # rows and columns of the picture of a larger array, of which evenly spaced elements are shown
_PIXELS = 192  # the longer side of a picture on the screen
_MODULES = 200  # in the outline of a model
# As in the page of a tape: blue above zero, orange below, stronger the nearer to the largest magnitude.
_POSITIVE, _NEGATIVE, _NAN, _INFINITE = (37, 105, 235), (232, 93, 4), (217, 70, 239), (234, 179, 8)


def heat_map(array: np.ndarray, label: str) -> str:
    """An array of numbers as an image, its last dim to the right and the others down; "" if there is nothing to see."""
    if array.dtype.kind not in "fiub" or array.size < 2:
        return ""
    rows = array.reshape(1, -1) if array.ndim < 2 else array.reshape(-1, array.shape[-1])
    if len(rows) == 1 and rows.size > _SIDE:  # a long vector in rows, the last of them filled up with zeros
        rows = np.pad(rows[0], (0, -rows.size % _SIDE)).reshape(-1, _SIDE)
    steps = [-(-side // _SIDE) for side in rows.shape]
    numbers = rows[:: steps[0], :: steps[1]].astype(np.float64)
    finite = np.isfinite(numbers)
    most = np.abs(numbers[finite]).max(initial=0.0)
    with np.errstate(all="ignore"):
        strength = np.abs(np.where(finite, numbers, 0)) / (most or 1)
    pixels = np.empty((*numbers.shape, 4), np.uint8)
    pixels[..., :3] = np.where((numbers < 0)[..., None], _NEGATIVE, _POSITIVE)
    pixels[..., 3] = np.rint(255 * strength)
    pixels[np.isnan(numbers)] = (*_NAN, 255)
    pixels[np.isinf(numbers)] = (*_INFINITE, 255)
    height, width = (max(1, round(side * min(16, _PIXELS / max(numbers.shape)))) for side in numbers.shape)
    style = f"width: {width}px; height: {height}px; image-rendering: pixelated; border: {_LINE}; margin: 0; max-width: none"
    data = base64.b64encode(_png(pixels)).decode()
    return f'<img alt="{escape(label)}" title="{escape(label)}" style="{style}" src="data:image/png;base64,{data}">'


def _png(pixels: np.ndarray) -> bytes:
    """The file of an image of shape (rows, columns, 4), without a filter."""
    height, width, _ = pixels.shape
    lines = np.zeros((height, 1 + 4 * width), np.uint8)
    lines[:, 1:] = pixels.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    chunks = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def histogram(counts: Sequence[int], label: str) -> str:
    """Counts as bars; "" if there are none."""
    most = max(counts, default=0)
    heights = [48 * count / max(most, 1) for count in counts]
    bars = "".join(f'<rect x="{8 * i}" y="{48 - tall:.1f}" width="7" height="{tall:.1f}"/>' for i, tall in enumerate(heights) if tall)
    size = f'width="{8 * len(counts)}" height="48"'
    return f'<svg {size} role="img" aria-label="{escape(label)}" style="fill: rgb{_POSITIVE}">{bars}</svg>' if bars else ""


def panel(title: str, *parts: str) -> str:
    """A frame with a heading; both are HTML already."""
    body = "".join(part for part in parts if part)
    return f'<div style="border: {_LINE}; border-radius: 6px; padding: 8px 12px; margin: 4px 0"><div>{title}</div>{body}</div>'


def figure(caption: str, picture: str, under: str = "") -> str:
    """A picture, which is HTML already, between two texts."""
    texts = [f'<div style="{_QUIET}">{escape(text)}</div>' if text else "" for text in (caption, under)]
    return f'<div style="display: inline-block; vertical-align: top; margin: 6px 18px 0 0">{texts[0]}{picture}{texts[1]}</div>'


def code(text: str) -> str:
    return f'<pre style="max-height: 240px; overflow: auto; margin: 6px 0 0; font-size: 90%">{escape(text)}</pre>'


def quiet(text: str) -> str:
    return f'<span style="{_QUIET}">{escape(text)}</span>'


@quietly
def of_tensor(tensor: Any) -> str:
    """Shape, dtype and place of a tensor, its values as numbers and as a heat map, and its gradient if it has one."""
    array = to_numpy(tensor.array)
    facts = [str(tuple(array.shape)), str(array.dtype)]
    device = device_of(tensor.array)
    if not is_default(device):
        facts.append(str(device))
    if tensor.node is not None:
        facts.append("requires grad" if tensor.is_leaf else f"grad_fn {tensor.node}")
    parts = [code(repr(tensor)), figure("values", heat_map(array, "values"), statistics(array)) if array.size > 1 else ""]
    grad = tensor.grad if tensor.is_leaf else None
    if grad is not None:
        values = to_numpy(grad.array)
        parts.append(figure("grad", heat_map(values, "gradient") or escape(repr(grad)), statistics(values)))
    return panel(f"<b>{escape(type(tensor).__name__)}</b> {quiet(' · '.join(facts))}", *parts)


def statistics(array: np.ndarray) -> str:
    """`mean 0.5, std 0.1, from 0 to 1`, of the finite elements, and how many others there are."""
    if array.dtype.kind not in "fiub" or array.size < 2:
        return ""
    finite = array[np.isfinite(array)]
    if not finite.size:
        return "no finite values"
    others = f", {array.size - finite.size} not finite" if finite.size < array.size else ""
    mean, std = finite.mean(dtype=np.float64), finite.std(dtype=np.float64)
    return f"mean {mean:.4g}, std {std:.4g}, from {finite.min():.4g} to {finite.max():.4g}{others}"


def of_module(module: Any) -> str:
    """The outline of a model: each module with its settings and the number of its parameters."""
    left = [_MODULES]
    outline = _outline("", module, left, top=True)
    return panel(outline, quiet(f"and {-left[0]} more modules") if left[0] < 0 else "")


def _outline(name: str, module: Any, left: list[int], top: bool = False) -> str:
    left[0] -= 1
    if left[0] < 0:
        left[0] -= sum(1 for _ in module.modules()) - 1
        return ""
    count = sum(math.prod(parameter.array.shape) for parameter in module.parameters())
    settings = module.extra_repr().replace("\n", ", ")
    parameters = quiet(f"{count:,} parameter{'s' * (count != 1)}") if count else ""
    line = f"{quiet(name)} <b>{escape(type(module).__name__)}</b>{f'({escape(settings)})' if settings else ''} {parameters}"
    children = "".join(_outline(key, child, left) for key, child in module._modules.items() if child is not None)
    if not children:
        return f'<div style="margin-left: 18px">{line}</div>'
    opened = " open" if top else ""
    return f'<details{opened} style="margin-left: {0 if top else 18}px"><summary>{line}</summary>{children}</details>'
