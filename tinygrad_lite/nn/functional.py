"""The functions that layers are made of, under PyTorch's names."""

from tinygrad_lite.ops.activation import relu, softplus
from tinygrad_lite.ops.elementary import tanh
from tinygrad_lite.ops.products import linear
from tinygrad_lite.ops.loss import cross_entropy, mse_loss
from tinygrad_lite.ops.softmaxes import log_softmax, softmax

__all__ = ["cross_entropy", "linear", "log_softmax", "mse_loss", "relu", "softmax", "softplus", "tanh"]
