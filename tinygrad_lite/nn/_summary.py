"""A model as a table: output shape, parameters and multiply-adds of each layer."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.autograd.grad_mode import no_grad
from tinygrad_lite.nn.modules.attention import MultiheadAttention
from tinygrad_lite.nn.modules.conv import _ConvNd
from tinygrad_lite.nn.modules.linear import Bilinear, Linear
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.nn.modules.rnn import RNNBase, RNNCellBase
from tinygrad_lite.ops.creation.factories import zeros

__all__ = ["Summary", "summary"]


@dataclass
class Row:
    """One call of one layer."""

    name: str
    kind: str
    shape: tuple[int, ...] | None
    parameters: int
    multiply_adds: int


@dataclass
class Summary:
    """The result of `summary`: `rows`, one per call of a layer, and totals; prints as a table.

    >>> from tinygrad_lite import nn
    >>> found = summary(nn.Linear(3, 5), (2, 3))
    >>> found.parameters, found.multiply_adds, found.rows[0].shape
    (20, 30, (2, 5))
    """

    rows: list[Row] = field(default_factory=list)
    parameters: int = 0
    trainable: int = 0

    @property
    def multiply_adds(self) -> int:
        return sum(row.multiply_adds for row in self.rows)

    def __repr__(self) -> str:
        cells = [("layer", "output shape", "parameters", "multiply-adds")]
        for row in self.rows:
            shape = "" if row.shape is None else str(tuple(row.shape))
            cells.append((f"{row.name} ({row.kind})", shape, f"{row.parameters:,}", f"{row.multiply_adds:,}"))
        cells.append(("total", "", f"{self.parameters:,}", f"{self.multiply_adds:,}"))
        widths = [max(len(line[i]) for line in cells) for i in range(4)]
        lines = ["  ".join([c[0].ljust(widths[0]), c[1].ljust(widths[1]), *map(str.rjust, c[2:], widths[2:])]) for c in cells]
        rule = "-" * len(lines[0])
        lines = [lines[0], rule, *lines[1:-1], rule, lines[-1]]
        if self.trainable != self.parameters:
            lines.append(f"{self.trainable:,} of the parameters are trained")
        return "\n".join(line.rstrip() for line in lines)


def summary(model: Module, *input_shapes: Any, dtype: Any = None) -> Summary:
    """Run `model` on zeros and report the output shape, the number of parameters and the number of multiply-adds of each
    layer.

    `input_shapes`: the shape of each input, with the batch; a Tensor is used as it is. A layer that is called twice
    has two rows, and its parameters count in the first.

    >>> from tinygrad_lite import nn
    >>> summary(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(2704, 10)), (1, 1, 28, 28))
    layer        output shape    parameters  multiply-adds
    ------------------------------------------------------
    0 (Conv2d)   (1, 4, 26, 26)          40         24,336
    1 (ReLU)     (1, 4, 26, 26)           0              0
    2 (Flatten)  (1, 2704)                0              0
    3 (Linear)   (1, 10)             27,050         27,040
    ------------------------------------------------------
    total                            27,090         51,376
    """
    parameters = list(model.parameters())
    found = Summary([], sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad))
    counted: set[int] = set()
    handles = []

    def watch(name: str, module: Module) -> None:
        def note(module: Module, args: Any, kwargs: Any, output: Any) -> None:
            own = [p for p in module.parameters() if id(p) not in counted]
            counted.update(map(id, own))
            first = _tensors((args, *kwargs.values()))
            out = _tensors(output)
            work = _multiply_adds(module, first, out)
            shape = tuple(out[0].shape) if out else None
            found.rows.append(Row(name or "(model)", type(module).__name__, shape, sum(p.numel() for p in own), work))

        handles.append(module.register_forward_hook(note, with_kwargs=True))

    # Attention counts as one layer, since it does not call the projection that it contains.
    inside = {part for m in model.modules() if isinstance(m, MultiheadAttention) for part in m.children()}
    for name, module in model.named_modules():
        if module not in inside and (not module._modules or isinstance(module, MultiheadAttention)):
            watch(name, module)
    like = next((p for p in parameters), None)
    device = None if like is None else like.device
    kind = dtype if dtype is not None or like is None else like.dtype
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with no_grad():
            model(*[s if isinstance(s, Tensor) else zeros(tuple(s), dtype=kind, device=device) for s in input_shapes])
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in training.items():
            module.training = mode
    return found


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, (tuple, list)):
        return [t for v in value for t in _tensors(v)]
    return []


def _multiply_adds(module: Module, inputs: list[Tensor], outputs: list[Tensor]) -> int:
    """The number of products of the layer's weights (and, in attention, of its inputs)."""
    if not inputs or not outputs:
        return 0
    x, out = inputs[0], outputs[0]
    if isinstance(module, Linear):
        return out.numel() * module.in_features
    if isinstance(module, Bilinear):
        return out.numel() * module.in1_features * module.in2_features
    if isinstance(module, _ConvNd):
        each = math.prod(module.kernel_size)
        if module.transposed:
            return x.numel() * each * module.out_channels // module.groups
        return out.numel() * each * module.in_channels // module.groups
    if isinstance(module, (RNNBase, RNNCellBase)):
        steps = x.numel() // x.shape[-1]
        return steps * sum(p.numel() for name, p in module.named_parameters() if name.startswith("weight"))
    if isinstance(module, MultiheadAttention):
        query, key = inputs[:2]
        size = module.embed_dim
        rows, others = query.numel() // query.shape[-1], key.numel() // key.shape[-1]
        batch = 1 if query.ndim == 2 else query.shape[0 if module.batch_first else 1]
        projections = 2 * rows * size * size + others * size * (module.kdim + module.vdim)
        return projections + 2 * rows * (others // batch) * size
    return 0
