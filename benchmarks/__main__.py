"""Times one training step of each workload in each framework and prints medians and ratios.

Each framework runs in its own process, and the processes take turns (A B C A B C ...), so that drifts in
the machine's speed affect all of them equally. OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE, which some environments
set for old builds of OpenBLAS, are unset: they halve NumPy's speed.

  python -m benchmarks                        everything, against the peers that are installed
  python -m benchmarks gpt --against pytorch  one workload, one peer
  python -m benchmarks --sweep depth          networks of 10, 100 and 1,000 layers, our forms and PyTorch
  python -m benchmarks --profile gpt          where a step's time goes, by operation
  python -m benchmarks --readme               writes the tables of the README
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from benchmarks import report
from benchmarks.frameworks import FRAMEWORKS, OURS, environment, installed
from benchmarks.others import OTHERS
from benchmarks.programs import MODELS, WORKLOADS
from benchmarks.sweeps import PROGRAMS, SWEEPS, sweep
from benchmarks.turns import measure


def arguments(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ", ".join([*WORKLOADS, *OTHERS])
    parser.add_argument("workloads", nargs="*", help=f"any of {names}, or a point of a sweep such as depth-100 (default: all)")
    parser.add_argument("--against", nargs="*", choices=list(FRAMEWORKS)[1:], help="beside ours; default: all that are installed")
    parser.add_argument("--rounds", type=int, help="turns per framework (7; with --sweep or --readme 3)")
    parser.add_argument("--seconds", type=float, default=1.0, help="seconds per turn (%(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda (beside PyTorch only)")
    parser.add_argument("--limit", type=float, help="seconds that the warm-up of a peer may take (600; with --readme 90)")
    parser.add_argument("--cold", action="store_true", help="start with nothing cached on disk")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--sweep", choices=list(SWEEPS), help="time networks of growing depth, or of growing width and batch")
    mode.add_argument("--profile", choices=list(MODELS), help="print where a step's time goes")
    mode.add_argument("--readme", action="store_true", help="time the five models with --cold and write the README's tables")
    options = parser.parse_args(argv)
    options.rounds = options.rounds or (3 if options.sweep or options.readme else 7)
    options.limit = options.limit or (90 if options.readme else 600)
    unknown = set(options.workloads) - {*OTHERS, *PROGRAMS}
    if unknown:
        parser.error(f"unknown workload {', '.join(sorted(unknown))}")
    return options


def frameworks(options: argparse.Namespace) -> list[str]:
    """Those to be timed: asked for, installed, and able to use the device."""
    here = [name for name in FRAMEWORKS if installed(name)]
    if options.device != "cpu":
        here = [name for name in here if name in (*OURS, "pytorch", "torch-compile")]
    if options.against is None:
        return [name for name in here if not options.sweep or name in (*OURS, "pytorch")]
    return [name for name in here if name in ("ours", *options.against)]


def main(argv: list[str] | None = None) -> None:
    options = arguments(argv)
    names, turns = frameworks(options), (options.rounds, options.seconds, options.device)
    start = {"cold": options.cold or options.readme, "limit": options.limit}
    if options.sweep:
        sweep(options.sweep, names, *turns)
    elif options.profile:
        forms = [name for name in ("ours", "fast") if name in names]
        for form in forms:
            command = [sys.executable, "-m", "benchmarks.profiling", options.profile, options.device, str(options.seconds)]
            subprocess.run(command, check=True, env=environment(form))
    elif options.readme:
        if "pytorch" not in names:
            raise SystemExit("the README's tables are relative to PyTorch, which is not installed")
        results = {}
        for workload in options.workloads or MODELS:
            results[workload] = measure(workload, names, *turns, **start)
            print(report.text(workload, results[workload]), flush=True)
        report.write(report.markdown(results))
    else:
        chosen = options.workloads or [*OTHERS, *WORKLOADS]
        for workload in chosen:
            if workload in OTHERS:
                OTHERS[workload](options.rounds)
            else:
                print(report.text(workload, measure(workload, names, *turns, **start)), flush=True)
        if set(chosen) - set(OTHERS):
            print(report.LEGEND)


if __name__ == "__main__":
    main()
