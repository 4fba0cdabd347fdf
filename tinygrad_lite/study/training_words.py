"""One step of a training that is watched, as a table and in words."""

from __future__ import annotations

from collections.abc import Iterator

from tinygrad_lite.optim.diagnosis import VANISHED
from tinygrad_lite.study.measures import SeenLayer, SeenStep

COLUMNS = {
    "mean": "mean", "std": "std", "zero": "zero", "saturated": "saturated", "silent": "silent", "dead": "dead",
    "gradient": "|gradient|", "weight": "|weight|", "ratio": "update/weight",
}  # fmt: skip
SHARES = ("zero", "saturated", "silent", "dead")
_DEAD, _SATURATED, _LARGE, _SMALL = 0.2, 0.8, 0.1, 1e-6  # as in optim.diagnosis
_SILENT = 0.5  # more than _DEAD: many units of a sound network are 0 for the samples of one step
_WHAT = {"bad_outputs": "outputs", "bad_gradients": "gradients", "bad_weights": "weights"}


def rows(seen: SeenStep) -> list[list[str]]:
    """A row of words for each layer, below those of the head."""
    return [["layer", "kind", *COLUMNS.values()]] + [
        [name, layer.kind, *(shown(field, getattr(layer, field)) for field in COLUMNS)] for name, layer in seen.layers.items()
    ]


def shown(field: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.1%}" if field in SHARES else f"{value:.3g}"


def headline(seen: SeenStep) -> str:
    loss = "" if seen.loss is None else f", loss {seen.loss:.4g}"
    rates = ", ".join(f"{rate:.3g}" for rate in seen.rates)
    return f"step {seen.step}{loss}{f', learning rate {rates}' if rates else ''}"


def table(seen: SeenStep) -> str:
    cells = rows(seen)
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = [
        "  ".join(cell.ljust(width) if i < 2 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))).rstrip()
        for row in cells
    ]
    return "\n".join([headline(seen), *lines, *words(seen)])


def words(seen: SeenStep) -> list[str]:
    """What is wrong, in sentences."""
    bad = [name for name, layer in seen.layers.items() if any(getattr(layer, field) for field in _WHAT)]
    if bad:  # nothing else can be said then
        first = seen.layers[bad[0]]
        counts = [f"{getattr(first, field)} {what}" for field, what in _WHAT.items() if getattr(first, field)]
        more = "" if len(bad) == 1 else f" {len(bad) - 1} more layers have some." if len(bad) > 2 else " One more layer has some."
        return [f"{bad[0]}: NaN or infinite: {', '.join(counts)}.{more}"]
    found = [sentence for name, layer in seen.layers.items() for sentence in _of_layer(name, layer)] + list(_of_gradients(seen))
    ratios = [layer.ratio for layer in seen.layers.values() if layer.ratio is not None]
    if not found and ratios and max(ratios) < _SMALL:
        return ["No layer changes by more than a millionth of its length in a step: take a larger learning rate."]
    return found


def _of_layer(name: str, layer: SeenLayer) -> Iterator[str]:
    flat = "0" if layer.kind.lower() == "relu" else "saturated"
    if layer.dead is not None and layer.dead > _DEAD:
        yield f"{name}: {layer.dead:.0%} of the units have been {flat} for every sample so far: they learn nothing."
    elif layer.silent is not None and layer.silent > _SILENT:
        yield f"{name}: {layer.silent:.0%} of the units are {flat} for every sample of this step."
    elif flat == "saturated" and layer.saturated is not None and layer.saturated > _SATURATED:
        yield f"{name}: {layer.saturated:.0%} of the outputs are saturated: it passes on little of the gradient."
    if layer.ratio is not None and layer.ratio > _LARGE:
        yield f"{name}: the step changed it by {layer.ratio:.0%} of its length: take a smaller learning rate."


def _of_gradients(seen: SeenStep) -> Iterator[str]:
    gradients = {name: layer.gradient for name, layer in seen.layers.items() if layer.gradient is not None}
    if len(gradients) > 1:
        (first, at_first), *_, (last, at_last) = gradients.items()
        if at_first < VANISHED * at_last:
            yield f"The gradients vanish on the way down: {at_last:.2g} at {last}, {at_first:.2g} at {first}."
        elif at_last < VANISHED * at_first:
            yield f"The gradients grow on the way down: {at_last:.2g} at {last}, {at_first:.2g} at {first}."
