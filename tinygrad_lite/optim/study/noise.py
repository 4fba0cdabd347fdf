"""The noise of mini-batch gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.autograd.grad_mode import enable_grad
from tinygrad_lite.autograd.gradients import grad
from tinygrad_lite.optim.flat import Flat


def per_sample_gradients(loss: Callable[[int], Any], params: Sequence[Any], count: int) -> Any:
    """The gradient of loss(i) with respect to all parameters for i = 0 ... count - 1, as rows of a matrix (count, p).

    Their mean is the gradient of the mean loss (docs/lectures.md#item-2).

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([1.0, 1.0], requires_grad=True)
    >>> x = tg.tensor([[1.0, 0.0], [0.0, 3.0]])
    >>> per_sample_gradients(lambda i: (w * x[i]).sum(), [w], 2)
    array([[1., 0.],
           [0., 3.]], dtype=float32)
    """
    flat, rows = Flat(params), []
    for i in range(count):
        with enable_grad():
            value = loss(i)
        rows.append(flat.join([g.array for g in grad(value, flat.params, materialize_grads=True)]))
    return flat.xp.stack(rows)


class Noise(NamedTuple):
    """The distribution of the gradients of single samples.

    `mean` (p,): the gradient of the mean loss. `std` (p,): the standard deviation of each entry. `samples`: the number of
    samples. `variance`: the trace of the covariance, the mean squared distance from the mean.
    """

    mean: Any
    std: Any
    samples: int
    variance: float

    @property
    def signal_to_noise(self) -> float:
        """|mean|^2 / variance of one sample's gradient."""
        square = float((self.mean**2).sum())
        return square / self.variance if self.variance else float("inf")

    @property
    def critical_batch_size(self) -> float:
        """The batch size at which signal equals noise, variance / |mean|^2. Larger batches are mostly redundant (McCandlish
        et al. 2018, "simple noise scale")."""
        return 1 / self.signal_to_noise if self.signal_to_noise else float("inf")

    def batch_std(self, size: int, replacement: bool = False) -> float:
        """The root mean square distance of a batch's gradient from the mean:

            sqrt(variance / size), and without replacement times sqrt((n - size) / (n - 1))

        (docs/lectures.md#item-67 omits the factor).
        """
        n = self.samples
        if not size >= 1 or (not replacement and size > n):
            raise ValueError(f"batch_std: a batch has 1 to {n} samples, got {size}")
        finite = 1.0 if replacement or n == 1 else (n - size) / (n - 1)
        return (self.variance / size * finite) ** 0.5


def gradient_noise(gradients: Any) -> Noise:
    """The noise in `gradients`, a matrix with a row per sample (see `per_sample_gradients`).

    >>> import numpy as np
    >>> noise = gradient_noise(np.array([[1.0], [5.0]]))
    >>> noise.mean, noise.std, noise.signal_to_noise
    (array([3.]), array([2.]), 2.25)
    """
    if gradients.ndim != 2 or not len(gradients):
        raise ValueError(f"gradient_noise: expected a matrix with a row for each sample, got shape {gradients.shape}")
    mean = gradients.mean(axis=0)
    squares = ((gradients - mean) ** 2).mean(axis=0)
    return Noise(mean, namespace_of(mean).sqrt(squares), len(gradients), float(squares.sum()))
