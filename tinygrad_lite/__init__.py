"""tinygrad_lite: reverse-mode automatic differentiation on NumPy and CuPy arrays."""

import importlib as _importlib
import sys as _sys
from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

import numpy as _np
from numpy import dtype as dtype
from numpy import e, inf, nan, newaxis, pi

# First, for its name: the function `tensor` below takes the module's place in this namespace.
from tinygrad_lite.tensor import Size, Tensor  # isort: skip

from tinygrad_lite import autograd, cuda, linalg, ops, special
from tinygrad_lite.arrays import AbsentDtype as _AbsentDtype
from tinygrad_lite.arrays import Device as device
from tinygrad_lite.arrays import (
    get_default_device,
    get_default_dtype,
    get_num_threads,
    set_default_device,
    set_default_dtype,
    set_num_threads,
)
from tinygrad_lite.autograd import (
    enable_grad,
    inference_mode,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_anomaly_enabled,
    set_grad_enabled,
    tape_lines,
    tape_of,
)
from tinygrad_lite.ops import *
from tinygrad_lite.ops import generators as random
from tinygrad_lite.printing import set_printoptions
from tinygrad_lite.serialization import load, save
from tinygrad_lite.settings import *

bfloat16 = _AbsentDtype("bfloat16")
float16 = half = _np.dtype(_np.float16)
float32 = float = _np.dtype(_np.float32)
float64 = double = _np.dtype(_np.float64)
uint8 = _np.dtype(_np.uint8)
uint16 = _np.dtype(_np.uint16)
uint32 = _np.dtype(_np.uint32)
uint64 = _np.dtype(_np.uint64)
int8 = _np.dtype(_np.int8)
int16 = short = _np.dtype(_np.int16)
int32 = int = _np.dtype(_np.int32)
int64 = long = _np.dtype(_np.int64)
bool = _np.dtype(_np.bool_)

_sys.modules["tinygrad_lite.random"] = random

# In-place operations that PyTorch has as functions too.
for _name in (  # noqa: SIM905
    "abs acos acosh arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh ceil clamp clamp_max clamp_min "
    "clip cos cosh deg2rad detach erf erfc exp exp2 expm1 fill fix floor frac gcd i0 index_put lcm ldexp log log10 "
    "log1p log2 logit nan_to_num neg negative rad2deg reciprocal resize_as round rsqrt sigmoid sin sinc sinh sqrt square tan "
    "tanh trunc xlogy zero "
).split():
    globals()[f"{_name}_"] = getattr(Tensor, f"{_name}_")
detach = Tensor.detach

__version__ = "0.1.0"

if _TYPE_CHECKING:
    from tinygrad_lite import accelerator, amp, backends, datasets, distributions, func, jit, nn, optim, testing, utils

# Imported when they are first asked for: with them, `import tinygrad_lite` takes 50 ms more, half of
# what `import numpy` takes.
_LATER = (
    "accelerator", "amp", "backends", "datasets", "distributions", "func", "jit", "nn", "optim", "testing", "utils",
)  # fmt: skip
_ELSEWHERE = {"GradScaler": "amp", "autocast": "amp", "vmap": "func"}  # names from there that stand here too


def __getattr__(name: str) -> _Any:
    if name in _LATER:
        return _importlib.import_module(f"tinygrad_lite.{name}")
    if name in _ELSEWHERE:
        return getattr(__getattr__(_ELSEWHERE[name]), name)
    if not name.startswith("_") and hasattr(networks := _networks(), name):
        globals()[name] = value = getattr(networks, name)  # the next time nobody asks here
        return value
    raise AttributeError(f"module 'tinygrad_lite' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, *_ELSEWHERE, *(name for name in dir(_networks()) if not name.startswith("_"))})


def _networks() -> _Any:
    return _importlib.import_module("tinygrad_lite.ops.networks")
