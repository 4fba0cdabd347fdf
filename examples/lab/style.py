"""One style for all figures: legible sizes, colours that colour-blind readers can tell apart, theory as a dashed black line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # before pyplot: experiments run in processes that have no screen

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F"]  # Okabe and Ito (2008), grey for their black
THEORY: dict[str, Any] = {"color": "black", "linestyle": "--", "linewidth": 1.2}
SEQUENTIAL = "cividis"  # heat maps: readable in grey, and by colour-blind readers
DIVERGING = "RdBu_r"  # heat maps of signed values

SETTINGS = {
    "axes.prop_cycle": matplotlib.cycler(color=COLOURS),
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "font.family": "DejaVu Sans",
    "figure.dpi": 100,
    "savefig.dpi": 130,
}
WIDTH = 4.4  # inches of a column


@contextmanager
def figure(columns: int, rows: int, height: float, **options: Any) -> Iterator[tuple[Any, Any]]:
    with plt.rc_context(SETTINGS):
        made, axes = plt.subplots(rows, columns, figsize=(WIDTH * max(columns, 1.2), height * rows), layout="constrained", **options)
        try:
            yield made, axes
        finally:
            plt.close(made)


def save(figure: Any, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    with Image.open(path) as image:
        picture = image.convert("RGB")
    with_palette(picture, palette_of(picture, 256)).save(path, optimize=True)  # a third of the size
    return path


def animate(
    frames: Sequence[Any], draw: Callable[[Any, Any], None], path: Path, seconds: float, columns: int = 1, height: float = 3.2
) -> Path:
    pictures = []
    with figure(columns, 1, height, dpi=80) as (made, axes):
        for frame in frames:
            for each in np.ravel(np.asarray(axes, dtype=object)):
                each.clear()
            draw(axes, frame)
            made.canvas.draw()
            made.set_layout_engine("none")  # the first frame's layout stays, so that nothing jumps
            pictures.append(Image.fromarray(np.asarray(made.canvas.buffer_rgba())).convert("RGB"))
    path.parent.mkdir(parents=True, exist_ok=True)
    save_frames(pictures, path, seconds)
    return path


def save_frames(pictures: Sequence[Any], path: Path, seconds: float, colours: int = 64) -> None:
    """Write a GIF. One palette for all frames leaves equal areas equal, so that only what changes takes space."""
    some = [np.asarray(pictures[i]) for i in np.linspace(0, len(pictures) - 1, min(len(pictures), 5)).astype(int)]
    palette = palette_of(Image.fromarray(np.concatenate(some)), colours)
    first, *others = [with_palette(picture, palette) for picture in pictures]
    first.save(path, save_all=True, append_images=others, duration=round(1000 * seconds / len(pictures)), loop=0)


def palette_of(picture: Any, colours: int) -> Any:
    """An image with the palette that suits `picture`. An octree keeps the colours of thin lines apart; median cut mixes them."""
    return picture.quantize(colours, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)


def with_palette(picture: Any, palette: Any) -> Any:
    """The picture in these colours. What was white stays white: Pillow maps it to a colour nearby."""
    white, result = (each.quantize(palette=palette, dither=Image.Dither.NONE) for each in (Image.new("RGB", (1, 1), "white"), picture))
    entries, index = result.getpalette(), 3 * white.getpixel((0, 0))
    entries[index : index + 3] = [255, 255, 255]
    result.putpalette(entries)
    return result


def band(axes: Any, x: Any, runs: Any, label: str, *, centre: Callable[..., Any] = np.median, **line: Any) -> None:
    """Draw the centre of `runs` (seeds, len(x)) and, shaded, the middle 80 % of the seeds."""
    runs = np.asarray(runs)
    (drawn,) = axes.plot(x, centre(runs, axis=0), label=label, **line)
    low, high = np.quantile(runs, [0.1, 0.9], axis=0)
    axes.fill_between(x, low, high, color=drawn.get_color(), alpha=0.2, linewidth=0)


def theory(axes: Any, x: Any, y: Any, label: str = "theory") -> None:
    axes.plot(x, y, label=label, **THEORY)


def name_axes(axes: Any, x: str, y: str, title: str = "", *, log: str = "") -> None:
    """Label the axes; `log` names those on a logarithmic scale: "x", "y" or "xy"."""
    axes.set(xlabel=x, ylabel=y, title=title)
    if "x" in log:
        axes.set_xscale("log")
    if "y" in log:
        axes.set_yscale("log")


def mark_x(axes: Any, values: Any) -> None:
    """Mark these values, and no others, on the x axis, which may be logarithmic."""
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.set_xticks([], minor=True)
