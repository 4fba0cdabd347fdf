"""Runs the suite on every other Python of this machine: on the oldest with the oldest NumPy that pyproject.toml allows,
on the newest with its newest NumPy, and the core of it on those between, which differ least. The Python that runs this script
has already been tested with its newest NumPy.

    python .ci/versions.py        # run
    python .ci/versions.py list   # only list the combinations
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = (ROOT / "pyproject.toml").read_text()
ASK = "import ensurepip, sys, venv; print(*sys.version_info[:3])"

# What a Python between the oldest and the newest runs: the engine, every primitive, the public names, files.
CORE = [
    "engine", "tape", "backward", "primitive", "primitives", "function", "python_protocols", "signatures", "serialization",
    "compile", "study",
]  # fmt: skip

Version = tuple[int, ...]


def version_of(text: str) -> Version:
    return tuple(map(int, re.findall(r"\d+", text)))


def lowest(pattern: str) -> Version:
    """The lower bound that pyproject.toml gives after `pattern`."""
    found = re.search(rf'"?{pattern}>=([\d.]+)', PROJECT)
    assert found, f"pyproject.toml has no lower bound for {pattern}"
    return version_of(found[1])


def pythons() -> dict[Version, str]:
    """A working interpreter for each minor release that pyproject.toml allows: on PATH, or installed by pyenv."""
    folders = [Path(folder) for folder in os.get_exec_path()]
    folders += sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/*/bin"), reverse=True)
    found: dict[Version, str] = {}
    for path in (path for folder in folders for path in folder.glob("python3.*")):
        if not re.fullmatch(r"python3\.\d+", path.name):
            continue
        answer = subprocess.run([path, "-c", ASK], capture_output=True, text=True)
        version = version_of(answer.stdout)
        if answer.returncode == 0 and version >= lowest('requires-python = "'):  # otherwise a shim without a Python, or no venv
            found.setdefault(version[:2], str(path))
    return found


def combinations() -> list[tuple[Version, str, bool]]:
    """Each Python to run: its version, its path, and whether to use the oldest NumPy."""
    found = pythons()
    here = sys.version_info[:2]
    found.setdefault(here, sys.executable)
    oldest = min(found)
    return [(version, path, version == oldest) for version, path in sorted(found.items()) if version == oldest or version != here]


def run(*command: object) -> str:
    return subprocess.run(list(map(str, command)), cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def install_oldest_numpy(python: Path) -> None:
    """Install the oldest release that pyproject.toml allows and that has a wheel for this Python."""
    lines = run(python, "-m", "pip", "index", "versions", "numpy")
    releases = sorted(map(version_of, re.findall(r"[\d.]+\d", lines.partition("Available versions:")[2].partition("\n")[0])))
    for release in (release for release in releases if release >= lowest("numpy")):
        wanted = f"numpy=={'.'.join(map(str, release))}"
        command = [str(python), "-m", "pip", "install", "-q", "--only-binary=numpy", wanted]
        if subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0:
            return
    raise SystemExit("no NumPy that pyproject.toml allows has a wheel for this Python")


def test(version: Version, path: str, oldest: bool, tests: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder, "venv", "bin", "python")
        run(path, "-m", "venv", python.parents[1])
        if oldest:
            install_oldest_numpy(python)
        run(python, "-m", "pip", "install", "-q", ".[test]")  # keeps an installed NumPy
        numpy = run(python, "-c", "import numpy; print(numpy.__version__)").strip()
        print(f"-- Python {'.'.join(map(str, version))}, NumPy {numpy}", flush=True)
        for arguments in (tests, ["--doctest-modules", "--import-mode=append", "tinygrad_lite"]):
            subprocess.run([python, "-m", "pytest", "-p", "no:cacheprovider", "-n", "2", *arguments], cwd=ROOT, check=True)


if __name__ == "__main__":
    found = combinations()
    for version, path, oldest in found:
        whole = oldest or version == found[-1][0]
        if sys.argv[1:] == ["list"]:
            print(*version, path, "the oldest NumPy" if oldest else "", "all tests" if whole else "the core")
        else:
            test(version, path, oldest, ["tests"] if whole else [f"tests/test_{name}.py" for name in CORE])
