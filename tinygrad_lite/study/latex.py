"""Python expressions as LaTeX, as a textbook would print them."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence

GREEK = {"alpha", "beta", "gamma", "delta", "epsilon", "kappa", "mu", "sigma", "rho", "tau", "lambda", "theta", "eps", "pi"}
# The names that rules use, as the page of rules and its readers know them.
SYMBOLS = {"g": r"\bar{y}", "out": "y", "result": "y", "input": "x", "other": "z", "weight": "W", "bias": "b", "target": "t"}
SYMBOLS |= {"query": "Q", "key": "K", "value": "V", "inf": r"\infty", "nan": r"\mathrm{NaN}"}
_MODULES = ("np", "xp", "math")
_FUNCTIONS = {"exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min", "arcsin", "arccos", "arctan", "det"}
_COMPARED = {ast.Lt: "<", ast.LtE: r"\le", ast.Gt: ">", ast.GtE: r"\ge", ast.Eq: "=", ast.NotEq: r"\ne", ast.Is: "=", ast.IsNot: r"\ne"}
_LOGICAL = {ast.BitAnd: r"\land", ast.BitOr: r"\lor", ast.And: r"\land", ast.Or: r"\lor"}
_OVER = {"sum": r"\sum", "prod": r"\prod", "max": r"\max", "min": r"\min", "argmax": r"\arg\max", "mean": r"\mathrm{mean}"}
# Functions that change only the shape, dtype or device of their first argument, which a formula does not mention.
_PLAIN = {"restored", "to_dtype", "raw", "unsqueeze_dims"}
_CALLED = {"sigmoid": r"\sigma", "zeta": r"\zeta", "gamma": r"\Gamma", "lgamma": r"\log \Gamma", "Phi": r"\Phi", "phi": r"\varphi"}
_CALLED |= {"erfinv": r"\mathrm{erf}^{-1}", "ndtri": r"\Phi^{-1}", "clamp_min": r"\max", "clamp_max": r"\min", "Aip": r"\mathrm{Ai}'"}
_CALLED |= {f"{kind}{order}": f"{kind}_{order}" for kind in "JYIK" for order in "01"}
_CALLED |= {f"{kind}{order}e": rf"\mathrm{{{kind}e}}_{order}" for kind in "IK" for order in "01"}
_AROUND = {"abs": ("\\lvert ", " \\rvert"), "floor": ("\\lfloor ", " \\rfloor"), "ceil": ("\\lceil ", " \\rceil")}
_AT_LEAST = "\\ge"
_BIG = ("\\sum", "\\prod", "\\int", "\\arg")
_TALL = ("\\frac", "\\sum", "\\prod", "\\int", "\\begin", "\\max_", "\\min_")
# How tightly an operator binds: its operands need parentheses if they bind less.
_LOGIC, _SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(6)


def latex(node: ast.expr, symbols: Mapping[str, str] | None = None) -> str:
    """LaTeX of an expression: `g * (1 - out * out)` becomes `\\bar{y} \\, (1 - y^{2})`.

    `symbols`: LaTeX for names, besides SYMBOLS. Where arrays are only reshaped or repeated, a formula shows the array. What
    has no sign of its own keeps its Python text.
    """
    return _Writer(symbols or {}).write(node)


def equation(statement: ast.stmt, symbols: Mapping[str, str] | None = None) -> tuple[str, str]:
    """The two sides of an assignment."""
    if not isinstance(statement, ast.Assign):
        raise TypeError(f"equation: expected an assignment, got {ast.unparse(statement)}")
    writer, target = _Writer(symbols or {}), statement.targets[0]
    return writer.listed(target.elts if isinstance(target, ast.Tuple) else [target]), writer.write(statement.value)


class _Writer:
    def __init__(self, symbols: Mapping[str, str]):
        self.symbols = {**SYMBOLS, **symbols}

    def write(self, node: ast.expr) -> str:
        return self.written(node)[0]

    def written(self, node: ast.expr) -> tuple[str, int]:
        """The LaTeX of a node, and how tightly it binds."""
        method: Callable[..., tuple[str, int]] | None = getattr(self, f"_{type(node).__name__}", None)
        return method(node) if method is not None else (as_text(node), _ATOM)

    def inside(self, node: ast.expr, least: int) -> str:
        text, binds = self.written(node)
        return text if binds >= least else around("(", text, ")")

    def listed(self, nodes: Sequence[ast.expr]) -> str:
        return ", ".join(map(self.write, nodes))

    # -- names and numbers -----------------------------------------------------------------------

    def _Name(self, node: ast.Name) -> tuple[str, int]:
        text = self.symbols.get(node.id)
        if text is None and node.id.endswith("_shape"):
            text = rf"\mathrm{{shape}}({self._Name(ast.Name(node.id.removesuffix('_shape')))[0]})"
        elif text is None and node.id.endswith("_bar"):
            text = rf"\bar{{{self._Name(ast.Name(node.id.removesuffix('_bar')))[0]}}}"
        text = text or name_in_latex(node.id)
        return text, _SIGN if text.startswith("-") else _ATOM

    def _Constant(self, node: ast.Constant) -> tuple[str, int]:
        value = node.value
        if isinstance(value, str):
            return rf"\text{{{escaped(value)}}}", _ATOM
        if value is Ellipsis:
            return r"\ldots", _ATOM
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return rf"\text{{{escaped(str(value))}}}", _ATOM
        digits, _, power = f"{value:.12g}".partition("e")
        if power:
            digits = ("" if digits == "1" else rf"{digits} \cdot ") + f"10^{{{int(power)}}}"
        return digits.replace("inf", r"\infty"), _POWER if power else _ATOM

    def _Attribute(self, node: ast.Attribute) -> tuple[str, int]:
        if node.attr in ("T", "mT"):
            if isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name) and node.value.func.id.strip("_") == "inv":
                return rf"{self.inside(node.value.args[0], _ATOM)}^{{-\top}}", _POWER
            return self.inside(node.value, _ATOM) + r"^\top", _POWER
        if isinstance(node.value, ast.Name) and node.value.id in _MODULES:
            return self._Name(ast.Name(node.attr))
        return as_text(node), _ATOM

    def _Subscript(self, node: ast.Subscript) -> tuple[str, int]:
        places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        places = [place for place in places if not (isinstance(place, ast.Constant) and place.value in (None, Ellipsis))]
        whole = self.inside(node.value, _ATOM)
        if not places:  # new dims
            return self.written(node.value)
        if not isinstance(node.value, (ast.Name, ast.Call, ast.Attribute)):
            return as_text(node), _ATOM
        return rf"{{{whole}}}_{{{self.listed(places)}}}" if "_" in whole else f"{whole}_{{{self.listed(places)}}}", _ATOM

    def _Slice(self, node: ast.Slice) -> tuple[str, int]:
        return ":".join(self.write(part) if part is not None else "" for part in (node.lower, node.upper)), _ATOM

    def _Starred(self, node: ast.Starred) -> tuple[str, int]:
        return self.written(node.value)

    def _List(self, node: ast.List) -> tuple[str, int]:
        return around("[", self.listed(node.elts), "]"), _ATOM

    def _Tuple(self, node: ast.Tuple) -> tuple[str, int]:
        return around("(", self.listed(node.elts), ")"), _ATOM

    # -- operators -------------------------------------------------------------------------------

    def _UnaryOp(self, node: ast.UnaryOp) -> tuple[str, int]:
        if isinstance(node.op, (ast.USub, ast.UAdd)):
            return ("-" if isinstance(node.op, ast.USub) else "") + self.inside(node.operand, _PRODUCT), _SIGN
        return r"\lnot " + self.inside(node.operand, _SIGN), _SIGN

    def _BinOp(self, node: ast.BinOp) -> tuple[str, int]:
        left, right = node.left, node.right
        if isinstance(node.op, ast.Add):
            return f"{self.inside(left, _SUM)} + {self.inside(right, _SUM)}", _SUM
        if isinstance(node.op, ast.Sub):
            return f"{self.inside(left, _SUM)} - {self.inside(right, _PRODUCT)}", _SUM
        if isinstance(node.op, ast.Mult):
            return self._product(_factors(node))
        if isinstance(node.op, ast.MatMult):
            return f"{self.inside(left, _PRODUCT)} {self.inside(right, _POWER)}", _PRODUCT
        if isinstance(node.op, (ast.Div, ast.FloorDiv)):
            numbers: list[ast.expr] = [right]
            while isinstance(left, ast.BinOp) and isinstance(left.op, ast.Div):
                numbers.insert(0, left.right)
                left = left.left
            first, *rest = _factors(left)
            sign = isinstance(first, ast.UnaryOp) and isinstance(first.op, ast.USub)
            above = self._product([first.operand if isinstance(first, ast.UnaryOp) and sign else first, *rest])[0]
            below = self._product([factor for number in numbers for factor in _factors(number)])[0]
            return rf"{'-' * sign}\frac{{{above}}}{{{below}}}", _SIGN if sign else _POWER
        if isinstance(node.op, ast.Pow):
            return f"{self.inside(left, _ATOM)}^{{{self.write(right)}}}", _POWER
        if isinstance(node.op, (ast.BitAnd, ast.BitOr)):
            return self._joined(type(node.op), [left, right])
        return as_text(node), _ATOM

    def _product(self, factors: list[ast.expr]) -> tuple[str, int]:
        """A product, with equal neighbours as a power."""
        parts: list[tuple[str, int]] = []
        powers: list[int] = []
        for node in factors:
            text, binds = self.written(node)
            if parts and parts[-1] == (text, binds) and not isinstance(node, ast.Constant):
                powers[-1] += 1
            else:
                parts.append((text, binds))
                powers.append(1)
        if len(parts) == 1 and powers[0] == 1:
            return parts[0]
        written = ""
        for i, ((text, binds), power) in enumerate(zip(parts, powers)):
            least = _ATOM if power > 1 else _PRODUCT if not i or (i + 1 == len(parts) and text.startswith(_BIG)) else _POWER
            factor = text if binds >= least else around("(", text, ")")
            if power > 1:
                factor += f"^{{{power}}}"
            if i:
                matrices = _is_matrix(text) and _is_matrix(parts[i - 1][0])
                written += r" \cdot " if factor[0].isdigit() else r" \odot " if matrices else r" \, "
            written += factor
        return written, _POWER if len(parts) == 1 else _PRODUCT

    def _BoolOp(self, node: ast.BoolOp) -> tuple[str, int]:
        if isinstance(node.op, ast.Or) and isinstance(node.values[-1], ast.Constant):
            return self.written(node.values[0])  # what stands for nothing
        return self._joined(type(node.op), node.values)

    def _joined(self, by: type[ast.AST], conditions: Sequence[ast.expr]) -> tuple[str, int]:
        return f" {_LOGICAL[by]} ".join(self.condition(each, _LOGIC + 1) for each in conditions), _LOGIC

    def condition(self, node: ast.expr, least: int = _LOGIC) -> str:
        """A condition without the brackets that make it 0 or 1."""
        if isinstance(node, ast.Compare) and all(type(each) in _COMPARED for each in node.ops):
            pairs = zip(node.ops, node.comparators)
            return " ".join([self.write(node.left), *(f"{_COMPARED[type(sign)]} {self.write(right)}" for sign, right in pairs)])
        return self.inside(node, least)

    def _Compare(self, node: ast.Compare) -> tuple[str, int]:
        known = all(type(each) in _COMPARED for each in node.ops)
        return (around("[", self.condition(node), "]") if known else as_text(node)), _ATOM

    def _IfExp(self, node: ast.IfExp) -> tuple[str, int]:
        return self.cases(node.test, node.body, node.orelse)

    def cases(self, test: ast.expr, first: ast.expr, rest: ast.expr) -> tuple[str, int]:
        rows = [rf"{self.write(first)} & \text{{if }} {self.condition(test)}"]
        while (following := _choice(rest)) is not None:
            test, first, rest = following
            rows.append(rf"{self.write(first)} & \text{{if }} {self.condition(test)}")
        body = r" \\ ".join([*rows, rf"{self.write(rest)} & \text{{otherwise}}"])
        return rf"\begin{{cases}} {body} \end{{cases}}", _LOGIC

    # -- calls -----------------------------------------------------------------------------------

    def _Call(self, node: ast.Call) -> tuple[str, int]:
        arguments, function = node.args, node.func
        if isinstance(function, ast.Name):
            name = function.id.strip("_")
        elif isinstance(function, ast.Attribute):
            name = function.attr
            if not (isinstance(function.value, ast.Name) and function.value.id in _MODULES):
                if name in ("reshape", "unsqueeze"):
                    return self.written(function.value)
                arguments = [function.value, *arguments]
        else:
            return as_text(node), _ATOM
        if not arguments:
            return rf"\mathrm{{{escaped(name)}}}()", _ATOM
        return self.called(name, arguments, {each.arg: each.value for each in node.keywords})

    def called(self, name: str, arguments: list[ast.expr], options: Mapping[str | None, ast.expr]) -> tuple[str, int]:
        first = arguments[0]
        if name in _PLAIN or (name == "reshape" and len(arguments) == 2 and "with_ones" in ast.unparse(arguments[1])):
            return self.written(first)
        if name in ("zeros", "zeros_like", "ones_like"):
            return ("1" if name == "ones_like" else "0"), _ATOM
        if name in _OVER and (isinstance(first, ast.GeneratorExp) or len(arguments) > 1 or "axis" in options or name in ("sum", "prod")):
            over = options.get("axis", arguments[1] if len(arguments) > 1 else None)
            if isinstance(first, ast.GeneratorExp) or name not in ("max", "min") or "axis" in options:
                return self.over(name, first, over)
        if name == "where" and len(arguments) == 3:
            return self.cases(*arguments)
        if name == "count":
            return "n", _ATOM
        if name == "sqrt" and len(arguments) == 1:
            return rf"\sqrt{{{self.write(first)}}}", _ATOM
        if name in _AROUND and len(arguments) == 1:
            left, right = _AROUND[name]
            return around(left, self.write(first), right), _ATOM
        if name == "exp" and len(arguments) == 1:
            power = self.write(first)
            return (f"e^{{{power}}}", _POWER) if r"\begin" not in power else (rf"\exp{around('(', power, ')')}", _ATOM)
        if name == "inv":
            return f"{self.inside(first, _ATOM)}^{{-1}}", _POWER
        if name == "matrix_power" and len(arguments) == 2:
            return f"{self.inside(first, _ATOM)}^{{{self.write(arguments[1])}}}", _POWER
        if name == "factorial":
            return f"{self.inside(first, _ATOM)}!", _POWER
        if name == "integral" and len(arguments) == 3 and isinstance(first, ast.Lambda):
            variable, bounds = first.args.args[0].arg, [self.write(bound) for bound in arguments[1:]]
            of = self.inside(first.body, _PRODUCT)
            return rf"\int_{{{bounds[0]}}}^{{{bounds[1]}}} {of} \, d{name_in_latex(variable)}", _PRODUCT
        if name == "getitem" and len(arguments) == 2:
            return self._Subscript(ast.Subscript(first, arguments[1]))
        if name == "polygamma" and len(arguments) == 2:
            return rf"\psi^{{({self.write(arguments[1])})}}{around('(', self.write(first), ')')}", _ATOM
        if name == "contract" and len(arguments) == 3 and isinstance(arguments[2], ast.Tuple):
            *given, result = (str(each.value) if isinstance(each, ast.Constant) else self.write(each) for each in arguments[2].elts)
            return rf"\mathrm{{einsum}}_{{{', '.join(given)} \to {result}}}({self.listed(arguments[:2])})", _ATOM
        sign = rf"\{name}" if name in _FUNCTIONS else _CALLED.get(name) or rf"\mathrm{{{escaped(name)}}}"
        return sign + around("(", self.listed(arguments), ")"), _ATOM

    def over(self, name: str, what: ast.expr, axes: ast.expr | None) -> tuple[str, int]:
        """A sum or the like: of a generator over its indices, of an array over dims."""
        below = ""
        if isinstance(what, ast.GeneratorExp):
            below = self.indices(what.generators)
            what = what.elt
        elif axes is not None and not (isinstance(axes, ast.Constant) and axes.value is None):
            below = self.write(axes)
        return f"{_OVER[name]}{f'_{{{below}}}' if below else ''} {self.inside(what, _PRODUCT)}", _PRODUCT

    def indices(self, loops: Sequence[ast.comprehension]) -> str:
        """What stands below a sum: `i, j`, `j \\le i`, `j \\ne i` or `i : x_{i} = k`."""
        bounds, conditions = [self.bounds(loop) for loop in loops], [each for loop in loops for each in loop.ifs]
        written = ", ".join(map(self.condition, conditions))
        if not written:
            return ", ".join(bounds)
        if written.startswith(rf"{bounds[0]} \ne "):
            return written
        plain = all(bound == self.write(loop.target) for bound, loop in zip(bounds, loops))
        return f"{', '.join(bounds)}{' : ' if plain else ', '}{written}"

    def bounds(self, loop: ast.comprehension) -> str:
        """The values of an index: from 0 where nothing else is said, to the end of the dim where that is a size."""
        index, values = self.write(loop.target), loop.iter
        if not (isinstance(values, ast.Call) and isinstance(values.func, ast.Name) and values.func.id == "range"):
            return rf"{index} \in {self.write(values)}"
        start, stop = values.args if len(values.args) == 2 else (ast.Constant(0), values.args[0])
        endless = isinstance(stop, ast.Name) and stop.id == "inf"
        after, until = _before(start), _before(stop)
        lower = (self.write(after), "<") if after is not None else (self.write(start), r"\le")
        upper = (r"\le", self.write(until)) if until is not None else ("<", self.write(stop))
        if lower[0] == "0" and not endless:
            return index if _is_size(stop) else f"{index} {' '.join(upper)}"
        if endless or _is_size(stop):
            return f"{index} {'>' if after is not None else _AT_LEAST} {lower[0]}"
        return f"{' '.join(lower)} {index} {' '.join(upper)}"


def _is_matrix(text: str) -> bool:
    """Whether LaTeX begins with the symbol of a matrix, which could be taken for a factor of a matrix product."""
    return re.match(r"(\\bar\{)?[A-Z](?![_\w])", text) is not None


def _factors(node: ast.expr) -> list[ast.expr]:
    """The factors of a product, whatever its parentheses."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*_factors(node.left), *_factors(node.right)]
    return [node]


def _choice(node: ast.expr) -> tuple[ast.expr, ast.expr, ast.expr] | None:
    """The condition and the two branches of `where(...)` or `... if ... else ...`."""
    if isinstance(node, ast.IfExp):
        return node.test, node.body, node.orelse
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "where" and len(node.args) == 3:
        return node.args[0], node.args[1], node.args[2]
    return None


def _before(node: ast.expr) -> ast.expr | None:
    """The `i` of `i + 1`."""
    is_next = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and ast.unparse(node.right) == "1"
    return node.left if isinstance(node, ast.BinOp) and is_next else None


def _is_size(node: ast.expr) -> bool:
    """Whether it is the number of elements along a dim: `len(x)`, or a capital letter or n."""
    return isinstance(node, ast.Call) or (isinstance(node, ast.Name) and (node.id == "n" or (len(node.id) == 1 and node.id.isupper())))


def around(left: str, text: str, right: str) -> str:
    """Brackets, which grow where the text is higher than a line."""
    if any(sign in text for sign in _TALL):
        return rf"\left{left}{text}\right{right.strip()}"
    return f"{left}{text}{right}"


def as_text(node: ast.AST) -> str:
    return rf"\texttt{{{escaped(ast.unparse(node))}}}"


def name_in_latex(name: str) -> str:
    """A name as a symbol: Greek letters, an index as in `w1`, several letters in italics."""
    if name == "eps":
        return r"\varepsilon"
    if name in GREEK:
        return rf"\{name}"
    stem = name.rstrip("0123456789")
    if stem != name and (stem in GREEK or (len(stem) == 1 and stem.isalpha())):
        return f"{name_in_latex(stem)}_{{{name[len(stem) :]}}}"
    return name if len(name) == 1 else rf"\mathit{{{escaped(name)}}}"


def escaped(text: str) -> str:
    return "".join(rf"\char`\{sign} " if sign in "\\^~" else rf"\{sign}" if sign in "{}_%&#$" else sign for sign in text)
