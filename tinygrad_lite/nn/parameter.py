"""Tensors that a Module registers when they are assigned to it."""

from __future__ import annotations

from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays import Array
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.creation.factories import empty

__all__ = ["Buffer", "Parameter", "UninitializedParameter"]


class Parameter(Tensor):
    """A tensor to be trained: assigned to an attribute of a Module, it becomes one of its parameters.

    It shares the memory of `data`. Results of operations on it are plain Tensors.

    >>> from tinygrad_lite import nn, ones
    >>> layer = nn.Module()
    >>> layer.scale, layer.other = nn.Parameter(ones(2)), ones(2)
    >>> list(layer.named_parameters())
    [('scale', Parameter containing:
    tensor([1., 1.], requires_grad=True))]
    """

    __slots__ = ()

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True):
        self.array = _array_of("Parameter", data)
        if requires_grad:
            self.requires_grad_()

    def __deepcopy__(self, memo: dict[Any, Any]) -> Parameter:
        """A parameter with the same values and no gradient."""
        if id(self) not in memo:
            memo[id(self)] = type(self)(traced(self.array.copy()), self.requires_grad)
        return memo[id(self)]

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


class UninitializedParameter(Parameter):
    """A parameter without a shape; `materialize(shape)` turns the same object into an ordinary parameter.

    >>> from tinygrad_lite import nn
    >>> weight = nn.UninitializedParameter()
    >>> weight.materialize((3, 4))
    >>> type(weight).__name__, weight.shape
    ('Parameter', (3, 4))
    """

    __slots__ = ()

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None):
        super().__init__(empty((0,), device=device, dtype=dtype), requires_grad)

    def materialize(self, shape: tuple[int, ...]) -> None:
        self.data = empty(tuple(shape), device=self.device, dtype=self.dtype)
        self.__class__ = Parameter  # type: ignore[assignment]

    def __deepcopy__(self, memo: dict[Any, Any]) -> Parameter:
        if id(self) not in memo:
            memo[id(self)] = UninitializedParameter(self.requires_grad, self.device, self.dtype)
        return memo[id(self)]

    def __repr__(self) -> str:
        return "<UninitializedParameter>"


class Buffer(Tensor):
    """A tensor that is part of a Module's state but not trained; assigning it registers a buffer.

    `persistent=False` keeps it out of the state_dict.

    >>> from tinygrad_lite import nn, ones, zeros
    >>> layer = nn.Module()
    >>> layer.mean, layer.passing = nn.Buffer(zeros(2)), nn.Buffer(ones(2), persistent=False)
    >>> [name for name, _ in layer.named_buffers()], list(layer.state_dict())
    (['mean', 'passing'], ['mean'])
    """

    __slots__ = ()

    def __init__(self, data: Tensor | None = None, *, persistent: bool = True):
        self.array = _array_of("Buffer", data)
        self.persistent = persistent


def _array_of(name: str, data: Tensor | None) -> Array:
    if data is None:
        return Tensor().array
    if not isinstance(data, Traced):
        raise TypeError(f"{name}: expected a Tensor, got {type(data).__name__}")
    return data.array
