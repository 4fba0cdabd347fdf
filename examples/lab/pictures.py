"""Figures in the size that suits a repository."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

from PIL import Image, ImageSequence

from .style import palette_of, save_frames, with_palette

MOST = {".png": 35_000, ".gif": 400_000}  # bytes


def reduce(source: Path, target: Path) -> None:
    """Copy a figure, with fewer colours and then smaller, or with fewer frames, until it takes no more than MOST."""
    if source.stat().st_size <= MOST[source.suffix]:
        shutil.copyfile(source, target)
    elif source.suffix == ".png":
        reduce_picture(source, target)
    else:
        reduce_animation(source, target)


def reduce_picture(source: Path, target: Path) -> None:
    picture = Image.open(source).convert("RGB")
    for scale, colours in ((1, 128), (1, 64), (1, 32), (0.8, 64), (0.8, 32), (0.65, 32), (0.5, 32)):
        size = round(picture.width * scale), round(picture.height * scale)
        smaller, out = picture.resize(size, Image.Resampling.LANCZOS), io.BytesIO()
        with_palette(smaller, palette_of(smaller, colours)).save(out, "png", optimize=True)
        if out.tell() <= MOST[".png"]:
            break
    target.write_bytes(out.getvalue())


def reduce_animation(source: Path, target: Path) -> None:
    with Image.open(source) as animation:
        seconds = animation.info["duration"] * animation.n_frames / 1000
        frames = [frame.convert("RGB") for frame in ImageSequence.Iterator(animation)]
    for every, colours in ((1, 32), (2, 32), (3, 32), (4, 32), (4, 16), (6, 16), (10, 16)):
        save_frames(frames[::every], target, seconds, colours)
        if target.stat().st_size <= MOST[".gif"]:
            break
