"""Python expressions as LaTeX."""

from __future__ import annotations

import ast

GREEK = {"alpha", "beta", "gamma", "delta", "epsilon", "mu", "sigma", "rho", "lambda", "theta", "eps"}
_FUNCTIONS = {"exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min", "arcsin", "arccos", "arctan"}
_COMPARED = {ast.Lt: "<", ast.LtE: r"\le", ast.Gt: ">", ast.GtE: r"\ge", ast.Eq: "=", ast.NotEq: r"\ne"}
# How tightly an operator binds: its operands need parentheses if they bind less.
_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(5)


class Symbol(ast.Name):
    """A name with LaTeX of its own."""

    def __init__(self, id: str, text: str):
        super().__init__(id)
        self.text = text


def latex(node: ast.expr) -> str:
    """LaTeX of an expression: `g * (1 - out * out)` becomes `\\bar{y} \\left(1 - y y\\right)`.

    The cotangent `g` is written as \\bar{y} and the result `out` as y. What has no sign of its own keeps its Python text.
    """
    return _written(node)[0]


def _written(node: ast.expr) -> tuple[str, int]:
    """The LaTeX of a node, and how tightly it binds."""
    if isinstance(node, Symbol):
        return node.text, _SIGN if node.text.startswith("-") else _ATOM
    if isinstance(node, ast.Name):
        return _name(node.id), _ATOM
    if isinstance(node, ast.Constant):
        return (rf"\text{{{escaped(node.value)}}}" if isinstance(node.value, str) else str(node.value)), _ATOM
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Invert)):
        sign = "-" if isinstance(node.op, ast.USub) else r"\lnot "
        return sign + _inside(node.operand, _SIGN), _SIGN
    if isinstance(node, ast.BinOp):
        return _operation(node)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARED:
        return rf"[{latex(node.left)} {_COMPARED[type(node.ops[0])]} {latex(node.comparators[0])}]", _ATOM
    if isinstance(node, ast.IfExp):
        parts = rf"{latex(node.body)} & \text{{if }} {latex(node.test)} \\ {latex(node.orelse)} & \text{{otherwise}}"
        return rf"\begin{{cases}} {parts} \end{{cases}}", _ATOM
    if isinstance(node, ast.Call):
        return _call(node)
    if isinstance(node, (ast.List, ast.Tuple)) and node.elts:
        inside = ", ".join(map(latex, node.elts))
        return (rf"\left[{inside}\right]" if isinstance(node, ast.List) else rf"\left({inside}\right)"), _ATOM
    if isinstance(node, ast.Subscript) and isinstance(node.value, Symbol):
        return f"{node.value.text}[{_as_text(node.slice)}]", _POWER
    if isinstance(node, ast.Attribute) and node.attr in ("T", "mT"):
        return _inside(node.value, _ATOM) + r"^\top", _POWER
    return _as_text(node), _ATOM


def _operation(node: ast.BinOp) -> tuple[str, int]:
    left, right = node.left, node.right
    if isinstance(node.op, ast.Add):
        return f"{_inside(left, _SUM)} + {_inside(right, _SUM)}", _SUM
    if isinstance(node.op, ast.Sub):
        return f"{_inside(left, _SUM)} - {_inside(right, _PRODUCT)}", _SUM
    if isinstance(node.op, (ast.Mult, ast.MatMult)):
        factor = _inside(right, _POWER)
        sign = r" \cdot " if factor[0].isdigit() else r" \, " if isinstance(node.op, ast.Mult) else " "
        return f"{_inside(left, _PRODUCT)}{sign}{factor}", _PRODUCT
    if isinstance(node.op, (ast.Div, ast.FloorDiv)):
        return rf"\frac{{{latex(left)}}}{{{latex(right)}}}", _ATOM
    if isinstance(node.op, ast.Pow):
        return f"{_inside(left, _ATOM)}^{{{latex(right)}}}", _POWER
    if isinstance(node.op, (ast.BitAnd, ast.BitOr)):
        sign = r"\land" if isinstance(node.op, ast.BitAnd) else r"\lor"
        return f"{_inside(left, _ATOM)} {sign} {_inside(right, _ATOM)}", _SUM
    return _as_text(node), _ATOM


def _call(node: ast.Call) -> tuple[str, int]:
    arguments = ", ".join(latex(argument) for argument in node.args)
    if isinstance(node.func, ast.Name) and len(node.args) == 1 and node.func.id in ("sqrt", "abs"):
        return (rf"\sqrt{{{arguments}}}" if node.func.id == "sqrt" else rf"\left|{arguments}\right|"), _ATOM
    if isinstance(node.func, ast.Name):
        name = node.func.id
    elif isinstance(node.func, ast.Attribute):
        name, inner = node.func.attr, latex(node.func.value)
        if not (isinstance(node.func.value, ast.Name) and node.func.value.id in ("np", "xp", "math")):
            arguments = ", ".join([inner, arguments]) if arguments else inner
    else:
        return _as_text(node), _ATOM
    written = rf"\{name}" if name in _FUNCTIONS else rf"\operatorname{{{escaped(name.strip('_'))}}}"
    return rf"{written}\left({arguments}\right)", _ATOM


def _inside(node: ast.expr, least: int) -> str:
    text, binds = _written(node)
    return text if binds >= least else rf"\left({text}\right)"


class _Plain(ast.NodeTransformer):
    """Replaces symbols by the names that they stand for."""

    def visit_Symbol(self, node: Symbol) -> ast.Name:
        return ast.Name(node.id, ast.Load())


def _as_text(node: ast.expr) -> str:
    return rf"\texttt{{{escaped(ast.unparse(_Plain().visit(node)))}}}"


def _name(name: str) -> str:
    if name == "g":
        return r"\bar{y}"
    if name == "out":
        return "y"
    if name in GREEK:
        return r"\varepsilon" if name == "eps" else rf"\{name}"
    return name if len(name) == 1 else rf"\mathit{{{escaped(name)}}}"


def escaped(text: str) -> str:
    return "".join(rf"\char`\{sign} " if sign in "\\^~" else rf"\{sign}" if sign in "{}_%&#$" else sign for sign in text)
