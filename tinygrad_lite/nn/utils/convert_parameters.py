"""All parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.ops.movement.joining import cat

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all parameters in sequence.

    >>> from tinygrad_lite import ones, zeros
    >>> parameters_to_vector([zeros(2, 1), ones(3)])
    tensor([0., 0., 1., 1., 1.])
    """
    return cat([parameter.reshape(-1) for parameter in parameters])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy the elements of a vector into the parameters, in the order of `parameters_to_vector`.

    >>> from tinygrad_lite import arange, ones, zeros
    >>> w, b = zeros(2, 1), ones(3)
    >>> vector_to_parameters(arange(5.0), [w, b])
    >>> w, b
    (tensor([[0.],
            [1.]]), tensor([2., 3., 4.]))
    """
    if not isinstance(vec, Tensor):
        raise BadType(function="vector_to_parameters", expected="a Tensor", got=type(vec).__name__)
    parameters = list(parameters)
    total = sum(parameter.numel() for parameter in parameters)
    if vec.ndim != 1 or vec.numel() < total:
        raise BadValue(function="vector_to_parameters", expected=f"a vector of {total} elements", got=f"shape {tuple(vec.shape)}")
    start = 0
    for parameter in parameters:
        stop = start + parameter.numel()
        parameter.data = vec[start:stop].reshape(parameter.shape).data
        start = stop
