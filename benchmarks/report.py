"""Results as text, and as the tables of the README."""

from __future__ import annotations

import datetime
import platform
import statistics
from pathlib import Path

from benchmarks.frameworks import FRAMEWORKS, OURS, processor, versions
from benchmarks.turns import Result

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
WORDS = {
    "tiny": "tiny: 2-16-16-1, tanh",
    "mlp": "mlp: 784-512-256-10",
    "cnn": "cnn: two convolutions",
    "lstm": "lstm: 32 steps of 128",
    "gpt": "gpt: four blocks of 128",
}


def medians(results: dict[str, Result]) -> dict[str, float]:
    return {framework: statistics.median(result.times) for framework, result in results.items()}


def text(workload: str, results: dict[str, Result]) -> str:
    """One line a framework: its step, our forms' relative to it, its start and its memory."""
    steps, ours = medians(results), [name for name in OURS if name in results]
    columns = ("median us", "best us", *(f"{name}/it" for name in ours), "import s", "first s", "5 steps s", "MB")
    lines = [f"{workload:18}" + "".join(f"{column:>17}" if "compiled-f" in column else f"{column:>12}" for column in columns)]
    for framework, result in results.items():
        ratios = "".join(f"{steps[name] / steps[framework]:{17 if name == 'compiled-fast' else 12}.2f}" for name in ours)
        start = f"{result.imported:12.2f}{result.first:12.2f}{result.first_steps:12.2f}"
        times = f"{steps[framework] * 1e6:12.1f}{min(result.times) * 1e6:12.1f}"
        lines.append(f"  {framework:16}{times}{ratios}{start}{result.memory / 1e6:12.0f}")
    return "\n".join(lines)


LEGEND = """
median, best   a step, in microseconds
.../it         our form's median divided by this one's
import         seconds to import the framework
first          seconds from there to the first loss: the model is built and trained once
5 steps        the same to the fifth loss, by when everything is compiled (--cold: nothing was cached on disk)
MB             peak memory of the process
"""


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---", *["--:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def markdown(results: dict[str, dict[str, Result]]) -> str:
    """The section of the README between its markers. `results`: per workload, per framework; PyTorch is among them."""
    names = [name for name in FRAMEWORKS if any(name in of for of in results.values())]
    others = [name for name in names if name != "pytorch"]
    rows, starts = [], []
    for workload, of in results.items():
        steps = medians(of)
        base = steps["pytorch"]
        cells = [f"{steps[name] / base:.2f}" if name in steps else "" for name in others]
        rows.append([WORDS.get(workload, workload), milliseconds(base), *cells])
    for name in names:
        last = next(of[name] for of in reversed(results.values()) if name in of)
        cells = [f"{of[name].first_steps:.1f}" if name in of else "" for of in results.values()]
        memory = [f"{of[name].memory / 1e6:.0f}" if name in of else "" for of in results.values()]
        starts.append([FRAMEWORKS[name].words, f"{last.imported:.1f}", *cells, *memory])
    steps_table = table(["one step of", "PyTorch, ms", *(FRAMEWORKS[name].words for name in others)], rows)
    headers = [f"{workload}, {unit}" for unit in ("s", "MB") for workload in results]
    starts_table = table(["start and memory", "import, s", *headers], starts)
    return f"""{BEGIN}
Measured on {processor()} on {datetime.date.today()}, Python {platform.python_version()}, {versions(names)}.
Median time of a training step divided by PyTorch's; below 1 is faster than PyTorch, and empty where a framework is not
timed:

{steps_table}

Seconds from the import to the fifth step in a new process with nothing cached on disk, everything compiled; and the
peak memory of the process:

{starts_table}
{END}"""


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:.3g}" if seconds < 1 else f"{seconds * 1e3:.0f}"


def write(section: str, path: Path = README) -> None:
    """Put a section in the place of what is between the markers of a file."""
    before, rest = path.read_text().split(BEGIN)
    path.write_text(before + section + rest.split(END)[1])
