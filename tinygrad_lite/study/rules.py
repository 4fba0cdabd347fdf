"""The rules of a tape entry as text: their source, and the formula in Python and in LaTeX."""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
from collections.abc import Callable
from typing import Any, NamedTuple

from tinygrad_lite.engine.primitive import REGISTRY
from tinygrad_lite.study.formulas import FORMULAS, typeset
from tinygrad_lite.study.latex import latex


class Text(NamedTuple):
    """`source`: as in the file; `formula`: the expression that a lambda returns, otherwise ""; `latex`: that expression, or the
    formula of the page of rules; `parameters`: the names of the saved values that it takes."""

    source: str
    formula: str
    latex: str
    parameters: tuple[str, ...]


def text_of(rule: Callable[..., Any] | Text) -> Text:
    """The text of a rule, or that text itself; empty if the source is not available."""
    return rule if isinstance(rule, Text) else _text_of(_bare(rule))


def text_of_rule(operation: str, argument: str, rule: Callable[..., Any] | Text | None) -> Text:
    """The text of an operation's rule for an argument, with the LaTeX of its formula if it has one of its own."""
    if rule is None or isinstance(rule, Text):
        return rule or Text("", "", "", ())
    text, formula, primitive = text_of(rule), FORMULAS.get(operation), REGISTRY.get(operation)
    if formula is None or primitive is None or argument not in formula.rules:
        return text
    known = primitive.fused if primitive.fused is not None else primitive.rules[argument][0]
    return text._replace(latex=typeset.rule_alone(formula, argument)) if _bare(rule) is _bare(known) else text


def _bare(rule: Any) -> Any:
    while isinstance(rule, functools.partial):
        rule = next((each for each in rule.args if callable(each)), rule.func)
    return inspect.unwrap(rule)


@functools.lru_cache(maxsize=1024)
def _text_of(rule: Any) -> Text:
    code = getattr(rule, "__code__", None)
    if code is None:
        return Text("", "", "", ())
    parameters = code.co_varnames[: code.co_argcount]
    taken = tuple(name for name in parameters if name not in ("g", "needs"))
    try:
        lines, start = inspect.getsourcelines(rule)
        source = textwrap.dedent("".join(lines))
    except (OSError, TypeError):
        return Text("", "", "", taken)
    if code.co_name != "<lambda>":
        return Text(source.rstrip(), "", "", taken)
    lambdas = [node for node in ast.walk(_parsed(source)) if isinstance(node, ast.Lambda) and _may_be(node, code, start)]
    if not lambdas:
        return Text(source.rstrip(), "", "", taken)
    body = lambdas[0].body
    return Text(ast.unparse(lambdas[0]), ast.unparse(body), latex(body), taken)


def _parsed(source: str) -> ast.AST:
    """The tree of a piece of a file, which may end in the middle of a call."""
    bare = source.strip().rstrip(",")
    found = (_tree(text) for text in (source, f"({bare})", f"f({bare}", f"f({bare})", bare.rstrip(")")))
    return next((tree for tree in found if tree is not None), ast.Module([], []))


def _tree(text: str) -> ast.AST | None:
    try:
        return ast.parse(text)
    except SyntaxError:
        return None


def _may_be(node: ast.Lambda, code: Any, start: int) -> bool:
    """Whether a lambda of a source that starts at line `start` was compiled to `code`, as far as its line, parameters and
    names tell."""
    if start + node.lineno - 1 != code.co_firstlineno:
        return False
    parameters = [argument.arg for argument in node.args.args]
    if tuple(parameters) != code.co_varnames[: code.co_argcount]:
        return False
    inside = list(ast.walk(node.body))
    names = {each.id for each in inside if isinstance(each, ast.Name)} | {each.attr for each in inside if isinstance(each, ast.Attribute)}
    return names - set(parameters) == {*code.co_names, *code.co_freevars}
