"""Attention as machine code: for each batch and head all products and the softmax, while they are in the cache."""

from __future__ import annotations

import functools
from array import array
from typing import Any

import numpy as np

from tinygrad_lite.arrays.compiling import available, fields, load_part
from tinygrad_lite.arrays.loop_functions import functions_of
from tinygrad_lite.arrays.loops import SMALLEST
from tinygrad_lite.arrays.memory import start_of
from tinygrad_lite.arrays.threads import get_num_threads
from tinygrad_lite.arrays.tiles import lanes_of, pack_function, packed_size, product_function, width_of
from tinygrad_lite.arrays.workers import PARTS, in_parts

_FLOAT32 = np.dtype(np.float32)  # exp has no compiled form for float64
_LONGEST = 512  # queries and keys; with more, the scores outgrow the cache and BLAS is as fast
_ROWS = 24  # queries whose scores are computed together


def attend(weights: Any, query: Any, key: Any, value: Any, out: Any, mask: Any, causal: bool, scale: float) -> bool:
    """Do what `attention` does for arrays with equal leading dims; False if there is no compiled form. Then nothing has
    changed."""
    arrays = [weights, query, key, value, out, weights if mask is None else mask]
    if not _suits(arrays, in_rows=(out, arrays[-1])):
        return False
    (length, width), keys, value_width = query.shape[-2:], key.shape[-2], value.shape[-1]
    pitch = _pitch(keys)
    room = packed_size(width, keys, _FLOAT32) + packed_size(keys, value_width, _FLOAT32) + _ROWS * pitch
    _in_parts(_attend_part(), arrays, room, [length, keys, width, value_width, pitch, causal, mask is not None], scale)
    return True


def attend_back(
    weights: Any, g: Any, query: Any, key: Any, value: Any, of_query: Any, of_key: Any, of_value: Any, of_scores: Any, scale: float
) -> bool:
    """Do what `attention_gradient` does; False if there is no compiled form. `of_scores` may be None."""
    arrays = [weights, g, query, key, value, of_query, of_key, of_value, weights if of_scores is None else of_scores]
    if not _suits(arrays, in_rows=(of_query, of_key, of_value)):
        return False
    (length, width), keys, value_width = query.shape[-2:], key.shape[-2], value.shape[-1]
    pitch = _pitch(keys)
    packed = ((value_width, keys), (keys, width), (length, width), (length, value_width))
    room = length * pitch + max(packed_size(*sizes, _FLOAT32) for sizes in packed)
    _in_parts(_attend_back_part(), arrays, room, [length, keys, width, value_width, pitch, of_scores is not None], scale)
    return True


def _suits(arrays: list[Any], in_rows: tuple[Any, ...]) -> bool:
    """Whether the compiled forms take these arrays, of which those `in_rows` are written or read along rows."""
    weights = arrays[0]
    return (
        weights.size >= SMALLEST and 2 < weights.ndim <= 4 and max(weights.shape[-2:]) <= _LONGEST and available()
        and all(type(each) is np.ndarray and each.dtype == _FLOAT32 for each in arrays)
        and all(each.strides[-1] == each.itemsize for each in in_rows)
        and weights.size >= get_num_threads() * weights.shape[-2] * weights.shape[-1]
    )  # fmt: skip


def _pitch(keys: int) -> int:
    """The elements from a row of scores to the next: whole panels."""
    width = width_of(_FLOAT32)
    return -(-keys // width) * width


def _in_parts(part: int, arrays: list[Any], room: int, numbers: list[int], scale: float) -> None:
    """Call `part` for shares of the batches and heads. Its arguments are their number, the number in a share, that of the last
    leading dim, the address and the bytes of a share's memory, of `room` elements, for each array its address and its steps,
    `numbers`, and the bits of `scale`."""
    *batches, heads = arrays[0].shape[:-2]
    units = heads * batches[0] if batches else heads
    shares = min(units, PARTS * get_num_threads())
    memory = np.empty((shares, room), _FLOAT32)
    block = array("q", [units, -(-units // shares), heads, start_of(memory), room * 4])
    for each in arrays:
        block.append(start_of(each))
        block.extend(each.strides if batches else (0, *each.strides))
    block.extend(numbers)
    block.frombytes(array("d", [scale]).tobytes())
    in_parts(part, block, shares)


# -- LLVM IR ---------------------------------------------------------------------------------------

_SHARE = "units each heads memory memory_bytes"
_SIZES = "length keys width value_width pitch"


def _begin(arrays: str, flags: str) -> str:
    """The beginning of a function `part`, up to the addresses of the matrices of batch and head %u."""
    each = arrays.split()
    steps = " ".join(f"{name}s {name}_outer {name}_inner {name}_row {name}_column" for name in each)
    names = f"{_SHARE} {steps} {_SIZES} {flags} scale_bits"
    moves = "\n".join(
        f"  %{name}_outer_move = mul i64 %batch, %{name}_outer\n  %{name}_inner_move = mul i64 %head, %{name}_inner\n"
        f"  %{name}_unit = add i64 %{name}_outer_move, %{name}_inner_move\n  %{name} = getelementptr i8, ptr %{name}s, i64 %{name}_unit"
        for name in each
    )
    return f"""
define void @part(i64 %i, ptr %args) {{
entry:
{fields(names.split(), ["memory", *(f"{name}s" for name in each)])}
  %first = mul i64 %i, %each
  %next = add i64 %first, %each
  %last = call i64 @llvm.smin.i64(i64 %next, i64 %units)
  %memory_move = mul i64 %i, %memory_bytes
  %scores = getelementptr i8, ptr %memory, i64 %memory_move
  %scores_row = mul i64 %pitch, 4
  %scale = bitcast i64 %scale_bits to double
  %factor = fptrunc double %scale to float
  %some = icmp slt i64 %first, %last
  br i1 %some, label %unit, label %end
unit:
  %u = phi i64 [ %first, %entry ], [ %u_next, %unit_end ]
  %batch = sdiv i64 %u, %heads
  %head = srem i64 %u, %heads
{moves}"""


_END = """
  %u_next = add i64 %u, 1
  %more_units = icmp slt i64 %u_next, %last
  br i1 %more_units, label %unit, label %end
end:
  ret void
}
"""


@functools.cache
def _attend_part() -> int:
    panel = width_of(_FLOAT32)
    return load_part(f"""{_functions()}{_begin("weights q k v out mask", "causal masked")}
  %some_mask = icmp ne i64 %masked, 0
  %all = icmp eq i64 %causal, 0
  %scores_size = mul i64 %pitch, {_ROWS}
  %panels_of_k = getelementptr float, ptr %scores, i64 %scores_size
  %size_of_k = mul i64 %pitch, %width
  %panels_of_v = getelementptr float, ptr %panels_of_k, i64 %size_of_k
  call void @pack(i64 %width, i64 %keys, ptr %k, i64 %k_column, i64 %k_row, float %factor, ptr %panels_of_k)
  call void @pack(i64 %keys, i64 %value_width, ptr %v, i64 %v_row, i64 %v_column, float 1.0, ptr %panels_of_v)
  br label %rows
rows:
  %r = phi i64 [ 0, %unit ], [ %r_end, %rows_end ]
  %left = sub i64 %length, %r
  %count = call i64 @llvm.smin.i64(i64 %left, i64 {_ROWS})
  %r_end = add i64 %r, %count
  %seen = call i64 @llvm.smin.i64(i64 %r_end, i64 %keys)
  %columns = select i1 %all, i64 %keys, i64 %seen
  %rounded = add i64 %columns, {panel - 1}
  %panels = udiv i64 %rounded, {panel}
  %whole = mul i64 %panels, {panel}
  %q_move = mul i64 %r, %q_row
  %q_here = getelementptr i8, ptr %q, i64 %q_move
  call void @product(i64 %count, i64 %whole, i64 %width, ptr %q_here, i64 %q_row, i64 %q_column, ptr %panels_of_k,
                     ptr %scores, i64 %scores_row)
  br label %row
row:
  %s = phi i64 [ 0, %rows ], [ %s_next, %row ]
  %query = add i64 %r, %s
  %after_query = add i64 %query, 1
  %allowed_or_keys = call i64 @llvm.smin.i64(i64 %after_query, i64 %keys)
  %allowed = select i1 %all, i64 %keys, i64 %allowed_or_keys
  %s_move = mul i64 %s, %pitch
  %scores_here = getelementptr float, ptr %scores, i64 %s_move
  %mask_move = mul i64 %query, %mask_row
  %mask_moved = getelementptr i8, ptr %mask, i64 %mask_move
  %mask_here = select i1 %some_mask, ptr %mask_moved, ptr null
  %weights_move = mul i64 %query, %weights_row
  %weights_here = getelementptr i8, ptr %weights, i64 %weights_move
  call void @softmax(i64 %allowed, i64 %keys, ptr %scores_here, ptr %mask_here, ptr %weights_here)
  %s_next = add i64 %s, 1
  %more_s = icmp slt i64 %s_next, %count
  br i1 %more_s, label %row, label %rows_end
rows_end:
  %from_move = mul i64 %r, %weights_row
  %from = getelementptr i8, ptr %weights, i64 %from_move
  %out_move = mul i64 %r, %out_row
  %out_here = getelementptr i8, ptr %out, i64 %out_move
  call void @product(i64 %count, i64 %value_width, i64 %keys, ptr %from, i64 %weights_row, i64 4, ptr %panels_of_v,
                     ptr %out_here, i64 %out_row)
  %more_rows = icmp slt i64 %r_end, %length
  br i1 %more_rows, label %rows, label %unit_end
unit_end:{_END}""")


@functools.cache
def _attend_back_part() -> int:
    return load_part(f"""{_functions()}{_begin("weights g q k v dq dk dv of_scores", "scored")}
  %scored_too = icmp ne i64 %scored, 0
  %early = select i1 %scored_too, float 1.0, float %factor
  %late = select i1 %scored_too, float %factor, float 1.0
  %scores_size = mul i64 %pitch, %length
  %panels = getelementptr float, ptr %scores, i64 %scores_size
  call void @pack(i64 %length, i64 %value_width, ptr %g, i64 %g_row, i64 %g_column, float 1.0, ptr %panels)
  call void @product(i64 %keys, i64 %value_width, i64 %length, ptr %weights, i64 4, i64 %weights_row, ptr %panels,
                     ptr %dv, i64 %dv_row)
  call void @pack(i64 %value_width, i64 %keys, ptr %v, i64 %v_column, i64 %v_row, float %early, ptr %panels)
  call void @product(i64 %length, i64 %pitch, i64 %value_width, ptr %g, i64 %g_row, i64 %g_column, ptr %panels,
                     ptr %scores, i64 %scores_row)
  br label %row
row:
  %r = phi i64 [ 0, %unit ], [ %r_next, %row ]
  %move = mul i64 %r, %scores_row
  %ds = getelementptr i8, ptr %scores, i64 %move
  %weights_move = mul i64 %r, %weights_row
  %weights_here = getelementptr i8, ptr %weights, i64 %weights_move
  %of_scores_moved = getelementptr i8, ptr %of_scores, i64 %weights_move
  %of_scores_here = select i1 %scored_too, ptr %of_scores_moved, ptr %ds
  call void @softmax_gradient(i64 %keys, ptr %weights_here, ptr %ds, ptr %of_scores_here)
  %r_next = add i64 %r, 1
  %more_rows = icmp slt i64 %r_next, %length
  br i1 %more_rows, label %row, label %unit_end
unit_end:
  call void @pack(i64 %keys, i64 %width, ptr %k, i64 %k_row, i64 %k_column, float %late, ptr %panels)
  call void @product(i64 %length, i64 %width, i64 %keys, ptr %scores, i64 %scores_row, i64 4, ptr %panels,
                     ptr %dq, i64 %dq_row)
  call void @pack(i64 %length, i64 %width, ptr %q, i64 %q_row, i64 %q_column, float %late, ptr %panels)
  call void @product(i64 %keys, i64 %width, i64 %length, ptr %scores, i64 4, i64 %scores_row, ptr %panels,
                     ptr %dk, i64 %dk_row){_END}""")


def _functions() -> str:
    """The products, and two functions of a row of scores, whose memory extends to whole vectors.

    softmax(allowed, keys, scores, mask, out): the weights of the first `allowed` scores plus the mask, if that is not null;
    the others are 0. softmax_gradient(keys, weights, g, copy): g <- (g - sum(g * weights)) * weights, written to `copy`, too.
    """
    lanes = lanes_of(_FLOAT32)
    return f"""{product_function(_FLOAT32)}{pack_function(_FLOAT32)}
{functions_of(_FLOAT32)}
declare float @llvm.maximum.f32(float, float)
define internal void @softmax(i64 %allowed, i64 %keys, ptr noalias %scores, ptr noalias %mask, ptr noalias %out) noinline {{
entry:
  %more = add i64 %allowed, {lanes - 1}
  %vectors = udiv i64 %more, {lanes}
  %count = mul nuw nsw i64 %vectors, {lanes}
  %unmasked = icmp eq ptr %mask, null
  br i1 %unmasked, label %fill, label %add
add:
  %a = phi i64 [ 0, %entry ], [ %a_next, %add ]
  %a_score_at = getelementptr float, ptr %scores, i64 %a
  %a_score = load float, ptr %a_score_at
  %a_mask_at = getelementptr float, ptr %mask, i64 %a
  %a_mask = load float, ptr %a_mask_at
  %a_sum = fadd float %a_score, %a_mask
  store float %a_sum, ptr %a_score_at
  %a_next = add nuw nsw i64 %a, 1
  %a_more = icmp slt i64 %a_next, %allowed
  br i1 %a_more, label %add, label %fill
fill:
  %f = phi i64 [ %allowed, %entry ], [ %allowed, %add ], [ %f_next, %never ]
  %f_more = icmp slt i64 %f, %count
  br i1 %f_more, label %never, label %top
never:
  %f_at = getelementptr float, ptr %scores, i64 %f
  store float 0xFFF0000000000000, ptr %f_at
  %f_next = add nuw nsw i64 %f, 1
  br label %fill
top:
  %t = phi i64 [ 0, %fill ], [ %t_next, %top ]
  %largest = phi float [ 0xFFF0000000000000, %fill ], [ %larger, %top ]
  %t_at = getelementptr float, ptr %scores, i64 %t
  %t_score = load float, ptr %t_at
  %larger = call float @llvm.maximum.f32(float %largest, float %t_score)
  %t_next = add nuw nsw i64 %t, 1
  %t_more = icmp slt i64 %t_next, %count
  br i1 %t_more, label %top, label %shift, !llvm.loop !0
shift:
  %none = fcmp oeq float %larger, 0xFFF0000000000000
  %shift_by = select i1 %none, float 0.0, float %larger
  br label %exp
exp:
  %e = phi i64 [ 0, %shift ], [ %e_next, %exp ]
  %total = phi float [ 0.0, %shift ], [ %total_next, %exp ]
  %e_at = getelementptr float, ptr %scores, i64 %e
  %e_score = load float, ptr %e_at
  %e_shifted = fsub float %e_score, %shift_by
  %e_value = call float @exp(float %e_shifted)
  store float %e_value, ptr %e_at
  %total_next = fadd reassoc contract float %total, %e_value
  %e_next = add nuw nsw i64 %e, 1
  %e_more = icmp slt i64 %e_next, %count
  br i1 %e_more, label %exp, label %divide, !llvm.loop !0
divide:
  %nothing = fcmp oeq float %total_next, 0.0
  %divisor = select i1 %nothing, float 1.0, float %total_next
  %factor = fdiv float 1.0, %divisor
  %left = sub i64 %keys, %count
  %some_left = icmp sgt i64 %left, 0
  br i1 %some_left, label %clear, label %each
clear:
  %rest = getelementptr float, ptr %scores, i64 %count
  %bytes = mul i64 %left, 4
  call void @llvm.memset.p0.i64(ptr %rest, i8 0, i64 %bytes, i1 false)
  br label %each
each:
  %j = phi i64 [ 0, %divide ], [ 0, %clear ], [ %j_next, %each ]
  %from = getelementptr float, ptr %scores, i64 %j
  %value = load float, ptr %from
  %weight = fmul float %value, %factor
  %to = getelementptr float, ptr %out, i64 %j
  store float %weight, ptr %to
  %j_next = add nuw nsw i64 %j, 1
  %j_more = icmp slt i64 %j_next, %keys
  br i1 %j_more, label %each, label %end
end:
  ret void
}}
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

define internal void @softmax_gradient(i64 %keys, ptr %weights, ptr %g, ptr %copy) noinline {{
entry:
  br label %sum
sum:
  %i = phi i64 [ 0, %entry ], [ %i_next, %sum ]
  %total = phi float [ 0.0, %entry ], [ %total_next, %sum ]
  %i_g_at = getelementptr float, ptr %g, i64 %i
  %i_g = load float, ptr %i_g_at
  %i_weight_at = getelementptr float, ptr %weights, i64 %i
  %i_weight = load float, ptr %i_weight_at
  %both = fmul reassoc contract float %i_g, %i_weight
  %total_next = fadd reassoc contract float %total, %both
  %i_next = add nuw nsw i64 %i, 1
  %i_more = icmp slt i64 %i_next, %keys
  br i1 %i_more, label %sum, label %each, !llvm.loop !0
each:
  %j = phi i64 [ 0, %sum ], [ %j_next, %each ]
  %g_at = getelementptr float, ptr %g, i64 %j
  %g_here = load float, ptr %g_at
  %weight_at = getelementptr float, ptr %weights, i64 %j
  %weight = load float, ptr %weight_at
  %away = fsub float %g_here, %total_next
  %value = fmul float %away, %weight
  store float %value, ptr %g_at
  %copy_at = getelementptr float, ptr %copy, i64 %j
  store float %value, ptr %copy_at
  %j_next = add nuw nsw i64 %j, 1
  %j_more = icmp slt i64 %j_next, %keys
  br i1 %j_more, label %each, label %end, !llvm.loop !0
end:
  ret void
}}
!0 = distinct !{{!0, !1, !2}}
!1 = !{{!"llvm.loop.vectorize.width", i32 {lanes}}}
!2 = !{{!"llvm.loop.interleave.count", i32 1}}
"""
