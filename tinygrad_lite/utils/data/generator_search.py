"""Finds the random generators that a dataset holds."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.ops.random.generators import Generator

FETCHING = ("__getitem__", "__getitems__", "__iter__", "__call__", "forward")
ENOUGH = 1000  # objects examined, and entries of one container


def kept_generators(*objects: Any) -> list[Any]:
    """The generators of this library, NumPy and Python in the attributes, containers and closures of `objects`, and
    among the globals that their sample-fetching methods name."""
    import random

    kinds = (Generator, np.random.Generator, np.random.RandomState, random.Random)
    found: list[Any] = []
    seen: set[int] = set()
    ahead = list(objects)
    while ahead and len(seen) < ENOUGH:
        value = ahead.pop()
        if id(value) in seen or isinstance(value, (types.ModuleType, Traced)):
            continue
        seen.add(id(value))
        if isinstance(value, kinds):
            found.append(value)
            continue
        ahead.extend(_inside(value))
        ahead.extend(v for v in _globals(value) if isinstance(v, kinds))
    return found


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, (list, tuple)):
        return value[:ENOUGH]
    if isinstance(value, dict):
        return list(value.values())[:ENOUGH]
    if isinstance(value, types.MethodType):
        return (value.__self__, value.__func__)
    if isinstance(value, functools.partial):
        return (value.func, *value.args, *value.keywords.values())
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if cell != types.CellType()]
        return (*cells, *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values())
    if isinstance(value, type):
        return ()
    try:
        return (*vars(value).values(), *(getattr(type(value), name, None) for name in FETCHING))
    except Exception:  # no attributes, or a proxy that cannot be examined here
        return ()


def _globals(value: Any) -> Iterable[Any]:
    """The globals that a function refers to."""
    if not isinstance(value, types.FunctionType):
        return ()
    return (value.__globals__.get(name) for name in value.__code__.co_names)


def state_of(generator: Any) -> Any:
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.get_state().numpy() if isinstance(generator, Generator) else generator.getstate()
