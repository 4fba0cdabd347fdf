"""Writes docs/from-pytorch.md: which of PyTorch's names are here, which are not, and what differs.

`python .ci/from_pytorch.py` writes the page from the two libraries themselves; a test in tests/parity
fails where it is stale.
"""

from __future__ import annotations

import copy
import functools
import inspect
import io
import operator
import re
from pathlib import Path
from typing import Any

import torch

import tinygrad_lite as tg
import tinygrad_lite.nn
import tinygrad_lite.optim

PAGE = Path(__file__).parents[1] / "docs" / "from-pytorch.md"

MODULES = (
    "", "Tensor", "autograd", "autograd.functional", "func", "linalg", "special", "nn", "nn.functional", "nn.init", "nn.utils",
    "nn.utils.rnn", "optim", "optim.lr_scheduler", "optim.swa_utils", "utils.data",
)  # fmt: skip

# Left out on purpose, each for one reason. What matches none of these is listed as missing.
LEFT_OUT = {
    "complex numbers, Fourier transforms": r"complex|polar|conj|imag|stft|cdouble|cfloat|chalf|view_as_real|is_neg|eig(vals)?$",
    "sparse, nested and padded storage": (
        r"sparse|spadd|hspmm|smm|coalesce|(crow|col)_indices|^(indices|values)(_copy)?$|dense|padded|to_mkldnn"
    ),
    "quantized and other number formats": r"quant|q_|qscheme|int_repr|bfloat16|scaled_mm|grouped_mm|ScalingType|SwizzleType",
    "other devices, streams and graphs of them": r"xpu|ipu|mtia|xla|mps|[sS]tream|Event|is_pinned|share|record_|DeviceType|device",
    "compilers, exporters, profilers and their types": (
        r"[sS]ym|parse_|import_ir|Script|unify_|merge_type|^fork$|^wait$|^cond$|while_loop|functionalize|Tag$|AggregationType|"
        r"DispatchKey|is_inference$|typename|[kK]ineto|Profiler|swap_"
    ),
    "several processes": r"Distributed|DataParallel|SyncBatchNorm|module_load",
    "mixed precision": r"autocast|GradScaler",
    "storages": r"storage|from_file|data_ptr|dim_order",
}

# Evaluated in both libraries as `m`, and why the results differ.
DIFFERENT = [
    ("m.zeros(2).dtype", "dtypes are NumPy's, under PyTorch's names"),
    ("grad2(m, lambda x: x.norm(), [0.0, 0.0])", "second gradients that PyTorch gives as nan are finite where the limit is"),
    ("grad(m, lambda x: m.cholesky_solve(m.ones(2, 1), x), [[1.0, 0.0], [0.0, 1.0]])", "a triangle that is not read has no gradient"),
    ("refuses(lambda: m.ones(6, requires_grad=True)[2:].as_strided((2,), (1,), 0))", "on the tape, a strided view stays inside its tensor"),
    (
        "with_no_grad(m, lambda: m.ones(2, requires_grad=True)[:1]).requires_grad",
        "nothing made under `no_grad()` requires grad, views neither",
    ),
    (
        "refuses(lambda: grad(m, lambda x: [h := x * 1, r := h.unbind()[0], h.mul_(2), r * r][-1], [3.0]))",
        "a view that was returned with others follows a change in place of what it shows, and so does its gradient",
    ),
    (
        "refuses(lambda: grad(m, lambda x: [h := m.zeros(1), v := with_no_grad(m, lambda: h[:]), v.mul_(x), h][-1], [3.0]))",
        "a view made under `no_grad()` of a tensor without gradient may be changed in place, and gradients follow",
    ),
    (
        "grad(m, lambda x: [h := x * 1, with_no_grad(m, h.t_), h * m.tensor([[1.0, 2.0], [3.0, 4.0]])][-1], [[1.0, 1.0], [1.0, 1.0]])",
        "`t_()`, `transpose_()`, `unsqueeze_()` ... move elements and not values, so that gradients follow them under `no_grad()` too",
    ),
    ("refuses(lambda: m.special.bessel_j0(m.ones(1, requires_grad=True)).backward())", "there are derivatives that PyTorch lacks"),
    ("refuses(lambda: m.special.erfcx(m.ones(1, dtype=m.float16)))", "dtypes that PyTorch's kernels lack are taken"),
    (
        "refuses(lambda: m.ones(2) + m.ones(3), ValueError)",
        "refused values, types and indices are the errors that Python has for these as well as PyTorch's RuntimeError",
    ),
    ("refuses(lambda: m.prod(m.ones(2), dim=None))", "an argument may be given as its default, None"),
    (
        "m.rand(1, generator=m.Generator().manual_seed(0)).item() == 0.49625658988952637",
        "random numbers, initial weights and the order of samples among them, come from NumPy's generators: "
        "a seed gives others than PyTorch's; from equal weights and samples a training is the same",
    ),
    (
        "(lambda layer: copy.copy(layer).register_buffer('b', None) or 'b' in layer._buffers)(m.nn.Linear(1, 1))",
        "what is registered with a shallow copy of a module is not registered with the module",
    ),
    ("type(m.linalg.svd(m.eye(2))).__name__", "named results are tuples of Python"),
    ("hasattr(m.Tensor, 'array')", "`array` is the NumPy or CuPy array itself"),
    ("refuses(lambda: m.save({'a': {1, 2}}, io.BytesIO()))", "files have no pickle in them: tensors, dicts, lists, numbers, strings"),
]

WORKERS = """## Workers and files

The workers of a `DataLoader` are threads, not processes: they share the dataset, and need neither a start
method nor pinned memory. As in PyTorch, worker i draws from streams of its own, which start from the pass's
seed + i: those of this library, NumPy's and Python's. Threads have the latter two in common, and the generators
that a dataset keeps, of which PyTorch's workers have copies. So a loader whose `worker_init_fn`, or first batch
of a pass, draws from one of these (as `np.random.seed(torch.initial_seed() % 2**32)` does) works batch by batch
while the loop waits, not ahead of it; draws from this library, or from the generators in `get_worker_info().rng`,
keep it working ahead. Streams that the first batch does not draw from are not watched: a dataset whose first
draw from them comes later says so by seeding them in `worker_init_fn`.

`save` replaces a file whole or not at all, with its old mode; symbolic links are followed, hard links kept;
devices and pipes are written to directly. `load` refuses a file that has been altered."""


def names_of(module: str) -> list[str]:
    """The public names of a module of PyTorch: functions, classes, methods and attributes with a docstring."""
    of = operator.attrgetter(module)(torch) if module else torch
    names = []
    for name in dir(of):
        value = getattr(of, name, None)
        if name.startswith("_") or inspect.ismodule(value) or not getattr(value, "__doc__", None):
            continue
        if module == "Tensor" or (callable(value) and (getattr(value, "__module__", None) or "torch").startswith("torch")):
            names.append(name)
    return names


def reason_of(name: str) -> str:
    return next((reason for reason, pattern in LEFT_OUT.items() if re.search(pattern, name)), "")


def evaluated(expression: str, m: Any) -> Any:
    def grad(m: Any, function: Any, point: Any, order: int = 1) -> Any:
        x = m.tensor(point, requires_grad=True)
        (g,) = m.autograd.grad(function(x).sum(), x, create_graph=order > 1)
        if order > 1:
            (g,) = m.autograd.grad(g.sum(), x)
        return g.tolist()

    def with_no_grad(m: Any, function: Any) -> Any:
        with m.no_grad():
            return function()

    def refuses(function: Any, *kinds: Any) -> bool:
        try:
            function()
        except (TypeError, ValueError, RuntimeError, IndexError) as error:
            return isinstance(error, kinds or Exception)
        return False

    scope = {
        "m": m, "copy": copy, "grad": grad, "grad2": functools.partial(grad, order=2), "io": io, "refuses": refuses,
        "with_no_grad": with_no_grad,
    }  # fmt: skip
    return eval(expression, scope)


def page() -> str:
    lines = [
        "# Coming from PyTorch",
        "",
        "Written by `.ci/from_pytorch.py` from both libraries; do not edit.",
        "",
        "A program within the surface below runs after changing its imports alone:",
        "",
        "```",
        "import tinygrad_lite as torch",
        "import tinygrad_lite.nn as nn",
        "import tinygrad_lite.nn.functional as F",
        "```",
        "",
        "Values, dtypes, shapes, gradients of two orders and refusals are those of PyTorch " + torch.__version__.split("+")[0] + ",",
        "and are tested against it; [behaviour.md](behaviour.md) lists what had to be decided.",
        "",
        "## What differs",
        "",
        "| `m` being either library | here | PyTorch | |",
        "|---|---|---|---|",
    ]
    for expression, why in DIFFERENT:
        here, there = evaluated(expression, tg), evaluated(expression, torch)
        if here == there:
            raise ValueError(f"both libraries give {here} for {expression}: it is no difference")
        lines.append(f"| `{expression}` | `{here!r}` | `{there!r}` | {why} |")
    lines += ["", WORKERS, "", "## What is there", "", "| names of | here | of |", "|---|---|---|"]
    missing: dict[str, list[str]] = {}
    for module in MODULES:
        names, prefix = names_of(module), f"{module}." if module else ""
        ours = operator.attrgetter(module)(tg) if module else tg
        absent = [name for name in names if not hasattr(ours, name)]
        lines.append(f"| `torch{'.' if module else ''}{module}` | {len(names) - len(absent)} | {len(names)} |")
        for name in absent:
            missing.setdefault(reason_of(name), []).append(f"`{prefix}{name}`")
    lines += ["", "## What is not", ""]
    for reason in [*LEFT_OUT, ""]:
        if reason in missing:
            lines += [f"- **{reason or 'missing'}**: {', '.join(missing[reason])}"]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page())
