"""exp, log and tanh of a float32 in LLVM IR, which LLVM inlines into a loop and vectorizes.

Each is within 2 units in the last place. There are none for float64: NumPy's are used.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

KINDS = {np.dtype(np.float32): "float", np.dtype(np.float64): "double"}  # the names of the dtypes in LLVM IR
_FLOAT32 = np.dtype(np.float32)

_INTRINSICS = "\n".join(f"declare {{t}} @llvm.{name}.{{s}}({{t}})" for name in ("fabs", "sqrt", "floor")) + "\n"


def constant(value: float, dtype: np.dtype = _FLOAT32) -> str:
    """A number, rounded to `dtype`. LLVM writes constants of both dtypes as the bits of a float64."""
    return f"0x{int(np.float64(dtype.type(value)).view(np.uint64)):016X}"


def _polynomial(name: str, of: str, coefficients: Sequence[float]) -> str:
    """Instructions that evaluate a polynomial in `of` by Horner's scheme, highest coefficient first, into %<name>."""
    lines, so_far = [], constant(coefficients[0])
    for i, c in enumerate(coefficients[1:]):
        last = i == len(coefficients) - 2
        lines.append(f"  %{name}m{i} = fmul contract float {so_far}, {of}")
        so_far = f"%{name}" if last else f"%{name}a{i}"
        lines.append(f"  {so_far} = fadd contract float %{name}m{i}, {constant(c)}")
    return "\n".join(lines)


# Coefficients: S. Moshier, Cephes Mathematical Library, single precision (expf.c, logf.c, tanhf.c).
#
# exp(x) = 2^k exp(r) with |r| <= log(2) / 2. Adding 12582912 = 1.5 * 2^23 rounds to a whole number, which is then in the low
# bits. 2^k is applied as two factors, so that the largest results and the subnormal ones come out right.
# tanh(x) = 1 - 2 / (exp(2 x) + 1), and a polynomial near 0.
# log(x) = k log(2) + log(m) with m between sqrt(1/2) and sqrt(2). Subnormal x are multiplied by 2^25 first.
# 0.693359375 - 2.12194440e-4 is log(2) in two parts.
_LOG = (
    7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1, -1.6668057665e-1, 2.0000714765e-1,
    -2.4999993993e-1, 3.3333331174e-1,
)  # fmt: skip
_FLOAT_FUNCTIONS = f"""
define internal float @exp(float %x) alwaysinline {{
  %low = fcmp olt float %x, {constant(-104)}
  %x1 = select i1 %low, float {constant(-104)}, float %x
  %high = fcmp ogt float %x1, {constant(89)}
  %x2 = select i1 %high, float {constant(89)}, float %x1
  %scaled = fmul float %x2, {constant(1.4426950408889634)}
  %shifted = fadd float %scaled, {constant(12582912)}
  %k = fsub float %shifted, {constant(12582912)}
  %k1 = fmul float %k, {constant(0.693359375)}
  %r1 = fsub float %x2, %k1
  %k2 = fmul float %k, {constant(-2.12194440e-4)}
  %r = fsub float %r1, %k2
{_polynomial("p", "%r", (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1))}
  %rr = fmul float %r, %r
  %q = fmul contract float %p, %rr
  %s = fadd contract float %q, %r
  %y = fadd float %s, 1.0
  %bits = bitcast float %shifted to i32
  %whole = sub i32 %bits, {int(np.float32(12582912).view(np.int32))}
  %half = ashr i32 %whole, 1
  %rest = sub i32 %whole, %half
  %e1 = add i32 %half, 127
  %e2 = add i32 %rest, 127
  %b1 = shl i32 %e1, 23
  %b2 = shl i32 %e2, 23
  %f1 = bitcast i32 %b1 to float
  %f2 = bitcast i32 %b2 to float
  %z = fmul float %y, %f1
  %out = fmul float %z, %f2
  ret float %out
}}

define internal float @tanh(float %x) alwaysinline {{
  %size = call float @llvm.fabs.f32(float %x)
  %square = fmul float %x, %x
{_polynomial("p", "%square", (-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1))}
  %t = fmul float %p, %square
  %u = fmul float %t, %x
  %near = fadd float %u, %x
  %twice = fadd float %size, %size
  %e = call float @exp(float %twice)
  %e1 = fadd float %e, 1.0
  %part = fdiv float 2.0, %e1
  %far = fsub float 1.0, %part
  %small = fcmp olt float %size, 0.625
  %found = select i1 %small, float %near, float %far
  %out = call float @llvm.copysign.f32(float %found, float %x)
  ret float %out
}}
declare float @llvm.copysign.f32(float, float)

define internal float @log(float %x) alwaysinline {{
  %tiny = fcmp olt float %x, {constant(1.17549435e-38)}
  %larger = fmul float %x, {constant(2**25)}
  %normal = select i1 %tiny, float %larger, float %x
  %bits = bitcast float %normal to i32
  %above = sub i32 %bits, {int(np.float32(0.70710677).view(np.int32))}
  %k = ashr i32 %above, 23
  %away = shl i32 %k, 23
  %mantissa = sub i32 %bits, %away
  %m = bitcast i32 %mantissa to float
  %f = fsub float %m, 1.0
  %k0 = sitofp i32 %k to float
  %less = select i1 %tiny, float {constant(-25)}, float 0.0
  %e = fadd float %k0, %less
  %z = fmul float %f, %f
{_polynomial("p", "%f", _LOG)}
  %t1 = fmul float %p, %f
  %t2 = fmul float %t1, %z
  %t3 = fmul float %e, {constant(-2.12194440e-4)}
  %t4 = fadd float %t2, %t3
  %t5 = fmul float %z, 0.5
  %t6 = fsub float %t4, %t5
  %t7 = fadd float %f, %t6
  %t8 = fmul float %e, {constant(0.693359375)}
  %found = fadd float %t7, %t8
  %is_zero = fcmp oeq float %x, 0.0
  %negative = fcmp olt float %x, 0.0
  %infinite = fcmp oeq float %x, 0x7FF0000000000000
  %a = select i1 %is_zero, float 0xFFF0000000000000, float %found
  %b = select i1 %negative, float 0x7FF8000000000000, float %a
  %c = select i1 %infinite, float %x, float %b
  %nan = fcmp uno float %x, %x
  %out = select i1 %nan, float %x, float %c
  ret float %out
}}
"""


def functions_of(dtype: np.dtype) -> str:
    """Declarations and definitions of all functions that a loop of this dtype may call."""
    kind = KINDS[dtype]
    return _INTRINSICS.format(t=kind, s="f32" if kind == "float" else "f64") + (_FLOAT_FUNCTIONS if kind == "float" else "")
