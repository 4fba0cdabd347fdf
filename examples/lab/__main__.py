"""The command `python -m examples.lab`: runs the experiments, and writes a table, results.json, the figures and lab.html."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from . import themes
from .arguments import Wrong, add_choice, check_packages, choose, writable
from .core import Experiment
from .covered import covered
from .items import place
from .page import page
from .processes import Job, run_all
from .report import report
from .results import Results

CHANGED, WRONG, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None, load: Callable[[], None] = themes.load) -> int:
    """The exit code. `load` registers the experiments, here and in the processes that run them."""
    o = options().parse_args(arguments)
    try:
        check_packages()
        load()
        if o.covered:
            table, complete = covered()
            print(table)
            return 0 if complete else CHANGED
        chosen = choose(o.only)
        folder = writable(o.out)
    except Wrong as error:
        print(error, file=sys.stderr)
        return WRONG
    jobs = [Job(experiment.name, o.fast, o.seed, folder) for experiment in longest_first(chosen, folder, o.fast)]
    results = run(jobs, load, o.processes)
    results.save(folder / "results.json")
    (folder / "lab.html").write_text(page(results, folder), encoding="utf-8")
    print(report(results))
    print(f"{len(results.outcomes)} experiments in {results.seconds:.1f} s: {folder / 'lab.html'} and {folder / 'results.json'}")
    if results.interrupted:
        print(f"Interrupted: {len(jobs) - len(results.outcomes)} of {len(jobs)} experiments did not finish; the others are reported.")
        return INTERRUPTED
    return CHANGED if results.unexpected else 0


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.lab", description="Measures the claims of the lectures (docs/lectures.md).")
    parser.add_argument("--fast", action="store_true", help="smaller runs, at most 90 seconds on two cores")
    parser.add_argument("--seed", type=int, default=0, help="other seeds")
    parser.add_argument("--out", type=Path, default=Path("runs/lab"), metavar="DIR", help="where everything is written (runs/lab)")
    add_choice(parser)
    parser.add_argument("--covered", action="store_true", help="only list which experiments and tests cover each item")
    return parser


def longest_first(chosen: list[Experiment], folder: Path, fast: bool) -> list[Experiment]:
    """Those that took longest in the last run of the folder first, so that no long one is left for the end."""
    seconds: dict[str, float] = {}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        last = Results.load(folder / "results.json")
        if last.fast == fast:
            seconds = {outcome.name: outcome.seconds for outcome in last.outcomes}
    return sorted(chosen, key=lambda e: (-seconds.get(e.name, 1e9), min(map(place, e.items))))


def run(jobs: Sequence[Job], load: Callable[[], None], processes: int | None) -> Results:
    """The results of `jobs`; after Ctrl-C those that there are."""
    from tqdm import tqdm

    started, outcomes, interrupted = time.perf_counter(), [], False
    ready = run_all(jobs, load, processes)
    with tqdm(total=len(jobs), unit="experiment", file=sys.stderr) as bar, contextlib.closing(ready):
        try:
            for outcome in ready:
                outcomes.append(outcome)
                bar.set_postfix_str(outcome.name, refresh=False)
                bar.update()
        except KeyboardInterrupt:
            interrupted = True
    return Results(outcomes, jobs[0].fast, jobs[0].seed, time.perf_counter() - started, interrupted)


if __name__ == "__main__":
    sys.exit(main())
