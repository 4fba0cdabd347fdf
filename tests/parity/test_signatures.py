"""The arguments that an editor shows are PyTorch's: every parameter of a public function has a name that PyTorch gives it."""

from __future__ import annotations

import ast
import inspect
import re
from collections import defaultdict
from pathlib import Path

import pytest

import tinygrad_lite as tg

torch = pytest.importorskip("torch")

SPACES = ["", "Tensor", "nn.functional", "linalg", "special"]

# Functions with other parameters than PyTorch's, or with some that it does not show.
OWN = {
    "compile": {"static"}, "feature_dropout": {"training", "inplace"}, "new": {"data"}, "orgqr": {"A"}, "pinv": {"rcond"}, "set_anomaly_enabled": {"mode"},
    "set_default_dtype": {"dtype"}, "set_num_threads": {"count"}, "split_copy": {"tensor", "split_size_or_sections"}, "unique_consecutive": {"input"},
    # What changes its input in place is shown as the function that it calls.
    **{f"{name}_": {"inplace", "training"} for name in (
        "alpha_dropout", "celu", "dropout", "elu", "feature_alpha_dropout", "feature_dropout", "hardtanh", "leaky_relu", "rrelu", "selu",
        "threshold",
    )},
}  # fmt: skip


def owner(library, space):
    for part in filter(None, space.split(".")):
        library = getattr(library, part)
    return library


def names_of(definition: ast.FunctionDef) -> list[str]:
    a = definition.args
    return [p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs)]


def documented(function) -> list[str]:
    """The names in the signatures that begin a docstring."""
    names = []
    for found in re.finditer(r"^\s*(?:\w+\.)*\w+\((.*)\)\s*(?:->|$)", function.__doc__ or "", re.M):
        try:
            names += names_of(ast.parse(f"def f({found[1]}): pass").body[0])
        except SyntaxError:
            continue
    return names


@pytest.fixture(scope="module")
def theirs() -> dict[str, set[str]]:
    """For each name of a function or method of PyTorch, the names of its parameters: in its stubs, its Python
    signature and its documentation. `celu` stands at the top and in nn.functional, and counts as one."""
    stubs, names = Path(torch.__file__).parent / "_C", defaultdict(set)
    for file in ("_VariableFunctions.pyi", "__init__.pyi"):
        for node in ast.walk(ast.parse((stubs / file).read_text())):
            if isinstance(node, ast.FunctionDef):
                names[node.name].update(names_of(node))
    for module in (owner(torch, space) for space in SPACES):
        for name in dir(module):
            function = getattr(module, name)
            if callable(function) and not isinstance(function, type):
                names[name].update(documented(function))
                try:
                    names[name].update(inspect.signature(function).parameters)
                except (TypeError, ValueError):  # one written in C
                    continue
    return names


@pytest.mark.parametrize("space", SPACES)
def test_every_parameter_has_a_name_that_pytorch_knows(space, theirs):
    unknown = []
    for name in dir(owner(tg, space)):
        function = getattr(owner(tg, space), name)
        if name.startswith("_") or not inspect.isfunction(function) or not theirs[name]:
            continue
        parameters = list(inspect.signature(function).parameters.values())[space == "Tensor" :]
        for p in parameters:
            known = theirs[name] | OWN.get(name, set())
            if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name not in known:
                unknown.append(f"{name}: {p.name}")
    assert unknown == []
