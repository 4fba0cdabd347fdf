"""A tape as JSON, and back.

    {"format": "tinygrad_lite.study", "version": 1,
     "values":  [VALUES, ...],
     "entries": [{"number": 2, "operation": "mul", "inputs": [0, 1], "shape": [2], "dtype": "float32", "name": "h", "module": "0",
                  "values": VALUE, "saved": {"other": VALUE}, "bytes_saved": {"other": 8}, "arguments": {"input": VALUE, ...},
                  "constants": {}, "cut": {}, "changed": {},
                  "calls": [{"file": "train.py", "line": 3, "function": "f", "source": "h = x * w"}],
                  "rules": [{"input": 0, "argument": "input", "source": "lambda g, other: g * other", "formula": "g * other",
                             "latex": "...", "parameters": ["other"]}], "by_rule_of": null}, ...],
     "passes":  [{"roots": {"5": VALUE}, "gradients": {"0": VALUE}, "complete": true, "nested": false,
                  "steps": [{"entry": 5, "cotangent": VALUE, "sent": [{"to": 2, "gradient": VALUE, "total": VALUE}]}]}]}

VALUES is one recorded array: {"shape": [2], "dtype": "float32", "data": [1.0, "nan"], "mean": ..., "std", "min", "max", "zero", "nan",
"inf", "histogram"}. `data` is flat, in C order, null if the array was too large to be kept; NaN and infinities are the strings "nan",
"inf" and "-inf", and a complex number is a pair. VALUE is {"values": i}, the i-th of the list above; {"entry": 3}, an argument that
is on the tape; {"tuple": [VALUE, ...]}; {"number": "inf"}, a number that JSON does not have; null, true, false, any other number or a
string; or {"text": "..."}, the text of any other object.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lite.study.entries import Contribution, Entry, Pass, Step
from tinygrad_lite.study.expressions import Input
from tinygrad_lite.study.program import Call, source_line
from tinygrad_lite.study.rules import Text, text_of_rule
from tinygrad_lite.study.values import Values

FORMAT, VERSION = "tinygrad_lite.study", 1
_SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_STATISTICS = ("mean", "std", "min", "max", "zero", "nan", "inf")
_PLAIN = ("number", "operation", "dtype", "name", "module", "bytes_saved", "by_rule_of", "cut")  # fields of an entry that JSON knows


def to_json(entries: Sequence[Entry], passes: Sequence[Pass], indent: int | None = None) -> str:
    writer = _Writer()
    written = {
        "format": FORMAT, "version": VERSION, "values": writer.values,
        "entries": [writer.entry(entry) for entry in entries], "passes": [writer.backward(each) for each in passes],
    }  # fmt: skip
    return json.dumps(written, indent=indent, allow_nan=False)


def from_json(text: str) -> tuple[list[Entry], list[Pass]]:
    try:
        found = json.loads(text)
    except (json.JSONDecodeError, TypeError) as error:
        raise ValueError(f"from_json: expected the text that Tape.json() returns: {error}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise ValueError(f'from_json: expected an object with "format": "{FORMAT}", as Tape.json() writes it')
    if found.get("version") != VERSION:
        raise ValueError(f"from_json: this library reads version {VERSION} of the format, got version {found.get('version')!r}")
    try:
        reader = _Reader([_read_values(each) for each in found["values"]])
        return [reader.entry(each) for each in found["entries"]], [reader.backward(each) for each in found["passes"]]
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError(f"from_json: a part of the tape is missing or malformed ({type(error).__name__}: {error})") from None


class _Writer:
    def __init__(self) -> None:
        self.values: list[dict[str, Any]] = []
        self.places: dict[int, int] = {}  # in `values`, by the id of a Values

    def value(self, value: Any) -> Any:
        if isinstance(value, Values):
            if id(value) not in self.places:
                self.places[id(value)] = len(self.values)
                self.values.append(_written_values(value))
            return {"values": self.places[id(value)]}
        if isinstance(value, Input):
            return {"entry": value.number}
        if type(value) is tuple:
            return {"tuple": [self.value(each) for each in value]}
        if type(value) is float and not math.isfinite(value):
            return {"number": str(value)}
        if value is None or type(value) in (bool, int, float, str):
            return value
        return {"text": str(value)}

    def named(self, values: dict[Any, Any]) -> dict[str, Any]:
        return {str(name): self.value(value) for name, value in values.items()}

    def entry(self, entry: Entry) -> dict[str, Any]:
        rules = []
        for number, argument, rule in entry.rules:
            text = text_of_rule(entry.operation, argument, rule)
            rules.append({"input": number, "argument": argument, **text._asdict(), "parameters": list(text.parameters)})
        return {
            **{name: getattr(entry, name) for name in _PLAIN},
            "inputs": list(entry.inputs), "shape": entry.shape, "values": self.value(entry.values), "saved": self.named(entry.saved),
            "arguments": self.named(entry.arguments), "constants": self.named(entry.constants), "changed": self.named(entry.changed),
            "rules": rules,
            "calls": [{**call._asdict(), "source": source_line(call.file, call.line)} for call in entry.calls],
        }  # fmt: skip

    def backward(self, of: Pass) -> dict[str, Any]:
        steps = []
        for step in of.steps:
            sent = [{"to": each.to, "gradient": self.value(each.gradient), "total": self.value(each.total)} for each in step.sent]
            steps.append({"entry": step.entry, "cotangent": self.value(step.cotangent), "sent": sent})
        found = {"roots": self.named(of.roots), "gradients": self.named(of.gradients), "steps": steps}
        return {**found, "complete": of.complete, "nested": of.nested}


class _Reader:
    def __init__(self, values: list[Values]):
        self.values = values

    def value(self, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        ((kind, inside),) = value.items()
        if kind == "values":
            return self.values[inside]
        if kind == "entry":
            return Input(inside)
        if kind == "number":
            return _SPECIAL[inside]
        return tuple(map(self.value, inside)) if kind == "tuple" else Other(inside)

    def named(self, values: dict[str, Any]) -> dict[str, Any]:
        return {name: self.value(value) for name, value in values.items()}

    def numbered(self, values: dict[str, Any]) -> dict[int, Any]:
        return {int(number): self.value(value) for number, value in values.items()}

    def entry(self, read: dict[str, Any]) -> Entry:
        calls = [Call(call["file"], call["line"], call["function"]) for call in read["calls"]]
        rules = []
        for rule in read["rules"]:
            text = Text(rule["source"], rule["formula"], rule["latex"], tuple(rule["parameters"]))
            rules.append((rule["input"], rule["argument"], text if text.source or text.parameters else None))
        return StoredEntry(
            **{name: read[name] for name in _PLAIN},
            inputs=tuple(read["inputs"]), shape=_tuple(read["shape"]), values=self.value(read["values"]), saved=self.named(read["saved"]),
            arguments=self.named(read["arguments"]), constants=self.named(read["constants"]), changed=self.named(read["changed"]),
            rules=tuple(rules), calls=tuple(calls),
            line_text=read["calls"][0]["source"] if read["calls"] else "",
        )  # fmt: skip

    def backward(self, read: dict[str, Any]) -> Pass:
        steps = []
        for step in read["steps"]:
            sent = [Contribution(each["to"], self.value(each["gradient"]), self.value(each["total"])) for each in step["sent"]]
            steps.append(Step(step["entry"], self.value(step["cotangent"]), sent))
        return Pass(self.numbered(read["roots"]), steps, self.numbered(read["gradients"]), read["complete"], read["nested"])


@dataclass(eq=False)
class StoredEntry(Entry):
    """An entry that was read, with the line of the program as it was when the tape was written."""

    line_text: str = ""

    @property
    def source(self) -> str:
        return self.line_text


class Other(str):
    """The text of an object that JSON does not know."""

    __slots__ = ()
    __repr__ = str.__str__


def _written_values(value: Values) -> dict[str, Any]:
    data = None if value.array is None else [_number(x) for x in value.array.reshape(-1).tolist()]
    statistics = {name: _number(getattr(value, name)) for name in _STATISTICS}
    return {"shape": list(value.shape), "dtype": value.dtype, "data": data, **statistics, "histogram": list(value.histogram)}


def _read_values(read: dict[str, Any]) -> Values:
    shape, array = tuple(read["shape"]), None
    if read["data"] is not None:
        array = np.array([_from_number(x) for x in read["data"]], read["dtype"]).reshape(shape)
    statistics = {name: _from_number(read[name]) for name in _STATISTICS}
    return Values(shape, read["dtype"], array, **statistics, histogram=tuple(read["histogram"]))


def _number(x: Any) -> Any:
    if isinstance(x, complex):
        return [_number(x.real), _number(x.imag)]
    if isinstance(x, float) and not math.isfinite(x):
        return str(x)
    return x if x is None or isinstance(x, (bool, int, float)) else str(x)


def _from_number(x: Any) -> Any:
    if isinstance(x, list):
        return complex(_from_number(x[0]), _from_number(x[1]))
    return _SPECIAL[x] if isinstance(x, str) else x


def _tuple(value: Any) -> Any:
    return tuple(map(_tuple, value)) if isinstance(value, list) else value
