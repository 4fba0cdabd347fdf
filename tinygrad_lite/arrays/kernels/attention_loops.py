"""Attention in one call for all batches and heads, which threads share."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np

from tinygrad_lite.arrays.compiling import available
from tinygrad_lite.arrays.kernels.attention_ir import FLOAT32, ROWS, attend_back_part, attend_part
from tinygrad_lite.arrays.loops import SMALLEST
from tinygrad_lite.arrays.memory import start_of
from tinygrad_lite.arrays.threads import get_num_threads
from tinygrad_lite.arrays.tiles import packed_size, width_of
from tinygrad_lite.arrays.workers import PARTS, in_parts

_LONGEST = 512  # queries and keys; with more, the scores outgrow the cache and BLAS is as fast


def attend(weights: Any, query: Any, key: Any, value: Any, out: Any, mask: Any, causal: bool, scale: float) -> bool:
    """Do what `attention` does for arrays with equal leading dims; False if there is no compiled form. Then nothing has
    changed."""
    arrays = [weights, query, key, value, out, weights if mask is None else mask]
    if not _suits(arrays, in_rows=(out, arrays[-1])):
        return False
    (length, width), keys, value_width = query.shape[-2:], key.shape[-2], value.shape[-1]
    pitch = _pitch(keys)
    room = packed_size(width, keys, FLOAT32) + packed_size(keys, value_width, FLOAT32) + ROWS * pitch
    _in_parts(attend_part(), arrays, room, [length, keys, width, value_width, pitch, causal, mask is not None], scale)
    return True


def attend_back(
    weights: Any, g: Any, query: Any, key: Any, value: Any, of_query: Any, of_key: Any, of_value: Any, of_scores: Any, scale: float,
    causal: bool,
) -> bool:  # fmt: skip
    """Do what `attention_gradient` does; False if there is no compiled form. `of_scores` may be None."""
    arrays = [weights, g, query, key, value, of_query, of_key, of_value, weights if of_scores is None else of_scores]
    if not _suits(arrays, in_rows=(of_query, of_key, of_value)):
        return False
    (length, width), keys, value_width = query.shape[-2:], key.shape[-2], value.shape[-1]
    pitch = _pitch(keys)
    packed = ((value_width, keys), (keys, width), (length, width), (length, value_width))
    room = length * pitch + max(packed_size(*sizes, FLOAT32) for sizes in packed)
    later_are_0 = causal and weights.flags.c_contiguous
    sizes = [length, keys, width, value_width, pitch, of_scores is not None, later_are_0]
    _in_parts(attend_back_part(), arrays, room, sizes, scale)
    return True


def _suits(arrays: list[Any], in_rows: tuple[Any, ...]) -> bool:
    """Whether the compiled forms take these arrays, of which those `in_rows` are written or read along rows."""
    weights = arrays[0]
    return (
        weights.size >= SMALLEST and 2 < weights.ndim <= 4 and max(weights.shape[-2:]) <= _LONGEST and available()
        and all(type(each) is np.ndarray and each.dtype == FLOAT32 for each in arrays)
        and all(each.strides[-1] == each.itemsize for each in in_rows)
        and weights.size >= get_num_threads() * weights.shape[-2] * weights.shape[-1]
    )  # fmt: skip


def _pitch(keys: int) -> int:
    """The elements from a row of scores to the next: whole panels."""
    width = width_of(FLOAT32)
    return -(-keys // width) * width


def _in_parts(part: int, arrays: list[Any], room: int, numbers: list[int], scale: float) -> None:
    """Call `part` for shares of the batches and heads. Its arguments are their number, the number in a share, that of the last
    leading dim, the address and the bytes of a share's memory, of `room` elements, for each array its address and its steps,
    `numbers`, and the bits of `scale`."""
    *batches, heads = arrays[0].shape[:-2]
    units = heads * batches[0] if batches else heads
    shares = min(units, PARTS * get_num_threads())
    memory = np.empty((shares, room), FLOAT32)
    block = array("q", [units, -(-units // shares), heads, start_of(memory), room * 4])
    for each in arrays:
        block.append(start_of(each))
        block.extend(each.strides if batches else (0, *each.strides))
    block.extend(numbers)
    block.frombytes(array("d", [scale]).tobytes())
    in_parts(part, block, shares)
