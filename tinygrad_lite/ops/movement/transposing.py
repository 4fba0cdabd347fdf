"""Permutations of dims."""

from __future__ import annotations

from tinygrad_lite.arrays.errors import BadType, Refusal
from tinygrad_lite.ops.arguments import canonical_dim, canonical_shape, operation
from tinygrad_lite.ops.calculus import permute as _permute
from tinygrad_lite.ops.typing import Tensor

__all__ = ["adjoint", "moveaxis", "movedim", "permute", "swapaxes", "swapdims", "t", "transpose"]


@operation
def permute(input: Tensor, dims: tuple[int, ...]) -> Tensor:
    """A view with the dims in the order `dims`.

    >>> import tinygrad_lite as tg
    >>> tg.permute(tg.zeros(2, 3, 4), (2, 0, 1)).shape
    (4, 2, 3)
    """
    dims = tuple(canonical_dim(d, len(input.shape)) for d in canonical_shape((dims,)))
    if sorted(dims) != list(range(len(input.shape))):
        raise Refusal(expected=f"each of the {len(input.shape)} dims once", got=dims)
    return _permute(input, dims)


@operation
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """A view with two dims swapped.

    >>> import tinygrad_lite as tg
    >>> tg.transpose(tg.tensor([[1, 2], [3, 4]]), 0, 1)
    tensor([[1, 3],
            [2, 4]])
    """
    dims = list(range(len(input.shape)))
    a, b = canonical_dim(dim0, len(dims)), canonical_dim(dim1, len(dims))
    if dims:
        dims[a], dims[b] = b, a
    return _permute(input, tuple(dims))


@operation
def swapaxes(input: Tensor, axis0: int, axis1: int) -> Tensor:
    """`transpose` under NumPy's name.

    >>> import tinygrad_lite as tg
    >>> tg.swapaxes(tg.ones(2, 3, 4), 0, 2).shape
    (4, 3, 2)
    """
    return transpose(input, axis0, axis1)


@operation
def swapdims(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """`transpose` under another name.

    >>> import tinygrad_lite as tg
    >>> tg.swapdims(tg.ones(2, 3, 4), 0, 2).shape
    (4, 3, 2)
    """
    return transpose(input, dim0, dim1)


@operation
def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; tensors of fewer dims unchanged.

    >>> import tinygrad_lite as tg
    >>> tg.t(tg.tensor([[1, 2], [3, 4]]))
    tensor([[1, 3],
            [2, 4]])
    """
    if len(input.shape) > 2:
        raise Refusal(expected="at most 2 dimensions", got=f"the shape {tuple(input.shape)}", hint="use .mT or transpose()")
    return t_all(input)


def t_all(x: Tensor) -> Tensor:
    """All dims reversed."""
    return _permute(x, None)


def conjugate_transpose(x: Tensor) -> Tensor:
    """The transpose of a matrix; a 0-d tensor unchanged."""
    if len(x.shape) not in (0, 2):
        raise Refusal(function="H", expected="a matrix", got=f"the shape {tuple(x.shape)}", hint="use mH for batches of them")
    return t_all(x)


@operation
def adjoint(input: Tensor) -> Tensor:
    """The last two dims swapped; a 0-d tensor unchanged.

    >>> import tinygrad_lite as tg
    >>> tg.adjoint(tg.ones(5, 2, 3)).shape
    (5, 3, 2)
    """
    return transpose(input, -2, -1) if input.shape else input


@operation
def movedim(input: Tensor, source: int | tuple[int, ...], destination: int | tuple[int, ...]) -> Tensor:
    """A view with the dims `source` moved to positions `destination`; the others keep their order.

    >>> import tinygrad_lite as tg
    >>> tg.movedim(tg.zeros(2, 3, 4), 0, -1).shape
    (3, 4, 2)
    """
    froms, tos = (
        [canonical_dim(d, len(input.shape)) for d in (dims if isinstance(dims, (tuple, list)) else (dims,))]
        for dims in (source, destination)
    )
    if len(froms) != len(tos) or len(set(froms)) != len(froms) or len(set(tos)) != len(tos):
        raise BadType(expected="as many different dims on both sides", got=f"{source} and {destination}")
    if not input.shape:
        return _permute(input, ())
    rest = iter(d for d in range(len(input.shape)) if d not in froms)
    return _permute(input, tuple(froms[tos.index(d)] if d in tos else next(rest) for d in range(len(input.shape))))


moveaxis = movedim
