"""Where in the user's program an operation was called, and the variable that its result was assigned to."""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import linecache
import os
import sys
from types import FrameType
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
    dict is emptied, unless a debugger, which writes it back, or the program itself uses it.
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


def name_of_result(stack: Stack, following: Stack | None) -> str:
    """The text of the target that an operation's result was assigned to, or "". `following`: the calls in progress at the next
    operation, by which is known whether this one was the last of its statement."""
    later = {} if following is None else dict(zip(following.frames, following.instructions))
    for i, frame in enumerate(stack.frames):
        file, line = frame.f_code.co_filename, stack.lines[i]
        if file.startswith(_PACKAGE):
            continue
        statement = _statement_at(file, line)
        called_still = i > 0 and stack.frames[i - 1] in later
        goes_on = frame in later and later[frame] > stack.instructions[i] and _statement_at(file, frame.f_lineno) is statement
        pairs = _pairs(statement)
        if pairs:  # as `q, k = f(x), g(x)`: each is a statement of its own
            target = _target_at(pairs, frame, stack.instructions[i])
            goes_on = goes_on and _target_at(pairs, frame, later[frame]) is target
            return "" if called_still or goes_on or target is None else ast.unparse(target)
        if statement is None or called_still or goes_on:
            return ""
        if isinstance(statement, ast.Assign):
            return ", ".join(ast.unparse(target) for target in statement.targets)
        if isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
            return ast.unparse(statement.target)
        if not isinstance(statement, ast.Return):  # of which the caller's statement tells
            return ""
    return ""


def _pairs(statement: ast.stmt | None) -> list[tuple[ast.expr, ast.expr]]:
    """The targets of an assignment of several values with the expressions that they get; none where these are not written out."""
    if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
        return []
    target, value = statement.targets[0], statement.value
    if not isinstance(target, (ast.Tuple, ast.List)) or not isinstance(value, (ast.Tuple, ast.List)):
        return []
    starred = any(isinstance(each, ast.Starred) for each in (*target.elts, *value.elts))
    return [] if starred else list(zip(target.elts, value.elts))


def _target_at(pairs: list[tuple[ast.expr, ast.expr]], frame: FrameType, instruction: int) -> ast.expr | None:
    """The target whose expression an instruction belongs to; None before Python 3.11, which does not know."""
    if sys.version_info < (3, 11):
        return None
    line, _, column, _ = next(itertools.islice(frame.f_code.co_positions(), instruction // 2, None))
    if line is None or column is None:
        return None
    for target, value in pairs:
        assert value.end_lineno is not None and value.end_col_offset is not None
        if (value.lineno, value.col_offset) <= (line, column) < (value.end_lineno, value.end_col_offset):
            return target
    return None


def elements_of(target: str) -> list[str]:
    """The parts of the text of a target: of `(a, b)`, a and b."""
    tree = ast.parse(target or "_", mode="eval").body
    return [ast.unparse(part) for part in tree.elts] if isinstance(tree, (ast.Tuple, ast.List)) else [target]


def tree_of(file: str) -> ast.Module | None:
    """The parsed text of a file, or None."""
    return _tree(file, tuple(linecache.getlines(file)))


def _statement_at(file: str, line: int) -> ast.stmt | None:
    return _statements(file, tuple(linecache.getlines(file))).get(line)


@functools.lru_cache(maxsize=64)
def _statements(file: str, lines: tuple[str, ...]) -> dict[int, ast.stmt]:
    """The innermost simple statement on each line of a file."""
    tree = _tree(file, lines)
    found: dict[int, ast.stmt] = {}
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.stmt) and not hasattr(node, "body"):
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                found[line] = node
    return found


@functools.lru_cache(maxsize=16)
def _tree(file: str, lines: tuple[str, ...]) -> ast.Module | None:
    try:
        return ast.parse("".join(lines))
    except SyntaxError:  # as a cell of a notebook with commands in it
        return None
