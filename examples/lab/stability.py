"""The command `python -m examples.lab.stability`: does a verdict depend on the seeds?

    python -m examples.lab.stability --only 41,42 --seeds 20

Each experiment is run with that many other seeds, at the sizes of --fast. The exit code is 1 where more than 2 % of all
verdicts differ from the committed ones.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence

from . import themes
from .arguments import Wrong, add_choice, check_packages, choose, positive
from .processes import Job, run_all
from .results import Outcome

MOST = 0.02  # of the verdicts


def main(arguments: Sequence[str] | None = None, load: Callable[[], None] = themes.load) -> int:
    o = options().parse_args(arguments)
    try:
        check_packages()
        load()
        chosen = choose(o.only)
    except Wrong as error:
        print(error, file=sys.stderr)
        return 2
    from tqdm import tqdm

    started = time.perf_counter()
    jobs = [Job(experiment.name, True, seed, None) for experiment in chosen for seed in range(1, o.seeds + 1)]
    outcomes: list[Outcome] = []
    with contextlib.closing(run_all(jobs, load, o.processes)) as ready:
        try:
            outcomes += tqdm(ready, total=len(jobs), unit="run", file=sys.stderr)
        except KeyboardInterrupt:
            return 130
    for experiment in chosen:
        print(line([outcome for outcome in outcomes if outcome.name == experiment.name]))
    changed = sum(not outcome.expected for outcome in outcomes)
    print(f"{changed} of {len(outcomes)} verdicts changed: {changed / len(outcomes):.1%}, in {time.perf_counter() - started:.1f} s.")
    return int(changed > MOST * len(outcomes))


def options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m examples.lab.stability", description="Counts the verdicts that other seeds change.")
    add_choice(parser)
    parser.add_argument("--seeds", type=positive, default=20, metavar="N", help="how many other seeds (20)")
    return parser


def line(outcomes: Sequence[Outcome]) -> str:
    """The verdicts of one experiment, those that differ from the committed one with their seeds and numbers."""
    first = outcomes[0]
    verdicts = Counter(outcome.verdict or "failed" for outcome in outcomes).most_common()
    lines = [f"{', '.join(first.items):<12} {first.name:<50} {', '.join(f'{n} {verdict}' for verdict, n in verdicts)}"]
    for outcome in sorted(outcomes, key=lambda outcome: outcome.seed):
        if outcome.error:
            first_or_last = 0 if outcome.error.startswith("The process") else -1
            lines.append(f"{'':<12} seed {outcome.seed}: {outcome.error.rstrip().splitlines()[first_or_last]}")
        elif not outcome.expected:
            outside = [f"{each.number.name} = {each.value:.4g}" for each in outcome.measured if not each.accepted]
            lines.append(f"{'':<12} seed {outcome.seed}: {outcome.verdict}; {'; '.join(outside) or 'all numbers within their bounds'}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
