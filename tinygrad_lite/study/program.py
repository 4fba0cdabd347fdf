"""Where in the user's program an operation was called, and the variable that its result was assigned to."""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import linecache
import os
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, NamedTuple

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Call(NamedTuple):
    """A call in progress in the program."""

    file: str
    line: int
    function: str


class Stack:
    """The calls in progress, those inside this package included, innermost first, but for the function that makes it: the
    frame of that one holds the Stack, which would be a reference cycle.

    It holds their frames, which keeps local variables alive, so it should be dropped soon.
    """

    def __init__(self) -> None:
        self.frames, self.instructions, self.lines = [], [], []
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            self.frames.append(frame)
            self.instructions.append(frame.f_lasti)
            self.lines.append(frame.f_lineno)
            frame = frame.f_back

    def calls(self) -> tuple[Call, ...]:
        """Those of the program, innermost first."""
        codes = [frame.f_code for frame in self.frames]
        return tuple(
            Call(code.co_filename, line, code.co_name)
            for code, line in zip(codes, self.lines)
            if not code.co_filename.startswith((_PACKAGE, "<frozen "))  # the interpreter's own, such as runpy
        )

    def program(self) -> FrameType | None:
        """The innermost frame of the program."""
        return next((frame for frame in self.frames if not frame.f_code.co_filename.startswith(_PACKAGE)), None)


def in_package(file: str) -> bool:
    """Whether a file is this package's."""
    return file.startswith(_PACKAGE)


def variables_of(frame: FrameType) -> dict[str, Any]:
    """The local variables of a call.

    Until Python 3.13 a frame keeps the dict of its `f_locals`, and with it whatever the program deletes from then on. So that
    dict is emptied, unless a debugger, which writes it back, or the program itself uses it. Only its reference count tells that:
    the code of every test names `locals` where pytest rewrites its assertions.
    """
    kept = frame.f_locals
    found = dict(kept)
    is_copy = sys.version_info < (3, 13) and frame.f_code.co_flags & inspect.CO_OPTIMIZED
    if is_copy and sys.gettrace() is None and sys.getrefcount(kept) == 3:  # the frame's, this function's, and the argument here
        kept.clear()
    return found


def source_line(file: str, line: int) -> str:
    """The text of a line of the program, or ""."""
    return linecache.getline(file, line).strip()


def name_of_result(stack: Stack, following: Stack | None, is_result: Callable[[Any], bool]) -> str:
    """The text of the target that an operation's result was assigned to, or "". `following`: the calls in progress at the next
    operation, by which is known whether this one was the last of its statement. `is_result`: whether a value is the result."""
    later = {} if following is None else dict(zip(following.frames, following.instructions))
    certain = True
    for i, frame in enumerate(stack.frames):
        file = frame.f_code.co_filename
        if file.startswith(_PACKAGE):
            continue
        instruction = stack.instructions[i]
        statement = _statement_of(frame, instruction, stack.lines[i])
        called_still = i > 0 and stack.frames[i - 1] in later
        goes_on = frame in later and later[frame] > instruction and _statement_of(frame, later[frame], frame.f_lineno) is statement
        position = _position(frame.f_code, instruction)
        pair = next((pair for pair in _pairs(statement) if _holds(pair[1], position)), None)
        if pair is not None and goes_on:  # as `q, k = f(x), g(x)`: each is a statement of its own
            goes_on = _holds(pair[1], _position(frame.f_code, later[frame]))
        if statement is None or called_still or goes_on or (pair is None and _pairs(statement)):
            return ""
        if frame.f_code.co_name == "<lambda>":  # its caller's statement tells
            continue
        targets, value = ([pair[0]], pair[1]) if pair is not None else _assigned(statement)
        if position is not None and value is not None and position not in (_span(statement), *map(_span, targets)):
            certain = certain and _makes(value, position) and not _is_loop(value)
        if not isinstance(statement, ast.Return):
            return _name(targets, frame, certain, is_result)
    return ""


def _assigned(statement: ast.stmt) -> tuple[list[ast.expr], ast.expr | None]:
    """The targets of a statement, and its expression if it assigns or returns one."""
    if isinstance(statement, ast.Assign):
        return statement.targets, statement.value
    if isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
        return [statement.target], statement.value
    return [], statement.value if isinstance(statement, ast.Return) else None


def _name(targets: list[ast.expr], frame: FrameType, certain: bool, is_result: Callable[[Any], bool]) -> str:
    """The text of the targets if the result is `certain` to be, or to be part of, what they got; else the one that has it."""
    text = ", ".join(ast.unparse(target) for target in targets) if certain else ""
    if certain and not any(isinstance(target, (ast.Tuple, ast.List)) for target in targets):
        return text
    variables = variables_of(frame)
    found = (each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name))
    return next((name for name in found if is_result(variables.get(name))), text)


def _is_loop(value: ast.expr) -> bool:
    """Whether an expression is the call of a built-in function that runs several operations, of which the last gives its value."""
    function = value.func if isinstance(value, ast.Call) else None
    name = function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    return name == "reduce" or (name == "sum" and isinstance(function, ast.Name))


def _makes(value: ast.expr, position: _Span) -> bool:
    """Whether what is called at a position in an expression gives its value, or an element of it, and not an argument."""
    part: ast.expr | None = value
    while part is not None:
        start, end = _span(part)[:2], _span(part)[2:]
        if end == position[2:] and (start == position[:2] or isinstance(part, (ast.Call, ast.Subscript, ast.Attribute))):
            return True
        kept = {ast.IfExp: ("body", "orelse"), ast.ListComp: ("elt",), ast.Dict: ("values",), ast.DictComp: ("value",)}
        fields = kept.get(type(part), ("value", "elts") if not isinstance(part, ast.Attribute) else ("value",))
        parts = [each for field in fields for each in _listed(getattr(part, field, ()))]
        part = next((each for each in parts if _holds(each, position)), None)
    return False


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _pairs(statement: ast.stmt | None) -> list[tuple[ast.expr, ast.expr]]:
    """The targets of an assignment of several values with the expressions that they get; none where these are not written out."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return []
    target, value = statement.targets[0], statement.value
    if not isinstance(target, (ast.Tuple, ast.List)) or not isinstance(value, (ast.Tuple, ast.List)):
        return []
    starred = any(isinstance(each, ast.Starred) for each in (*target.elts, *value.elts))
    return [] if starred else list(zip(target.elts, value.elts))


_Span = tuple[int, int, int, int]  # the first line and column, the last line and the column after it


def _span(node: ast.stmt | ast.expr) -> _Span:
    assert node.end_lineno is not None and node.end_col_offset is not None
    return node.lineno, node.col_offset, node.end_lineno, node.end_col_offset


def _holds(node: ast.stmt | ast.expr, position: _Span | None) -> bool:
    return position is not None and _span(node)[:2] <= position[:2] and position[2:] <= _span(node)[2:]


@functools.lru_cache(maxsize=4096)
def _position(code: CodeType, instruction: int) -> _Span | None:
    """Where in the program an instruction is; None before Python 3.11, which does not know."""
    if sys.version_info < (3, 11):
        return None
    line, last, column, end = next(itertools.islice(code.co_positions(), instruction // 2, None))
    return None if line is None or last is None or column is None or end is None else (line, column, last, end)


def elements_of(target: str) -> list[str]:
    """The parts of the text of a target: of `(a, b)`, a and b."""
    tree = ast.parse(target or "_", mode="eval").body
    return [ast.unparse(part) for part in tree.elts] if isinstance(tree, (ast.Tuple, ast.List)) else [target]


def tree_of(file: str) -> ast.Module | None:
    """The parsed text of a file, or None."""
    return _tree(file, tuple(linecache.getlines(file)))


def _statement_of(frame: FrameType, instruction: int, line: int) -> ast.stmt | None:
    """The innermost simple statement that an instruction belongs to; the last one of its line, if there are several and it is
    not known which."""
    file = frame.f_code.co_filename
    found = _statements(file, tuple(linecache.getlines(file))).get(line, [])
    if len(found) > 1:
        position = _position(frame.f_code, instruction)
        found = [statement for statement in found if _holds(statement, position)] or found
    return found[-1] if found else None


@functools.lru_cache(maxsize=64)
def _statements(file: str, lines: tuple[str, ...]) -> dict[int, list[ast.stmt]]:
    """The innermost simple statements on each line of a file."""
    tree = _tree(file, lines)
    found: dict[int, list[ast.stmt]] = {}
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.stmt) and not hasattr(node, "body"):
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                found.setdefault(line, []).append(node)
    return found


@functools.lru_cache(maxsize=16)
def _tree(file: str, lines: tuple[str, ...]) -> ast.Module | None:
    try:
        return ast.parse("".join(lines))
    except SyntaxError:  # as a cell of a notebook with commands in it
        return None
