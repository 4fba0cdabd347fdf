"""Who keeps a graph alive: the variables of a program that lead to its tensors."""

from __future__ import annotations

import ast
import functools
import gc
import linecache
import os
import sys
import threading
import types
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tinygrad_lite.autograd.graph import GradientEdge
from tinygrad_lite.engine.tape import Entry as Node
from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.study.kept_memory import tensors_alive
from tinygrad_lite.study.program import in_package, variables_of
from tinygrad_lite.study.tape import Tape

MOST = 200_000  # objects that are looked into
_NOT_OF_PROGRAM = (os.path.dirname(os.__file__), "site-packages", "dist-packages", "<frozen ")  # in the names of files


@dataclass(frozen=True, eq=False)
class Holder:
    """A variable that leads to a graph. `kind`: the type of its value. `path`: from the variable to the first Tensor (or other
    position on the tape) that it leads to, such as `losses[0]`; `count`: how many of them. `line`: where the variable is assigned,
    0 if that is not known. `function`: "" for a variable of a module."""

    kind: str
    name: str
    path: str
    count: int
    file: str
    line: int
    function: str

    def __str__(self) -> str:
        where = os.path.basename(self.file) + (f":{self.line}" if self.line else "")
        inside = f" of {self.function}()" if self.function else ""
        held = "" if self.path == self.name else f" by {self.path}" + (f" and {self.count - 1:,} more" if self.count > 1 else "")
        return f"{self.kind} {self.name!r}{inside} in {where}{held}"


class Holders(tuple[Holder, ...]):
    """The variables found, those that lead to most tensors first. `hidden`: what holds the tensors that keep the graph alive and
    that no variable leads to."""

    hidden: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [*map(str, self), *(f"a Tensor that no variable leads to, in {kind}" for kind in self.hidden)]
        return "\n".join(lines) or "nothing holds this graph but the call of holders"

    __repr__ = __str__


def holders(tensor: Any) -> Holders:
    """The variables that keep the graph behind a Tensor alive: those that lead to it, or to something computed from it.

    They are looked for among the local variables of the calls in progress, in every thread, and those of the program's modules;
    through containers, attributes, closures, generators and tracebacks. A `Tape` of `record`, a `GradientEdge` and a `grad_fn` keep
    a graph alive as Tensors do.

    >>> import tinygrad_lite as tg
    >>> w = tg.ones(2, requires_grad=True)
    >>> losses = [(w * i).sum() for i in range(3)]
    >>> [found.path for found in holders(losses[1]) if found.kind == "list"]
    ['losses[1]']
    """
    if not isinstance(tensor, Traced):
        raise TypeError(f"holders: expected a Tensor, got {type(tensor).__name__}")
    if tensor.node is None:
        raise RuntimeError("holders: this tensor has no tape: it needs no gradient, or was made under no_grad or by detach")
    search = _Search(_computed_from(tensor.node))
    found = []
    for variables, file, function in _scopes(sys._getframe(1)):
        for name, value in variables:
            paths = search.paths(name, value)
            if paths:
                found.append(Holder(type(value).__name__, name, paths[0], len(paths), file, _line_of(name, file, function), function))
    result = Holders(sorted(found, key=lambda holder: -holder.count))
    hidden = [each for each in tensors_alive() if id(each.node) in search.wanted and id(each) not in search.found]
    result.hidden = tuple(_holder_in_words(each) for each in hidden[:5])
    return result


def _computed_from(node: Any) -> dict[int, Any]:
    """A node and all nodes computed from it, by id."""
    found = {id(node): node}
    nodes = [each for each in gc.get_objects() if issubclass(type(each), Node) and each.index]
    for each in sorted(nodes, key=lambda each: each.index):  # inputs before what is computed from them
        if any(id(parent) in found for parent in each.parents):
            found[id(each)] = each
    return found


def _scopes(frame: types.FrameType) -> Iterator[tuple[list[tuple[str, Any]], str, str]]:
    """The variables of the program, each scope with its file and function: of the calls in progress, then of the modules."""
    others = [top for thread, top in sys._current_frames().items() if thread != threading.get_ident()]
    known: set[int] = set()  # by the ids of frames and of the variables of modules
    for each in [call for top in (frame, *others) for call in _calls(top)]:
        file = each.f_code.co_filename
        is_module = each.f_code.co_name == "<module>"
        key = id(each.f_globals if is_module else each)
        if key not in known and _is_of_program(file):
            known.add(key)
            yield _variables(variables_of(each)), file, "" if is_module else each.f_code.co_name
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ("__main__" if name == "__main__" else "")
        if file and isinstance(module, types.ModuleType) and _is_of_program(file) and id(vars(module)) not in known:
            yield _variables(vars(module)), file, ""


def _calls(frame: types.FrameType | None) -> Iterator[types.FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _variables(of: Any) -> list[tuple[str, Any]]:
    return [(name, value) for name, value in list(of.items()) if not (name.startswith("__") or isinstance(value, types.ModuleType))]


def _is_of_program(file: str) -> bool:
    return not in_package(file) and not any(place in file for place in _NOT_OF_PROGRAM)


class _Search:
    """Looks for positions on the tape among `wanted`, from one variable after another."""

    def __init__(self, wanted: dict[int, Any]):
        self.wanted = wanted
        self.found: set[int] = set()  # the ids of what keeps the graph alive
        self.barren: set[int] = set()  # of what leads to nothing
        self.left = MOST

    def paths(self, name: str, value: Any) -> list[str]:
        """The ways from a variable to what keeps the graph alive, shortest first."""
        paths, met, waiting = [], {id(value): value}, deque([(name, value)])
        while waiting and self.left:
            path, value = waiting.popleft()
            self.left -= 1
            if self._keeps(value):
                self.found.add(id(value))
                paths.append(path)
                continue
            for further, child in _children(path, value):
                if type(child).__flags__ & _HAS_GC and id(child) not in met and id(child) not in self.barren:
                    met[id(child)] = child
                    waiting.append((further, child))
        if not paths:
            self.barren.update(met)
        return paths

    def _keeps(self, value: Any) -> bool:
        if isinstance(value, Tape):
            return any(id(node) in self.wanted for node in value._numbers)
        node = value.node if isinstance(value, (Traced, GradientEdge)) else value
        return id(node) in self.wanted


_HAS_GC = 1 << 14  # Py_TPFLAGS_HAVE_GC: objects of other types, such as numbers and arrays, lead to no Tensor


def _children(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """What an object holds, with the way to it."""
    if isinstance(value, Traced):
        yield from ((f"{path}.{name}", part) for name, part in (("grad", value._grad), ("_base", value.base)) if part is not None)
    elif isinstance(value, dict):
        yield from ((f"{path}[{_short(key)}]", each) for key, each in list(value.items()))
        yield from ((f"a key of {path}", key) for key in list(value) if not isinstance(key, (str, int)))
    elif isinstance(value, (list, tuple, deque)):
        yield from ((f"{path}[{i}]", each) for i, each in enumerate(list(value)))
    elif isinstance(value, (set, frozenset)):
        yield from ((f"an element of {path}", each) for each in list(value))
    elif isinstance(value, types.FunctionType):
        names = value.__code__.co_freevars
        yield from ((f"{name} in the closure of {path}", _content(cell)) for name, cell in zip(names, value.__closure__ or ()))
        yield from ((f"a default of {path}", each) for each in value.__defaults__ or ())
    elif isinstance(value, types.MethodType):
        yield f"{path}.__self__", value.__self__
        yield path, value.__func__
    elif isinstance(value, functools.partial):
        yield from ((f"{path}.{name}", getattr(value, name)) for name in ("func", "args", "keywords"))
    elif isinstance(value, types.GeneratorType):
        if value.gi_frame is not None:
            yield from ((f"{name} in {path}", each) for name, each in variables_of(value.gi_frame).items())
    elif isinstance(value, BaseException):
        trace = value.__traceback__
        while trace is not None:
            if _is_of_program(trace.tb_frame.f_code.co_filename):
                yield from ((f"{name} in the traceback of {path}", each) for name, each in variables_of(trace.tb_frame).items())
            trace = trace.tb_next
    if isinstance(value, type):
        if _is_of_program(_file_of(value)):
            yield from ((f"{path}.{name}", each) for name, each in list(vars(value).items()))
    elif not isinstance(value, (types.ModuleType, Traced)):
        attributes = getattr(value, "__dict__", None)
        if isinstance(attributes, dict):
            yield from ((f"{path}.{name}", each) for name, each in list(attributes.items()))
        for kind in type(value).__mro__:
            if _is_of_program(_file_of(kind)):
                names = kind.__dict__.get("__slots__", ())
                for name in (names,) if isinstance(names, str) else names:
                    if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                        yield f"{path}.{name}", getattr(value, name)


def _file_of(kind: type) -> str:
    """The file of the module that defines a class."""
    return getattr(sys.modules.get(kind.__module__), "__file__", None) or ("" if kind.__module__ == "__main__" else "<frozen >")


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # empty so far
        return None


def _short(key: Any) -> str:
    text = repr(key) if isinstance(key, (str, int, float, bool, tuple, type(None))) else f"<{type(key).__name__}>"
    return text if len(text) <= 40 else f"{text[:37]}..."


def _line_of(name: str, file: str, function: str) -> int:
    """The first line of a scope that assigns a variable, or 0."""
    try:
        tree: ast.AST = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return 0
    scopes = [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS) and node.name == function] if function else [tree]
    lines = [line for scope in scopes for line in _assignments(scope, name)]
    return min(lines, default=0)


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _assignments(scope: ast.AST, name: str) -> Iterator[int]:
    for node in ast.iter_child_nodes(scope):
        assigned = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id
        defined = isinstance(node, (*_FUNCTIONS, ast.ClassDef)) and node.name
        if name in (assigned, defined, isinstance(node, ast.arg) and node.arg):
            yield getattr(node, "lineno", 0)
        if not isinstance(node, (*_FUNCTIONS, ast.ClassDef, ast.Lambda)):
            yield from _assignments(node, name)


def _holder_in_words(tensor: Any) -> str:
    """What refers to a Tensor, but for the calls in progress here."""
    kinds = [type(each).__name__ for each in gc.get_referrers(tensor) if not isinstance(each, types.FrameType)]
    kinds = [kind for kind in kinds if kind != "list_iterator"]
    return f"a {kinds[0]}" if kinds else "a call in progress"
