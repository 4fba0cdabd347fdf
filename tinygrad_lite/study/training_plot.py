"""A training that is watched, as a picture."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from tinygrad_lite.study.measures import SeenLayer

SHOWN = ("loss", "std", "gradient", "ratio", "saturated", "dead")
TITLES = {
    "loss": "loss", "rate": "learning rate", "mean": "outputs: mean", "std": "outputs: standard deviation", "zero": "outputs: share zero",
    "saturated": "outputs: share saturated", "silent": "units silent in the step", "dead": "units dead so far",
    "gradient": "gradient: length", "weight": "weights: length", "update": "update: length", "ratio": "update / weight",
    "bad_outputs": "outputs not finite", "bad_gradients": "gradients not finite", "bad_weights": "weights not finite",
}  # fmt: skip
LOGARITHMIC = ("rate", "gradient", "weight", "update", "ratio")
_NAMED = 12  # layers that a legend has room for


def plot(watched: Any, target: Any, what: Iterable[str] | None) -> Any:
    """See `watch.plot`."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("plot: pictures need matplotlib, which is not installed: pip install 'tinygrad_lite[examples]'") from error
    own = target is None or isinstance(target, (str, os.PathLike))
    axes = None if own else list(target) if isinstance(target, (list, tuple)) else list(getattr(target, "flat", [target]))
    what = [what] if isinstance(what, str) else SHOWN[: None if axes is None else len(axes)] if what is None else list(what)
    for field in what:
        if field not in TITLES:
            raise ValueError(f"plot: {field!r} is not among what can be plotted: {', '.join(TITLES)}")
    if axes is None:
        columns = min(3, len(what))
        rows = -(-len(what) // columns)
        figure = Figure(figsize=(4.2 * columns, 2.9 * rows + 0.5), layout="constrained")
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for unused in axes[len(what) :]:
            unused.remove()
    elif len(axes) != len(what):
        raise ValueError(f"plot: {len(what)} curves need as many axes, got {len(axes)}")
    names = list(watched.layers)
    colours = matplotlib.colormaps["viridis"]([i / max(len(names) - 1, 1) * 0.92 for i in range(len(names))])
    for field, at in zip(what, axes):
        _curves(watched, field, at, dict(zip(names, colours)))
    figure = axes[0].figure
    if names and own:
        figure.legend(handles=_handles(names, colours), loc="outside right center", fontsize=8, frameon=False, title="layer")
    elif names:
        axes[0].legend(handles=_handles(names, colours), fontsize=8)
    if isinstance(target, (str, os.PathLike)):
        figure.savefig(target, dpi=100)
    return figure


def _curves(watched: Any, field: str, axes: Any, colours: dict[str, Any]) -> None:
    lines: list[tuple[str, Any, Any, Any]] = []
    if field == "loss":
        known = [(seen.step, seen.loss) for seen in watched.history if seen.loss is not None]
        lines.append(("", [step for step, _ in known], [loss for _, loss in known], "#d1495b"))
    elif field == "rate":
        for i in range(max((len(seen.rates) for seen in watched.history), default=0)):
            found = [seen for seen in watched.history if len(seen.rates) > i]
            lines.append((f"group {i}", [seen.step for seen in found], [seen.rates[i] for seen in found], f"C{i}"))
    else:
        assert field in SeenLayer.__dataclass_fields__
        for name, colour in colours.items():
            steps, values = watched.curve(name, field)
            if steps:
                lines.append((name, steps, values, colour))
    for label, steps, values, colour in lines:
        axes.plot(steps, values, color=colour, linewidth=1.3, marker="." if len(steps) < 2 else "", label=label)
    axes.set_title(TITLES[field], fontsize=10)
    axes.set_xlabel("step", fontsize=9)
    axes.tick_params(which="both", labelsize=8)
    axes.grid(alpha=0.25)
    if field in LOGARITHMIC and any(value > 0 for _, _, values, _ in lines for value in values):
        axes.set_yscale("log")
    if field in ("zero", "saturated", "silent", "dead"):
        axes.set_ylim(-0.03, 1.03)
    if not lines:
        axes.text(0.5, 0.5, "no layer has this", transform=axes.transAxes, ha="center", va="center", color="0.5", fontsize=9)


def _handles(names: list[str], colours: Any) -> list[Any]:
    """What a legend shows: each layer, or evenly spaced ones of many."""
    from matplotlib.lines import Line2D

    most = min(len(names), _NAMED)
    shown = [i * (len(names) - 1) // max(most - 1, 1) for i in range(most)]
    # A legend would leave out names that begin with a line, and read formulas between dollars.
    return [Line2D([], [], color=colours[i], label=f"\u200a{names[i]}".replace("$", r"\$")) for i in shown]
