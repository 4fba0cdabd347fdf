"""Writes docs/from-pytorch.md: which of PyTorch's names exist here, which do not, and what differs.

`python .ci/from_pytorch.py` generates the page from the two libraries; a test in tests/parity fails when it is
stale.
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

# Names left out on purpose, by reason. A name that matches no reason is listed as missing.
LEFT_OUT = {
    "complex numbers, Fourier transforms": r"complex|polar|conj|imag|stft|cdouble|cfloat|chalf|view_as_real|is_neg|eig(vals)?$",
    "sparse, nested and padded storage": (
        r"sparse|spadd|hspmm|smm|coalesce|(crow|col)_indices|^(indices|values)(_copy)?$|dense|padded|to_mkldnn"
    ),
    "quantized and other number formats": r"quant|q_|qscheme|int_repr|bfloat16|scaled_mm|grouped_mm|ScalingType|SwizzleType",
    "other devices, streams and device graphs": r"xpu|ipu|mtia|xla|mps|[sS]tream|Event|is_pinned|share|record_|DeviceType|device",
    "compilers, exporters, profilers and their types": (
        r"[sS]ym|parse_|import_ir|Script|unify_|merge_type|^fork$|^wait$|^cond$|while_loop|functionalize|Tag$|AggregationType|"
        r"DispatchKey|is_inference$|typename|[kK]ineto|Profiler|swap_"
    ),
    "distributed training": r"Distributed|DataParallel|SyncBatchNorm|module_load",
    "mixed precision": r"autocast|GradScaler",
    "storage objects": r"storage|from_file|data_ptr|dim_order",
}

# Expressions that both libraries evaluate as `m`, and why the results differ.
DIFFERENT = [
    ("m.zeros(2).dtype", "dtypes are NumPy's, under PyTorch's names"),
    ("grad2(m, lambda x: x.norm(), [0.0, 0.0])", "second gradients are finite where the limit is, even if PyTorch returns nan"),
    (
        "grad(m, lambda x: m.cholesky_solve(m.ones(2, 1), x), [[1.0, 0.0], [0.0, 1.0]])",
        "a triangle that the operation does not read gets no gradient",
    ),
    (
        "refuses(lambda: m.ones(6, requires_grad=True)[2:].as_strided((2,), (1,), 0))",
        "on the tape, a strided view must stay inside its tensor",
    ),
    (
        "with_no_grad(m, lambda: m.ones(2, requires_grad=True)[:1]).requires_grad",
        "nothing created under `no_grad()` requires grad, not even a view",
    ),
    (
        "refuses(lambda: grad(m, lambda x: [h := x * 1, r := h.unbind()[0], h.mul_(2), r * r][-1], [3.0]))",
        "a view from a function that returns several views follows in-place changes of its base, and so does its gradient",
    ),
    (
        "refuses(lambda: grad(m, lambda x: [h := m.zeros(1), v := with_no_grad(m, lambda: h[:]), v.mul_(x), h][-1], [3.0]))",
        "a view created under `no_grad()` of a tensor that needs no gradient can be changed in place, and gradients follow",
    ),
    (
        "grad(m, lambda x: [h := x * 1, with_no_grad(m, h.t_), h * m.tensor([[1.0, 2.0], [3.0, 4.0]])][-1], [[1.0, 1.0], [1.0, 1.0]])",
        "`t_()`, `transpose_()`, `unsqueeze_()` and the like rearrange elements without changing values, so gradients follow "
        "them under `no_grad()` too",
    ),
    (
        "m.func.jvp(lambda x: x * with_no_grad(m, lambda: 2 * x), (m.ones(1),), (m.ones(1),))[1].tolist()",
        "`no_grad()` switches off forward-mode derivatives (`jvp`, `jacfwd`) too: what runs under it is a constant for both",
    ),
    (
        "refuses(lambda: m.special.bessel_j0(m.ones(1, requires_grad=True)).backward())",
        "some functions have derivatives here that PyTorch lacks",
    ),
    ("refuses(lambda: m.special.erfcx(m.ones(1, dtype=m.float16)))", "functions accept dtypes that PyTorch's kernels lack"),
    (
        "refuses(lambda: m.ones(2) + m.ones(3), ValueError)",
        "a refused value, type or index raises an error that is both Python's (`ValueError`, `TypeError`, `IndexError`) and "
        "PyTorch's `RuntimeError`",
    ),
    ("refuses(lambda: m.prod(m.ones(2), dim=None))", "an argument whose default is None accepts None"),
    (
        "m.rand(1, generator=m.Generator().manual_seed(0)).item() == 0.49625658988952637",
        "random numbers, and with them initial weights and the order of samples, come from NumPy's generators, so a seed "
        "gives different numbers than in PyTorch; from equal weights and samples, training is the same",
    ),
    (
        "(lambda layer: copy.copy(layer).register_buffer('b', None) or 'b' in layer._buffers)(m.nn.Linear(1, 1))",
        "registering something with a shallow copy of a module does not register it with the module",
    ),
    ("type(m.linalg.svd(m.eye(2))).__name__", "named results are Python named tuples"),
    ("hasattr(m.Tensor, 'array')", "`array` is the underlying NumPy or CuPy array"),
    ("refuses(lambda: m.save({'a': {1, 2}}, io.BytesIO()))", "files contain no pickles: only tensors, dicts, lists, numbers and strings"),
]

WORKERS = """## Workers and files

The workers of a `DataLoader` are threads, not processes. They share the dataset and need neither a start method nor
pinned memory. As in PyTorch, each worker has random streams of its own, for this library, NumPy and Python; worker i
seeds them with the pass's seed + i.

Threads share NumPy's and Python's global generators, and any generator that the dataset holds, whereas PyTorch's worker
processes have copies. So if `worker_init_fn` or the first batch of a pass draws from one of these (as
`np.random.seed(torch.initial_seed() % 2**32)` does), the loader prepares each batch while the loop waits, instead of
ahead of it. Drawing from this library, or from the generators in `get_worker_info().rng`, keeps the loader ahead. The
loader does not watch streams that the first batch leaves alone: a dataset that draws from one of them later should seed
it in `worker_init_fn`.

`save` replaces a file as a whole or not at all and keeps its mode. It follows symbolic links, keeps hard links and writes
directly to devices and pipes. `load` refuses a file that has been altered."""


def names_of(module: str) -> list[str]:
    """The public names of a PyTorch module: functions, classes, methods and attributes with a docstring."""
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
        "`.ci/from_pytorch.py` generates this page from both libraries; do not edit it.",
        "",
        "A program that uses only the names below runs after a change of its imports:",
        "",
        "```",
        "import tinygrad_lite as torch",
        "import tinygrad_lite.nn as nn",
        "import tinygrad_lite.nn.functional as F",
        "```",
        "",
        "Values, dtypes, shapes, first and second gradients and refused inputs match PyTorch " + torch.__version__.split("+")[0] + ",",
        "and tests compare them; [behaviour.md](behaviour.md) lists the edge cases.",
        "",
        "## What differs",
        "",
        "| expression, with `m` either library | here | PyTorch | difference |",
        "|---|---|---|---|",
    ]
    for expression, why in DIFFERENT:
        here, there = evaluated(expression, tg), evaluated(expression, torch)
        if here == there:
            raise ValueError(f"both libraries give {here} for {expression}: not a difference")
        lines.append(f"| `{expression}` | `{here!r}` | `{there!r}` | {why} |")
    lines += ["", WORKERS, "", "## What exists here", "", "| module | names here | names in PyTorch |", "|---|---|---|"]
    missing: dict[str, list[str]] = {}
    for module in MODULES:
        names, prefix = names_of(module), f"{module}." if module else ""
        ours = operator.attrgetter(module)(tg) if module else tg
        absent = [name for name in names if not hasattr(ours, name)]
        lines.append(f"| `torch{'.' if module else ''}{module}` | {len(names) - len(absent)} | {len(names)} |")
        for name in absent:
            missing.setdefault(reason_of(name), []).append(f"`{prefix}{name}`")
    lines += ["", "## What does not exist here", ""]
    for reason in [*LEFT_OUT, ""]:
        if reason in missing:
            lines += [f"- **{reason or 'missing'}**: {', '.join(missing[reason])}"]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page())
