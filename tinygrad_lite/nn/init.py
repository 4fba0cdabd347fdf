"""Parameter initialization. Every function fills its tensor in place and returns it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.autograd.grad_mode import no_grad
from tinygrad_lite.ops.creation.factories import empty
from tinygrad_lite.ops.linalg.qr import qr

__all__ = [
    "calculate_gain", "constant_", "dirac_", "eye_", "kaiming_normal_", "kaiming_uniform_", "normal_", "ones_",
    "orthogonal_", "scaled_normal_", "sparse_", "trunc_normal_", "uniform_", "xavier_normal_", "xavier_uniform_",
    "zeros_",
]  # fmt: skip

_GAINS = {"tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}
_LINEAR = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "sigmoid")


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The factor by which a nonlinearity scales the standard deviation: sqrt(2) for relu, 5/3 for tanh, sqrt(2 / (1 +
    param^2)) for leaky_relu (slope `param`, 0.01 by default), 3/4 for selu, otherwise 1.

    >>> round(calculate_gain("relu"), 4), calculate_gain("selu"), calculate_gain("sigmoid")
    (1.4142, 0.75, 1)
    """
    if nonlinearity in _LINEAR:
        return 1
    if nonlinearity in _GAINS:
        return _GAINS[nonlinearity]
    if nonlinearity == "leaky_relu":
        if param is not None and (isinstance(param, bool) or not isinstance(param, (int, float))):
            raise BadValue(f"negative_slope {param!r} is not a number", function="calculate_gain")
        return math.sqrt(2 / (1 + (0.01 if param is None else param) ** 2))
    raise BadValue(f"unsupported nonlinearity {nonlinearity!r}", function="calculate_gain")


@no_grad()
def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform in [a, b).

    >>> from tinygrad_lite import empty
    >>> w = uniform_(empty(1000), -2.0, 3.0)
    >>> bool((w >= -2).all() and (w < 3).all())
    True
    """
    return tensor.uniform_(a, b, generator=generator)


@no_grad()
def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with the given mean and standard deviation.

    >>> from tinygrad_lite import empty
    >>> w = normal_(empty(100_000), mean=5.0, std=0.1)
    >>> round(w.mean().item(), 1), round(w.std().item(), 1)
    (5.0, 0.1)
    """
    return tensor.normal_(mean, std, generator=generator)


@no_grad()
def trunc_normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None) -> Tensor:
    """Normal, truncated to [a, b] (values, not multiples of std).

    >>> from tinygrad_lite import empty
    >>> w = trunc_normal_(empty(1000), std=1.0, a=-0.5, b=2.0)
    >>> bool((w >= -0.5).all() and (w <= 2).all())
    True
    """

    def cdf(x: float) -> float:
        return (1 + math.erf(x / math.sqrt(2))) / 2

    # The inverse of the cdf at points that are uniform between the cdf's values at the bounds.
    low, high = cdf((a - mean) / std), cdf((b - mean) / std)
    tensor.uniform_(2 * low - 1, 2 * high - 1, generator=generator).erfinv_()
    return tensor.mul_(std * math.sqrt(2)).add_(mean).clamp_(a, b)


@no_grad()
def constant_(tensor: Tensor, val: float) -> Tensor:
    """One value everywhere.

    >>> from tinygrad_lite import empty
    >>> constant_(empty(2, 2), 0.5)
    tensor([[0.5000, 0.5000],
            [0.5000, 0.5000]])
    """
    return tensor.fill_(val)


@no_grad()
def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere.

    >>> from tinygrad_lite import empty
    >>> ones_(empty(3))
    tensor([1., 1., 1.])
    """
    return tensor.fill_(1)


@no_grad()
def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere.

    >>> from tinygrad_lite import nn
    >>> layer = nn.Linear(2, 3)
    >>> zeros_(layer.bias).tolist()
    [0.0, 0.0, 0.0]
    """
    return tensor.zero_()


@no_grad()
def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix: a Linear layer passes on as many features as possible.

    >>> from tinygrad_lite import empty
    >>> eye_(empty(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if tensor.ndim != 2:
        raise BadValue(function="eye_", expected="a matrix", got=f"shape {tuple(tensor.shape)}")
    tensor.zero_().diagonal().fill_(1)
    return tensor


@no_grad()
def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The identity for a convolution with weight (out, in / groups, *kernel): each of `groups` groups passes on as many
    channels as possible.

    >>> from tinygrad_lite import empty
    >>> dirac_(empty(2, 2, 3))
    tensor([[[0., 1., 0.],
             [0., 0., 0.]],
    <BLANKLINE>
            [[0., 0., 0.],
             [0., 1., 0.]]])
    """
    if tensor.ndim not in (3, 4, 5):
        raise BadValue(function="dirac_", expected="a weight of 3, 4 or 5 dimensions", got=f"shape {tuple(tensor.shape)}")
    if tensor.shape[0] % groups:
        raise BadValue(f"{tensor.shape[0]} output channels are not divisible into {groups} groups", function="dirac_")
    tensor.zero_()
    size = tensor.shape[0] // groups
    middle = tuple(n // 2 for n in tensor.shape[2:])
    for group in range(groups):
        for d in range(min(size, tensor.shape[1])):
            tensor[(group * size + d, d, *middle)] = 1
    return tensor


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """The number of inputs per output and of outputs per input, for a weight (out, in, *kernel)."""
    if tensor.ndim < 2:
        raise BadValue(f"fan in and fan out need a tensor of at least 2 dimensions, got shape {tuple(tensor.shape)}")
    field = math.prod(tensor.shape[2:])
    return tensor.shape[1] * field, tensor.shape[0] * field


def _calculate_correct_fan(tensor: Tensor, mode: str) -> int:
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise BadValue(f"mode {mode!r} not supported, please use one of 'fan_in', 'fan_out'")
    return _calculate_fan_in_and_fan_out(tensor)[mode == "fan_out"]


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Uniform with variance gain^2 2 / (fan_in + fan_out), that is, within +-gain sqrt(6 / (fan_in + fan_out)) (Glorot
    and Bengio, 2010).

    >>> from tinygrad_lite import empty
    >>> bool((xavier_uniform_(empty(2, 4)).abs() <= 1).all())  # 6 / (4 + 2) = 1
    True
    """
    bound = gain * math.sqrt(6 / sum(_calculate_fan_in_and_fan_out(tensor)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with variance gain^2 2 / (fan_in + fan_out) (Glorot and Bengio, 2010).

    >>> from tinygrad_lite import empty
    >>> round(xavier_normal_(empty(200, 600)).std().item(), 2)  # sqrt(2 / 800)
    0.05
    """
    return normal_(tensor, 0, gain * math.sqrt(2 / sum(_calculate_fan_in_and_fan_out(tensor))), generator)


def kaiming_uniform_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None) -> Tensor:
    """Uniform with variance gain^2 / fan, that is, within +-gain sqrt(3 / fan) (He et al., 2015). `a` is the slope of a
    leaky_relu. `mode` selects fan_in, which preserves the scale of outputs, or fan_out, which preserves that of
    gradients.

    >>> from tinygrad_lite import empty
    >>> bool((kaiming_uniform_(empty(4, 6)).abs() <= 1).all())  # sqrt(2) sqrt(3 / 6) = 1
    True
    """
    if not tensor.numel():
        return tensor
    bound = calculate_gain(nonlinearity, a) * math.sqrt(3 / _calculate_correct_fan(tensor, mode))
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(tensor: Tensor, a: float = 0, mode: str = "fan_in", nonlinearity: str = "leaky_relu", generator: Any = None) -> Tensor:
    """Normal with variance gain^2 / fan (He et al., 2015). `a` is the slope of a leaky_relu; `mode` is as for
    kaiming_uniform_.

    >>> from tinygrad_lite import empty
    >>> round(kaiming_normal_(empty(500, 200)).std().item(), 1)  # sqrt(2 / 200)
    0.1
    """
    if not tensor.numel():
        return tensor
    return normal_(tensor, 0, calculate_gain(nonlinearity, a) / math.sqrt(_calculate_correct_fan(tensor, mode)), generator)


def scaled_normal_(tensor: Tensor, sigma: float = 1.0, generator: Any = None) -> Tensor:
    """Normal with standard deviation sigma / sqrt(fan_in), for sigma between about 1 and 3 (docs/lectures.md#item-53): the
    sum over an output's inputs then has standard deviation sigma.

    >>> from tinygrad_lite import empty
    >>> round(scaled_normal_(empty(1000, 100), sigma=2.0).std().item(), 1)  # 2 / sqrt(100)
    0.2
    """
    return normal_(tensor, 0, sigma / math.sqrt(_calculate_fan_in_and_fan_out(tensor)[0]), generator)


@no_grad()
def orthogonal_(tensor: Tensor, gain: float = 1, generator: Any = None) -> Tensor:
    """`gain` times a random matrix with orthonormal rows or columns; dims after the first are flattened.

    Uniform over all such matrices (Saxe et al., 2013): the Q factor of a normal matrix, with the signs of R.

    >>> from tinygrad_lite import empty, eye
    >>> w = orthogonal_(empty(3, 5))
    >>> bool((w @ w.T - eye(3)).abs().max() < 1e-5)
    True
    """
    if tensor.ndim < 2:
        raise BadValue(function="orthogonal_", expected="at least 2 dimensions", got=f"shape {tuple(tensor.shape)}")
    if not tensor.numel():
        return tensor
    rows = tensor.shape[0]
    columns = tensor.numel() // rows
    flat = empty((rows, columns), dtype=tensor.dtype, device=tensor.device).normal_(0, 1, generator=generator)
    q, r = qr(flat.mT if rows < columns else flat)
    q = q * r.diagonal().sign()
    return tensor.copy_((q.mT if rows < columns else q).reshape(tensor.shape)).mul_(gain)


@no_grad()
def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Normal, with a fraction `sparsity` of each column set to 0 (Martens, 2010).

    >>> from tinygrad_lite import empty
    >>> (sparse_(empty(10, 3), sparsity=0.8) == 0).sum(0)  # 8 zeros a column
    tensor([8, 8, 8])
    """
    if tensor.ndim != 2:
        raise BadValue(function="sparse_", expected="a matrix", got=f"shape {tuple(tensor.shape)}")
    rows = tensor.shape[0]
    tensor.normal_(0, std, generator=generator)
    order = empty(tensor.shape, device=tensor.device).uniform_(0, 1, generator=generator).argsort(0)
    return tensor.scatter_(0, order[: math.ceil(sparsity * rows)], 0)


def _renamed(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def old_name(*args: Any, **kwargs: Any) -> Tensor:
        return function(*args, **kwargs)

    old_name.__name__ = function.__name__.rstrip("_")
    old_name.__doc__ = f"`{function.__name__}` under the name it had in old programs."
    return old_name


uniform, normal, constant, eye, dirac = map(_renamed, (uniform_, normal_, constant_, eye_, dirac_))  # type: ignore[arg-type]
xavier_uniform, xavier_normal = map(_renamed, (xavier_uniform_, xavier_normal_))
kaiming_uniform, kaiming_normal = map(_renamed, (kaiming_uniform_, kaiming_normal_))
orthogonal, sparse = map(_renamed, (orthogonal_, sparse_))  # type: ignore[arg-type]
