"""What a run of the lab leaves: an outcome for each experiment, and the file that keeps them all."""

from __future__ import annotations

import json
import math
import os
import platform
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_lite as tg

from .core import HOLDS_IF, Experiment, Measured, Number
from .items import place


@dataclass
class Outcome:
    """What became of an experiment. An experiment that failed has an `error`, and no verdict."""

    name: str
    theme: str
    items: list[str]
    title: str
    claim: str
    condition: str
    committed: str
    code: str
    seed: int
    seconds: float = 0.0
    verdict: str = ""
    measured: list[Measured] = field(default_factory=list)
    figures: list[tuple[str, str]] = field(default_factory=list)  # file, caption
    tables: list[tuple[list[str], list[list[str]]]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=list)
    printed: str = ""
    error: str = ""

    @classmethod
    def of(cls, experiment: Experiment, seed: int, **results: Any) -> Outcome:
        e = experiment
        return cls(e.name, e.theme, list(e.items), e.title, e.claim, e.condition, e.verdict, e.code, seed, **results)

    @property
    def expected(self) -> bool:
        return not self.error and self.verdict == self.committed

    @property
    def words(self) -> str:
        """The verdict as a phrase: "holds if the batch is drawn with replacement"."""
        return f"{HOLDS_IF} {self.condition}" if self.verdict == HOLDS_IF else self.verdict or "failed"

    @property
    def order(self) -> tuple[int, str]:
        return min(map(place, self.items)), self.name


@dataclass
class Results:
    """A run: its outcomes, in the order of the lectures, and how and where it was made."""

    outcomes: list[Outcome]
    fast: bool
    seed: int
    seconds: float
    interrupted: bool
    date: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    machine: dict[str, Any] = field(default_factory=lambda: machine())

    def __post_init__(self) -> None:
        self.outcomes.sort(key=lambda outcome: outcome.order)

    @property
    def unexpected(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if not outcome.expected]

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(_plain(asdict(self)), indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Results:
        data = json.loads(path.read_text(encoding="utf-8"))
        return cls(**{**data, "outcomes": [_outcome(each) for each in data["outcomes"]]})


def machine() -> dict[str, Any]:
    versions = {name: version(name) for name in ("numpy", "matplotlib")}
    python = {"python": platform.python_version(), "tinygrad_lite": tg.__version__}
    return {"processor": processor(), "cores": os.cpu_count(), "system": platform.platform(), **python, **versions}


def processor() -> str:
    """The processor's name, as Linux gives it; elsewhere what Python knows."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _plain(value: Any) -> Any:
    """`value` for JSON, which has no infinities and knows nothing of NumPy's numbers: "inf", "-inf", "nan"."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    value = value.item() if isinstance(value, np.generic) else value
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _outcome(data: dict[str, Any]) -> Outcome:
    measured = [_measured(each) for each in data["measured"]]
    figures = [(file, caption) for file, caption in data["figures"]]
    tables = [(head, rows) for head, rows in data["tables"]]
    return Outcome(**{**data, "measured": measured, "figures": figures, "tables": tables})


def _measured(data: dict[str, Any]) -> Measured:
    number = {each.name: data["number"][each.name] for each in fields(Number)}
    ends = data["interval"] and (float(data["interval"][0]), float(data["interval"][1]))
    return Measured(Number(**{**number, "low": float(number["low"]), "high": float(number["high"])}), float(data["value"]), ends)
