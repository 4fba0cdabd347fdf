"""The logarithm of a sum of exponentials, without overflow."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays import add_up, as_array, as_float, extreme, namespace_of
from tinygrad_lite.arrays.gpu import kernel


@kernel
def logsumexp_of(x: Any, axes: Any, keepdim: Any) -> Any:
    """`log(sum(exp(x)))` over `axes`."""
    xp = namespace_of(x)
    x = as_float(x)
    if not x.size:
        return xp.log(x.sum(axis=axes, keepdims=keepdim))
    top = extreme("maximum", x, axes, True)
    top = xp.where(xp.isfinite(top), top, top.dtype.type(0))
    out = as_array(x - top)
    out = xp.log(add_up(xp.exp(out, out=out), axes, True)) + top
    return out if keepdim else out.squeeze(axis=axes)
