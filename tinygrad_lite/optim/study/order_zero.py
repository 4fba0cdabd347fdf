"""Methods of order 0: gradients estimated from values of the loss alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.autograd.grad_mode import no_grad
from tinygrad_lite.ops import randint


def simultaneous_perturbation(loss: Callable[[], Any], params: Iterable[Any], width: float = 0.01, generator: Any = None) -> Any:
    """Estimate the gradient of `loss()` from two of its values, and store it in each parameter's `.grad` (SPSA, Spall 1992;
    docs/lectures.md#item-58):

        s_i = 1 or -1, at random
        g   = (loss(p + width s) - loss(p - width s)) / (2 width) s

    Returns the mean of the two values, a tensor without a graph. Any optimizer can step on the estimate. Its expectation is the
    gradient, up to a term of order width²; its variance grows with the number of entries. The parameters are as before
    afterwards, bit for bit, also if `loss` raises; a loss that is not a single number raises ValueError, and no `.grad` changes.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([3.0, 4.0], requires_grad=True)
    >>> optimizer = tg.optim.SGD([w], lr=0.1)
    >>> for _ in range(200):
    ...     _ = simultaneous_perturbation(lambda: (w * w).sum(), [w])
    ...     optimizer.step()
    >>> bool(w.abs().max() < 0.01)
    True
    """
    if not (width > 0 and math.isfinite(width)):
        raise ValueError(f"simultaneous_perturbation: width must be a positive number, got {width}")
    chosen = [p for p in params if p.requires_grad]
    if not chosen:
        raise ValueError("simultaneous_perturbation: expected at least one parameter that requires grad, got none")
    with no_grad():
        before = [p.clone() for p in chosen]
        signs = [2 * randint(2, p.shape, generator=generator, dtype=p.dtype, device=p.device) - 1 for p in chosen]
        values = []
        try:
            for distance in (width, -width):
                for p, centre, s in zip(chosen, before, signs):
                    p.copy_(centre + distance * s)
                value = loss()
                if (got := value.shape if isinstance(value, Tensor) else type(value).__name__) != ():
                    raise ValueError(f"simultaneous_perturbation: loss must return a tensor of shape (), got {got}")
                values.append(value.clone())  # which may be a parameter itself
        finally:
            for p, centre in zip(chosen, before):
                p.copy_(centre)
        above, below = values
        rate = (above - below) / (2 * width)
        for p, s in zip(chosen, signs):
            p.grad = (rate * s).to(p.dtype)
        return (above + below) / 2
