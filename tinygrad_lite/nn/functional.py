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
from tinygrad_lite.ops.elementary import sigmoid, tanh
from tinygrad_lite.ops.loss import cross_entropy, mse_loss
from tinygrad_lite.ops.products import linear
from tinygrad_lite.ops.softmaxes import log_softmax, softmax

relu = optional_inplace(_relu)
