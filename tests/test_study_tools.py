"""The page on the tools in docs/study: its program runs, and prints what it shows."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import runpy
from pathlib import Path

from tinygrad_lite.study.script import main

PAGE = Path(__file__).parents[1] / "docs" / "study" / "tools.md"
BLOCKS = re.findall(r"^```([^\n]*)\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


def test_the_blocks_print_what_follows_them(tmp_path):
    program, shown = "", ""
    for (language, text), (following, output) in itertools.pairwise(BLOCKS):
        if language == "python":
            program += f"print('@@')\n{text}"
            shown += f"@@\n{output if not following else ''}"
    (script := tmp_path / "page.py").write_text(program)  # in a file, where recording finds the names of variables
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        runpy.run_path(str(script))
    assert printed.getvalue() == shown and shown.count("@@") >= 8


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
