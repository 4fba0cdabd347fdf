"""`compile`: a function that runs as a program."""

from __future__ import annotations

import copy
import functools
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_lite.arrays.gpu import tracing
from tinygrad_lite.arrays.tuning import release_freed_memory
from tinygrad_lite.compiler.arguments import Arguments, GradPlace, Places, TensorPlace, names_of
from tinygrad_lite.compiler.capture import Captured, Changing, NeedsGraph, Shared, are_alike, capture, may_be_input
from tinygrad_lite.compiler.host_copies import NotOnOneDevice
from tinygrad_lite.compiler.layouts import Layouts
from tinygrad_lite.compiler.program import Mismatch, Program
from tinygrad_lite.compiler.reach import Compiled, Reach
from tinygrad_lite.compiler.ready import Ready
from tinygrad_lite.compiler.report import Report
from tinygrad_lite.compiler.stand_ins import Untraceable
from tinygrad_lite.engine.context import is_grad_enabled, observers
from tinygrad_lite.engine.tape import Node, Traced
from tinygrad_lite.nn import Module
from tinygrad_lite.optim import Optimizer

LIMIT = 8  # of programs for one function
_NO_ARGUMENTS = Arguments({})
_LIBRARY = os.path.dirname(os.path.dirname(__file__))


class CompiledFunction(Compiled):
    """A function with programs. See `compile`."""

    derived = (
        "programs", "reasons", "refusal", "derived", "_fullgraph", "_fuse", "_static", "_names", "_changing", "_calls", "_lock",
        "__wrapped__", "__name__", "__qualname__", "__module__", "__doc__", "__annotations__", "__type_params__",
    )  # fmt: skip

    def __init__(self, function: Callable[..., Any], static: Iterable[str], fullgraph: bool, fuse: bool):
        functools.update_wrapper(self, function, updated=())
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.programs: list[Ready] = []
        self.reasons: list[str] = []  # why each program was made
        self.refusal = ""  # why the function runs without a program
        self._fullgraph, self._fuse, self._static, self._names = fullgraph, fuse, frozenset(static), names_of(function)
        self._changing: list[tuple[Any, Any]] = []  # the owners and keys of entries that differ from call to call
        self._calls = 0
        self._lock = threading.RLock()

    def __reduce__(self) -> Any:
        module, name = sys.modules.get(self.__module__ or ""), getattr(self, "__qualname__", "")
        if getattr(module, name, None) is self:
            return name  # a function of a module is pickled by its name
        return CompiledFunction, (self.__wrapped__, self._static, self._fullgraph, self._fuse)

    def __deepcopy__(self, memo: Any) -> CompiledFunction:
        return CompiledFunction(copy.deepcopy(self.__wrapped__, memo), self._static, self._fullgraph, self._fuse)

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.refusal or tracing.get() is not None or observers.get():
            return self.__wrapped__(*args, **kwargs)
        with self._lock:
            if not self._calls:  # a first call creates what later ones use, such as the state of an optimizer
                result = self.__wrapped__(*args, **kwargs)
                self._calls = 1
                return result
            given = Arguments(self._names(args, kwargs), self._static) if args or kwargs else _NO_ARGUMENTS
            if given.tensors and is_grad_enabled() and any(type(tensor.node) is Node for tensor in given.tensors.values()):
                return self.__wrapped__(*args, **kwargs)  # backward goes on into the graph of an argument
            reasons = []
            try:
                for ready in self.programs:
                    inputs = ready.inputs_of(given)
                    reason = ready.differs(inputs)
                    if reason is None:
                        try:
                            return ready.run(inputs)  # type: ignore[arg-type]
                        except Mismatch as error:
                            reason = error.reason
                    reasons.append(reason)
                return self._first_run(args, kwargs, given, reasons[0] if reasons else "it is the first")
            except Shared:
                return self.__wrapped__(*args, **kwargs)

    def _first_run(self, args: Any, kwargs: Any, given: Arguments, reason: str) -> Any:
        """Make a program for these arguments and run it, or run the function if there cannot be one."""
        release_freed_memory()  # of calls without a program, so that the trace's does not come on top of it
        try:
            if len(self.programs) >= LIMIT:
                raise Untraceable(f"it has {LIMIT} programs, and would need another one because {reason}")
            try:
                ready = self._captured(args, kwargs, given, Layouts())
            except Shared:
                raise
            except Exception:  # perhaps of values that were not computed
                ready = self._captured(args, kwargs, given, None)
        except Shared:
            raise
        except Untraceable as error:
            self._refuse(error)
            return self.__wrapped__(*args, **kwargs)
        except Exception as error:
            if self._fullgraph:
                raise
            result = self.__wrapped__(*args, **kwargs)  # which raises an error of the user's
            self._refuse(error)
            return result
        self.programs = [ready, *(old for old in self.programs if not old.is_outdated(ready.inputs))]
        self.reasons.append(reason)
        release_freed_memory()
        return ready.run(ready.inputs_of(Arguments(self._names(args, kwargs), self._static)))  # type: ignore[arg-type]

    def _captured(self, args: Any, kwargs: Any, given: Arguments, layouts: Layouts | None) -> Ready:
        for old in self.programs[:1]:
            self._note_changing(old)
        for _ in range(10):  # each time with what was found to change
            reach = Reach(self.__wrapped__, self._names(args, kwargs))
            places = self._places(reach, given)
            if reach.asks_for_types and (given.numbers or any(not _is_of_optimizer(holder) for holder, _ in places.values())):
                raise Untraceable("it may ask for the type() of a number that changes; use isinstance")
            inputs = given.with_places({name: holder.get(key) for name, (holder, key) in places.items()}) if places else given
            try:
                found = capture(self.__wrapped__, args, kwargs, inputs, reach, places, layouts=layouts)
                again = self._again(args, kwargs, inputs, reach, places, layouts)
            except Changing as error:
                self._changing += [(place if isinstance(place, TensorPlace) else place.owner, key) for place, key in error.places]
                continue
            if (difference := _difference(found.program, again.program)) is not None:
                raise Untraceable(f"it does not do the same every time: {difference}")
            if not are_alike(found.result, again.result) or not are_alike(found.effects, again.effects):
                raise Untraceable("it does not do the same every time: what it returns or keeps differs")
            return Ready(found, inputs, places, self._fuse)
        raise Untraceable("it changes something else in each call")

    def _again(
        self, args: Any, kwargs: Any, inputs: Arguments, reach: Reach, places: Places, layouts: Layouts | None
    ) -> Captured:  # fmt: skip
        """A second capture, with other random numbers and, unless the function refuses them, other values of all tensors: what
        differs from the first is not for all values."""
        try:
            return capture(self.__wrapped__, args, kwargs, inputs, reach, places, seed=0x5EED, scale=0.9990234375, layouts=layouts)
        except (Changing, Shared, Untraceable):
            raise
        except Exception:
            return capture(self.__wrapped__, args, kwargs, inputs, reach, places, seed=0x5EED, layouts=layouts)

    def _places(self, reach: Reach, given: Arguments) -> Places:
        """The entries in reach that are inputs: those known to change, learning rates and the counts of updates."""
        places: Places = {}

        def add(holder: Any, key: Any) -> None:
            name = holder.place(key)
            while name in places or name in given.given:
                name += "'"
            places[name] = holder, key

        for holder in reach.holders:
            is_group = type(holder.owner) is dict and "params" in holder.owner
            for key in holder.entries():
                changes = any(owner is holder.owner and _is_same_key(name, key) for owner, name in self._changing)
                is_rate = is_group and key == "lr" and type(holder.owner[key]) in (int, float)
                if changes or is_rate or (isinstance(holder.owner, Optimizer) and key == "updates"):
                    add(holder, key)
        names = {id(tensor): name for name, tensor in reach.tensors.items()}
        for place, key in self._changing:
            if isinstance(place, TensorPlace) and id(place.owner) in names:
                kind = type(place)
                add(kind(place.owner, names[id(place.owner)] + (".grad" if kind is GradPlace else "")), key)
        return places

    def _note_changing(self, old: Ready) -> None:
        """Make inputs of the entries that somebody has changed since the last program was made."""
        for holder in old.holders:
            was, now = holder.entries(old.contents[id(holder)]), holder.entries()
            for key, value in was.items():
                new = now.get(key)
                if new is not value and may_be_input(value) and may_be_input(new) and type(value) is type(new):
                    self._changing.append((holder.owner, key))
        for tensor, grad in old.gradients:
            if grad is not None and tensor._grad is not None and tensor._grad.array is not grad:
                self._changing.append((GradPlace(tensor, ""), None))

    def _refuse(self, error: Exception) -> None:
        kind = "" if isinstance(error, Untraceable) else f"{type(error).__name__}: "
        message = f"compile: {self.__name__} cannot be a program{_place(error)}: {kind}{error}"
        if self._fullgraph:
            raise Untraceable(message) from None
        self.refusal = message
        if not isinstance(error, (NeedsGraph, NotOnOneDevice)):
            warnings.warn(f"{message}. It runs without one", UserWarning, stacklevel=5)

    # -- what is known about it -----------------------------------------------------------------

    def program(self) -> Program:
        """The program of the last call that had to make one; `print` it."""
        if not self.programs:
            raise RuntimeError(self.refusal or f"compile: {self.__name__} has no program yet; it gets one in its second call")
        return self.programs[0].program

    def source(self) -> str:
        """The program as a Python function that needs NumPy alone."""
        return self.program().source(self.__name__)

    def explain(self) -> Report:
        """What became of the function: its programs and why there are several, what each pass removed, memory and time."""
        return Report(self.__name__, self.programs, self.reasons, self.refusal)


def _is_same_key(name: Any, key: Any) -> bool:
    return name is key or (not isinstance(key, Traced) and bool(name == key))


def _is_of_optimizer(holder: Any) -> bool:
    return "param_groups" in getattr(holder.owner, "__dict__", ()) or (isinstance(holder.owner, dict) and "params" in holder.owner)


def _difference(program: Program, other: Program) -> str | None:
    """The first line in which two programs differ."""
    for mine, theirs in zip(str(program).splitlines(), str(other).splitlines()):
        if mine != theirs:
            return f"'{mine.strip()}' and '{theirs.strip()}'"
    for variable, value in zip(program.captured, other.captured):
        a, b = program.captured[variable], other.captured[value]
        if a is not b and not (isinstance(a, np.ndarray) and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")):
            return f"{variable} has other values"
    return None if len(program.calls) == len(other.calls) else "it has more steps"


def _place(error: BaseException) -> str:
    """The user's line at which an error arose."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_LIBRARY)]
    return f" ({frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line})" if frames else ""


class CompiledModule(Module):
    """A module whose calls run as a program. Everything else is the module's own, as in PyTorch under `_orig_mod`."""

    def __init__(self, module: Module, function: CompiledFunction):
        super().__init__()
        self._orig_mod = module
        self.training = module.training
        self.compiled = function

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.compiled(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_orig_mod"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("_orig_mod", "compiled", "training") or "_orig_mod" not in self.__dict__:
            super().__setattr__(name, value)
        else:
            setattr(self._orig_mod, name, value)


def compile(
    model: Any = None, *, fullgraph: bool = False, static: Iterable[str] = (), dynamic: Any = None, backend: Any = None,
    mode: Any = None, options: Any = None, disable: bool = False,
) -> Any:  # fmt: skip
    """`model`, a function or a module, as a program: the NumPy calls that one call of it makes, without Python in between.

    Use it on a whole training step, as a call or as a decorator. The first call runs as ever, the second is traced, later
    ones run the program; `print(step.program())` shows it, `step.source()` is Python that needs NumPy alone, and
    `step.explain()` tells what was done. Parameters, optimizers and random numbers stay what they are: any call may be
    replaced by one without a program. On a GPU the calls are CuPy's, in CUDA graphs where that is possible.

    A call with other shapes or dtypes, or in which something else is different (train or eval mode, a replaced parameter),
    gets a program of its own, eight at most. Numbers that differ from call to call are inputs: arguments of type int and
    float (except those named in `static`), learning rates, counters. What a program cannot hold, such as a branch on a
    value, is named in a warning with its line, and the function runs without a program from then on; with `fullgraph=True`
    that is an error. A module or function whose result is differentiated outside runs without a program too: compile the
    step as a whole. With `options={"fuse": False}` every call is made as in eager execution, one by one; otherwise results may
    differ from it in the last digits. `dynamic`, `backend` and `mode` are PyTorch's and have no effect.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
    >>> @tg.compile
    ... def step(w, x):
    ...     loss = ((w * x).sum() - 1) ** 2
    ...     loss.backward()
    ...     with tg.no_grad():
    ...         w.sub_(0.1 * w.grad)
    ...     w.grad = None
    ...     return loss.item()
    >>> [round(step(w, tg.tensor([0.5, 1.0])), 3) for _ in range(3)]
    [2.25, 1.266, 0.712]
    """
    if model is None:
        return functools.partial(compile, fullgraph=fullgraph, static=static, disable=disable, options=options)
    if not callable(model):
        raise TypeError(f"compile: expected a module or a function, got {type(model).__name__}")
    if isinstance(static, str):
        raise TypeError(f"compile: static must be a collection of names, got {static!r}")
    if disable or isinstance(model, (Compiled, type)):
        return model
    function = CompiledFunction(model, static, fullgraph, (options or {}).get("fuse", True))
    return CompiledModule(model, function) if isinstance(model, Module) else function
