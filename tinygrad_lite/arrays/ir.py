"""Pieces of LLVM IR that several kernels are written with: loops, equal lanes, memory of which some lanes are used."""

from __future__ import annotations

from tinygrad_lite.arrays.compiling import vector_size


def loop(i: str, stop: str, body: str, start: str = "0", step: int | str = 1) -> str:
    """A loop over %i, whose value after the loop is the first that does not pass."""
    return f"""
  br label %{i}.enter
{i}.enter:
  br label %{i}.look
{i}.look:
  %{i} = phi i64 [ {start}, %{i}.enter ], [ %{i}.next, %{i}.again ]
  %{i}.more = icmp slt i64 %{i}, {stop}
  br i1 %{i}.more, label %{i}.body, label %{i}.end
{i}.body:
{body}
  br label %{i}.again
{i}.again:
  %{i}.next = add nsw i64 %{i}, {step}
  br label %{i}.look
{i}.end:"""


def splat(name: str, value: str, t: str, lanes: int) -> str:
    """A vector whose lanes are all `value`."""
    vector = f"<{lanes} x {t}>"
    return f"""
  {name}.one = insertelement {vector} poison, {t} {value}, i64 0
  {name} = shufflevector {vector} {name}.one, {vector} poison, <{lanes} x i32> zeroinitializer"""


def whole_vectors() -> str:
    """Attributes of a function that LLVM should not inline, and that uses the processor's longest vectors."""
    bits = 8 * vector_size()
    return f'noinline "prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}"'


def lanes_below(name: str, count: str, lanes: int, first: int = 0) -> str:
    """A mask of the lanes whose number, which is `first` for the first one, is smaller than `count`."""
    numbers = ", ".join(f"i64 {first + lane}" for lane in range(lanes))
    return f"""{splat(f"{name}.limit", count, "i64", lanes)}
  {name} = icmp slt <{lanes} x i64> <{numbers}>, {name}.limit"""


def _masked(what: str, t: str, lanes: int) -> str:
    return f"@llvm.masked.{what}.v{lanes}{'f32' if t == 'float' else 'f64'}.p0"


def masked_memory(t: str, lanes: int) -> str:
    """The declarations that `masked_load` and `masked_store` need."""
    v, mask = f"<{lanes} x {t}>", f"<{lanes} x i1>"
    return f"""declare {v} {_masked("load", t, lanes)}(ptr, i32, {mask}, {v})
declare void {_masked("store", t, lanes)}({v}, ptr, i32, {mask})"""


def masked_load(name: str, place: str, mask: str, t: str, lanes: int) -> str:
    """A vector from memory, with zeros for the lanes outside the mask, whose memory is not touched."""
    v, align = f"<{lanes} x {t}>", 4 if t == "float" else 8
    return f"  {name} = call {v} {_masked('load', t, lanes)}(ptr {place}, i32 {align}, <{lanes} x i1> {mask}, {v} zeroinitializer)"


def masked_store(value: str, place: str, mask: str, t: str, lanes: int) -> str:
    v, align = f"<{lanes} x {t}>", 4 if t == "float" else 8
    return f"  call void {_masked('store', t, lanes)}({v} {value}, ptr {place}, i32 {align}, <{lanes} x i1> {mask})"
