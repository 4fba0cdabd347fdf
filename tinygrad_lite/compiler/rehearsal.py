"""What is compared when a program is rehearsed on a GPU: CuPy has to make what NumPy made in the trace."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_lite.arrays.gpu import is_cupy
from tinygrad_lite.compiler.gpu_calls import AS_STRIDED, Values, name_of
from tinygrad_lite.compiler.gpu_chains import Chain
from tinygrad_lite.compiler.program import Call, Variable
from tinygrad_lite.compiler.stand_ins import Untraceable


def compare(actions: Sequence[Call | Chain], i: int, values: Values, operands: Values, outside: set[int]) -> None:
    """Refuse results of action `i` of other shapes or dtypes than NumPy's, and views where NumPy copies, or the reverse, if it
    matters. `outside`: memory that is used after the last action."""
    call = actions[i]
    for variable in call.made:
        found = values.get(variable)
        if variable.is_number or found is None or variable.dtype == object:
            continue
        if not is_cupy(found) or found.shape != variable.shape or found.dtype != variable.dtype:
            kind = f"{found.shape} {found.dtype}" if is_cupy(found) else f"a {type(found).__name__}"
            raise Untraceable(f"CuPy makes {kind} of {name_of(call)}, NumPy {variable.shape} {variable.dtype}")
        for operand, array in operands.items():
            differs = is_cupy(array) and (operand.memory == variable.memory) != (found.data.mem is array.data.mem)
            if differs and found.size and not _is_apart(actions[i + 1 :], operand, variable, outside):
                raise Untraceable(f"{name_of(call)} gives a view of NumPy's arrays and a copy of CuPy's, or the reverse")
    if isinstance(call, Call) and call.function == AS_STRIDED:
        for operand, array in operands.items():
            if array.size and any(a != b for n, a, b in zip(array.shape, array.strides, operand.strides) if n > 1):
                raise Untraceable("CuPy lays out in another way an array that is viewed with other strides")


def _is_apart(later: Sequence[Call | Chain], operand: Variable, result: Variable, outside: set[int]) -> bool:
    """Whether it makes no difference if `result` is a view of `operand` or a copy: later, neither is changed, or
    only `result` and its views are used."""
    memory, views, is_changed, is_used = {operand.memory, result.memory}, {result}, False, False
    for action in later:
        used = [v for v in (*action.variables(), *action.written) if v.memory in memory]
        is_used = is_used or any(v not in views for v in used)
        is_changed = is_changed or any(v.memory in memory for v in action.written)
        if any(v in views for v in used):
            views.update(v for v in action.made if v.memory in memory)
    return not is_changed or not (is_used or operand.memory in outside)
