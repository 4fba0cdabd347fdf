"""Primitives of functions of each element that NumPy has, and CuPy under the same names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy import ndarray, ufunc

from tinygrad_lite.arrays import BLOCK, as_float, mapped, namespace_of, promote_tensors
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import named


def unary(forward: ufunc, rule: Callable[..., Any], doc: str, name: str = "") -> Any:
    """The primitive of a function of one tensor; integers become floating-point numbers."""

    def apply(input):
        if type(input) is not ndarray or input.dtype.kind != "f":
            input = as_float(input)
            return getattr(namespace_of(input), forward.__name__)(input)
        return forward(input) if input.size < 2 * BLOCK else mapped(forward, input)  # in threads

    return _defined(apply, name or forward.__name__, doc, input=rule)


def binary(
    forward: ufunc, input_rule: Callable[..., Any], other_rule: Callable[..., Any], doc: str,
    *, meet: Any = promote_tensors, name: str = "",
) -> Any:  # fmt: skip
    """The same for a function of two tensors; `meet(input, other)` checks them and gives them one dtype."""

    def apply(input, other):
        input, other = meet(input, other)
        return forward(input, other) if type(input) is ndarray else getattr(namespace_of(input), forward.__name__)(input, other)

    return _defined(apply, name or forward.__name__, doc, input=input_rule, other=other_rule)


def _defined(apply: Any, name: str, doc: str, **rules: Callable[..., Any]) -> Any:
    apply.__module__ = next(iter(rules.values())).__module__  # the file that defines it, where pickle looks for it
    result = primitive(named(name, doc)(apply))
    result.vjp(**rules)
    return result
