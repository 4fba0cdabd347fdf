"""The session in the terminal that docs/study/tools.md shows."""

from __future__ import annotations

import io
import re
from pathlib import Path

from tinygrad_lite.study.script import main

PAGE = Path(__file__).parents[1] / "docs" / "study" / "tools.md"
BLOCKS = re.findall(r"^```([^\n]*)\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


def test_the_session_in_the_terminal_goes_as_shown(tmp_path, monkeypatch):
    ((name, program),) = [(language.split()[1], text) for language, text in BLOCKS if language.startswith("python ")]
    (session,) = [text for language, text in BLOCKS if language == "console"]
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(program)
    commands = re.findall(r"^\(study\) (.*)$", session, re.M)
    assert main([name], io.StringIO("\n".join(commands) + "\n"), out := io.StringIO()) == 0
    expected = session.partition("\n")[2]
    for command in commands:
        expected = expected.replace(f"(study) {command}\n", "(study) ", 1)
    assert out.getvalue() == expected
