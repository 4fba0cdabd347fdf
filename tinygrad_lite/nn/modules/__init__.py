"""Layers, a file a family."""

from tinygrad_lite.nn.modules import activation, container, dropout, flatten, linear, loss, module
from tinygrad_lite.nn.modules.activation import *
from tinygrad_lite.nn.modules.container import *
from tinygrad_lite.nn.modules.dropout import *
from tinygrad_lite.nn.modules.flatten import *
from tinygrad_lite.nn.modules.linear import *
from tinygrad_lite.nn.modules.loss import *
from tinygrad_lite.nn.modules.module import *

__all__ = [name for family in (activation, container, dropout, flatten, linear, loss, module) for name in family.__all__]
