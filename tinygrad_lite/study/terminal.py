"""The stepper in a terminal: a prompt with commands as in pdb."""

from __future__ import annotations

import cmd
import contextlib
import linecache
import os
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from tinygrad_lite.study.entries import Entry
from tinygrad_lite.study.stepping import Stop
from tinygrad_lite.study.tape import Tape
from tinygrad_lite.study.values import Values

try:
    import readline
except ImportError:  # on Windows
    readline = None  # type: ignore[assignment]

MOST = 50  # lines of a list of entries or gradients
_COLOURS = {"head": "1", "place": "36", "rule": "32", "error": "31", "bar": "2"}
_ALIASES = {
    "n": "next", "b": "prev", "g": "goto", "u": "until", "w": "where", "p": "print", "l": "list", "e": "entries", "r": "reset",
    "c": "continue", "q": "quit", "h": "help", "exit": "quit", "EOF": "quit", "values": "print", "bt": "where", "cont": "continue",
}  # fmt: skip


class Quit(BaseException):
    """The user has left the program. Not an Exception, so that the program's own handlers do not catch it."""


class Prompt(cmd.Cmd):
    """Reads commands and shows a backward pass. `commands` are run at the first prompt, before any input is read.

    Colour is used if `stdout` is a terminal and NO_COLOR is not set.
    """

    prompt = "(study) "

    def __init__(self, commands: list[str] | None = None, stdin: TextIO | None = None, stdout: TextIO | None = None):
        super().__init__(stdin=stdin, stdout=stdout)
        self.use_rawinput = stdin is None and sys.stdin.isatty() and self.stdout.isatty()
        self.colour = self.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        self.commands = list(commands or [])
        self.passes_to_go = 0  # that do not open the prompt; below 0: none does again
        self.listed = 0  # the last line that `list` has shown

    def open(self, tape: Tape, index: int, number: int, error: BaseException | None = None) -> None:
        """Let the user step through a pass of a tape, the program's `number`th. `error`: what ended it."""
        if self.passes_to_go and error is None:
            self.passes_to_go -= 1
            return
        self.passes_to_go = 0
        self.tape, self.stepper = tape, tape.stepper(index)
        count = len(self.stepper.steps)
        self.say(f"Backward pass {number}: {count} step{'s' if count > 1 else ''}, {len(tape)} entries on the tape. Type help for help.")
        if error is not None:
            self.stepper.position = count - 1
            self.say(self._painted("error", f"It raised {type(error).__name__} at the step below: {error}"))
        self.cmdqueue = list(self.commands)
        self.commands.clear()
        self._show(self.stepper.next())
        with _history(self.use_rawinput):
            self._loop()

    def _loop(self) -> None:
        ended = False
        while not ended:
            with contextlib.suppress(KeyboardInterrupt):  # which leaves the line, not the program
                self.cmdloop()
                ended = True

    def say(self, text: str) -> None:
        print(text, file=self.stdout, flush=True)

    # -- commands, each with its help ---------------------------------------------------------------

    def do_next(self, argument: str) -> None:
        """next [COUNT]: go on by one step, or by COUNT."""
        for _ in range(_count(argument)):
            stop = self.stepper.next()
        self._show(stop)

    def do_prev(self, argument: str) -> None:
        """prev [COUNT]: go back by one step, or by COUNT."""
        for _ in range(_count(argument)):
            stop = self.stepper.prev()
        self._show(stop)

    def do_goto(self, argument: str) -> None:
        """goto STEP | NAME: go to a step by its number, or to the entry of a variable or of a number such as %3."""
        if not argument:
            raise ValueError("goto: name a step (goto 3), a variable (goto h) or an entry (goto %3)")
        self._show(self.stepper.goto(int(argument) if argument.isdecimal() else argument))

    def do_until(self, argument: str) -> None:
        """until OPERATION | MODULE | NAME | LINE | nonfinite: go on to the next step at an operation, inside a module, at a
        variable, at a line of the program, or where a gradient has NaN or inf."""
        if not argument:
            raise ValueError("until: name an operation, a module, a variable, a line (until 41), or nonfinite")
        before = self.stepper.position
        if self.stepper.run_until(condition=lambda stop: _matches(stop, argument)) is None:
            self.stepper.position = before
            raise ValueError(f"until: no later step matches {argument}; names of operations: {', '.join(self._operations())}")
        self._show(self.stepper.stop)

    def do_reset(self, argument: str) -> None:
        """reset: go before the first step."""
        self.stepper.reset()
        self._show(None)

    def do_where(self, argument: str) -> None:
        """where: show the calls of the program that led to this entry, the outermost first."""
        entry = self._entry()
        for call in reversed(entry.calls):
            self.say(self._painted("place", f"  {call.file}({call.line}){call.function}()"))
            self.say(f"-> {linecache.getline(call.file, call.line).strip()}")
        if not entry.calls:
            self.say(f"  {entry.label} was not made by an operation of the program")
        if entry.module:
            self.say(f"  in module {entry.module}")

    def do_list(self, argument: str) -> None:
        """list [LINE | .]: show the program around this entry's line, then the lines after; or around LINE."""
        entry = self._entry()
        if not entry.calls:
            raise ValueError(f"list: {entry.label} has no line of the program")
        file, line = entry.calls[0].file, entry.calls[0].line
        if argument == "." or not self.listed:
            first = line - 5
        else:
            first = _number(argument, "list") - 5 if argument else self.listed + 1
        lines = linecache.getlines(file)
        first = max(first, 1)
        if first > len(lines):
            raise ValueError(f"list: {file} has {len(lines)} lines")
        self.listed = min(first + 10, len(lines))
        for number in range(first, self.listed + 1):
            text = f"{number:4d} {'->' if number == line else '  '} {lines[number - 1]}".rstrip()
            self.say(self._painted("place", text) if number == line else text)

    def do_print(self, argument: str) -> None:
        """print [NAME]: show all values that this step names, or one of them (g, out, other ...), or the value of an entry."""
        stop = self.stepper.stop
        known: dict[str, Any] = {}
        if stop is not None:
            known["g"] = stop.cotangent
            for sent in stop.sent:
                known.update(sent.saved)
            known.update((f"to {sent.to.label}", sent.gradient) for sent in stop.sent)
        if argument and argument not in known:
            entry = self.tape[argument]
            known = {argument: entry.values}
        for name, value in known.items():
            if argument in ("", name):
                self.say(f"{name} = {_in_full(value)}")

    def do_rule(self, argument: str) -> None:
        """rule: show the text of this step's rules, as in the source and in LaTeX (x is input, z other: docs/rules.md)."""
        stop = self._stop()
        shown: dict[str, list[str]] = {}  # one rule may be for several arguments, with a formula for each
        for sent in stop.sent:
            shown.setdefault(sent.rule.source, []).append(sent.rule.latex)
        for source, formulas in shown.items():
            self.say(self._painted("rule", source or "(its source is not available)"))
            for formula in dict.fromkeys(filter(None, formulas)):
                self.say(textwrap.indent(formula, "  "))

    def do_gradients(self, argument: str) -> None:
        """gradients [TEXT]: show the gradients that have arrived so far, of all entries or of those with TEXT in their label."""
        found = {self.tape.entries[number].label: value for number, value in sorted(self.stepper.gradients().items())}
        self._list([f"{label}: {value}" for label, value in found.items() if argument in label], "gradients", argument)

    def do_entries(self, argument: str) -> None:
        """entries [TEXT]: show the entries of the tape, or those with TEXT in their line; > marks the present one."""
        stop = self.stepper.stop
        rows = []
        for entry in self.tape:
            mark = ">" if stop is not None and entry is stop.entry else " "
            inputs = " ".join(f"%{i}" for i in entry.inputs)
            place = f"{os.path.basename(entry.calls[0].file)}:{entry.calls[0].line}" if entry.calls else ""
            row = f"{mark} {entry.label} {f'({inputs})' if inputs else ''} {entry.shape} {entry.dtype}  {entry.module}  {place}"
            if argument in row:
                rows.append(row.rstrip())
        self._list(rows, "entries", argument)

    def do_continue(self, argument: str) -> bool:
        """continue [COUNT | end]: let the program run to its next backward pass, to the one COUNT further on, or to its end,
        which is not recorded."""
        self.passes_to_go = -1 if argument == "end" else _count(argument) - 1
        return True

    def do_quit(self, argument: str) -> None:
        """quit: leave the program."""
        raise Quit

    def do_help(self, argument: str) -> None:
        """help [COMMAND]: list the commands, or explain one."""
        names = [_ALIASES.get(argument, argument)] if argument else self._commands()
        short = {name: alias for alias, name in reversed(_ALIASES.items()) if len(alias) == 1}
        for name in names:
            explained = getattr(self, f"do_{name}", None)
            if explained is None:
                raise ValueError(f"help: there is no command {name!r}; help lists them")
            text = re.sub(r"\s+", " ", explained.__doc__)
            self.say(f"{text} Short: {short[name]}." if name in short else text)
        if not argument:
            self.say("An empty line repeats the last command.")

    # -- how cmd.Cmd runs them ----------------------------------------------------------------------

    def onecmd(self, line: str) -> bool:
        word, _, argument = line.strip().partition(" ")
        word = _ALIASES.get(word, word)
        if line.strip() and word != "list":
            self.listed = 0
        try:
            return bool(super().onecmd(f"{word} {argument.strip()}".strip()))
        except (KeyError, IndexError, ValueError) as error:
            self.say(self._painted("error", f"*** {error.args[0]}"))
            return False

    def default(self, line: str) -> None:
        raise ValueError(f"there is no command {line.partition(' ')[0]!r}; help lists them")

    def completenames(self, text: str, *ignored: Any) -> list[str]:
        return [name for name in self._commands() if name.startswith(text)]

    def completedefault(self, text: str, *ignored: Any) -> list[str]:
        names = {entry.name for entry in self.tape} | {entry.module for entry in self.tape} | set(self._operations())
        return sorted(name for name in names if name and name.startswith(text))

    def _commands(self) -> list[str]:
        return [name[3:] for name in vars(Prompt) if name.startswith("do_")]

    # -- what is shown ------------------------------------------------------------------------------

    def _stop(self) -> Stop:
        stop = self.stepper.stop
        if stop is None:
            raise ValueError(f"{self.stepper}: there is no entry here; use next or prev")
        return stop

    def _entry(self) -> Entry:
        return self._stop().entry

    def _operations(self) -> list[str]:
        entries = self.stepper.entries
        return list(dict.fromkeys(entries[step.entry].operation for step in self.stepper.steps))

    def _show(self, stop: Stop | None) -> None:
        if stop is None:
            at_end = self.stepper.position > 0
            what = "gradients shows them; prev goes back, continue goes on with the program" if at_end else "next goes to the first"
            self.say(f"{str(self.stepper).capitalize()}: {what}.")
            return
        starts = {"step ": "head", f"  {stop.entry.place or 'step'}:": "place", "  to ": "rule"}
        for line in str(stop).splitlines():
            self.say(self._painted(next((kind for start, kind in starts.items() if line.startswith(start)), ""), line))

    def _list(self, rows: list[str], command: str, argument: str) -> None:
        """Print rows; of many, those around the one that is marked."""
        if not rows:
            self.say(f"no line of {command} has {argument!r} in it" if argument else f"there are no {command} yet")
        marked = next((i for i, row in enumerate(rows) if row.startswith(">")), 0)
        first = max(0, min(marked - MOST // 2, len(rows) - MOST))
        for row in rows[first : first + MOST]:
            self.say(row)
        if len(rows) > MOST:
            self.say(f"... and {len(rows) - MOST:,} more; {command} TEXT shows those with TEXT in their line")

    def _painted(self, kind: str, text: str) -> str:
        return f"\033[{_COLOURS[kind]}m{text}\033[0m" if self.colour and kind else text


def _matches(stop: Stop, wanted: str) -> bool:
    entry = stop.entry
    if wanted == "nonfinite":
        values = [stop.cotangent, *(sent.gradient for sent in stop.sent)]
        parts = [part for value in values for part in (value if isinstance(value, tuple) else (value,))]
        return any(part is not None and not part.finite for part in parts)
    inside = entry.module == wanted or entry.module.startswith(f"{wanted}.")
    line = str(entry.calls[0].line) if entry.calls else ""
    return inside or wanted in (entry.operation, entry.name, f"%{entry.number}", line)


def _number(text: str, command: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{command}: expected a number, got {text!r}")
    return int(text)


def _count(text: str) -> int:
    return max(_number(text, "the count"), 1) if text else 1


def _in_full(value: Any) -> str:
    """All values of a small array, or statistics and a histogram."""
    if isinstance(value, tuple):
        return "\n".join(f"[{i}] {_in_full(part)}" for i, part in enumerate(value))
    if not isinstance(value, Values):
        return str(value)
    kind = f"{value.shape} {value.dtype}"
    if value.array is not None:
        return f"{kind}\n{np.array2string(value.array, precision=6, separator=', ', threshold=200)}"
    bar = "".join("▁▂▃▄▅▆▇█"[min(7, 8 * count // (max(value.histogram) + 1))] if count else " " for count in value.histogram)
    return f"{kind}: {value}" + (f"\n[{bar}]" if bar else "")


@contextlib.contextmanager
def _history(wanted: bool) -> Iterator[None]:
    """Commands of earlier sessions, in a file of the user's cache folder."""
    if not wanted or readline is None:
        yield
        return
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    file = Path(os.environ.get("TINYGRAD_LITE_CACHE") or caches / "tinygrad_lite") / "study_history"
    with contextlib.suppress(OSError):
        readline.read_history_file(file)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            file.parent.mkdir(parents=True, exist_ok=True)
            readline.set_history_length(1000)
            readline.write_history_file(file)
