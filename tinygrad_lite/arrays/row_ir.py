"""Writes a function of rows as a loop in LLVM IR.

row_loops.py traces the function to a `Trace`: the values that it computes for a row, what it stores, and what it adds to the
totals. A value that needs a sum or maximum of the row is ready only after a pass over the row, so the row is traversed once
for each reduction that depends on another. Softmax takes three passes:

    for each row:
        top = max of x[j]                                        # pass 0
        for each j: e = exp(x[j] - top); total += e; out[j] = e  # pass 1
        factor = 1 / total
        for each j: out[j] = out[j] * factor                     # pass 2

The loop of the last one, in LLVM IR:

      %s1 = fdiv float 0x3FF0000000000000, %sum1_1
      br label %pass2
    pass2:
      %j2 = phi i64 [ 0, %after1 ], [ %next2, %pass2 ]
      %v8 = getelementptr float, ptr %row1, i64 %j2
      %v9 = load float, ptr %v8
      %v10 = fmul contract float %v9, %s1
      %v11 = getelementptr float, ptr %row1, i64 %j2
      store float %v10, ptr %v11
      %next2 = add nuw nsw i64 %j2, 1
      %more2 = icmp slt i64 %next2, %width
      br i1 %more2, label %pass2, label %after2

A later pass loads a value that an earlier one stored in an argument, and recomputes all others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygrad_lite.arrays.loop_functions import KINDS, constant, functions_of
from tinygrad_lite.arrays.loops import Unsupported, Writer

# What an argument, or a value, is: one element per row and column, one per row, or one per column.
MATRIX, SCALAR, VECTOR = "matrix", "scalar", "vector"

# How a reduction combines two values, and what it starts with.
REDUCTIONS = {
    "sum": ("fadd reassoc contract {t} {0}, {1}", "0.0"),
    "max": ("call {t} @llvm.maximum.{s}({t} {0}, {t} {1})", "0xFFF0000000000000"),
}
_EXPENSIVE = ("exp", "log", "tanh")


class Value:
    """What an argument holds at first, a number that the loop is called with, a constant, or the result of an operation."""

    def __init__(
        self, operation: str, operands: tuple[Value, ...], kind: str, ready: int = 0, index: int = 0, constant: float = 0.0
    ):  # fmt: skip
        self.operation = operation  # "argument", "number", "constant", a reduction or an operation of `Writer`
        self.operands, self.kind = operands, kind
        self.ready = ready  # the first pass in which it can be computed
        self.index = index  # of an argument or a number
        self.constant = constant


class Store:
    """Stores a value in an argument in pass `when`, or adds it to the argument's elements."""

    def __init__(self, argument: int, value: Value, when: int, add: bool):
        self.argument, self.value, self.when, self.add = argument, value, when, add


class Trace:
    """What a function does with a row, in order. Its parameters are arguments of these `kinds` and so many `numbers`."""

    def __init__(self, kinds: Sequence[str], numbers: int):
        self.kinds, self.numbers = kinds, numbers
        self.arguments = [Value("argument", (), kind, index=i) for i, kind in enumerate(kinds)]
        self.reductions_and_stores: list[Value | Store] = []

    def apply(self, operation: str, *operands: Value) -> Value:
        """The value of an operation."""
        ready = max(operand.ready for operand in operands)
        if operation in REDUCTIONS:
            value = Value(operation, operands, SCALAR, ready + 1)
            self.reductions_and_stores.append(value)
            return value
        scalar = all(operand.kind == SCALAR for operand in operands)
        return Value(operation, operands, SCALAR if scalar else MATRIX, ready)

    def store(self, argument: int, value: Value, add: bool = False, late: bool = False) -> None:
        """Store a value in an argument, after what was stored there before; `late`: in the pass of the last store so far."""
        if self.kinds[argument] == SCALAR and value.kind != SCALAR:
            raise Unsupported("a row of elements, stored where a row has one number")
        stores = [each for each in self.reductions_and_stores if isinstance(each, Store)]
        before = (each.when for each in stores if late or each.argument == argument)
        self.reductions_and_stores.append(Store(argument, value, max(value.ready, *before, 0), add))

    def passes(self) -> list[list[Value | Store]]:
        """The reductions and stores of each pass."""
        passes: list[list[Value | Store]] = []
        for each in self.reductions_and_stores:
            when = each.when if isinstance(each, Store) else each.ready - 1
            passes += [[] for _ in range(when + 1 - len(passes))]
            passes[when].append(each)
        return passes


class RowLoop:
    """Writes the loop over rows, pass by pass."""

    def __init__(self, trace: Trace, dtype: np.dtype):
        self.trace, self.dtype, self.type = trace, dtype, KINDS[dtype]
        self.entry = Writer(self.type, "head")  # at the beginning of a row: addresses and scalar arguments
        self.scalars = Writer(self.type, "s")  # before the loop of a pass
        self.elements = Writer(self.type, "v")  # in the loop of a pass
        self.blocks: list[str] = []
        self.label = "row"  # of the block that is being written
        self.scalar_names: dict[Value, str] = {}
        self.element_names: dict[Value, str] = {}  # in this pass
        self.memory: list[Value | None] = list(trace.arguments)  # what each argument holds before this pass

    def text(self) -> str:
        """The function `loop(rows, width, arguments ..., numbers ...)`."""
        for number, work in enumerate(self.trace.passes()):
            self._write_pass(number, work)
        t = self.type
        pointers = [f"ptr noalias %a{i}" for i in range(len(self.trace.kinds))]
        parameters = ", ".join(["i64 %rows", "i64 %width", *pointers, *(f"{t} %n{i}" for i in range(self.trace.numbers))])
        body = "\n".join([*map(self._address, range(len(self.trace.kinds))), *self.entry.lines, *self.blocks])
        return f"""{functions_of(self.dtype)}
declare {t} @llvm.maximum.{self.elements.suffix}({t}, {t})
define void @loop({parameters}) {{
entry:
  %some = icmp sgt i64 %rows, 0
  br i1 %some, label %row, label %end
row:
  %i = phi i64 [ 0, %entry ], [ %following, %{self.label} ]
  %offset = mul i64 %i, %width
{body}
  %following = add nuw nsw i64 %i, 1
  %rest = icmp slt i64 %following, %rows
  br i1 %rest, label %row, label %end
end:
  ret void
}}
"""

    def _address(self, argument: int) -> str:
        """Where this row begins in an argument."""
        offset = {MATRIX: "%offset", SCALAR: "%i", VECTOR: "0"}[self.trace.kinds[argument]]
        return f"  %row{argument} = getelementptr {self.type}, ptr %a{argument}, i64 {offset}"

    def _write_pass(self, number: int, work: Sequence[Value | Store]) -> None:
        """Append a pass: scalars, then a loop over the elements if there is something to do for each."""
        self.scalars.lines, self.elements.lines, self.element_names = [], [], {}
        in_loop = [each for each in work if isinstance(each, Value) or self.trace.kinds[each.argument] != SCALAR]
        loop = self._loop(number, in_loop) if in_loop else []
        stores = [each for each in work if isinstance(each, Store)]
        for store in stores:
            if store not in in_loop:
                value = self.scalars.number(self._scalar(store.value))
                self.scalars.lines.append(f"  store {self.type} {value}, ptr %row{store.argument}")
        self.blocks += [*self.scalars.lines, *loop]
        for store in stores:
            self.memory[store.argument] = None if store.add else store.value

    def _loop(self, number: int, work: Sequence[Value | Store]) -> list[str]:
        """The loop of a pass. All stores come last, so that every load finds what was there before."""
        accumulators, stores = [], []
        for i, each in enumerate(work):
            if isinstance(each, Value):
                accumulators.append(self._reduce(each, number, i))
            else:
                stores.append(self._store(each, number))
        before, here, after = self.label, f"pass{number}", f"after{number}"
        self.label = after
        return [
            f"  br label %{here}", f"{here}:",
            f"  %j{number} = phi i64 [ 0, %{before} ], [ %next{number}, %{here} ]", *accumulators,
            *self.elements.lines, *stores,
            f"  %next{number} = add nuw nsw i64 %j{number}, 1", f"  %more{number} = icmp slt i64 %next{number}, %width",
            f"  br i1 %more{number}, label %{here}, label %{after}", f"{after}:",
        ]  # fmt: skip

    def _reduce(self, value: Value, number: int, i: int) -> str:
        """Append a step of a reduction; returns the phi of its accumulator."""
        combine, start = REDUCTIONS[value.operation]
        element = self._number(value.operands[0], number)
        accumulator, name = f"%acc{number}_{i}", f"%{value.operation}{number}_{i}"
        self.elements.lines.append(f"  {name} = {combine.format(accumulator, element, t=self.type, s=self.elements.suffix)}")
        self.scalar_names[value] = name
        return f"  {accumulator} = phi {self.type} [ {start}, %{self.label} ], [ {name}, %pass{number} ]"

    def _store(self, store: Store, number: int) -> str:
        """The instruction that stores an element, after those that compute it."""
        element = self._number(store.value, number)
        pointer = self._pointer(store.argument, number)
        if store.add:
            element = self.elements.line(f"fadd {self.type} {self.elements.line(f'load {self.type}, ptr {pointer}')}, {element}")
        return f"  store {self.type} {element}, ptr {pointer}"

    def _pointer(self, argument: int, number: int) -> str:
        """The address of this element of an argument."""
        return self.elements.line(f"getelementptr {self.type}, ptr %row{argument}, i64 %j{number}")

    def _number(self, value: Value, number: int) -> str:
        return self.elements.number(self._element(value, number))

    def _element(self, value: Value, number: int) -> str:
        """The name of this element of a value: computed, or loaded from where an earlier pass stored it."""
        if value.kind == SCALAR:
            return self._scalar(value)
        if value not in self.element_names:
            self.element_names[value] = self._loaded(value, number) or self._computed(value, number)
        return self.element_names[value]

    def _loaded(self, value: Value, number: int) -> str | None:
        for argument, held in enumerate(self.memory):
            if held is value and self.trace.kinds[argument] != SCALAR:
                return self.elements.line(f"load {self.type}, ptr {self._pointer(argument, number)}")
        return None

    def _computed(self, value: Value, number: int) -> str:
        if value.operation == "argument":
            raise Unsupported("an argument is read after a pass that overwrites it")
        if value.operation in _EXPENSIVE and value.ready < number:
            raise Unsupported(f"{value.operation} would be computed twice")
        return self.elements.step(value.operation, [self._element(operand, number) for operand in value.operands])

    def _scalar(self, value: Value) -> str:
        """The name of a value of the row. Reductions have theirs from the pass that computes them."""
        if value not in self.scalar_names:
            self.scalar_names[value] = self._computed_scalar(value)
        return self.scalar_names[value]

    def _computed_scalar(self, value: Value) -> str:
        if value.operation == "constant":
            return constant(value.constant, self.dtype)
        if value.operation == "number":
            return f"%n{value.index}"
        if value.operation == "argument":
            return self.entry.line(f"load {self.type}, ptr %row{value.index}")
        return self.scalars.step(value.operation, list(map(self._scalar, value.operands)))
