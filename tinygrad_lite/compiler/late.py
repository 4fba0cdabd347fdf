"""Operands of a plan that each run makes anew."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lite.compiler.program import leaves, mapped, perform

_VIEWS = (".T", ".reshape", ".transpose", ".swapaxes", ".squeeze", "[]")


class Late:
    """An operand that each run makes anew: an entry of `slots`. `like`: an array of the layout that it is to have, if known,
    whose own memory is never touched."""

    __slots__ = ("like", "slot")

    def __init__(self, slot: int, like: np.ndarray | None = None):
        self.slot, self.like = slot, like


def late_in(value: Any) -> list[Late]:
    return [part for part in leaves(value) if isinstance(part, Late)]


def with_values(value: Any, slots: list[Any]) -> Any:
    return mapped(value, lambda part: slots[part.slot] if isinstance(part, Late) else part)


def likes(operands: tuple[Any, ...]) -> tuple[Any, ...] | None:
    """The operands with arrays like them in the place of late ones; None if not all are known."""
    if any(isinstance(part, Late) and part.like is None for part in operands) or late_in([o for o in operands if not isinstance(o, Late)]):
        return None
    return tuple(part.like if isinstance(part, Late) else part for part in operands)


def view_of(function: str, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> np.ndarray | None:
    """An array like the view that a call makes of its first operand; None if it makes none."""
    known = likes(arguments)
    if known is None or late_in(keywords) or not isinstance(known[0], np.ndarray) or function not in _VIEWS:
        return None
    found = perform(function, known, keywords)
    return found if np.may_share_memory(found, known[0]) else None
