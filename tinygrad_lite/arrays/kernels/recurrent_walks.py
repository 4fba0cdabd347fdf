"""A recurrent layer's walk along a sequence in compiled code, without a return to Python between the steps.

A step of 32 sequences of an LSTM with 128 units takes 60 us on a core. Python needs another 15 us for its slices and
calls, during which the other thread, with the other half of the batch, often waits for the interpreter.
"""

from __future__ import annotations

import functools
from array import array
from collections.abc import Callable, Sequence

import numpy as np

from tinygrad_lite.arrays.blas import gemm_of
from tinygrad_lite.arrays.blocked import traced_for_parts
from tinygrad_lite.arrays.compiling import fields, load_part
from tinygrad_lite.arrays.kernels.recurrent_steps import lstm_step, lstm_step_gradient
from tinygrad_lite.arrays.loops import SMALLEST
from tinygrad_lite.arrays.memory import start_of
from tinygrad_lite.arrays.shared_products import layout, product_fields, product_part
from tinygrad_lite.arrays.threads import one_blas_thread
from tinygrad_lite.arrays.workers import in_parts

Field = tuple[int, int, int]  # a number: what it is at row 0, what each row before the step adds, and each row of the step


_X, _OUT = 6, 13  # the places of addresses in `product_fields`


class Walk:
    """The calls of each step, in order.

    `steps`: the first row and the end of each. Arrays have a row for each of these rows, or (`still`) for each sequence of the
    batch, of which a step uses the first.
    """

    def __init__(self, steps: Sequence[tuple[int, int]], each: int, dtype: np.dtype):
        self.steps, self.each, self.dtype = steps, each, dtype
        self.fields: list[Field] = []
        self.calls: list[int] = []

    def copy(self, source: np.ndarray, target: np.ndarray) -> None:
        """Copy the first rows of `source`, which is still, to the step's rows of `target`."""
        size = source.shape[1] * source.itemsize
        self._add(_copy_part(), [(0, 0, 1), self.each, *_at(source, True), *_at(target), size])

    def product(self, x: np.ndarray, y: np.ndarray, out: np.ndarray, still: bool = False) -> None:
        """The step's rows of `out` become those of `x` times `y`. `still`: `out` is."""
        of_x, of_y = layout(x), layout(y)
        assert of_x is not None and of_y is not None
        fields = product_fields((0, 0, 1), self.each, gemm_of(self.dtype), x, of_x, y, of_y, out, None, by_columns=False)
        for place, rows, of_batch in ((_X, x, False), (_OUT, out, still)):
            fields[place] = _at(rows, of_batch)[0]
        self._add(product_part(self.dtype), fields)

    def loop(self, part: int, numbers: Sequence[float], arrays: Sequence[np.ndarray], still: Sequence[np.ndarray]) -> None:
        """Call a compiled loop on the step's rows of `arrays`, of which those in `still` are."""
        width, item = arrays[0].shape[1], self.dtype.itemsize
        fields: list[int | Field] = [(0, 0, width), self.each * width]
        for each in arrays:
            fields += [_at(each, any(each is one for one in still))[0], item, 0]
        self._add(part, [*fields, *np.array(numbers, np.float64).view(np.int64).tolist()])

    def _add(self, part: int, fields: Sequence[int | Field]) -> None:
        self.calls += [part, 8 * len(self.fields)]
        self.fields += [(field, 0, 0) if isinstance(field, int) else field for field in fields]

    def run(self, parts: int) -> None:
        """Go through the steps; threads share the sequences of the batch, `each` a part."""
        start, stop = np.array(self.steps, np.int64).reshape(-1, 2).T
        first, by_start, by_size = np.array(self.fields, np.int64).T
        table = first + start[:, None] * by_start + (stop - start)[:, None] * by_size
        block = array("q", [len(table), table.shape[1] * 8, len(self.calls) // 2, start_of(table), *self.calls])
        with one_blas_thread():
            in_parts(_walk_part(), block, parts)


def _at(rows: np.ndarray, still: bool = False) -> tuple[Field, int]:
    """The address of the step's first row, and the bytes from a row to the next."""
    step = rows.strides[0]
    return (start_of(rows), 0 if still else step, 0), step


def lstm_walk(
    steps: Sequence[tuple[int, int]], each: int, h: np.ndarray, c: np.ndarray, rows: np.ndarray, weight: np.ndarray,
    gates: np.ndarray, cells: np.ndarray, squashed: np.ndarray, out: np.ndarray,
) -> bool:  # fmt: skip
    """Do all steps of an LSTM; see `lstm` in recurrent.py. False if there is no compiled form; then nothing has changed."""
    arrays = [*gates, c, cells, squashed, h, out]
    found = _begun(lstm_step, arrays, weight, steps, each)
    if found is None:
        return False
    walk, loop, numbers = found
    walk.copy(h, rows)
    for w, gate in zip(weight, gates):
        walk.product(rows, w, gate)
    walk.loop(loop, numbers, arrays, still=[c, h])
    walk.run(-(-len(h) // each))
    return True


def lstm_walk_back(
    steps: Sequence[tuple[int, int]], each: int, weight: np.ndarray, gates: np.ndarray, cells: np.ndarray, squashed: np.ndarray,
    dz: np.ndarray, dc: np.ndarray, g_out: np.ndarray, parts: np.ndarray,
) -> bool:  # fmt: skip
    """Do all steps of an LSTM's gradient."""
    of_h = list(parts)
    arrays, of_gates = [*gates, cells, squashed, *dz, dc, g_out, *of_h], list(dz)
    found = _begun(lstm_step_gradient, arrays, weight, steps, each)
    if found is None:
        return False
    walk, loop, numbers = found
    walk.loop(loop, numbers, arrays, still=[dc, *of_h])
    for d, w, part in zip(of_gates, weight, of_h):
        walk.product(d, w, part, still=True)
    walk.run(-(-len(dc) // each))
    return True


def _begun(
    kernel: Callable[..., None], arrays: Sequence[np.ndarray], weight: np.ndarray, steps: Sequence[tuple[int, int]], each: int
) -> tuple[Walk, int, list[float]] | None:
    """A walk, and for the elementwise `kernel` of its steps the part and the numbers that `Walk.loop` takes."""
    if arrays[0].size < SMALLEST or weight.dtype != arrays[0].dtype:
        return None
    found = traced_for_parts(kernel, arrays)
    if found is None or gemm_of(arrays[0].dtype) is None:
        return None
    loop, numbers = found
    return Walk(steps, each, arrays[0].dtype), loop.part, numbers


@functools.cache
def _copy_part() -> int:
    """Copies a part of the rows: args are the number of rows, the number in a part, the source, its bytes a row, the target,
    its bytes a row, and the bytes to copy of each."""
    names = ("rows", "each", "source", "source_row", "target", "target_row", "size")
    return load_part(f"""
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
define void @part(i64 %i, ptr %args) {{
entry:
{fields(names, ("source", "target"))}
  %start = mul i64 %i, %each
  %end = add i64 %start, %each
  %whole = icmp slt i64 %end, %rows
  %stop = select i1 %whole, i64 %end, i64 %rows
  %some = icmp slt i64 %start, %stop
  br i1 %some, label %row, label %done
row:
  %r = phi i64 [ %start, %entry ], [ %next, %row ]
  %from_offset = mul i64 %r, %source_row
  %from = getelementptr i8, ptr %source, i64 %from_offset
  %to_offset = mul i64 %r, %target_row
  %to = getelementptr i8, ptr %target, i64 %to_offset
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %size, i1 false)
  %next = add i64 %r, 1
  %more = icmp slt i64 %next, %stop
  br i1 %more, label %row, label %done
done:
  ret void
}}
""")


@functools.cache
def _walk_part() -> int:
    """Makes the calls of all steps for a part of the sequences: args are the number of steps, the bytes that a step's
    arguments take, the number of calls, the address of the arguments, and for each call the part and where its arguments
    begin."""
    return load_part("""
define void @part(i64 %i, ptr %args) {
entry:
  %steps = load i64, ptr %args
  %bytes_at = getelementptr i64, ptr %args, i64 1
  %bytes = load i64, ptr %bytes_at
  %count_at = getelementptr i64, ptr %args, i64 2
  %count = load i64, ptr %count_at
  %table_at = getelementptr i64, ptr %args, i64 3
  %table = load ptr, ptr %table_at
  %calls = getelementptr i64, ptr %args, i64 4
  %some = icmp sgt i64 %steps, 0
  br i1 %some, label %step, label %end
step:
  %s = phi i64 [ 0, %entry ], [ %next_s, %after ]
  %offset = mul i64 %s, %bytes
  %here = getelementptr i8, ptr %table, i64 %offset
  br label %call
call:
  %c = phi i64 [ 0, %step ], [ %next_c, %call ]
  %place = mul i64 %c, 2
  %part_at = getelementptr i64, ptr %calls, i64 %place
  %part = load ptr, ptr %part_at
  %begin_at = getelementptr i64, ptr %part_at, i64 1
  %begin = load i64, ptr %begin_at
  %its_args = getelementptr i8, ptr %here, i64 %begin
  call void %part(i64 %i, ptr %its_args)
  %next_c = add i64 %c, 1
  %more_c = icmp slt i64 %next_c, %count
  br i1 %more_c, label %call, label %after
after:
  %next_s = add i64 %s, 1
  %more_s = icmp slt i64 %next_s, %steps
  br i1 %more_s, label %step, label %end
end:
  ret void
}
""")
