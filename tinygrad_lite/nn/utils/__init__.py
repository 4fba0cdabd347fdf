"""Help around training: gradients clipped, sequences packed, weights reparametrized, layers fused."""

from tinygrad_lite.nn.utils import rnn

__all__ = ["rnn"]
