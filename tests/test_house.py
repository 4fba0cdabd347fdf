"""Each room of the house holds what its name says: rules in ops/, what computes on arrays in arrays/."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import tinygrad_lite as tg

OPS = Path(tg.__file__).parent / "ops"
FILES = {path.relative_to(OPS).as_posix(): ast.parse(path.read_text()) for path in sorted(OPS.rglob("*.py"))}

# The files that name NumPy and define no primitive.
MAY_NAME_NUMPY = {
    "creation/conversion.py": "from_numpy takes NumPy's arrays, tensor() NumPy's scalars",
    "creation/windows.py": "a window is a formula, worked out once on the CPU",
    "linalg/checks.py": "LinAlgError is one of NumPy's too",
    "movement/indexing.py": "a list with arrays in it is an index of several items",
    "movement/inplace.py": "what two arrays of NumPy need not be asked",
    "types.py": "finfo, iinfo and the results of promotion are NumPy's",
    "ufuncs.py": "an array of NumPy goes to the ufunc itself",
}


def defines_a_primitive(tree):
    makers = ("primitive", "nondifferentiable", "unary", "binary")
    return any(isinstance(node, ast.Name) and node.id in makers for node in ast.walk(tree))


def names_of_numpy(tree):
    """Where a file names NumPy, but for the ufunc of a declaration `exp = unary(np.exp, ...)`."""
    modules, found = set(), []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.asname or alias.name for alias in node.names if alias.name.split(".")[0] == "numpy"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "numpy":
            found.append(f"{node.lineno}: from {node.module}")
    declared = {
        id(node.args[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("unary", "binary")
        if node.args and isinstance(node.args[0], ast.Attribute)
    }
    return found + [
        f"{node.lineno}: {node.id}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id in modules and id(node) not in declared
    ]


@pytest.mark.parametrize("name", [name for name in FILES if defines_a_primitive(FILES[name]) and name != "ufuncs.py"])
def test_a_rule_file_computes_nothing_with_numpy(name):
    assert not names_of_numpy(FILES[name])


def test_no_other_file_names_numpy_without_a_reason():
    assert {name for name in FILES if names_of_numpy(FILES[name])} == MAY_NAME_NUMPY.keys()


def test_the_primitives_all_else_is_made_of_fit_on_a_few_pages():
    assert len((OPS / "calculus.py").read_text().splitlines()) <= 380
