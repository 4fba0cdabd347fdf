"""Runs the pages of this folder, and writes what they print and draw into them.

    python docs/study/update.py neuron moons     # by default all
    python docs/study/update.py --screenshots    # those of tape.page too: needs Playwright and Chromium

The Python blocks of a page, one after another with an empty line between, are a program, `neuron.py` for neuron.md. A plain
block after a Python block is what that block prints. A test fails when a page shows something else than its program does.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
PAGES = sorted(page for page in FOLDER.glob("*.md") if "```python\n" in page.read_text())
# The pictures of HTML files that a page's program writes: the file, the size of the window, and the keys pressed.
SCREENSHOTS = {
    "moons-page.png": ("moons.html", (1240, 700), "ArrowRight " * 6),
}
_AFTER = "print('@@')\n"  # instead of the empty line between two blocks


class Block(NamedTuple):
    """A Python block of a page; `shown`: where in the page what it prints is, None if nothing is."""

    code: str
    shown: slice | None


def blocks_of(text: str) -> Iterator[Block]:
    fenced = list(re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.M | re.S))
    for block, following in zip(fenced, [*fenced[1:], None]):
        if block[1] == "python":
            plain = following is not None and not following[1]
            yield Block(block[2], slice(*following.span(2)) if following is not None and plain else None)


def program_of(page: Path) -> str:
    return _AFTER.join(block.code for block in blocks_of(page.read_text()))


def outputs_of(page: Path, folder: Path) -> list[str]:
    """What each block of a page prints, run in `folder`, where its program is written and its pictures appear."""
    name = f"{page.stem}.py"
    (folder / name).write_text(program_of(page))
    found = os.pathsep.join(filter(None, (str(FOLDER.parents[1]), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "MPLBACKEND": "agg", "PYTHONPATH": found, "OPENBLAS_NUM_THREADS": "1"}
    ran = subprocess.run([sys.executable, name], cwd=folder, env=environment, capture_output=True, text=True)
    if ran.returncode:
        raise RuntimeError(f"{page.name}: {ran.stderr}")
    for picture in folder.glob("*.svg"):
        picture.write_text(picture.read_text().replace(f"{folder}{os.sep}", ""))
    return ran.stdout.replace(f"{folder}{os.sep}", "").split("@@\n")


def update(page: Path, screenshots: bool) -> None:
    text = page.read_text()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for block, output in reversed(list(zip(blocks_of(text), outputs_of(page, folder)))):
            if block.shown is not None:
                text = text[: block.shown.start] + output + text[block.shown.stop :]
            elif output:
                raise SystemExit(f"{page.name}: a block prints what the page does not show:\n{block.code}\n{output}")
        page.write_text(text)
        for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text):
            if (folder / picture).exists():
                shutil.copy(folder / picture, FOLDER / picture)
            elif screenshots:
                _take(folder, picture)


def _take(folder: Path, picture: str) -> None:
    from playwright.sync_api import sync_playwright

    name, (width, height), keys = SCREENSHOTS[picture]
    source = folder / name
    source.write_text(source.read_text().replace(_AFTER.strip(), ""))
    with sync_playwright() as running:
        chromium = running.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": width, "height": height}, color_scheme="light")
        page.goto(source.as_uri())
        for key in keys.split():
            page.keyboard.press(key)
        page.wait_for_timeout(500)  # until what moves has come to rest
        page.screenshot(path=FOLDER / picture)
        chromium.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", default=[page.stem for page in PAGES])
    parser.add_argument("--screenshots", action="store_true")
    options = parser.parse_args()
    for name in options.pages:
        update(FOLDER / f"{name}.md", options.screenshots)


if __name__ == "__main__":
    main()
