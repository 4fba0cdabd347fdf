"""The types in the annotations of PyTorch programs."""

import numpy as np

from tinygrad_lite import arrays
from tinygrad_lite._tensor import Size, Tensor

__all__ = ["Device", "Number", "Size", "Tensor"]

_bool, _int, _float, _complex = bool, int, float, complex
_device, _dtype = arrays.Device, np.dtype
_size = Size | list[int] | tuple[int, ...]
Number = int | float | bool
Device = arrays.Device | str | int | None
