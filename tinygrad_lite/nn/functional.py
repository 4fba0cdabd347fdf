"""The functions that layers are made of, under PyTorch's names."""

# ruff: noqa: F401

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinygrad_lite.ops import embeddings, inplace, normalization, rectifiers, softmaxes
from tinygrad_lite.ops.activation import (
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
from tinygrad_lite.ops.attention import multi_head_attention_forward, scaled_dot_product_attention
from tinygrad_lite.ops.calling import operation
from tinygrad_lite.ops.convolution import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from tinygrad_lite.ops.cross_entropy import cross_entropy, linear_cross_entropy, nll_loss
from tinygrad_lite.ops.ctc import ctc_loss
from tinygrad_lite.ops.distances import cosine_similarity, normalize, pairwise_distance, pdist
from tinygrad_lite.ops.dropouts import (
    alpha_dropout,
    dropout,
    dropout1d,
    dropout2d,
    dropout3d,
    feature_alpha_dropout,
)
from tinygrad_lite.ops.elementary import sigmoid, tanh
from tinygrad_lite.ops.embeddings import embedding_bag, one_hot
from tinygrad_lite.ops.folding import channel_shuffle, fold, pixel_shuffle, pixel_unshuffle, unfold
from tinygrad_lite.ops.fractional_pooling import fractional_max_pool2d, fractional_max_pool3d
from tinygrad_lite.ops.interpolation import interpolate, upsample, upsample_bilinear, upsample_nearest
from tinygrad_lite.ops.loss import (
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
from tinygrad_lite.ops.margins import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from tinygrad_lite.ops.normalization import group_norm, layer_norm, local_response_norm, rms_norm
from tinygrad_lite.ops.padding import pad
from tinygrad_lite.ops.pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from tinygrad_lite.ops.products import bilinear, linear
from tinygrad_lite.ops.rectifiers import (
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
from tinygrad_lite.ops.sampling import affine_grid, grid_sample
from tinygrad_lite.ops.softmaxes import gumbel_softmax

if TYPE_CHECKING:
    from tinygrad_lite.tensor import Tensor

relu = inplace.optional_inplace(rectifiers.relu)


def _with_indices(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` that returns the places of the maxima in any case."""
    return functools.wraps(function)(lambda *args, **options: function(*args, **{**options, "return_indices": True}))


max_pool1d_with_indices, max_pool2d_with_indices, max_pool3d_with_indices = map(_with_indices, (max_pool1d, max_pool2d, max_pool3d))
adaptive_max_pool1d_with_indices = _with_indices(adaptive_max_pool1d)
adaptive_max_pool2d_with_indices = _with_indices(adaptive_max_pool2d)
adaptive_max_pool3d_with_indices = _with_indices(adaptive_max_pool3d)


# -- where torch.nn.functional takes its arguments in another order than torch -------------------


def _along_a_dim(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function(x, dim, dtype)` with the arguments of nn.functional."""

    @operation
    @functools.wraps(function)
    def call(x: Any, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
        if dim is None:
            dim = 0 if x.ndim in (0, 1, 3) else 1
            warnings.warn(f"{function.__name__}: give dim; without it, it is {dim} here", stacklevel=_stacklevel)
        return function(x, dim, dtype)

    return call


softmax = _along_a_dim(softmaxes.softmax)
log_softmax = _along_a_dim(softmaxes.log_softmax)
softmin = _along_a_dim(softmaxes.softmin)

for _function in (relu, softmax, log_softmax, softmin):
    _function.__module__ = __name__  # where pickle looks for it


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
    """The rows of `weight` (V, D) that `input` (...) names: a tensor (..., D).

    `padding_idx`: the row that gets no gradient. `max_norm`: rows that are looked up are first scaled
    down to this norm, in `weight` itself. `scale_grad_by_freq`: a row's gradient is divided by how
    often it was looked up. `sparse` changes nothing: gradients are dense.

    >>> from tinygrad_lite import tensor
    >>> embedding(tensor([2, 0]), tensor([[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]]))
    tensor([[2.0000, 2.5000],
            [0.0000, 0.5000]])
    """
    return embeddings.looked_up("embedding", input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq)[0]


@operation
def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of x (N, C, ...) to mean 0 and variance 1: by the batch's own statistics in training,
    which then enter the running ones; else by the running ones. See tinygrad_lite.batch_norm.

    >>> from tinygrad_lite import tensor
    >>> mean, var = tensor([0.0]), tensor([1.0])
    >>> batch_norm(tensor([[1.0], [3.0]]), mean, var, training=True).flatten()
    tensor([-1.0000,  1.0000])
    >>> mean, var  # 0.9 * 0 + 0.1 * 2, 0.9 * 1 + 0.1 * 2
    (tensor([0.2000]), tensor([1.1000]))
    """
    if eps < 0 or (training and not eps):
        raise ValueError(f"batch_norm: expected a positive eps (in evaluation it may be 0), got {eps}")
    return normalization.batch_norm(x, weight, bias, running_mean, running_var, training, momentum, eps)


@operation
def instance_norm(
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each sample of x (N, C, ...) to mean 0 and variance 1. See tinygrad_lite.instance_norm.

    >>> from tinygrad_lite import tensor
    >>> instance_norm(tensor([[[1.0, 3.0], [50.0, 10.0]]]))
    tensor([[[-1.0000,  1.0000],
             [ 1.0000, -1.0000]]])
    """
    return normalization.instance_norm(x, weight, bias, running_mean, running_var, use_input_stats, momentum, eps)
