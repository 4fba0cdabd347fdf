"""Running a function on stand-ins that write down what is done with them.

Kernels take their functions from the stand-ins' namespace, and use the plain form of each formula instead of the blocked or
compiled one. So a trace reads as the program a person would have written.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_lite.arrays.devices import CPU, Device, with_index
from tinygrad_lite.arrays.gpu import tracing
from tinygrad_lite.arrays.memory import address_range, owner_of, start_of
from tinygrad_lite.compiler.layouts import Layouts, as_traced, is_large, untouched
from tinygrad_lite.compiler.program import IN_PLACE, Call, Variable, leaves, mapped, perform
from tinygrad_lite.compiler.stand_ins import TracedArray, TracedNumber, TracedNumPy, TracedStream, Untraceable, traced_in
from tinygrad_lite.engine.tape import Traced


class Trace:
    """The calls so far. `device`: where the arrays are that the traced ones stand for; `on_cpu`: the memory of those that are on
    the CPU even if that is a GPU, which hold single numbers, such as step counts. `layouts`: of the results of earlier traces;
    None if all values are to be computed."""

    def __init__(self, device: Device = CPU, layouts: Layouts | None = None) -> None:
        self.device = device
        self.on_cpu: set[int] = set()
        self._layouts = layouts
        self.calls: list[Call] = []
        self.captured: dict[Variable, Any] = {}  # arrays, and the sources of random numbers
        self.namespace = TracedNumPy(self)
        self.section = "forward"
        self._in_kernel = self._is_whole = False
        self.error: Untraceable | None = None
        self.types_matter = False  # whether the function may ask for the type() of a number
        self._numbers, self._memories = itertools.count(), itertools.count()
        self._memory: dict[int, tuple[weakref.ref[np.ndarray], int]] = {}  # the number of an owner's memory, by its id
        self._fresh: set[int] = set()  # memory that did not exist before the trace
        self._outside: set[int] = set()  # that of captured arrays
        self._owners: weakref.WeakValueDictionary[int, TracedArray] = weakref.WeakValueDictionary()
        self._given: list[np.ndarray] = []  # so that an id is not given twice
        self._known: dict[int, Variable] = {}
        self._names: set[str] = set()
        self._before: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # what memory held before the trace wrote there
        self._host: dict[int, Any] = {}  # addresses of single numbers, with the number read or assigned last
        self._places: list[int] = []  # these addresses in order, with some that are gone
        self._read: dict[tuple[str, Any], TracedNumber] = {}
        self._other = _Numbers()

    # -- variables ------------------------------------------------------------------------------

    def array(self, value: np.ndarray, name: str = "") -> TracedArray:
        """A traced array around `value`."""
        owner = owner_of(value)
        known, memory = self._memory.get(id(owner), (None, -1))
        if known is None or known() is not owner:  # the id may have been that of an array that is gone
            memory = next(self._memories)
            self._memory[id(owner)] = weakref.ref(owner), memory
            if not name:
                self._fresh.add(memory)
        traced = TracedArray(self, value, Variable(self._new(name), value.shape, value.dtype, memory, strides=value.strides))
        if owner is value:
            self._owners.setdefault(id(value), traced)
        else:
            traced.owner = self._owners.get(id(owner))
        return traced

    def number(self, value: Any, name: str = "", host: bool = True) -> TracedNumber:
        """A traced number."""
        return TracedNumber(self, value, Variable(self._new(name), (), np.dtype(type(value)), -1, True, host))

    def given(self, value: np.ndarray, name: str, device: Device = CPU) -> TracedArray:
        """An array that the program refers to. One on the CPU that holds a single number can be read before the program runs."""
        traced = self.array(value, name)
        self.captured[traced.variable] = value
        self._outside.add(traced.variable.memory)
        self._known[id(value)] = traced.variable
        self._given.append(value)
        if not value.ndim and device == CPU and (place := start_of(value)) not in self._host:
            self._host[place] = None
            bisect.insort(self._places, place)
        return traced

    def _new(self, name: str) -> str:
        name = name or f"v{next(self._numbers)}"
        while name in self._names:
            name += "_"
        self._names.add(name)
        return name

    def owner(self, value: np.ndarray) -> TracedArray:
        """The array that owns the memory of `value`: one object, however often it is asked for."""
        owner = owner_of(value)
        known = self._owners.get(id(owner))
        return self.array(owner) if known is None else known

    def again(self, array: TracedArray) -> TracedArray:
        """Another object for the same array."""
        return TracedArray(self, array.value, array.variable)

    def scale(self, arrays: list[TracedArray], factor: float) -> None:
        """Give arrays other values until the trace is undone; single numbers, such as step counts, keep theirs."""
        for owner in {id(owner_of(array.value)): owner_of(array.value) for array in arrays if array.ndim}.values():
            if owner.dtype.kind == "f" and owner.flags.writeable and owner.flags.forc:
                self._before[id(owner)] = owner, owner.copy()
                np.multiply(owner, factor, out=owner)

    def undo(self) -> None:
        """Give memory that was written to its former values."""
        for memory, values in self._before.values():
            np.copyto(memory, values)
        self._before.clear()

    def close(self) -> None:
        """Break the references to the trace in what it refers to, so that it goes when its last user does."""
        self._read.clear()
        self._host.clear()
        del self.namespace

    # -- calls ----------------------------------------------------------------------------------

    def call(self, function: str, *arguments: Any, **keywords: Any) -> Any:
        """Do one call, and note it."""
        is_write = function in IN_PLACE or function == "[]=" or function.endswith((".at", ".copyto", ".fill", ".sort", ".partition"))
        written = arguments[0] if is_write else keywords.get("out")
        if isinstance(written, np.ndarray):
            written = self._captured(written)
        elif isinstance(written, TracedNumber):
            raise Untraceable("a number that is changed in place")
        if not _takes_numbers(function):
            arguments, keywords = mapped((arguments, keywords), self._fixed)
        elif function == "np.full":
            arguments = mapped(arguments[0], self._fixed), *arguments[1:]
        noted = self._noted((arguments, keywords))
        if _shape_is_by_value(function, arguments):
            if not self._in_kernel:
                raise Untraceable("the shape of a result depends on values")
            self._is_whole = True
        result = self._done(function, arguments, keywords, written)
        if written is not None:
            self._note(Call(function, noted[0], noted[1], written=(written.variable,)))
            self._wrote(written, function, arguments)
            return written if keywords.get("out") is None else keywords["out"]
        if not isinstance(result, (np.ndarray, np.generic)) and isinstance(result, (tuple, list)):
            return self._several(function, noted, result)
        operands = list(traced_in((arguments, keywords)))
        if isinstance(result, (int, float, np.generic)) and all(isinstance(x, TracedNumber) for x in operands):
            return self._number(function, noted, result, all(x.variable.host for x in operands))
        if isinstance(result, np.generic):
            result = np.asarray(result)
        if not isinstance(result, np.ndarray):
            for number in operands:
                if type(number) is TracedNumber:
                    self.fix(number, "by Python")
            return result
        traced = self.array(result)
        for operand in operands:  # NumPy's as_strided hides whose memory its result is a view of
            if isinstance(operand, TracedArray) and np.may_share_memory(result, operand.value):
                traced.variable.memory = operand.variable.memory
        self._note(Call(function, noted[0], noted[1], results=(traced.variable,)))
        return traced

    def _done(self, function: str, arguments: Any, keywords: Any, written: TracedArray | None) -> Any:
        """The result of a call: without its values, if a call of the same form has been done before and they do not matter."""
        layouts, key = self._layouts, None
        if layouts is not None and (written is None or is_large(written.value)):
            key = layouts.key(function, arguments, keywords)
            if written is not None and layouts.is_known_write(key):
                return None
            if written is None and (found := layouts.result(key)) is not None:
                return found
        if written is not None:
            self._keep(written)
        result = perform(function, *_plain((arguments, keywords)))
        if layouts is not None:
            layouts.note(key, result, None if written is None else written.value)
        return result

    def _note(self, call: Call) -> None:
        call.section = self.section
        self.calls.append(call)

    def _number(self, function: str, noted: Any, result: Any, host: bool) -> Any:
        value = result.item() if isinstance(result, np.generic) else result
        if isinstance(value, bool):
            traced = self.number(int(value), host=host)
            self._note(Call(function, noted[0], noted[1], results=(traced.variable,)))
            self.fix(traced, "as a condition")
            return value
        traced = self.number(value, host=host)
        self._note(Call(function, noted[0], noted[1], results=(traced.variable,)))
        return traced

    def kernel(self, function: Callable[..., Any], arguments: Any, keywords: Any) -> Any:
        """Run a kernel. Its calls become the body of one."""
        operands = [x for x in traced_in((arguments, keywords)) if not isinstance(x, np.ndarray)]
        if self._in_kernel or not operands:
            return function(*arguments, **keywords)
        noted, outer, self.calls, self._in_kernel = self._noted((arguments, keywords)), self.calls, [], True
        self._is_whole = False
        try:
            result = function(*arguments, **keywords)
        finally:
            body, self.calls, self._in_kernel = self.calls, outer, False
        made = {variable for call in body for variable in call.made}
        found = list(arrays_in(result))
        results = tuple(x.variable if isinstance(x, TracedArray) and x.variable in made else None for x in found)
        inside = {variable.memory for variable in made} - {x.variable.memory for x in operands} - self._outside
        written = {v.memory: v for call in body for v in call.written if v.memory not in inside}
        is_whole = self._is_whole
        acts = any(not call.results and not call.written for call in body) or any(v.is_number for v in made)
        if acts or not self._is_same_on_arrays(function, arguments, keywords, found, {*written}):
            if is_whole:
                raise Untraceable("the shape of a result depends on values")
            self.calls += body  # conditions and numbers are the program's
        elif body:
            for call in body:
                call.section = self.section
            call = Call(function, noted[0], noted[1], results, tuple(written.values()), body=tuple(body), is_whole=is_whole)
            self._note(call)
        return result

    def whole(self, function: Callable[..., Any], arguments: Any, keywords: Any) -> Any:
        """Run a function on the values of traced arrays, as one call."""
        if not any(isinstance(x, (TracedArray, TracedNumber)) for x in traced_in((arguments, keywords))):
            return function(*arguments, **keywords)
        noted = self._noted((arguments, keywords))
        token = tracing.set(None)
        try:
            result = function(*_plain(arguments), **_plain(keywords))
        finally:
            tracing.reset(token)
        result = mapped(result, lambda part: self.array(np.asarray(part)) if isinstance(part, (np.ndarray, np.generic)) else part)
        self._note(Call(function, noted[0], noted[1], results=tuple(x.variable for x in arrays_in(result))))
        return result

    def _is_same_on_arrays(self, function: Any, arguments: Any, keywords: Any, found: list[Any], written: set[int]) -> bool:
        """Whether a kernel returns for NumPy's arrays what it has returned for traced ones, up to rounding."""
        known = {} if self._layouts is None else self._layouts.kernels
        key = None if self._layouts is None or self._is_whole else self._layouts.key(function, arguments, keywords)
        if key in known:
            self._lay_out(found, known[key])
            return known[key] is not None

        def plain(part: Any) -> Any:
            return part.value.copy() if type(part) is TracedArray and part.variable.memory in written else _plain(part)

        mine = list(arrays_in(function(*mapped(arguments, plain), **mapped(keywords, plain))))
        same = len(mine) == len(found) and all(a.shape == b.shape and a.dtype == b.dtype for a, b in zip(mine, found))
        form = [untouched(a.shape, a.dtype, a.strides) if a.base is None and a.size else None for a in mine] if same else None
        if key is not None:
            known[key] = form
        self._lay_out(found, form)
        return same

    def _lay_out(self, found: list[Any], form: list[Any] | None) -> None:
        """Give new arrays that a kernel has returned for traced ones the layouts of those that it returns for NumPy's."""
        for x, like in zip(found, form or ()):
            if like is None or type(x) is not TracedArray or owner_of(x.value) is not x.value or x.variable.memory not in self._fresh:
                continue
            value = as_traced(x.value, like)
            if value is not x.value:
                self._memory[id(value)] = weakref.ref(value), x.variable.memory
                self._owners[id(value)] = x
                x.value, x.variable.strides = value, value.strides

    def power(self, base: Any, exponent: Any) -> Any:
        """A power with a number of the program: whether it is an int, a float or complex depends on the signs."""
        if all(isinstance(x, (int, float)) for x in (base, exponent)):
            if type(exponent) is TracedNumber:
                exponent < 0  # noqa: B015  (a condition)
            if type(base) is TracedNumber and isinstance(exponent, float):
                base < 0  # noqa: B015
        elif isinstance(base, Traced) or isinstance(exponent, Traced):
            return NotImplemented
        return self.call("**", base, exponent)

    def _several(self, function: str, noted: Any, results: Any) -> Any:
        whole = Variable(self._new(""), (), np.dtype(object), -1)
        self._note(Call(function, noted[0], noted[1], results=(whole,)))
        parts = []
        for place, part in enumerate(results):
            traced = self.array(np.asarray(part))
            self._note(Call("[]", (whole, place), results=(traced.variable,)))
            parts.append(traced)
        return type(results)(parts) if type(results) in (tuple, list) else tuple(parts)

    def draw(self, source: Any, method: str, *arguments: Any) -> TracedArray:
        """Random numbers."""
        if id(source) not in self._known:
            self._known[id(source)] = Variable(self._new("rng"), (), np.dtype(object), -1)
            self.captured[self._known[id(source)]] = source
        if not self._is_here(source.device):
            raise Untraceable(f"it draws random numbers on {source.device}, and its tensors are on {self.device}")
        # A GPU's stream stays where it is: what is traced are other numbers of the same kind.
        stream = source if self.device == CPU else self._other
        value = np.asarray(perform("draw", (stream, method, *_plain(arguments)), {}))
        traced = self.array(value)
        self._note(Call("draw", (self._known[id(source)], method, *self._noted(arguments)), results=(traced.variable,)))
        return traced

    def check(self, bad: TracedArray, kind: type[Exception], message: str, function: str) -> None:
        """Note that the program is to raise if `bad` is True."""
        keywords = {"function": function} if function else {}
        perform("check", (bad.value, kind, message), keywords)
        self._note(Call("check", (bad.variable, kind, message), keywords))

    def item(self, array: TracedArray) -> TracedNumber:
        """The number in an array with one element. Numbers of one kind that are equal, such as the step counts of an
        optimizer's parameters, are one number as long as they stay equal."""
        place = start_of(array.value)
        if self._host.get(place) is not None:
            return self._host[place]
        traced = self.number(array.value.item(), host=place in self._host)
        self._note(Call(".item", (array.variable,), results=(traced.variable,)))
        if place in self._host:
            kind = array.variable.name.rpartition(".")[2], traced.value
            first = self._read.setdefault(kind, traced)
            if first is not traced:
                self._note(Call("same", (traced.variable, first.variable)))
            self._host[place] = traced = first
        return traced

    def fix(self, number: TracedNumber, use: str) -> Any:
        """The value of a number, which is from here on a condition for the program."""
        if not number.variable.host:
            raise Untraceable(f"a value that is computed from arrays is used {use}; a program is the same for all values")
        self._note(Call("guard", (number.variable, number.value, use)))
        return number.value

    def _fixed(self, part: Any) -> Any:
        return self.fix(part, "as a size or an axis") if type(part) is TracedNumber else part

    def fix_length(self, part: slice, size: int) -> None:
        """Make the length of a slice a condition."""
        length = len(range(*_plain(part).indices(size)))
        traced = self.number(length, host=all(x.variable.host for x in traced_in(part)))
        self._note(Call("length", (self._noted(part), size), results=(traced.variable,)))
        self.fix(traced, "as a size")

    def namespace_on(self, device: Device) -> TracedNumPy:
        """What makes new arrays on `device`."""
        if not self._is_here(device):
            raise Untraceable(f"it makes a tensor on {device}, and its others are on {self.device}")
        return self.namespace

    def _is_here(self, device: Device) -> bool:
        return (device if device.type == "cpu" else with_index(device)) == self.device

    def moved(self, array: Any, device: Device) -> Any:
        """`array`, which is not there, on `device`."""
        if isinstance(array, TracedArray) or not self._is_here(device):
            raise Untraceable(f"it moves a tensor to {device}")
        return array  # a constant of the program

    def refuse(self, reason: str) -> None:
        raise Untraceable(reason)

    def stream(self, source: Any) -> TracedStream:
        """The generator of a source of random numbers."""
        return TracedStream(self, source)

    def _keep(self, written: TracedArray) -> None:
        owner = owner_of(written.value)
        if written.variable.memory not in self._fresh and id(owner) not in self._before:
            self._before[id(owner)] = owner, owner.copy()

    def _wrote(self, written: TracedArray, function: str, arguments: Any) -> None:
        start, end = address_range(written.value)
        places = self._places[bisect.bisect_left(self._places, start) : bisect.bisect_left(self._places, end)]
        for place in [place for place in places if place in self._host]:
            value = arguments[2] if function == "[]=" else None
            if isinstance(value, TracedNumber) and value.variable.host and written.ndim == 0:
                if written.dtype != value.variable.dtype:  # it may have been rounded
                    value = self._number("np." + written.dtype.name, self._noted(((value,), {})), written.value[()], True)
                self._host[place] = value
            else:
                del self._host[place]

    # -- operands -------------------------------------------------------------------------------

    def _captured(self, value: np.ndarray) -> TracedArray:
        """An array from outside, which the program refers to."""
        if id(value) not in self._known:
            return self.given(value, f"c{len(self.captured)}")
        return TracedArray(self, value, self._known[id(value)])

    def _noted(self, value: Any) -> Any:
        """The operands as the program names them; an array from outside is captured."""
        return mapped(value, self._named)

    def _named(self, part: Any) -> Any:
        if isinstance(part, np.ndarray):
            return self._captured(part).variable
        if isinstance(part, Traced):
            raise Untraceable("a tensor in a call of NumPy")
        return part.variable if type(part) in (TracedArray, TracedNumber) else part


class _Numbers:
    """A stream of NumPy's in the place of a GPU's."""

    @functools.cached_property
    def generator(self) -> Any:
        return np.random.default_rng()


def _takes_numbers(function: str) -> bool:
    """Whether numbers among the operands of a call have no influence on shapes: they may differ from run to run."""
    name = function.rpartition(".")[2]
    return (
        not function.startswith(("np.", ".")) or name in ("where", "clip", "fill", "full", "full_like", "copyto", "item")
        or (function.startswith("np.") and isinstance(getattr(np, name, None), (np.ufunc, type)))
    )  # fmt: skip


_BY_VALUE = {
    "nonzero", "flatnonzero", "argwhere", "unique", "unique_values", "unique_counts", "unique_inverse", "unique_all", "compress", "extract",
    "repeat", "bincount", "histogram", "delete", "trim_zeros", "union1d", "intersect1d", "setdiff1d", "setxor1d",
}  # fmt: skip


def _shape_is_by_value(function: str, arguments: tuple[Any, ...]) -> bool:
    """Whether other values would give a result of another shape."""
    if function == "[]":
        index = arguments[1] if isinstance(arguments[1], tuple) else (arguments[1],)
        return any(isinstance(i, (TracedArray, np.ndarray)) and i.dtype == bool for i in index)
    name = function.rpartition(".")[2]
    if name == "repeat":
        return isinstance(arguments[1], (TracedArray, np.ndarray)) and arguments[1].ndim > 0
    return name in _BY_VALUE or (function == "np.where" and len(arguments) == 1)


def arrays_in(value: Any) -> Iterator[Any]:
    """The arrays in what a kernel returns."""
    return (part for part in leaves(value) if isinstance(part, (TracedArray, np.ndarray, np.generic)))


def _plain(value: Any) -> Any:
    """The operands as arrays and numbers."""
    return mapped(value, lambda part: part.value if type(part) in (TracedArray, TracedNumber) else part)
