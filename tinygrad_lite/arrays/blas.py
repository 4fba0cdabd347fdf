"""Direct calls of NumPy's BLAS, for operations that NumPy does not expose.

NumPy's wheels contain OpenBLAS with renamed symbols. With another BLAS, or on CuPy arrays, NumPy's operations are used.
"""

from __future__ import annotations

import ctypes
import functools
from types import SimpleNamespace
from typing import Any

import numpy as np

from tinygrad_lite.arrays.gpu import kernel

# From this size on, a BLAS call is faster than NumPy's operations: 9 us instead of 12 for 32768
# elements, but 6 instead of 4 for 4096.
_WORTH_A_CALL = 1 << 14


@kernel
def axpby(a: float, x: Any, b: float, y: Any) -> None:
    """y <- a x + b y in one pass over memory, on arrays of one shape. On Tensors it is recorded.

    v <- 0.9 v + g and then p <- p - 0.01 v on 400,000 floats take 0.5 ms; NumPy's four operations take 1.0 ms, PyTorch's
    three 0.8 ms.
    """
    if type(y) is np.ndarray and y.size >= _WORTH_A_CALL and a and b and (blas := _functions(x, y)) is not None:
        if b == 1:
            blas.axpy(y.size, a, _address(x), 1, _address(y), 1)  # uses all BLAS threads
        else:
            blas.axpby(y.size, a, _address(x), 1, b, _address(y), 1)
        return
    if b != 1:
        y *= b
    y += x if a == 1 else a * x


def gemm_of(dtype: np.dtype) -> Any:
    """BLAS's product of two matrices of `dtype`, with the arguments of cblas_sgemm; None if it is not available."""
    blas = _by_dtype().get(dtype)
    return None if blas is None else blas.gemm


def _functions(x: Any, y: Any) -> Any:
    """BLAS's functions for two arrays, or None."""
    alike = type(x) is np.ndarray and x.dtype == y.dtype and x.shape == y.shape
    return _by_dtype().get(y.dtype) if alike and x.flags.c_contiguous and y.flags.c_contiguous else None


def _address(array: Any) -> int:
    return array.__array_interface__["data"][0]


@functools.cache
def _by_dtype() -> dict[Any, Any]:
    size, vector = ctypes.c_int64, (ctypes.c_void_p, ctypes.c_int64)
    found = {}
    if hasattr(library(), "scipy_cblas_saxpby64_"):
        for dtype, letter, real in ((np.float32, "s", ctypes.c_float), (np.float64, "d", ctypes.c_double)):
            axpy, axpby, gemm = (library()[f"scipy_cblas_{letter}{name}64_"] for name in ("axpy", "axpby", "gemm"))
            gemm.argtypes = (*(ctypes.c_int,) * 3, *(size,) * 3, real, *vector, *vector, real, *vector)
            gemm.restype = None
            axpy.argtypes, axpy.restype = (size, real, *vector, *vector), None
            axpby.argtypes, axpby.restype = (size, real, *vector, real, *vector), None
            found[np.dtype(dtype)] = SimpleNamespace(axpy=axpy, axpby=axpby, gemm=gemm)
    return found


@functools.cache
def library() -> Any:
    """The BLAS library that NumPy uses, loaded through the extension module linked to it."""
    try:
        return ctypes.CDLL(np._core._multiarray_umath.__file__)  # type: ignore[attr-defined]
    except (OSError, AttributeError):
        return None
