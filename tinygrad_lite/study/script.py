"""Running a script that stops in each of its backward passes: what `python -m tinygrad_lite.study` does."""

from __future__ import annotations

import argparse
import linecache
import os
import runpy
import sys
import traceback
from collections.abc import Sequence
from types import FrameType
from typing import Any, TextIO

from tinygrad_lite.autograd.observing import observe, observe_no_more
from tinygrad_lite.engine.tape import Leaf, Traced
from tinygrad_lite.nn import Module
from tinygrad_lite.study.entries import Entry
from tinygrad_lite.study.program import in_package, variables_of
from tinygrad_lite.study.recorder import Recorder
from tinygrad_lite.study.tape import Tape
from tinygrad_lite.study.terminal import Prompt, Quit


def main(arguments: Sequence[str] | None = None, stdin: TextIO | None = None, stdout: TextIO | None = None) -> int:
    """Run a script as `python script.py` would, and open the stepper when one of its backward passes has run. Returns the
    exit status: 0, or 1 if the script raised or ran no backward pass, or 2 if it cannot be run."""
    parser = argparse.ArgumentParser(
        prog="python -m tinygrad_lite.study",
        description="Run a script and step through its backward passes. At the prompt, help lists the commands.",
    )
    parser.add_argument("-c", dest="commands", action="append", default=[], metavar="COMMAND", help="run it at the first prompt")
    parser.add_argument("script", help="the program, a file")
    rest = parser.add_argument("arguments", nargs=argparse.REMAINDER, help="what it finds in sys.argv")
    rest.required = False  # so that a missing script is not reported with them
    given = parser.parse_args(arguments)
    out = stdout or sys.stdout
    if not os.path.isfile(given.script):
        kind = "is a folder" if os.path.isdir(given.script) else "does not exist"
        print(f"{given.script} {kind}: give the path of a Python program that calls backward", file=out)
        return 2
    return _run(given.script, given.arguments, Prompt(given.commands, stdin, stdout))


def _run(script: str, arguments: list[str], prompt: Prompt) -> int:
    before, path = list(sys.argv), list(sys.path)
    sys.argv[:] = [script, *arguments]
    sys.path[:1] = [os.path.dirname(os.path.abspath(script))]  # where `python script.py` looks for its modules
    linecache.checkcache(script)
    recorder = StoppingRecorder(prompt)
    recorder.__enter__()
    try:
        runpy.run_path(script, run_name="__main__")
    except Quit:
        return 0
    except SystemExit as leaving:
        if recorder.passes or leaving.code:
            raise
    except BaseException as error:
        prompt.say(_raised(script, error, recorder))
        return 1
    finally:
        recorder.__exit__()
        sys.argv[:], sys.path[:] = before, path
    if not recorder.passes:
        prompt.say(_no_backward(script, recorder.tape))
        return 1
    return 0


def _raised(script: str, error: BaseException, recorder: StoppingRecorder) -> str:
    """The traceback of a script's error from its own first frame on, and what to do."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename != script:
        trace = trace.tb_next
    text = "".join(traceback.format_exception(type(error), error, trace))
    count = recorder.passes
    where = f"after {count} backward pass{'es' if count > 1 else ''}" if count else "before its first backward pass"
    if recorder.broken or recorder.ended:
        where = f"in its backward pass {count}" if recorder.broken else "on the way to its end"
    advice = f"Correct the error, or look at it with `python -m pdb {script}`"
    return f"{text}{script} raised {type(error).__name__} {where}. {advice}; then run this command again."


def _no_backward(script: str, tape: Tape) -> str:
    operations = [entry for entry in tape if not entry.is_leaf]
    if not operations:
        return (
            f"{script} ended without a backward pass, and recorded no operation that needs a gradient. Create a tensor with "
            "requires_grad=True or use a Module, not under no_grad, and call backward on the loss, in the main thread."
        )
    last = operations[-1]
    return (
        f"{script} ended without a backward pass. It recorded {len(operations)} operation{'s' if len(operations) > 1 else ''}, "
        f"the last at {last.place}: {last.source}. Call {last.name if last.name.isidentifier() else 'loss'}.backward() there."
    )


class StoppingRecorder(Recorder):
    """Records a script and opens a prompt when a backward pass has ended, or was left by an error.

    The modules of a script are not known beforehand: they are found among the calls in progress. A pass that frees its graph
    ends the tape, so that a training loop does not keep the graphs of all its steps.
    """

    tape: Tape

    def __init__(self, prompt: Prompt):
        super().__init__(Tape({}))
        self.prompt = prompt
        self.passes = 0
        self.broken = False  # whether the latest was left by an error
        self.ended = False  # whether the program runs to its end without being recorded
        self.paths: dict[int, tuple[Module, str]] = {}  # the names of modules met, by id

    def recorded(self, node: Any, arguments: Any, result: Any) -> None:
        self.modules.names[:] = [self._module()]
        super().recorded(node, arguments, result)

    def finished(self, found: dict[Any, Any] | None) -> None:
        done = self.running[-1][0]
        super().finished(found)
        if self.running:  # it was inside a hook or a rule of another pass
            return
        self.passes += 1
        self.broken = found is None
        self._name_leaves()
        if done.steps:
            index = self.tape.passes.index(done)
            self.prompt.open(self.tape, index, self.passes, None if found is not None else sys.exc_info()[1])
        freed = any(node.saved is None for node in self.tape._numbers)
        if found is None or freed:
            self.tape = Tape(self.tape._names)
        if self.prompt.passes_to_go < 0:
            self.ended = True
            observe_no_more(self)

    def __exit__(self, *exception: object) -> None:
        if self.ended:
            observe(self)  # which the recorder undoes
        super().__exit__(*exception)

    def _module(self) -> str:
        """The name of the innermost module whose forward is running, or ""."""
        called: list[FrameType] = []
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            if frame.f_code is Module.__call__.__code__:
                called.append(frame)
            frame = frame.f_back
        if not called:
            return ""
        innermost, outermost = variables_of(called[0])["self"], variables_of(called[-1])["self"]
        if id(innermost) not in self.paths:
            self._name_modules(outermost, called[-1].f_back)
        return self.paths[id(innermost)][1] if id(innermost) in self.paths else type(innermost).__name__

    def _name_modules(self, root: Module, frame: FrameType | None) -> None:
        """Name a module after a variable of its callers, or an attribute of their `self`; and what is in it accordingly."""
        name = ""
        while frame is not None and not name:
            own = variables_of(frame)
            for variables in (own, getattr(own.get("self"), "__dict__", {}), frame.f_globals):
                name = name or next((key for key, value in variables.items() if value is root), "")
            frame = frame.f_back
        name = name or type(root).__name__
        for path, module in root.named_modules():
            self.paths.setdefault(id(module), (module, f"{name}.{path}" if path else name))
        self.tape._names.update((id(p.node), f"{name}.{path}") for path, p in root.named_parameters() if type(p.node) is Leaf)

    def _name_leaves(self) -> None:
        """Name leaves without a name after variables of the callers."""
        entries = self.tape.entries
        unnamed = {id(node): entries[i] for node, i in self.tape._numbers.items() if type(node) is Leaf and not entries[i].name}
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and unnamed:
            if not in_package(frame.f_code.co_filename):
                _name_from(variables_of(frame), unnamed)
            frame = frame.f_back


def _name_from(variables: dict[str, Any], unnamed: dict[int, Entry]) -> None:
    for name, value in variables.items():
        if isinstance(value, Traced) and id(value.node) in unnamed:
            unnamed.pop(id(value.node)).name = name
