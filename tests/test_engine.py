"""The engine stays small, knows nothing above it, and plays no tricks."""

from __future__ import annotations

import ast
import inspect
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


def test_no_module_and_function_share_a_dotted_name():
    for package in ("engine", "autograd"):
        for path in (PACKAGE / package).glob("*.py"):
            if path.stem != "__init__":
                found = getattr(sys.modules[f"tinygrad_lite.{package}"], path.stem, None)
                assert found is None or inspect.ismodule(found), f"{package}.{path.stem}"


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
from tinygrad_lite.tensor import Tensor
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

    def arrived(self, node, gradient, sender):
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
