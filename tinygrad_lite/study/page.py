"""A tape as one HTML file: the picture, the program, the values, and a slider through each backward pass.

page.html, page.css, values.js, picture.js and page.js beside this file are the template; what a tape holds is added as
JSON, which the script reads.
"""

from __future__ import annotations

import base64
import html
import json
import linecache
import math
import os
import re
import site
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_lite.files import atomic_write
from tinygrad_lite.study.entries import Entry, Pass
from tinygrad_lite.study.groups import BOX, GAP, pictures
from tinygrad_lite.study.rules import Text
from tinygrad_lite.study.stepping import sent_by
from tinygrad_lite.study.values import Values

_HERE = Path(__file__).parent
_ARRAYS = 4_000_000  # bytes of arrays on a page, the smallest first; of the others there are statistics
_AROUND = 30  # lines of the program before and after one that called an operation
_CALLS = 8  # calls in progress that are shown of an entry
_INSTALLED = (*map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib")), site.getusersitepackages())
_LIBRARIES = tuple({f"{folder}{os.sep}" for folder in _INSTALLED})


def write_page(path: str | os.PathLike[str], entries: Sequence[Entry], passes: Sequence[Pass]) -> Path:
    """Write the page; see `Tape.page`."""
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"page: path must be a str or a path, got {type(path).__name__}")
    if not entries:
        raise ValueError("page: the tape is empty: run operations on tensors that require a gradient inside the block")
    text = page_of(entries, passes).encode()
    atomic_write.written(os.fspath(path), lambda file: file.write(text))
    return Path(path)


def page_of(entries: Sequence[Entry], passes: Sequence[Pass]) -> str:
    title = _title(entries, passes)
    return filled("page.html", title, _Data(entries, passes).everything(title), ("page.css",), ("values.js", "picture.js", "page.js"))


def filled(template: str, title: str, data: Any, styles: Sequence[str], scripts: Sequence[str]) -> str:
    """A template beside this file with what it lacks."""
    written = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":  # so that nothing in a string can end the element that holds it
        written = written.replace(sign, f"\\u{ord(sign):04x}")
    parts = {"title": html.escape(title).encode("ascii", "xmlcharrefreplace").decode(), "data": written}
    parts["style"], parts["script"] = ("\n".join(map(_file, names)) for names in (styles, scripts))
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], _file(template))


def _file(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _first_shown(passes: Sequence[Pass]) -> int:
    """The number of the last pass that is not inside another."""
    return max((i for i, each in enumerate(passes) if not each.nested), default=0)


def _title(entries: Sequence[Entry], passes: Sequence[Pass]) -> str:
    if not passes:
        return f"Tape of {len(entries)} entries"
    roots = (entries[number] for number in passes[_first_shown(passes)].roots)
    return f"Backward of {', '.join(root.name or root.operation for root in roots)}"


class _Data:
    """Collects what the page shows. Values, rules, files and calls are numbered, and each is written once."""

    def __init__(self, entries: Sequence[Entry], passes: Sequence[Pass]):
        self.entries, self.passes = entries, passes
        self.values: dict[int, tuple[int, Values]] = {}  # by id: their numbers
        self.rules: dict[Text, int] = {}
        self.files: dict[str, set[int]] = {}
        self.calls: dict[tuple[Any, ...], int] = {}

    def everything(self, title: str) -> dict[str, Any]:
        entries = [self.entry(entry) for entry in self.entries]
        passes = [self.steps(each) for each in self.passes]
        groups = [
            {
                "path": each.group.path, "name": each.group.name, "nodes": each.nodes, "rows": each.layout.rows,
                "centres": [round(centre, 1) for centre in each.layout.centres], "lines": each.layout.lines,
            }
            for each in pictures(self.entries)
        ]  # fmt: skip
        return {
            "title": title, "pass": _first_shown(self.passes), "box": BOX, "gap": GAP, "entries": entries, "passes": passes,
            "groups": groups, "values": self.all_values(), "calls": list(self.calls),
            "files": [self.lines(*each) for each in self.files.items()], "rules": [rule._asdict() for rule in self.rules],
        }  # fmt: skip

    def entry(self, entry: Entry) -> dict[str, Any]:
        return {
            "name": entry.name, "operation": entry.operation, "inputs": entry.inputs, "shape": str(entry.shape), "dtype": entry.dtype,
            "module": entry.module, "values": self.shown(entry.values), "calls": self.stack(entry), "by": entry.by_rule_of,
            "saved": {name: self.shown(value) for name, value in entry.saved.items()}, "bytes": entry.bytes_saved,
            "constants": {name: self.shown(value) for name, value in entry.constants.items()}, "cut": entry.cut,
        }  # fmt: skip

    def steps(self, of: Pass) -> dict[str, Any]:
        steps = [{"entry": step.entry, "cotangent": self.shown(step.cotangent), "sent": []} for step in of.steps]
        for step, written in zip(of.steps, steps):
            for sent in sent_by(self.entries, step):
                rule = self.rules.setdefault(sent.rule, len(self.rules))
                written["sent"].append([sent.to.number, sent.argument, rule, self.shown(sent.gradient), self.shown(sent.total)])
        roots, gradients = ({n: self.shown(v) for n, v in found.items()} for found in (of.roots, of.gradients))
        return {"roots": roots, "steps": steps, "gradients": gradients, "complete": of.complete}

    def shown(self, value: Any) -> Any:
        """The number of an array's values, a list for several, otherwise text; None where there is nothing."""
        if value is None:
            return None
        if isinstance(value, Values):
            return self.values.setdefault(id(value), (len(self.values), value))[0]
        if isinstance(value, tuple) and any(isinstance(each, Values) for each in value):
            return [self.shown(each) for each in value]
        text = repr(value)
        return text if len(text) <= 200 else f"{text[:200]}…"

    def all_values(self) -> list[dict[str, Any]]:
        found = [value for _, value in self.values.values()]
        left, packed = _ARRAYS, {}
        for value in sorted(found, key=lambda each: each.size):
            if value.array is not None and value.array.dtype.kind in "fiub":
                left -= value.array.nbytes
                if left >= 0:
                    packed[id(value)] = _packed(value.array)
        return [
            {
                "shape": value.shape, "dtype": value.dtype, "zero": round(value.zero, 4), "nan": value.nan, "inf": value.inf,
                "bins": value.histogram, "array": packed.get(id(value)),
                **{name: _number(getattr(value, name)) for name in ("mean", "std", "min", "max")},
            }
            for value in found
        ]  # fmt: skip

    def stack(self, entry: Entry) -> list[int]:
        """The calls in progress in the program itself, innermost first."""
        own = [call for call in entry.calls if not call.file.startswith((*_LIBRARIES, "<frozen"))] or list(entry.calls[:1])
        for call in own[:_CALLS]:
            self.files.setdefault(call.file, set()).add(call.line)
        names = list(self.files)
        keys = [(names.index(call.file), call.line, call.function) for call in own[:_CALLS]]
        return [self.calls.setdefault(key, len(self.calls)) for key in keys]

    def lines(self, file: str, called: set[int]) -> dict[str, Any]:
        """The runs of lines of a file that are near one that called an operation."""
        text = linecache.getlines(file)
        runs: list[list[Any]] = []
        end = 0
        for line in sorted(called):
            start = max(line - _AROUND, 1, end)
            if not runs or start > end:
                runs.append([start])
            end = max(min(line + _AROUND, len(text)) + 1, start)
            runs[-1] += [each.rstrip("\n") for each in text[start - 1 : end - 1]]
        return {"name": _short(file), "runs": runs}


def _packed(array: np.ndarray) -> list[str]:
    """The numbers of an array as little-endian floats in base64: [kind, text]."""
    kind = "<f8" if array.dtype.itemsize > 4 or array.dtype.kind in "iu" else "<f4"
    return [kind, base64.b64encode(np.ascontiguousarray(array, kind).tobytes()).decode()]


def _number(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)


def _short(file: str) -> str:
    """A file's path in the current folder, elsewhere its name alone."""
    if file.startswith("<"):
        return file
    relative = os.path.relpath(file) if os.path.splitdrive(file)[0] == os.path.splitdrive(os.getcwd())[0] else ".."
    return os.path.basename(file) if relative.startswith("..") else relative.replace(os.sep, "/")
