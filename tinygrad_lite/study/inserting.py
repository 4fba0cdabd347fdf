"""`insert_grad`: lines of the program that run on a gradient as it flows through a tensor."""

from __future__ import annotations

import ast
import operator
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from tinygrad_lite.arrays.hooks import RemovableHandle
from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.study.program import source_line, tree_of


class insert_grad:
    """Inside this block, `g` stands for the gradient that flows through the tensor `h`, and the block's lines on it run in
    backward, when it is known. What `g` is at the end of the block flows on.

    `g` takes the operators and methods of a Tensor, in place or not; `g.print()` prints it, and `g.apply(function, ...)` calls
    any function of it. There is no value to branch on yet: use `g.apply`, or `where`. `remove()` takes the lines out again.

    >>> import tinygrad_lite as tg
    >>> x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> h = x * x
    >>> with tg.study.insert_grad(h) as g:
    ...     g = g.clamp(max=0.5)
    ...     g[0] = 0.0
    ...     g.print("g =")
    >>> h.sum().backward()
    g = tensor([0.0000, 0.5000, 0.5000])
    >>> x.grad
    tensor([0., 2., 3.])
    """

    handle: RemovableHandle | None = None

    def __init__(self, h: Traced):
        if not isinstance(h, Traced):
            raise TypeError(f"insert_grad: expected a Tensor, got {type(h).__name__}")
        if h.node is None:
            raise RuntimeError("insert_grad: this tensor does not require grad, so no gradient flows through it")
        self.node = h.node

    def __enter__(self) -> Gradient:
        self.lines = _Lines()
        self.name = _name_of_target(sys._getframe(1))
        return Gradient(self.lines, 0)

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if error is not None:
            return
        variables = sys._getframe(1).f_locals
        ours = [each for each in variables.values() if isinstance(each, Gradient) and each._lines is self.lines]
        if self.name in variables:
            self.lines.result = variables[self.name]
        elif len(ours) == 1:
            self.lines.result = ours[0]
        self.handle = self.node.add_hook(self.lines)

    def remove(self) -> None:
        if self.handle is not None:
            self.handle.remove()


class _Lines:
    """The steps of a block, as functions and their arguments: the hook that runs them."""

    def __init__(self) -> None:
        self.steps: list[tuple[Callable[..., Any], Any, Any, str]] = []
        self.result: Any = Gradient(self, 0)

    def add(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Gradient:
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename == __file__:
            frame = frame.f_back
        place = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""
        self.steps.append((function, args, kwargs, place))
        return Gradient(self, len(self.steps))

    def __call__(self, g: Traced) -> Traced:
        values: list[Any] = [g.clone()]
        for step in self.steps:
            values.append(_ran(step, values))
        result = _known(self.result, values)
        if not isinstance(result, Traced) or result.array.shape != g.array.shape:
            got = f"shape {result.array.shape}" if isinstance(result, Traced) else type(result).__name__
            raise RuntimeError(f"insert_grad: the block must leave a Tensor of shape {g.array.shape} as the gradient, got {got}")
        return result


def _ran(step: tuple[Callable[..., Any], Any, Any, str], values: list[Any]) -> Any:
    function, args, kwargs, place = step
    try:
        return function(*_known(args, values), **_known(kwargs, values))
    except Exception as error:
        file, _, line = place.rpartition(":")
        raise RuntimeError(f"insert_grad: {place}: {source_line(file, int(line))}: {error}") from error


def _known(value: Any, values: list[Any]) -> Any:
    """A value with the gradients in it replaced by what they are."""
    if isinstance(value, Gradient):
        return values[value._place]
    if isinstance(value, (tuple, list)):
        return type(value)([_known(each, values) for each in value])
    if isinstance(value, dict):
        return {key: _known(each, values) for key, each in value.items()}
    if isinstance(value, slice):
        return slice(*(_known(each, values) for each in (value.start, value.stop, value.step)))
    return value


def _step(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, *others: self._lines.add(function, self, *others)


def _reflected(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, other: self._lines.add(function, other, self)


def _unknown(self: Gradient) -> Any:
    raise TypeError("insert_grad: the gradient is known only in backward, so it cannot be branched on: use g.apply(function), or where")


class Gradient:
    """A gradient that is not known yet, or what is computed from it."""

    __slots__ = ("_lines", "_place")

    def __init__(self, lines: _Lines, place: int):
        self._lines, self._place = lines, place

    def print(self, *before: Any) -> None:
        """Print it when it is known, after `before`."""
        self._lines.add(lambda g: print(*before, g.detach()), self)

    def apply(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Gradient:
        """What `function(g, *args)` will return."""
        return self._lines.add(function, self, *args, **kwargs)

    def __getattr__(self, name: str) -> Gradient:
        if name.startswith("_"):
            raise AttributeError(name)
        return self._lines.add(getattr, self, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Gradient:
        return self._lines.add(lambda method, *args, **kwargs: method(*args, **kwargs), self, *args, **kwargs)

    def __setitem__(self, index: Any, value: Any) -> None:
        self._lines.add(operator.setitem, self, index, value)

    def __repr__(self) -> str:
        return "<a gradient, known in backward: g.print() prints it there>"

    __getitem__ = _step(operator.getitem)
    __neg__, __abs__, __invert__ = _step(operator.neg), _step(abs), _step(operator.invert)
    __add__, __radd__, __iadd__ = _step(operator.add), _reflected(operator.add), _step(operator.iadd)
    __sub__, __rsub__, __isub__ = _step(operator.sub), _reflected(operator.sub), _step(operator.isub)
    __mul__, __rmul__, __imul__ = _step(operator.mul), _reflected(operator.mul), _step(operator.imul)
    __truediv__, __rtruediv__, __itruediv__ = _step(operator.truediv), _reflected(operator.truediv), _step(operator.itruediv)
    __pow__, __rpow__, __ipow__ = _step(operator.pow), _reflected(operator.pow), _step(operator.ipow)
    __matmul__, __rmatmul__ = _step(operator.matmul), _reflected(operator.matmul)
    __lt__, __le__, __gt__, __ge__ = _step(operator.lt), _step(operator.le), _step(operator.gt), _step(operator.ge)
    __and__, __or__ = _step(operator.and_), _step(operator.or_)
    __bool__ = __float__ = __int__ = __iter__ = __len__ = _unknown


def _name_of_target(frame: FrameType) -> str:
    """The variable of `with insert_grad(...) as variable`, or "" if the text of the program is not available."""
    tree = tree_of(frame.f_code.co_filename)
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.With):
            for item in node.items:
                expression = item.context_expr
                if expression.lineno <= frame.f_lineno <= (expression.end_lineno or expression.lineno) and isinstance(
                    item.optional_vars, ast.Name
                ):
                    return item.optional_vars.id
    return ""
