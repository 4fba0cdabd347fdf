"""The functions that layers are made of, under PyTorch's names."""

from tinygrad_lite.ops.activation import (
    celu,
    celu_,
    elu,
    elu_,
    gelu,
    glu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    hardtanh_,
    leaky_relu,
    leaky_relu_,
    logsigmoid,
    mish,
    optional_inplace,
    prelu,
    relu6,
    relu_,
    selu,
    selu_,
    silu,
    softplus,
    softshrink,
    softsign,
    tanhshrink,
    threshold,
    threshold_,
)
from tinygrad_lite.ops.activation import relu as _relu
from tinygrad_lite.ops.convolution import conv1d, conv2d, conv3d, conv_transpose1d, conv_transpose2d, conv_transpose3d
from tinygrad_lite.ops.elementary import sigmoid, tanh
from tinygrad_lite.ops.folding import channel_shuffle, fold, pixel_shuffle, pixel_unshuffle, unfold
from tinygrad_lite.ops.loss import cross_entropy, mse_loss
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
from tinygrad_lite.ops.products import linear
from tinygrad_lite.ops.softmaxes import log_softmax, softmax

relu = optional_inplace(_relu)
