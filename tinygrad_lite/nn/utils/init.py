"""Modules without initialization."""

from __future__ import annotations

from typing import Any, TypeVar

from tinygrad_lite.arrays.errors import Refusal
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.ops.random.generators import fork_rng

__all__ = ["skip_init"]

M = TypeVar("M", bound=Module)


def skip_init(module_cls: type[M], *args: Any, **kwargs: Any) -> M:
    """`module_cls(*args, **kwargs)` with uninitialized parameters, for the caller to fill. Draws no random numbers.

    >>> import tinygrad_lite as tg
    >>> skip_init(tg.nn.Linear, 5, 1).weight.shape
    (1, 5)
    """
    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise Refusal(function="skip_init", expected="a class of modules", got=repr(module_cls))
    with fork_rng():
        return module_cls(*args, **kwargs)
