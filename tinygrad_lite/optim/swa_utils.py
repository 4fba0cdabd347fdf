"""Averaged copies of a model."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable
from typing import Any

from tinygrad_lite.arrays import is_floating, to_device
from tinygrad_lite.arrays.changes import changed_in_place
from tinygrad_lite.autograd.grad_mode import no_grad
from tinygrad_lite.engine.tape import traced
from tinygrad_lite.ops import tensor
from tinygrad_lite.optim.schedules.base import LRScheduler  # PyTorch's module has it too
from tinygrad_lite.optim.schedules.swa import SWALR

__all__ = [
    "SWALR", "AveragedModel", "LRScheduler", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn",
    "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip


def get_ema_avg_fn(decay: float = 0.999) -> Callable[..., Any]:
    """The exponential moving average of one parameter: decay average + (1 - decay) p.

    >>> import tinygrad_lite as tg
    >>> get_ema_avg_fn(0.75)(tg.tensor(8.0), tg.tensor(4.0), 1)
    tensor(7.)
    """
    if not 0 <= decay <= 1:
        raise ValueError(f"decay must be in [0, 1], got {decay}")
    return lambda average, p, count: decay * average + (1 - decay) * p


def get_swa_avg_fn() -> Callable[..., Any]:
    """The equal-weight average of one parameter: average + (p - average) / (count + 1).

    >>> import tinygrad_lite as tg
    >>> get_swa_avg_fn()(tg.tensor(8.0), tg.tensor(2.0), tg.tensor(2))  # the mean of two and a third
    tensor(6.)
    """
    return lambda average, p, count: average + (p - average) / (count + 1)


def _for_each(average: Callable[..., Any]) -> Callable[..., None]:
    def update(averages: list[Any], params: list[Any], count: Any) -> None:
        for a, p in zip(averages, params):
            a.array[...] = average(a, p, count).array

    return update


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[..., None]:
    """`get_ema_avg_fn` for lists of parameters, in place.

    >>> import tinygrad_lite as tg
    >>> average = tg.tensor([8.0])
    >>> get_ema_multi_avg_fn(0.75)([average], [tg.tensor([4.0])], 1)
    >>> average
    tensor([7.])
    """
    return _for_each(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> Callable[..., None]:
    """`get_swa_avg_fn` for lists of parameters, in place.

    >>> import tinygrad_lite as tg
    >>> average = tg.tensor([8.0])
    >>> get_swa_multi_avg_fn()([average], [tg.tensor([2.0])], tg.tensor(2))
    >>> average
    tensor([6.])
    """
    return _for_each(get_swa_avg_fn())


class AveragedModel:
    """A copy of a model that averages its parameters, with equal weights (stochastic weight averaging, Izmailov et al.
    2018) or by `avg_fn(average, p, count)` or `multi_avg_fn(averages, params, count)`.

    `update_parameters(model)` includes the model's current parameters; the first call copies them. `use_buffers`: average
    the buffers too, instead of copying them.

    The base class is taken from the model, because optim does not import modules.

    >>> from tinygrad_lite import nn, ones
    >>> model = nn.Linear(1, 1, bias=False)
    >>> averaged = AveragedModel(model)
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = nn.init.constant_(model.weight, value)
    ...     averaged.update_parameters(model)
    >>> averaged(ones(1, 1)).item(), model(ones(1, 1)).item()
    (3.0, 6.0)
    """

    module: Any
    n_averaged: Any

    def __new__(cls, model: Any = None, *args: Any, **kwargs: Any) -> Any:
        if model is None or hasattr(cls, "register_buffer"):
            return super().__new__(cls)
        bases = [base for base in type(model).__mro__ if base.__name__ == "Module"]
        if not bases:
            raise TypeError(f"AveragedModel: expected a Module, got {type(model).__name__}")
        return super().__new__(_as_a(bases[-1], cls))  # type: ignore[arg-type]

    def __init__(
        self,
        model: Any,
        device: Any = None,
        avg_fn: Callable[..., Any] | None = None,
        multi_avg_fn: Callable[..., None] | None = None,
        use_buffers: bool = False,
    ):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("AveragedModel: avg_fn and multi_avg_fn exclude each other")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0))  # type: ignore[attr-defined]
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def __reduce_ex__(self, protocol: Any) -> Any:
        # The class itself cannot be found by name; its two bases can.
        return _without_init, type(self).__bases__, self.__dict__

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    @no_grad()
    def update_parameters(self, model: Any) -> None:
        """Include the parameters of `model` in the average."""
        averages, params = list(self.module.parameters()), list(model.parameters())
        buffers = list(zip(self.module.buffers(), model.buffers()))
        if self.use_buffers:
            averages, params = averages + [b for b, _ in buffers], params + [b for _, b in buffers]
        first = int(self.n_averaged) == 0
        multi = self.multi_avg_fn if self.multi_avg_fn or self.avg_fn else get_swa_multi_avg_fn()
        pairs = [(traced(a.array), traced(to_device(p.array, a.device))) for a, p in zip(averages, params)]
        if first:
            for a, p in pairs:
                a.array[...] = p.array
        elif multi is not None:
            for floating in (True, False):  # averages of integers are rounded when written
                alike = [pair for pair in pairs if is_floating(pair[0].array.dtype) == floating]
                if alike:
                    multi(*map(list, zip(*alike)), self.n_averaged)
        else:
            for a, p in pairs:
                a.array[...] = self.avg_fn(a, p, self.n_averaged).array  # type: ignore[misc]
        if not self.use_buffers:
            for mine, other in buffers:
                mine.array[...] = to_device(other.array, mine.device)
        for a in averages:
            changed_in_place(a.array, "update_parameters")
        self.n_averaged += 1


@functools.cache
def _as_a(module: type, cls: type) -> type:
    return type(cls.__name__, (cls, module), {"__module__": cls.__module__, "__doc__": cls.__doc__})


def _without_init(cls: type, module: type) -> Any:
    return object.__new__(_as_a(module, cls))


@no_grad()
def update_bn(loader: Iterable[Any], model: Any, device: Any = None) -> None:
    """Recompute the running statistics of the batch norms of `model`, in one pass over `loader`.

    A batch is a tensor, or a list or tuple that starts with one. Averaged weights need this, because the old statistics
    belong to other weights.

    >>> from tinygrad_lite import nn, tensor
    >>> model = nn.BatchNorm1d(1)
    >>> update_bn([tensor([[1.0], [3.0]]), tensor([[5.0], [7.0]])], model)
    >>> model.running_mean
    tensor([4.])
    """
    norms = [m for m in model.modules() if any(base.__name__ == "_BatchNorm" for base in type(m).__mro__)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    training = model.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # use an equal-weight average
    model.train()
    for batch in loader:
        x = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(x if device is None else x.to(device))
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    model.train(training)
