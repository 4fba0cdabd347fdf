"""The table of a run, for the terminal."""

from __future__ import annotations

import math
import textwrap

from .core import DOES_NOT_HOLD, HOLDS, HOLDS_IF, Measured
from .results import Outcome, Results

WIDTH = 120


def report(results: Results) -> str:
    lines = [f"{'item':<12} {'experiment':<73} {'verdict':<23} {'seconds':>8}", "-" * WIDTH]
    for outcome in results.outcomes:
        lines += rows(outcome)
    lines.append("-" * WIDTH)
    lines.append(counts(results))
    if results.outcomes and not results.unexpected:
        lines.append("All verdicts are the committed ones.")
    for outcome in results.unexpected:
        if outcome.error:
            lines += ["", f"{outcome.name} failed:", outcome.error.rstrip()]
        else:
            lines += ["", f"{outcome.name}: the verdict is {outcome.verdict!r}; {outcome.committed!r} is the committed one."]
    for outcome in results.outcomes:
        if outcome.printed:
            lines += ["", f"{outcome.name} printed:", outcome.printed.rstrip()]
    return "\n".join([*lines, ""])


def rows(outcome: Outcome) -> list[str]:
    """A heading, and a line for each number: value, interval, bounds, name. A ! marks one outside its bounds."""
    verdict = (outcome.verdict or "FAILED") + ("" if outcome.expected or outcome.error else " (CHANGED)")
    title = textwrap.shorten(outcome.title, 73, placeholder=" ...")
    lines = [f"{', '.join(outcome.items):<12} {title:<73} {verdict:<23} {outcome.seconds:>8.1f}"]
    for each in outcome.measured:
        mark, condition = " " if each.accepted else "!", "under the condition: " if each.number.under_the_condition else ""
        found = f"{digits(each.value):<10} {interval(each):<24}"
        lines.append(f"{'':<11}{mark} {found} {each.number.bounds():<18} {condition}{each.number.name}")
    return lines


def digits(value: float) -> str:
    """Four digits, and whole numbers whole: 0.4985, 1000, 3.2e-16."""
    if math.isfinite(value) and value == int(value) and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.4g}"


def interval(each: Measured) -> str:
    return "" if each.interval is None else f"({digits(each.interval[0])} to {digits(each.interval[1])})"


def counts(results: Results) -> str:
    """How many experiments came to each verdict."""
    names = {HOLDS: "hold", HOLDS_IF: "hold under a condition", DOES_NOT_HOLD: "do not hold", "": "failed"}
    found = {words: sum(outcome.verdict == verdict for outcome in results.outcomes) for verdict, words in names.items()}
    return ", ".join(f"{words}: {count}" for words, count in found.items() if count) or "none"


def not_held(results: Results) -> dict[str, list[Outcome]]:
    """The outcomes that a reader should see first, by heading, without empty ones."""
    found = {
        "What does not hold as stated": [each for each in results.outcomes if each.verdict not in (HOLDS, "")],
        "What failed": [each for each in results.outcomes if each.error],
    }
    return {heading: outcomes for heading, outcomes in found.items() if outcomes}
