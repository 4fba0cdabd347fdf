"""View operations whose result has its own memory, such as `transpose_copy`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from tinygrad_lite.arrays.signature import wraps
from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.ops.arguments import canonical_dim, operation
from tinygrad_lite.ops.movement.broadcasting import expand
from tinygrad_lite.ops.movement.copying import clone
from tinygrad_lite.ops.movement.diagonals import diagonal
from tinygrad_lite.ops.movement.indexing import getitem, narrow, select
from tinygrad_lite.ops.movement.joining import split, split_with_sizes, unbind
from tinygrad_lite.ops.movement.shape import squeeze, unsqueeze, view
from tinygrad_lite.ops.movement.strides import as_strided, unfold
from tinygrad_lite.ops.movement.transposing import permute, t, transpose

__all__ = [
    "alias_copy", "as_strided_copy", "detach_copy", "diagonal_copy", "expand_copy", "narrow_copy", "permute_copy", "select_copy",
    "slice_copy", "split_copy", "split_with_sizes_copy", "squeeze_copy", "t_copy", "transpose_copy", "unbind_copy", "unfold_copy",
    "unsqueeze_copy", "view_copy",
]  # fmt: skip

P = ParamSpec("P")
R = TypeVar("R")


_in_order = functools.partial(clone, memory_format="contiguous_format")


def _copied(function: Callable[P, R]) -> Callable[P, R]:
    """`function` with its result (or results) copied."""

    name = function.__name__

    @wraps(function, f"{name}_copy", f"`{name}`, with its own memory for the result.")
    def call(*args: Any, **kwargs: Any) -> Any:
        result: Any = function(*args, **kwargs)
        return tuple(map(_in_order, result)) if isinstance(result, tuple) else _in_order(result)

    return call


as_strided_copy, diagonal_copy, expand_copy = _copied(as_strided), _copied(diagonal), _copied(expand)
narrow_copy, permute_copy, select_copy, split_copy = _copied(narrow), _copied(permute), _copied(select), _copied(split)
split_with_sizes_copy, squeeze_copy, t_copy = _copied(split_with_sizes), _copied(squeeze), _copied(t)
transpose_copy, unbind_copy, unfold_copy = _copied(transpose), _copied(unbind), _copied(unfold)
unsqueeze_copy, view_copy = _copied(unsqueeze), _copied(view)


@operation
def alias_copy(input: Any) -> Any:
    """A copy of `input`."""
    return _in_order(input)


@operation
def slice_copy(input: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Any:
    """A copy of `input[start:end:step]` along `dim`."""
    return _in_order(getitem(input, (*(slice(None),) * canonical_dim(dim, len(input.shape)), slice(start, end, step))))


def detach_copy(input: Any) -> Any:
    """A detached copy."""
    return _in_order(input.detach() if isinstance(input, Traced) else input)
