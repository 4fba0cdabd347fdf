"""Switches of PyTorch's backends: programs may set them, but nothing here depends on them."""

from tinygrad_lite.backends import cuda, cudnn, mps

__all__ = ["cuda", "cudnn", "mps"]
