"""Layers and models: `Module` and what is built on it, under PyTorch's names."""

from tinygrad_lite.nn import functional, init, modules, parameter, utils
from tinygrad_lite.nn.modules import *
from tinygrad_lite.nn.parameter import Buffer, Parameter, UninitializedParameter
from tinygrad_lite.nn.summary import summary

__all__ = [
    "Buffer",
    "Parameter",
    "UninitializedParameter",
    "functional",
    "init",
    "modules",
    "parameter",
    "summary",
    "utils",
    *modules.__all__,
]
