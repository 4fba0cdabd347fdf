"""docs/from-pytorch.md is up to date."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

pytest.importorskip("torch")

SCRIPT = Path(__file__).parents[2] / ".ci" / "from_pytorch.py"


@pytest.mark.filterwarnings("ignore")
def test_the_page_for_users_of_pytorch_is_up_to_date():
    generated = runpy.run_path(str(SCRIPT))
    assert generated["PAGE"].read_text() == generated["page"](), f"run `python {SCRIPT.relative_to(SCRIPT.parents[1])}`"
