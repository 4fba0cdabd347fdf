"""Where the text of a program takes a value off the tape: `detach()`, `no_grad`, conversions to integers and numbers."""

from __future__ import annotations

import ast
import sys
from typing import NamedTuple

from tinygrad_lite.study.program import Call, in_package, tree_of

_PROPERTIES = {"data": "detached", "grad": "no create_graph"}
_METHODS = {
    "detach": "detached", "detach_": "detached", "numpy": "converted", "item": "converted", "tolist": "converted",
    "argmax": "integer", "argmin": "integer", "argsort": "integer", "long": "integer", "int": "integer", "bool": "integer",
    "short": "integer", "byte": "integer", "eq": "integer", "ne": "integer", "gt": "integer", "ge": "integer", "lt": "integer",
    "le": "integer", "sample": "sampled", "multinomial": "sampled", "bernoulli": "sampled", "one_hot": "integer",
}  # fmt: skip
_FUNCTIONS = {
    "tensor": "converted", "as_tensor": "converted", "from_numpy": "converted", "array": "converted", "asarray": "converted",
    "float": "converted", "Tensor": "converted", "Parameter": "detached", "argmax": "integer", "argmin": "integer",
    "argsort": "integer", "int": "integer", "bool": "integer",
}  # fmt: skip


_DEEPEST = 3  # functions that are looked into, one called by the other


class Leaving(NamedTuple):
    """A place at which a value leaves the tape, by the text `how`: `kind` is detached, converted, integer, sampled, no_grad, or,
    for a gradient whose computation was not recorded, no create_graph."""

    kind: str
    how: str
    file: str
    line: int


def leaving_after(calls: tuple[Call, ...], until: tuple[Call, ...] = ()) -> Leaving | None:
    """Where the result of an operation called here, or what the same functions compute from it, leaves the tape, on the way to
    the calls `until`."""
    for call in calls:
        body = _function_at(call)
        statement = _statement(body, call.line)
        if body is None or statement is None:
            continue
        names = set(_targets(statement))
        last = next((each.line for each in until if (each.file, each.function) == (call.file, call.function)), None)
        found = _off_tape(statement, None, call.file)
        if found is None or not (last is None or _leads_to(body, statement, last)):
            found = _leaving_between(body, names, call.line, last, call.file)
        if found is not None:
            return found
        if not isinstance(statement, ast.Return) and not _returned(body, names):
            return None
    return None


def leaving_of(name: str, call: Call, leads: bool = True) -> Leaving | None:
    """Where what is computed from a variable leaves the tape, in the function of a call and before it; if `leads`, on the way
    to what the call takes."""
    body = _function_at(call)
    return None if body is None or not name else _leaving_between(body, {name}, 0, call.line, call.file, leads)


def leaving_for(name: str, call: Call) -> Leaving | None:
    """Where a variable leaves the tape, in the statement of a call, or before it unless the statement names the variable."""
    body = _function_at(call)
    statement = _statement(body, call.line)
    if body is None or statement is None:
        return None
    is_named = _named(getattr(statement, "value", None) or statement, {name})
    found = _off_tape(statement, {name} if is_named else None, call.file)
    return found if found is not None or is_named else leaving_of(name, call)


def leaving_at(name: str, call: Call, tracked: set[str]) -> Leaving | None:
    """How the variable was taken off the tape by the last statement before a call that assigned it. `tracked`: the variables
    that are on the tape."""
    body = _function_at(call)
    assigned = [each for each in _statements(body) if each.lineno <= call.line and name in _targets(each)] if body is not None else []
    if body is None or not assigned:
        return None
    found = _off_tape(assigned[-1], None, call.file)
    if found is not None and found.kind == "converted":  # or a new tensor of data
        found = _off_tape(assigned[-1], tracked, call.file)
    return found or _under_no_grad(body, assigned[-1], None, call.file)


def _leaving_between(
    body: ast.AST, names: set[str], first: int, last: int | None, file: str, leads: bool = True, depth: int = 0
) -> Leaving | None:
    """The first statement after line `first`, up to line `last`, that takes one of these variables, or what is made of them,
    off the tape; if `leads`, only one whose result is used on line `last`."""
    if not names:
        return None
    for statement in _statements(body):
        if statement.lineno <= first or (last is not None and statement.lineno > last):
            continue
        if not isinstance(statement, (ast.Assert, ast.Expr)) or _targets(statement) or "detach_" in ast.unparse(statement):
            found = _under_no_grad(body, statement, names, file) or _off_tape(statement, names, file, depth)
            if found is not None and (last is None or not leads or _leads_to(body, statement, last)):
                return found
        if _named(statement, names):
            names = names | set(_targets(statement))
    return None


def _leads_to(body: ast.AST, statement: ast.stmt, last: int) -> bool:
    """Whether the statement on line `last` is this one, or uses what is made of its result."""
    names = set(_targets(statement))
    for later in _statements(body):
        if statement.lineno <= later.lineno <= last and (later is statement or _named(later, names)):
            if last <= (later.end_lineno or later.lineno):
                return True
            names |= set(_targets(later))
    return False


def _function_at(call: Call) -> ast.AST | None:
    """The innermost function around a line, or the whole file."""
    tree = tree_of(call.file)
    if tree is None or call.function in ("<module>", ""):
        return tree
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.lineno <= call.line <= (node.end_lineno or node.lineno)
    ]
    return max(around, key=lambda node: node.lineno, default=tree)


def _statements(body: ast.AST) -> list[ast.stmt]:
    """The simple statements, in order."""
    found = [node for node in ast.walk(body) if isinstance(node, ast.stmt) and not hasattr(node, "body")]
    return sorted(found, key=lambda node: node.lineno)


def _statement(body: ast.AST | None, line: int) -> ast.stmt | None:
    return None if body is None else next((s for s in _statements(body) if s.lineno <= line <= (s.end_lineno or s.lineno)), None)


def _targets(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.Assign):
        targets = [part for each in statement.targets for part in (each.elts if isinstance(each, (ast.Tuple, ast.List)) else [each])]
    elif isinstance(statement, (ast.AnnAssign, ast.AugAssign)):
        targets = [statement.target]
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call) and isinstance(statement.value.func, ast.Attribute):
        receiver = statement.value.func.value  # `kept.append(h)`: what is made of `kept` may be made of h
        targets = [receiver] if isinstance(receiver, ast.Name) and statement.value.func.attr in ("append", "extend", "add") else []
    else:
        targets = []
    return [ast.unparse(target) for target in targets]


def _named(node: ast.AST, names: set[str]) -> bool:
    return any(isinstance(each, (ast.Name, ast.Attribute)) and ast.unparse(each) in names for each in ast.walk(node))


def _returned(body: ast.AST, names: set[str]) -> bool:
    return any(isinstance(node, ast.Return) and node.value is not None and _named(node.value, names) for node in ast.walk(body))


def _off_tape(statement: ast.stmt, names: set[str] | None, file: str, depth: int = 0) -> Leaving | None:
    """The first part of a statement that takes one of these variables (None: anything) off the tape; or that of a function of the
    program which the statement passes it to."""
    inside: ast.AST | None
    for node in ast.walk(getattr(statement, "value", None) or statement):
        kind, inside = "", None
        if isinstance(node, ast.Attribute):
            kind, inside = _by_attribute(node, statement)
        elif isinstance(node, ast.Call) and _last_name(node.func) in _FUNCTIONS and node.args:
            kind, inside = _FUNCTIONS[_last_name(node.func)], node.args[0]
        elif isinstance(node, ast.Compare) and not any(isinstance(op, (ast.Is, ast.IsNot, ast.In, ast.NotIn)) for op in node.ops):
            kind, inside = "integer", node
        elif _is_plain_gradient(node):
            kind, inside = "no create_graph", node
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _to_integers(node):
            kind, inside = "integer", node.func.value
        if kind and inside is not None and (_named(inside, names) if names is not None else not isinstance(inside, ast.Constant)):
            how = ast.unparse(node) if not isinstance(node, ast.Attribute) else f".{node.attr}" + "()" * (node.attr not in _PROPERTIES)
            return Leaving(kind, how, file, statement.lineno)
    for node in ast.walk(getattr(statement, "value", None) or statement) if depth < _DEEPEST else ():
        found = _inside(node, names, file, depth + 1) if isinstance(node, ast.Call) else None
        if found is not None:
            return found
    return None


def _inside(call: ast.Call, names: set[str] | None, file: str, depth: int) -> Leaving | None:
    """Where a function of the program takes an argument with one of these variables (None: any argument) off the tape, on the
    way to what it returns."""
    function, file = _definition(call.func, file)
    if function is None:
        return None
    parameters = [each.arg for each in (*function.args.posonlyargs, *function.args.args)]
    if isinstance(call.func, ast.Attribute) and parameters[:1] == ["self"]:
        del parameters[0]
    given = [*zip(parameters, call.args), *((keyword.arg, keyword.value) for keyword in call.keywords if keyword.arg)]
    taken = {name for name, value in given if names is None or _named(value, names)}
    if not taken:
        return None
    off = next((each for each in function.decorator_list if _switches_off(each)), None)
    if off is not None:
        return Leaving("no_grad", ast.unparse(off), file, off.lineno)
    returns = [each.lineno for each in _statements(function) if isinstance(each, ast.Return)]
    found = (_leaving_between(function, taken, 0, last, file, depth=depth) for last in returns)
    return next((each for each in found if each is not None), None)


def _definition(function: ast.expr, file: str) -> tuple[ast.FunctionDef | None, str]:
    """The definition of a function that is called by this name in a file of the program, there or in a module that it imports;
    and the file that has it."""
    tree = tree_of(file)
    if tree is None or in_package(file):
        return None, file
    name, owner = _last_name(function), function.value if isinstance(function, ast.Attribute) else None
    module = ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and owner is not None:
            alias = next((each for each in node.names if (each.asname or each.name) == ast.unparse(owner)), None)
            module = alias.name if alias is not None else module
        elif isinstance(node, ast.ImportFrom) and isinstance(owner or function, ast.Name):
            alias = next((each for each in node.names if (each.asname or each.name) == _last_name(owner or function)), None)
            if alias is not None and owner is None:
                module, name = node.module or "", alias.name
            elif alias is not None:
                module = f"{node.module}.{alias.name}" if node.module else alias.name
    if module:
        found = next((each for known, each in list(sys.modules.items()) if known == module or known.endswith(f".{module}")), None)
        file = getattr(found, "__file__", None) or ""
        tree = tree_of(file) if file and not in_package(file) else None
    elif owner is not None and not (isinstance(owner, ast.Name) and owner.id == "self"):
        return None, file
    defined = [each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and each.name == name] if tree is not None else []
    return (defined[0] if len(defined) == 1 else None), file


def _by_attribute(node: ast.Attribute, statement: ast.stmt) -> tuple[str, ast.AST | None]:
    """What a method, a property or a function of a module does with which value."""
    call = next((each for each in ast.walk(statement) if isinstance(each, ast.Call) and each.func is node), None)
    if call is None:
        updates = node.attr == "grad" and not isinstance(statement, ast.Assign)  # as `w -= lr * w.grad`
        return ("" if updates else _PROPERTIES.get(node.attr, "")), node.value
    if isinstance(node.value, ast.Name) and node.value.id in ("tg", "torch", "np", "F"):
        return _METHODS.get(node.attr, ""), call.args[0] if call.args else None
    return _METHODS.get(node.attr, ""), node.value


def _is_plain_gradient(node: ast.AST) -> bool:
    """Whether an expression is `grad(...)` without create_graph=True."""
    if not isinstance(node, ast.Call) or _last_name(node.func) != "grad":
        return False
    return not any(
        keyword.arg == "create_graph" and not (isinstance(keyword.value, ast.Constant) and not keyword.value.value)
        for keyword in node.keywords
    )


def _to_integers(call: ast.Call) -> bool:
    """Whether a call is `x.to(int64)` or the like."""
    texts = [ast.unparse(argument) for argument in call.args]
    return _last_name(call.func) in ("to", "type") and any("int" in text or "bool" in text for text in texts)


def _last_name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""


def _under_no_grad(body: ast.AST, statement: ast.stmt, names: set[str] | None, file: str) -> Leaving | None:
    """Whether a statement that uses one of these variables (None: anything) runs without recording."""
    if (names is not None and not _named(statement, names)) or isinstance(statement, ast.AugAssign):  # an update in place
        return None
    switches: list[ast.expr]
    for node in ast.walk(body):
        if isinstance(node, ast.With) and node.lineno <= statement.lineno <= (node.end_lineno or node.lineno):
            switches = [item.context_expr for item in node.items]
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node is body:
            switches = node.decorator_list
        else:
            continue
        how = next((switch for switch in switches if _switches_off(switch)), None)
        if how is not None:
            return Leaving("no_grad", ast.unparse(how), file, statement.lineno)
    return None


def _switches_off(switch: ast.expr) -> bool:
    """Whether a context manager or decorator stops recording."""
    name = _last_name(switch.func if isinstance(switch, ast.Call) else switch)
    if name == "set_grad_enabled" and isinstance(switch, ast.Call):
        return any(isinstance(argument, ast.Constant) and argument.value is False for argument in switch.args)
    return name in ("no_grad", "inference_mode")
