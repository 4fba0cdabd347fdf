"""What is timed: the forms of this library, and its peers. Each entry says what it needs and where its programs are."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Framework:
    words: str  # its name in tables
    library: str  # what its users import
    needs: str  # the package that must be installed
    programs: str = "benchmarks.programs"  # the module whose WORKLOADS are run
    fast: bool = False  # with compiled loops
    compiled: bool = False  # the step is wrapped in the library's `compile`


FRAMEWORKS = {
    "ours": Framework("eager", "tinygrad_lite", "numpy"),
    "fast": Framework("eager, fast", "tinygrad_lite", "llvmlite", fast=True),
    "compiled": Framework("compiled", "tinygrad_lite", "numpy", compiled=True),
    "compiled-fast": Framework("compiled, fast", "tinygrad_lite", "llvmlite", fast=True, compiled=True),
    "numpy": Framework("NumPy by hand", "numpy", "numpy", "benchmarks.by_hand"),
    "pytorch": Framework("PyTorch", "torch", "torch"),
    "torch-compile": Framework("torch.compile", "torch", "torch", compiled=True),
    "jax": Framework("JAX jit", "jax", "jax", "benchmarks.in_jax"),
    "mlx": Framework("MLX compile", "mlx.nn", "mlx", "benchmarks.in_mlx"),
    "tinygrad": Framework("tinygrad jit", "tinygrad", "tinygrad", "benchmarks.in_tinygrad"),
    "tangent": Framework("tangent-ad", "tangent", "tangent", "benchmarks.in_tangent"),
}
OURS = tuple(name for name, framework in FRAMEWORKS.items() if framework.library == "tinygrad_lite")


def installed(name: str) -> bool:
    return importlib.util.find_spec(FRAMEWORKS[name].needs) is not None


def environment(name: str = "ours", cache: str | None = None) -> dict[str, str]:
    """The variables of a process that runs a framework. `cache`: the folder for what it compiles, instead of the user's."""
    unset = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    kept = {variable: value for variable, value in os.environ.items() if variable not in unset}
    folders = {}
    if cache is not None:
        where = ("TMPDIR", "XDG_CACHE_HOME", "TINYGRAD_LITE_CACHE", "TORCHINDUCTOR_CACHE_DIR")
        folders = {**dict.fromkeys(where, cache), "CACHEDB": str(Path(cache, "tinygrad.db"))}
    return {**kept, **folders, "TINYGRAD_LITE_FAST": str(int(FRAMEWORKS[name].fast))}


def versions(names: list[str]) -> str:
    """The versions of the packages behind some frameworks: `NumPy 2.4.6, PyTorch 2.13.0`."""
    packages = {"NumPy": "numpy", "llvmlite": "llvmlite", "PyTorch": "torch", "JAX": "jax", "MLX": "mlx"}
    packages |= {"tinygrad": "tinygrad", "tangent-ad": "tangent-ad"}
    used = {"numpy", *(FRAMEWORKS[name].needs.replace("tangent", "tangent-ad") for name in names)}
    return ", ".join(f"{words} {importlib.metadata.version(package)}" for words, package in packages.items() if package in used)


def processor() -> str:
    """The processor's name and the number of its cores that this process may use: `AMD EPYC 7763 (2 cores)`."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine() or "unknown processor"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name} ({cores} cores)"
