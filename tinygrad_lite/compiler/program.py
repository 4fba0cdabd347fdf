"""A program: NumPy calls in order, one assignment a line."""

from __future__ import annotations

import collections
import inspect
import keyword
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_lite.arrays.memory import strided


class Mismatch(Exception):
    """A condition of the program does not hold for these inputs; `reason` says which."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


@dataclass(eq=False, slots=True)
class Variable:
    """An array or number of the program. Views of one memory have the same `memory`, a number.

    `host`: a number that follows from those given and from single numbers in captured arrays, so that it is known before
    the program runs. `strides`: those of the array that was traced.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    memory: int
    is_number: bool = False
    host: bool = False
    strides: tuple[int, ...] = ()

    def __repr__(self) -> str:
        return self.name


@dataclass(eq=False, slots=True)
class Call:
    """One line: `results = function(*arguments, **keywords)`, where arrays may be changed in place (`written`).

    `function`: "np.tanh", a method ".reshape", an attribute ".T", an operator "+", an assignment "+=", "[]" or "[]=".
    A kernel of this library is a call whose `function` is callable, with the NumPy calls it consists of in `body`. Its
    `results` are those variables of the body that stand, in order, for the arrays in what it returns.
    """

    function: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any] = field(default_factory=dict)
    results: tuple[Variable | None, ...] = ()
    written: tuple[Variable, ...] = ()
    section: str = ""
    body: tuple[Call, ...] = ()
    is_whole: bool = False  # a kernel whose body is not for all values
    _variables: tuple[Variable, ...] | None = field(default=None, init=False, repr=False)

    @property
    def result(self) -> Variable | None:
        """The result of a call with one."""
        return self.results[0] if self.results else None

    @property
    def made(self) -> list[Variable]:
        return [variable for variable in self.results if variable is not None]

    def calls(self, kernel: Callable[..., Any]) -> bool:
        """Whether this is a call of a function that is marked as a kernel."""
        return self.function is inspect.unwrap(kernel)

    def parts(self) -> tuple[Call, ...]:
        """The NumPy calls of a kernel, or the call itself."""
        return self.body or (self,)

    def variables(self) -> tuple[Variable, ...]:
        """The variables among the operands, which stay the same."""
        if self._variables is None:
            self._variables = tuple(variables_in((self.arguments, self.keywords)))
        return self._variables


_NESTED = (tuple, list, dict, slice)


def leaves(value: Any) -> Iterator[Any]:
    """The parts of nested tuples, lists, dicts and slices."""
    if isinstance(value, (tuple, list)):
        for part in value:
            if isinstance(part, _NESTED):
                yield from leaves(part)
            else:
                yield part
    elif isinstance(value, dict):
        yield from leaves(tuple(value.values()))
    elif isinstance(value, slice):
        yield from leaves((value.start, value.stop, value.step))
    else:
        yield value


def variables_in(value: Any) -> Iterator[Variable]:
    """The variables in nested operands."""
    return (part for part in leaves(value) if isinstance(part, Variable))


def mapped(value: Any, by: Callable[[Any], Any]) -> Any:
    """`value` with `by(part)` in the place of each part of nested tuples, lists, dicts and slices."""
    if isinstance(value, (tuple, list)):
        parts = [mapped(part, by) if isinstance(part, _NESTED) else by(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if type(value) is dict:
        return {name: mapped(part, by) for name, part in value.items()}
    if isinstance(value, slice):
        return slice(mapped(value.start, by), mapped(value.stop, by), mapped(value.step, by))
    return by(value)


def replaced(value: Any, by: Callable[[Variable], Any]) -> Any:
    """`value` with `by(variable)` in the place of each variable."""
    return mapped(value, lambda part: by(part) if isinstance(part, Variable) else part)


def renamed(call: Call, current: Callable[[Variable], Variable]) -> Call:
    """The call with `current(variable)` in the place of each variable; itself if they are all the same."""
    if all(current(v) is v for part in (call, *call.body) for v in (*part.variables(), *part.written, *part.made)):
        return call
    arguments, keywords = replaced((call.arguments, call.keywords), current)
    written = tuple(map(current, call.written))
    results = tuple(variable if variable is None else current(variable) for variable in call.results)
    body = tuple(renamed(part, current) for part in call.body)
    return replace(call, arguments=arguments, keywords=keywords, written=written, results=results, body=body)


@dataclass
class Program:
    """`inputs` are given for each run, `captured` are arrays that the program refers to, by variable."""

    inputs: list[Variable]
    captured: dict[Variable, np.ndarray]
    calls: list[Call]
    outputs: Any

    def parts(self) -> Iterator[Call]:
        """The calls, with the NumPy calls of kernels in their place."""
        return (part for call in self.calls for part in call.parts())

    def __str__(self) -> str:
        text = _Text(lambda variable: variable.name)
        return "\n".join([*self._lines(text), f"return {text(self.outputs)}"])

    def _lines(self, text: _Text) -> Iterator[str]:
        section = ""
        for call in self.calls:
            if call.section != section:
                section = call.section
                yield f"# {section}"
            for part in call.parts():
                line, shape = text.line(part)
                yield f"{line:<60}  # {shape}" if shape else line

    def source(self, name: str = "program") -> str:
        """The program as a function that needs NumPy alone (and the functions of this library that it imports, which are few,
        such as matrix factorizations). Its arguments are the inputs and after them the arrays that the
        program refers to, which it changes in place; a source of random numbers is a `np.random.Generator`."""
        given = [*self.inputs, *self.captured]
        names = {variable: re.sub(r"\W+", "_", variable.name).strip("_") for variable in given}
        taken = collections.Counter(names.values())
        for i, variable in enumerate(given):
            if taken[names[variable]] > 1 or keyword.iskeyword(names[variable]):
                names[variable] += f"_{i}"
        text = _Text(lambda variable: names.get(variable, variable.name))
        notes = [f"    {names[v]}: {v.name}, {_kind(v)}" for v in given]
        lines = [*(f"    {line}" for line in self._lines(text)), f"    return {text(self.outputs)}"]
        arguments = ", ".join(names[variable] for variable in given)
        own = {part.function for part in self.parts() if callable(part.function)}
        name = name if name.isidentifier() else "program"  # a lambda
        imports = ["import math", "", "import numpy as np"]
        imports += sorted(f"from {function.__module__} import {function.__name__}" for function in own)
        head = ["", "", f"def {name}({arguments}):", '    """Arguments:', "", *notes, '    """']
        return "\n".join([*imports, *head, *lines, ""])

    def run(self, *inputs: np.ndarray) -> Any:
        """The outputs for these inputs."""
        values: dict[Variable, Any] = {**self.captured, **dict(zip(self.inputs, inputs))}
        for part in self.parts():
            arguments, keywords = replaced((part.arguments, part.keywords), values.__getitem__)
            found = perform(part.function, arguments, keywords)
            if callable(part.function):
                results = found if isinstance(found, tuple) else (found,)
                values.update({variable: value for variable, value in zip(part.results, results) if variable is not None})
            elif part.result is not None:
                values[part.result] = found if part.result.is_number else np.asarray(found)
        return replaced(self.outputs, values.__getitem__)


def last_uses(calls: Iterable[Call], outputs: Sequence[Variable]) -> dict[int, list[int]]:
    """The memories whose last use is each call's, by the call's number; those of results are used to the end."""
    last: dict[int, int] = {}
    for i, call in enumerate(calls):
        for part in (call, *call.body):
            for variable in (*part.variables(), *part.made):
                last[variable.memory] = i
    for variable in outputs:
        last.pop(variable.memory, None)
    ends: dict[int, list[int]] = {}
    for memory, i in last.items():
        ends.setdefault(i, []).append(memory)
    return ends


# -- one call --------------------------------------------------------------------------------------

PRODUCTS = (".dot", "@", "np.matmul", "np.dot")
BINARY = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv, "%": operator.mod,
    "**": operator.pow, "@": operator.matmul, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "==": operator.eq, "!=": operator.ne, "&": operator.and_, "|": operator.or_, "^": operator.xor, "<<": operator.lshift,
    ">>": operator.rshift,
}  # fmt: skip
UNARY: dict[str, Callable[[Any], Any]] = {"-": operator.neg, "~": operator.invert, "abs": abs}
IN_PLACE = {
    "+=": operator.iadd, "-=": operator.isub, "*=": operator.imul, "/=": operator.itruediv, "//=": operator.ifloordiv,
    "%=": operator.imod, "**=": operator.ipow, "@=": operator.imatmul, "&=": operator.iand, "|=": operator.ior, "^=": operator.ixor,
}  # fmt: skip


def operation_of(function: Any, count: int) -> Callable[..., Any] | None:
    """Python's operator on `count` operands that a call is, if it is one."""
    if count == 2:
        return BINARY.get(function)
    return UNARY.get(function) if count == 1 else None


def perform(function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
    """What a call does, on arrays."""
    if callable(function):
        return function(*arguments, **keywords)
    if function == "np.lib.stride_tricks.as_strided":
        return strided(*arguments)  # NumPy's hides the owner of the memory
    if function.startswith("np."):
        return operator.attrgetter(function[3:])(np)(*arguments, **keywords)
    if function.startswith("."):
        found = getattr(arguments[0], function[1:])
        return found(*arguments[1:], **keywords) if callable(found) else found
    if function == "[]":
        return arguments[0][arguments[1]]
    if function == "[]=":
        arguments[0][arguments[1]] = arguments[2]
        return None
    if function == "check":
        bad, kind, message = arguments
        if bad:
            raise kind(message, **keywords)
        return None
    if function == "guard":
        if arguments[0] != arguments[1]:
            raise Mismatch(f"{arguments[0]!r} is used {arguments[2]}, where it was {arguments[1]!r}")
        return None
    if function == "same":
        if arguments[0] != arguments[1]:
            raise Mismatch("two numbers of the state, such as step counts, are no longer equal")
        return None
    if function == "draw":
        return getattr(arguments[0].generator, arguments[1])(*arguments[2:], **keywords)
    if function == "length":
        return len(range(*arguments[0].indices(arguments[1])))
    if function.startswith("math."):
        return getattr(math, function[5:])(*arguments)
    if function in IN_PLACE:
        return IN_PLACE[function](*arguments)
    operators: Any = BINARY if len(arguments) == 2 else UNARY
    return operators[function](*arguments)


def _kind(variable: Variable) -> str:
    if variable.dtype == object:
        return "a np.random.Generator"
    return f"a number, {variable.dtype}" if variable.is_number else f"{variable.shape} {variable.dtype}"


class _Text:
    """Writes calls as Python, with the names that `name_of` gives to variables."""

    def __init__(self, name_of: Callable[[Variable], str]):
        self.name_of = name_of

    def line(self, call: Call) -> tuple[str, str]:
        """The call, and a comment with the shape of what it makes."""
        arguments, function, result = list(map(self, call.arguments)), call.function, call.result
        if function in ("guard", "same"):
            return f"assert {arguments[0]} == {arguments[1]}", ""
        if function == "check":
            return f"assert not {arguments[0]}, {arguments[2]}", ""
        if function in IN_PLACE:
            return f"{arguments[0]} {function} {arguments[1]}", ""
        if function == "[]=":
            return f"{arguments[0]}[{self.index(call.arguments[1])}] = {arguments[2]}", ""
        text = self.expression(call, arguments)
        if result is None:
            return text, ""
        if len(call.results) > 1:
            shapes = ", ".join(f"{variable.shape} {variable.dtype}" for variable in call.made)
            return f"{', '.join(map(self.name_of, call.made))} = {text}", shapes
        name = self.name_of(result)
        if result.is_number:
            return f"{name} = " + (f"float({text})" if function.startswith("np.") else text), ""
        return f"{name} = {text}", "" if result.dtype == object else f"{result.shape} {result.dtype}"

    def expression(self, call: Call, arguments: list[str]) -> str:
        function = call.function
        if callable(function):
            return f"{function.__name__}({self.listed(arguments, call.keywords)})"
        if function == "[]":
            return f"{arguments[0]}[{self.index(call.arguments[1])}]"
        if function == "length":
            return f"len(range(*{arguments[0]}.indices({arguments[1]})))"
        if function == "draw":
            return f"{arguments[0]}.{call.arguments[1]}({self.listed(arguments[2:], call.keywords)})"
        if function.startswith("."):
            end = "" if function in (".T", ".mT", ".real", ".imag") else f"({self.listed(arguments[1:], call.keywords)})"
            return f"{arguments[0]}{function}{end}"
        if function.startswith(("np.", "math.")) or function == "abs":
            return f"{function}({self.listed(arguments, call.keywords)})"
        return f"{arguments[0]} {function} {arguments[1]}" if len(arguments) == 2 else f"{function}{arguments[0]}"

    def listed(self, arguments: list[str], keywords: dict[str, Any]) -> str:
        return ", ".join([*arguments, *(f"{name}={self(value)}" for name, value in keywords.items())])

    def index(self, value: Any) -> str:
        """An index in brackets: slices with colons."""
        if isinstance(value, tuple) and value:
            return ", ".join(map(self.index, value)) + ("," if len(value) == 1 else "")
        if isinstance(value, slice):
            start, stop, step = ("" if part is None else self(part) for part in (value.start, value.stop, value.step))
            return f"{start}:{stop}" + (f":{step}" if step else "")
        return "..." if value is Ellipsis else self(value)

    def __call__(self, value: Any) -> str:
        if isinstance(value, Variable):
            return self.name_of(value)
        if isinstance(value, tuple):
            return "(" + ", ".join(map(self, value)) + ("," if len(value) == 1 else "") + ")"
        if isinstance(value, list):
            return "[" + ", ".join(map(self, value)) + "]"
        if isinstance(value, slice):
            return f"slice({self(value.start)}, {self(value.stop)}, {self(value.step)})"
        if isinstance(value, np.dtype):
            return f"np.{value.name}" if value.name != "bool" else "np.bool_"
        if isinstance(value, type) and issubclass(value, np.generic):
            return f"np.{value.__name__}"
        if isinstance(value, np.generic):
            return f"np.{value.dtype.name.rstrip('_')}({self(value.item())})"
        if isinstance(value, type):
            return value.__name__
        if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
            return f"float('{value}')"
        return repr(value)
