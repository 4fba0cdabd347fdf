"""The linear and the bilinear layer."""

from __future__ import annotations

from tinygrad_lite.arrays import affine, product
from tinygrad_lite.arrays.errors import BadType, BadValue
from tinygrad_lite.engine.primitive import primitive
from tinygrad_lite.ops.arguments import operation
from tinygrad_lite.ops.calculus import matmul, times, times_over_rows
from tinygrad_lite.ops.movement.shape import reshape
from tinygrad_lite.ops.movement.transposing import transpose
from tinygrad_lite.ops.typing import Tensor

__all__ = ["bilinear"]


@primitive
def linear(input, weight, bias=None):
    """`input @ weight.T + bias`: `input` (..., in), weight (out, in), bias (out,) or None -> (..., out).

    >>> import tinygrad_lite as tg
    >>> linear(tg.tensor([[1.0, 2.0]]), tg.tensor([[3.0, 4.0]]), tg.tensor([0.5]))
    tensor([[11.5000]])
    """
    # Test the size first: for a small layer, affine's checks would cost as much as it saves.
    if bias is not None and input.size >= 1 << 12 and (out := affine(input, weight, bias)) is not None:
        return out
    try:
        out = product(input, weight.T)
    except BadValue:
        if weight.ndim != 2 or input.shape[-1:] == weight.shape[-1:]:
            raise
        raise BadValue(argument="input", expected=f"input of shape (*, {weight.shape[1]})", got=input.shape) from None
    if bias is not None:
        if bias.dtype is not out.dtype and bias.dtype != out.dtype:
            raise BadType(argument="bias", expected=f"a bias of {out.dtype}, as the product", got=bias.dtype)
        try:
            out += bias
        except ValueError:
            raise BadValue(argument="bias", expected=f"a bias of shape {out.shape[-1:]}", got=bias.shape) from None
    return out


linear.vjp(input=lambda g, weight: times(g, weight) if weight.ndim == 2 else g * weight,
           weight=lambda g, input: times_over_rows(g, input) if g.ndim else g * input,
           bias=lambda g: g)


@operation
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`input1 @ weight[o] @ input2` for each output o, plus bias.

    input1 (..., in1), input2 (..., in2), weight (out, in1, in2), bias (out,) -> (..., out).

    >>> import tinygrad_lite as tg
    >>> tg.nn.functional.bilinear(tg.ones(5, 2), tg.ones(5, 3), tg.ones(4, 2, 3)).shape
    (5, 4)
    """
    leading, size = tuple(input1.shape[:-1]), weight.shape
    if tuple(input2.shape[:-1]) != leading or len(size) != 3 or (input1.shape[-1], input2.shape[-1]) != tuple(size[1:]):
        shapes = ", ".join(str(tuple(t.shape)) for t in (input1, input2, weight))
        raise BadValue(expected="shapes (..., in1), (..., in2) and (out, in1, in2)", got=shapes)
    if bias is not None and tuple(bias.shape) != (size[0],):
        raise BadValue(argument="bias", expected=f"a bias of shape {(size[0],)}", got=tuple(bias.shape))
    left = linear(input1, reshape(transpose(weight, 1, 2), (-1, size[1])))
    out = reshape(matmul(reshape(left, (*leading, size[0], size[2])), input2[..., None]), (*leading, size[0]))
    return out if bias is None else out + bias
