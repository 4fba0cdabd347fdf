"""The functional forms of the layers, under PyTorch's names."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadValue
from tinygrad_lite.ops.arguments import operation
from tinygrad_lite.ops.calculus import tanh
from tinygrad_lite.ops.math.elementary import sigmoid
from tinygrad_lite.ops.nn import embedding as embeddings
from tinygrad_lite.ops.nn import normalization
from tinygrad_lite.ops.nn import piecewise_activations as rectifiers
from tinygrad_lite.ops.nn import softmax as softmaxes
from tinygrad_lite.ops.nn.adaptive_pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
)
from tinygrad_lite.ops.nn.attention import multi_head_attention_forward, scaled_dot_product_attention
from tinygrad_lite.ops.nn.convolution import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from tinygrad_lite.ops.nn.distances import cosine_similarity, normalize, pairwise_distance, pdist
from tinygrad_lite.ops.nn.dropout import alpha_dropout, dropout, dropout1d, dropout2d, dropout3d, feature_alpha_dropout
from tinygrad_lite.ops.nn.embedding import embedding_bag, one_hot
from tinygrad_lite.ops.nn.folding import channel_shuffle, fold, pixel_shuffle, pixel_unshuffle, unfold
from tinygrad_lite.ops.nn.fractional_pooling import fractional_max_pool2d, fractional_max_pool3d
from tinygrad_lite.ops.nn.grid_sample import affine_grid, grid_sample
from tinygrad_lite.ops.nn.interpolation import interpolate, upsample, upsample_bilinear, upsample_nearest
from tinygrad_lite.ops.nn.linear import bilinear, linear
from tinygrad_lite.ops.nn.losses.cross_entropy import cross_entropy, linear_cross_entropy, nll_loss
from tinygrad_lite.ops.nn.losses.ctc import ctc_loss
from tinygrad_lite.ops.nn.losses.elementwise import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    gaussian_nll_loss,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    poisson_nll_loss,
    smooth_l1_loss,
    soft_margin_loss,
)
from tinygrad_lite.ops.nn.losses.margin import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from tinygrad_lite.ops.nn.normalization import group_norm, layer_norm, local_response_norm, rms_norm
from tinygrad_lite.ops.nn.padding import pad
from tinygrad_lite.ops.nn.piecewise_activations import (
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    hardtanh_,
    leaky_relu,
    leaky_relu_,
    prelu,
    relu6,
    relu_,
    rrelu,
    rrelu_,
    softshrink,
    softsign,
    threshold,
    threshold_,
)
from tinygrad_lite.ops.nn.pooling import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
)
from tinygrad_lite.ops.nn.smooth_activations import (
    celu,
    celu_,
    elu,
    elu_,
    gelu,
    glu,
    logsigmoid,
    mish,
    selu,
    selu_,
    silu,
    softplus,
    tanhshrink,
)
from tinygrad_lite.ops.nn.softmax import gumbel_softmax
from tinygrad_lite.ops.nn.unpooling import max_unpool1d, max_unpool2d, max_unpool3d

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d", "adaptive_max_pool2d_with_indices", "adaptive_max_pool3d", "adaptive_max_pool3d_with_indices",
    "affine_grid", "alpha_dropout", "avg_pool1d", "avg_pool2d", "avg_pool3d", "batch_norm", "bilinear", "binary_cross_entropy",
    "binary_cross_entropy_with_logits", "celu", "celu_", "channel_shuffle", "conv1d", "conv2d", "conv3d", "conv_transpose1d",
    "conv_transpose2d", "conv_transpose3d", "cosine_embedding_loss", "cosine_similarity", "cross_entropy", "ctc_loss", "dropout",
    "dropout1d", "dropout2d", "dropout3d", "elu", "elu_", "embedding", "embedding_bag", "feature_alpha_dropout", "fold",
    "fractional_max_pool2d", "fractional_max_pool3d", "gaussian_nll_loss", "gelu", "glu", "grid_sample", "group_norm",
    "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "hardtanh_", "hinge_embedding_loss", "huber_loss",
    "instance_norm", "interpolate", "kl_div", "l1_loss", "layer_norm", "leaky_relu", "leaky_relu_", "linear", "linear_cross_entropy",
    "local_response_norm", "log_softmax", "logsigmoid", "lp_pool1d", "lp_pool2d", "lp_pool3d", "margin_ranking_loss", "max_pool1d",
    "max_pool1d_with_indices", "max_pool2d", "max_pool2d_with_indices", "max_pool3d", "max_pool3d_with_indices", "max_unpool1d",
    "max_unpool2d", "max_unpool3d", "mish", "mse_loss", "multi_head_attention_forward", "multi_margin_loss", "multilabel_margin_loss",
    "multilabel_soft_margin_loss", "nll_loss", "normalize", "one_hot", "pad", "pairwise_distance", "pdist", "pixel_shuffle",
    "pixel_unshuffle", "poisson_nll_loss", "prelu", "relu", "relu6", "relu_", "rms_norm", "rrelu", "rrelu_",
    "scaled_dot_product_attention", "selu", "selu_", "sigmoid", "silu", "smooth_l1_loss", "soft_margin_loss", "softmax", "softmin",
    "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold", "threshold_", "triplet_margin_loss",
    "triplet_margin_with_distance_loss", "unfold", "upsample", "upsample_bilinear", "upsample_nearest",
]  # fmt: skip

P = ParamSpec("P")
R = TypeVar("R")


@operation
def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """`max(input, 0)`; its derivative at 0 is 0.

    >>> from tinygrad_lite import tensor
    >>> relu(tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    return relu_(input) if inplace else rectifiers.relu(input)


def _with_indices(function: Callable[P, R]) -> Callable[P, R]:
    """`function` that always returns the indices of the maxima."""
    return functools.wraps(function)(lambda *args, **options: function(*args, **{**options, "return_indices": True}))


max_pool1d_with_indices = _with_indices(max_pool1d)
max_pool2d_with_indices = _with_indices(max_pool2d)
max_pool3d_with_indices = _with_indices(max_pool3d)
adaptive_max_pool1d_with_indices = _with_indices(adaptive_max_pool1d)
adaptive_max_pool2d_with_indices = _with_indices(adaptive_max_pool2d)
adaptive_max_pool3d_with_indices = _with_indices(adaptive_max_pool3d)


# -- functions whose argument order in torch.nn.functional differs from torch --------------------


@operation
def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """`exp(input) / exp(input).sum(dim)`: positive, and of sum 1 along `dim`.

    >>> from tinygrad_lite import tensor
    >>> softmax(tensor([0.0, 0.0]), dim=0)
    tensor([0.5000, 0.5000])
    """
    return softmaxes.softmax(input, _dim_of("softmax", input, _stacklevel) if dim is None else dim, dtype)


@operation
def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """The logarithm of `softmax(input, dim)`, computed without overflow.

    >>> from tinygrad_lite import tensor
    >>> log_softmax(tensor([0.0, 0.0]), dim=0)
    tensor([-0.6931, -0.6931])
    """
    return softmaxes.log_softmax(input, _dim_of("log_softmax", input, _stacklevel) if dim is None else dim, dtype)


@operation
def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """`softmax(-input, dim)`

    >>> from tinygrad_lite import tensor
    >>> softmin(tensor([0.0, 1000.0]), dim=0)
    tensor([1., 0.])
    """
    return softmaxes.softmin(input, _dim_of("softmin", input, _stacklevel) if dim is None else dim, dtype)


def _dim_of(name: str, x: Tensor, stacklevel: int) -> int:
    """The dim that PyTorch uses if none is given."""
    dim = 0 if x.ndim in (0, 1, 3) else 1
    warnings.warn(f"{name}: give dim; without it, it is {dim} here", stacklevel=stacklevel + 1)
    return dim


@operation
def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of `weight` (V, D) that `input` (...) indexes: a tensor (..., D).

    `padding_idx`: the row that gets no gradient. `max_norm`: rows that are looked up are first scaled down to this
    norm, in place in `weight`. `scale_grad_by_freq`: divide a row's gradient by the number of times it was looked up.
    `sparse` has no effect: gradients are dense.

    >>> from tinygrad_lite import tensor
    >>> embedding(tensor([2, 0]), tensor([[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]]))
    tensor([[2.0000, 2.5000],
            [0.0000, 0.5000]])
    """
    return embeddings.looked_up("embedding", input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq)[0]


@operation
def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize each channel of `input` (N, C, ...) to mean 0 and variance 1: in training by the batch's statistics, which
    also update the running statistics; otherwise by the running statistics. See tinygrad_lite.batch_norm.

    >>> from tinygrad_lite import tensor
    >>> mean, var = tensor([0.0]), tensor([1.0])
    >>> batch_norm(tensor([[1.0], [3.0]]), mean, var, training=True).flatten()
    tensor([-1.0000,  1.0000])
    >>> mean, var  # 0.9 * 0 + 0.1 * 2, 0.9 * 1 + 0.1 * 2
    (tensor([0.2000]), tensor([1.1000]))
    """
    if eps < 0 or (training and not eps):
        raise BadValue(argument="eps", expected="a positive eps (in evaluation it may be 0)", got=eps)
    return normalization.batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)


@operation
def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalize each channel of each sample of `input` (N, C, ...) to mean 0 and variance 1. See tinygrad_lite.instance_norm.

    >>> from tinygrad_lite import tensor
    >>> instance_norm(tensor([[[1.0, 3.0], [50.0, 10.0]]]))
    tensor([[[-1.0000,  1.0000],
             [ 1.0000, -1.0000]]])
    """
    return normalization.instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps)
