"""The notebook in examples/ runs in a kernel from its first cell to its last, and is kept without what it prints."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "examples" / "study.ipynb"


def test_it_is_kept_without_outputs():
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert len(cells) > 20
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells if cell["cell_type"] == "code")


@pytest.mark.filterwarnings("default")  # those of Jupyter's own packages
def test_it_runs_and_shows_models_tapes_stops_and_explanations(tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "backward.html").read_text().startswith("<!DOCTYPE html>")
    html, text = [], []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            html.append(output.get("data", {}).get("text/html", ""))
            text.append(output.get("data", {}).get("text/plain", output.get("text", "")))
    for shown in ("337 parameters", "14 entries", "step 1 of 8", "step 5 of 8", "iframe"):
        assert any(shown in each for each in html), shown
    for said in ("dead relu", "2 paths", "before: tensor", "log takes the logarithm of zero or of a negative number"):
        assert any(said in each for each in text), said
