"""The text, in LLVM's language, of attention and its gradient: for each batch and head all products and the softmax, while they
are in the cache."""

from __future__ import annotations

import functools

import numpy as np

from tinygrad_lite.arrays.compiling import fields, load_part
from tinygrad_lite.arrays.loop_functions import functions_of
from tinygrad_lite.arrays.tiles import lanes_of, pack_function, product_function, width_of

FLOAT32 = np.dtype(np.float32)  # exp has no compiled form for float64
ROWS = 24  # queries whose scores are computed together
ROWS_BACK = 12  # rows of gradients that are computed together if later keys have the weight 0

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
def attend_part() -> int:
    panel = width_of(FLOAT32)
    return load_part(f"""{_functions()}{_begin("weights q k v out mask", "causal masked")}
  %some_mask = icmp ne i64 %masked, 0
  %all = icmp eq i64 %causal, 0
  %scores_size = mul i64 %pitch, {ROWS}
  %panels_of_k = getelementptr float, ptr %scores, i64 %scores_size
  %size_of_k = mul i64 %pitch, %width
  %panels_of_v = getelementptr float, ptr %panels_of_k, i64 %size_of_k
  call void @pack(i64 %width, i64 %keys, ptr %k, i64 %k_column, i64 %k_row, float %factor, ptr %panels_of_k)
  call void @pack(i64 %keys, i64 %value_width, ptr %v, i64 %v_row, i64 %v_column, float 1.0, ptr %panels_of_v)
{_is_finite("values", "%panels_of_v", "keys", "value_width")}
  %values_matter = xor i1 %values_finite, true
  %each_value = or i1 %all, %values_matter
  br label %rows
rows:
  %r = phi i64 [ 0, %unit ], [ %r_end, %rows_end ]
  %left = sub i64 %length, %r
  %count = call i64 @llvm.smin.i64(i64 %left, i64 {ROWS})
  %r_end = add i64 %r, %count
  %seen = call i64 @llvm.smin.i64(i64 %r_end, i64 %keys)
  %columns = select i1 %all, i64 %keys, i64 %seen
  %rounded = add i64 %columns, {panel - 1}
  %panels = udiv i64 %rounded, {panel}
  %whole = mul i64 %panels, {panel}
  %q_move = mul i64 %r, %q_row
  %q_here = getelementptr i8, ptr %q, i64 %q_move
  call void @product(i64 %count, i64 %whole, i64 %width, ptr %q_here, i64 %q_row, i64 %q_column, ptr %panels_of_k,
                     ptr %scores, i64 %scores_row, i64 %width)
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
  %values = select i1 %each_value, i64 %keys, i64 %seen
  call void @product(i64 %count, i64 %value_width, i64 %values, ptr %from, i64 %weights_row, i64 4, ptr %panels_of_v,
                     ptr %out_here, i64 %out_row, i64 %keys)
  %more_rows = icmp slt i64 %r_end, %length
  br i1 %more_rows, label %rows, label %unit_end
unit_end:{_END}""")


@functools.cache
def attend_back_part() -> int:
    panel = width_of(FLOAT32)
    return load_part(f"""{_functions()}{_begin("weights g q k v dq dk dv of_scores", "scored causal")}
  %scored_too = icmp ne i64 %scored, 0
  %early = select i1 %scored_too, float 1.0, float %factor
  %late = select i1 %scored_too, float %factor, float 1.0
  %scores_size = mul i64 %pitch, %length
  %panels = getelementptr float, ptr %scores, i64 %scores_size
  %weights_size = mul i64 %length, %keys
  %weights_finite = call i1 @finite(i64 %weights_size, ptr %weights)
  %is_causal = icmp ne i64 %causal, 0
  %later_are_0 = and i1 %is_causal, %weights_finite
  call void @pack(i64 %length, i64 %value_width, ptr %g, i64 %g_row, i64 %g_column, float 1.0, ptr %panels)
{_is_finite("g", "%panels", "length", "value_width")}
  %of_value = and i1 %later_are_0, %g_finite
{_rows("of_value", "%unit", "%keys")}
  %of_value_first = call i64 @llvm.smin.i64(i64 %of_value_r, i64 %length)
  %of_value_inner = sub i64 %length, %of_value_first
  %of_value_down = mul i64 %of_value_first, %weights_row
  %of_value_row = getelementptr i8, ptr %weights, i64 %of_value_down
  %of_value_x = getelementptr float, ptr %of_value_row, i64 %of_value_r
  %of_value_panels = getelementptr [{panel} x float], ptr %panels, i64 %of_value_first
  %of_value_move = mul i64 %of_value_r, %dv_row
  %of_value_out = getelementptr i8, ptr %dv, i64 %of_value_move
  call void @product(i64 %of_value_count, i64 %value_width, i64 %of_value_inner, ptr %of_value_x, i64 4, i64 %weights_row,
                     ptr %of_value_panels, ptr %of_value_out, i64 %dv_row, i64 %length)
{_end_of_rows("of_value", "%keys")}
  call void @pack(i64 %value_width, i64 %keys, ptr %v, i64 %v_column, i64 %v_row, float %early, ptr %panels)
{_is_finite("v", "%panels", "value_width", "keys")}
  %unscored = xor i1 %scored_too, true
  %both_finite = and i1 %of_value, %v_finite
  %of_scores_too = and i1 %both_finite, %unscored
{_rows("of_scores_too", "%of_value_done", "%length", "%row_end")}
  %seen_or_keys = call i64 @llvm.smin.i64(i64 %of_scores_too_end, i64 %keys)
  %seen = select i1 %of_scores_too, i64 %seen_or_keys, i64 %keys
  %rounded = add i64 %seen, {panel - 1}
  %panels_seen = udiv i64 %rounded, {panel}
  %whole = mul i64 %panels_seen, {panel}
  %g_move = mul i64 %of_scores_too_r, %g_row
  %g_here = getelementptr i8, ptr %g, i64 %g_move
  %ds_move = mul i64 %of_scores_too_r, %scores_row
  %ds_here = getelementptr i8, ptr %scores, i64 %ds_move
  call void @product(i64 %of_scores_too_count, i64 %whole, i64 %value_width, ptr %g_here, i64 %g_row, i64 %g_column, ptr %panels,
                     ptr %ds_here, i64 %scores_row, i64 %value_width)
  %rest = sub i64 %pitch, %seen
  %rest_bytes = mul i64 %rest, 4
  br label %row
row:
  %r = phi i64 [ %of_scores_too_r, %of_scores_too_rows ], [ %r_next, %row ]
  %move = mul i64 %r, %scores_row
  %ds = getelementptr i8, ptr %scores, i64 %move
  %weights_move = mul i64 %r, %weights_row
  %weights_here = getelementptr i8, ptr %weights, i64 %weights_move
  %of_scores_moved = getelementptr i8, ptr %of_scores, i64 %weights_move
  %of_scores_here = select i1 %scored_too, ptr %of_scores_moved, ptr %ds
  call void @softmax_gradient(i64 %seen, ptr %weights_here, ptr %ds, ptr %of_scores_here)
  %ds_rest = getelementptr float, ptr %ds, i64 %seen
  call void @llvm.memset.p0.i64(ptr %ds_rest, i8 0, i64 %rest_bytes, i1 false)
  %r_next = add i64 %r, 1
  %more_rows = icmp slt i64 %r_next, %of_scores_too_end
  br i1 %more_rows, label %row, label %row_end
row_end:
{_end_of_rows("of_scores_too", "%length")}
  call void @pack(i64 %keys, i64 %width, ptr %k, i64 %k_row, i64 %k_column, float %late, ptr %panels)
{_is_finite("k", "%panels", "keys", "width")}
  %of_query = and i1 %of_scores_too, %k_finite
{_rows("of_query", "%of_scores_too_done", "%length")}
  %of_query_seen = call i64 @llvm.smin.i64(i64 %of_query_end, i64 %keys)
  %of_query_inner = select i1 %of_query, i64 %of_query_seen, i64 %keys
  %of_query_down = mul i64 %of_query_r, %scores_row
  %of_query_x = getelementptr i8, ptr %scores, i64 %of_query_down
  %of_query_move = mul i64 %of_query_r, %dq_row
  %of_query_out = getelementptr i8, ptr %dq, i64 %of_query_move
  call void @product(i64 %of_query_count, i64 %width, i64 %of_query_inner, ptr %of_query_x, i64 %scores_row, i64 4, ptr %panels,
                     ptr %of_query_out, i64 %dq_row, i64 %keys)
{_end_of_rows("of_query", "%length")}
  call void @pack(i64 %length, i64 %width, ptr %q, i64 %q_row, i64 %q_column, float %late, ptr %panels)
{_is_finite("q", "%panels", "length", "width")}
  %of_key = and i1 %of_scores_too, %q_finite
{_rows("of_key", "%of_query_done", "%keys")}
  %of_key_first = call i64 @llvm.smin.i64(i64 %of_key_r, i64 %length)
  %of_key_inner = sub i64 %length, %of_key_first
  %of_key_down = mul i64 %of_key_first, %scores_row
  %of_key_row = getelementptr i8, ptr %scores, i64 %of_key_down
  %of_key_x = getelementptr float, ptr %of_key_row, i64 %of_key_r
  %of_key_panels = getelementptr [{panel} x float], ptr %panels, i64 %of_key_first
  %of_key_move = mul i64 %of_key_r, %dk_row
  %of_key_out = getelementptr i8, ptr %dk, i64 %of_key_move
  call void @product(i64 %of_key_count, i64 %width, i64 %of_key_inner, ptr %of_key_x, i64 4, i64 %scores_row, ptr %of_key_panels,
                     ptr %of_key_out, i64 %dk_row, i64 %length)
{_end_of_rows("of_key", "%keys")}
  br label %unit_end
unit_end:{_END}""")


def _is_finite(name: str, panels: str, inner: str, columns: str) -> str:
    """Sets %<name>_finite: whether all numbers of a packed matrix are finite, so that 0 times them is 0."""
    width = width_of(FLOAT32)
    return f"""  %{name}_more = add i64 %{columns}, {width - 1}
  %{name}_panels = udiv i64 %{name}_more, {width}
  %{name}_whole = mul i64 %{name}_panels, {width}
  %{name}_size = mul i64 %{name}_whole, %{inner}
  %{name}_finite = call i1 @finite(i64 %{name}_size, ptr {panels})"""


def _rows(name: str, before: str, total: str, last: str = "") -> str:
    """The beginning of a loop over `total` rows of a result, a few at a time if the flag %<name> is set, and otherwise all at
    once: %<name>_count rows from %<name>_r to %<name>_end. It comes after block `before`; `last`: its last block, if it has
    several."""
    return f"""  br label %{name}_rows
{name}_rows:
  %{name}_r = phi i64 [ 0, {before} ], [ %{name}_end, {last or f"%{name}_rows"} ]
  %{name}_left = sub i64 {total}, %{name}_r
  %{name}_few = call i64 @llvm.smin.i64(i64 %{name}_left, i64 {ROWS_BACK})
  %{name}_count = select i1 %{name}, i64 %{name}_few, i64 %{name}_left
  %{name}_end = add i64 %{name}_r, %{name}_count"""


def _end_of_rows(name: str, total: str) -> str:
    return f"""  %{name}_again = icmp slt i64 %{name}_end, {total}
  br i1 %{name}_again, label %{name}_rows, label %{name}_done
{name}_done:"""


def _functions() -> str:
    """The products, and two functions of a row of scores, whose memory extends to whole vectors.

    softmax(allowed, keys, scores, mask, out): the weights of the first `allowed` scores plus the mask, if that is not null;
    the others are 0. softmax_gradient(keys, weights, g, copy): g <- (g - sum(g * weights)) * weights, written to `copy`, too.
    """
    lanes = lanes_of(FLOAT32)
    return f"""{product_function(FLOAT32, part=True)}{pack_function(FLOAT32)}
{functions_of(FLOAT32)}
declare float @llvm.maximum.f32(float, float)
define internal i1 @finite(i64 %count, ptr %x) noinline {{
entry:
  br label %each
each:
  %i = phi i64 [ 0, %entry ], [ %next, %each ]
  %total = phi float [ 0.0, %entry ], [ %more, %each ]
  %at = getelementptr float, ptr %x, i64 %i
  %value = load float, ptr %at
  %nothing = fmul float %value, 0.0
  %more = fadd reassoc float %total, %nothing
  %next = add nuw nsw i64 %i, 1
  %again = icmp slt i64 %next, %count
  br i1 %again, label %each, label %end
end:
  %is_0 = fcmp oeq float %more, 0.0
  ret i1 %is_0
}}
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
