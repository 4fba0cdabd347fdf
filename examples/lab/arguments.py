"""What the lab's commands have in common: their arguments, and the refusals of wrong ones."""

from __future__ import annotations

import argparse
import difflib
from importlib.util import find_spec
from pathlib import Path

from .core import EXPERIMENTS, Experiment
from .items import ITEMS, items


class Wrong(Exception):
    """The command cannot run as it was given; the message says why."""


def check_packages() -> None:
    if missing := [name for name in ("matplotlib", "tqdm") if find_spec(name) is None]:
        raise Wrong(f"The lab needs {' and '.join(missing)}: pip install 'tinygrad_lite[examples]'")


def add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", default="", metavar="41,N3", help="some items only, or experiments by name")
    parser.add_argument("--processes", type=positive, default=None, metavar="N", help="how many run at once (one a core)")


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, got {text!r}")
    return int(text)


def choose(only: str) -> list[Experiment]:
    """The experiments of the items, or of the names, in the list `only`; all of them where it is empty."""
    if not only.strip(", "):
        return list(EXPERIMENTS.values())
    wanted = [word.strip() for word in only.split(",") if word.strip()]
    for word in wanted:
        if word not in ITEMS and word not in EXPERIMENTS:
            near = difflib.get_close_matches(word, [*ITEMS, *EXPERIMENTS], n=3, cutoff=0.5)
            hint = f" The nearest are {', '.join(near)}." if near else ""
            raise Wrong(f"--only: there is no item {word!r}.{hint} Items are 1 to 82 and N1 to N7; see --covered.")
        if word in ITEMS and not any(word in experiment.items for experiment in EXPERIMENTS.values()):
            raise Wrong(f"--only: item {word} has no experiment. In the library: {items()[word].library}")
    return [e for e in EXPERIMENTS.values() if e.name in wanted or not set(e.items).isdisjoint(wanted)]


def writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.json").touch()
    except OSError as error:
        raise Wrong(f"--out: cannot write to {folder}: {error.strerror}") from error
    return folder
