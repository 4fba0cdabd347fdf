"""`DataParallel`, for programs that wrap their model in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_lite import cuda
from tinygrad_lite.nn.modules.module import Module

__all__ = ["DataParallel", "data_parallel"]


def _one_device(name: str, device_ids: Sequence[Any] | None) -> None:
    count = cuda.device_count() if device_ids is None else len(device_ids)
    if count > 1:
        raise NotImplementedError(f"{name}: a batch is not split over several devices ({count}); pass device_ids=[0]")


class DataParallel(Module):
    """A wrapper that calls `module`. With more than one device it raises NotImplementedError.

    >>> from tinygrad_lite import nn
    >>> list(nn.DataParallel(nn.Linear(2, 1), device_ids=[0]).state_dict())
    ['module.weight', 'module.bias']
    """

    def __init__(self, module: Module, device_ids: Sequence[Any] | None = None, output_device: Any = None, dim: int = 0):
        super().__init__()
        _one_device("DataParallel", device_ids)
        self.module = module
        self.device_ids = list(device_ids or [])
        self.output_device, self.dim = output_device, dim

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


def data_parallel(
    module: Module,
    inputs: Any,
    device_ids: Sequence[Any] | None = None,
    output_device: Any = None,
    dim: int = 0,
    module_kwargs: dict[str, Any] | None = None,
) -> Any:
    """`module(*inputs)` on one device; with several `device_ids` it raises NotImplementedError.

    >>> from tinygrad_lite import nn, ones
    >>> data_parallel(nn.Linear(2, 1), ones(3, 2), device_ids=[0]).shape
    (3, 1)
    """
    _one_device("data_parallel", device_ids)
    return module(*(inputs if isinstance(inputs, tuple) else (inputs,)), **(module_kwargs or {}))
