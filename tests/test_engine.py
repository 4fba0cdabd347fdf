"""The engine stays small, imports nothing above it, and uses no dynamic tricks."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_lite as tg
from tinygrad_lite.autograd import NONDIFFERENTIABLE, REGISTRY
from tinygrad_lite.autograd.observing import observe, observe_no_more
from tinygrad_lite.engine import walk
from tinygrad_lite.engine.context import Observer, observers

PACKAGE = Path(tg.__file__).parent
ENGINE = sorted((PACKAGE / "engine").glob("*.py"))


def test_it_is_short_enough_to_read():
    lengths = {path.name: len(path.read_text().splitlines()) for path in ENGINE}
    assert max(lengths.values()) <= 260, lengths
    assert sum(lengths.values()) <= 750, lengths
    function = ast.parse(inspect.getsource(walk.walk)).body[0]
    docstring = function.body[0]
    assert function.end_lineno - docstring.end_lineno + docstring.lineno - function.lineno <= 45


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", ENGINE, ids=lambda path: path.name)
def test_it_imports_arrays_and_the_standard_library(path):
    for name in imports_of(path):
        top = name.split(".")[0]
        assert top in ("numpy", "__future__", *sys.stdlib_module_names) or re.match(r"tinygrad_lite\.(engine|arrays)\b", name), name


@pytest.mark.parametrize("folder", ["engine", "autograd"])
def test_nothing_is_replaced_or_generated(folder):
    for path in (PACKAGE / folder).glob("*.py"):
        text = path.read_text()
        for trick in (r"\bexec\(", r"\beval\(", r"globals\(\)\[", r"\bsetattr\(", r"sys\.modules", r"import \*"):
            assert not re.search(trick, text), f"{path.name}: {trick}"


PUBLIC_FACE = "__init__.py"  # gathers the operations of all families, each of which lists its own in `__all__`
EXCEPTIONS = {
    ("optim/hooks.py", "cls.step"),  # a program's own optimizer overrides `step`, and PyTorch's hooks run around it all the same
    ("study/program.py", "sys.getrefcount"),  # whether a program uses the dict of a frame's locals; no array
}


def tricks_in(path):
    """What a file does behind a reader's back: runs text, writes names into a namespace, replaces what another module or
    a class defines, imports names that it does not list, reads reference counts."""
    tree = ast.parse(path.read_text())
    foreign = {"cls"}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from (ast.unparse(node) for alias in node.names if alias.name == "getrefcount")
            foreign.update((alias.asname or alias.name).partition(".")[0] for alias in node.names)
            if "*" in foreign and path != PACKAGE / PUBLIC_FACE:
                yield ast.unparse(node)
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function, first = ast.unparse(node.func), ast.unparse(node.args[0]) if node.args else ""
            runs_text = re.match(r"(builtins\.)?(exec|eval|compile)$", function) or function.endswith(".getrefcount")
            if runs_text or re.match(r"(globals\(\)|sys\.modules|vars\(.*\))\.(pop|update|setdefault|clear|__\w+__)$", function):
                yield function
            elif function in ("setattr", "delattr") and ("sys.modules" in first or first in foreign | defined):
                yield f"{function}({first})"
        elif isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            owner = ast.unparse(node.value)
            if "globals()" in owner or "sys.modules" in owner or (isinstance(node, ast.Attribute) and owner in foreign):
                yield ast.unparse(node)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_there_are_no_tricks(path):
    name = path.relative_to(PACKAGE).as_posix()
    assert [trick for trick in tricks_in(path) if (name, trick) not in EXCEPTIONS] == []


def test_a_trick_is_seen(tmp_path):
    tricks = [
        "exec('x = 1')", "globals()['x'] = 1", "globals().update(x=1)", "import sys\nsys.modules['x'] = 1",
        "import sys\ndel sys.modules['x']", "import sys\nsys.modules.pop('x')", "import sys\nsys.modules[__name__].x = 1",
        "from tinygrad_lite import ops\nops.add = 1", "from tinygrad_lite import ops\nsetattr(ops, 'add', 1)",
        "class A: pass\nsetattr(A, 'x', 1)", "from os import *", "from sys import getrefcount", "import sys\nsys.getrefcount(sys)",
    ]  # fmt: skip
    for trick in tricks:
        (path := tmp_path / "module.py").write_text(trick)
        assert list(tricks_in(path)), trick


def test_no_module_and_function_share_a_dotted_name():
    for found in pkgutil.walk_packages(tg.__path__, "tinygrad_lite."):
        module = importlib.import_module(found.name)
        package, _, name = found.name.rpartition(".")
        assert getattr(sys.modules[package], name) is module, found.name


def test_every_layer_is_named_in_nn():
    assert {name: getattr(tg.nn, name) for name in tg.nn.modules.__all__} == {n: getattr(tg.nn.modules, n) for n in tg.nn.modules.__all__}


@pytest.mark.parametrize("name", sorted(REGISTRY | NONDIFFERENTIABLE))
def test_an_editor_lands_on_the_operation(name):
    record = (REGISTRY | NONDIFFERENTIABLE)[name]
    assert inspect.getsource(record.apply) == inspect.getsource(record.forward)
    assert inspect.signature(record.apply) == inspect.signature(record.forward)
    assert record.apply.__module__ == record.forward.__module__


def test_a_traceback_shows_plain_code():
    with pytest.raises(ValueError) as refusal:
        tg.ones(2) + tg.ones(3)
    assert all(Path(entry.path).exists() for entry in refusal.traceback)


WITHOUT = """
import sys, types
package = types.ModuleType("tinygrad_lite")
package.__path__ = [{path!r}]
sys.modules["tinygrad_lite"] = package
for name in ("autograd", "nn", "optim"):
    sys.modules[f"tinygrad_lite.{{name}}"] = None  # as if the folder were not there
from tinygrad_lite import ops
from tinygrad_lite._tensor import Tensor
x = ops.tensor([1.0, 2.0], requires_grad=True)
y = (x * x).exp().sum()
y.backward(create_graph=True)
g, x.grad = x.grad, None
g.sum().backward()
print(g.tolist(), x.grad.tolist())
handle = x.register_hook(print)
x.mul(2).add_(1).sum().backward()
"""


def test_it_works_without_what_is_above_it():
    program = WITHOUT.format(path=str(PACKAGE))
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert not found.returncode, found.stderr
    x = np.array([1.0, 2.0])
    g, h = eval(found.stdout.splitlines()[0].replace("] [", "], ["))
    np.testing.assert_allclose(g, 2 * x * np.exp(x * x), rtol=1e-5)
    np.testing.assert_allclose(h, (2 + 4 * x * x) * np.exp(x * x), rtol=1e-5)


class Diary(Observer):
    def __init__(self):
        self.events = []

    def recorded(self, node, arguments, result):
        self.events.append(("recorded", node.name, len(arguments), result.shape))

    def started(self, roots):
        self.events.append(("started", [node.name for node, _ in roots]))

    def arrived(self, node, gradient, sender, part):
        self.events.append(("arrived", node.name, gradient.tolist(), sender.name))

    def finished(self, found):
        self.events.append(("finished", None if found is None else len(found)))


def test_an_observer_is_told_of_everything():
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    observe(diary := Diary())
    try:
        y = (x * x).sum()
        y.backward()
        with pytest.raises(RuntimeError, match="freed"):
            y.backward()
    finally:
        observe_no_more(diary)
    assert observers.get() == ()
    (x * x).sum().backward()
    assert diary.events == [
        ("recorded", "mul", 2, (2,)), ("recorded", "sum", len(REGISTRY["sum"].arguments), ()),
        ("started", ["sum"]), ("arrived", "mul", [1, 1], "sum"), ("arrived", "leaf", [1, 2], "mul"), ("arrived", "leaf", [2, 4], "mul"), ("finished", 1),
        ("started", ["sum"]), ("arrived", "mul", [1, 1], "sum"), ("finished", None),
    ]  # fmt: skip


def test_an_observer_s_walks_within_walks_end_in_order():
    x = tg.tensor([1.0], requires_grad=True)
    seen = []
    tg.autograd.graph.register_multi_grad_hook((x,), lambda gradients: seen.append(gradients[0].item()))
    y = x * 3

    def inner(g):
        z = tg.tensor([1.0], requires_grad=True)
        tg.autograd.graph.register_multi_grad_hook((z,), lambda gradients: seen.append(-gradients[0].item()))
        (z * 5).backward()

    y.register_hook(inner)
    y.backward()
    assert seen == [-5, 3] and observers.get() == ()
