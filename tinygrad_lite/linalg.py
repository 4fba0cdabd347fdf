"""Linear algebra: the last two dims of a tensor are a matrix, the dims before them a batch.

What a matrix does not allow raises LinAlgError, which is also a RuntimeError.
"""

from tinygrad_lite.ops.calculus import matmul
from tinygrad_lite.ops.linalg.checks import LinAlgError
from tinygrad_lite.ops.linalg.factorizations import cholesky, householder_product, lu, lu_factor, lu_factor_ex
from tinygrad_lite.ops.linalg.factorizations import linalg_qr as qr
from tinygrad_lite.ops.linalg.matrix_functions import det, matrix_exp, matrix_power, slogdet
from tinygrad_lite.ops.linalg.norms import cond, matrix_norm, norm, vector_norm
from tinygrad_lite.ops.linalg.products import linalg_diagonal as diagonal
from tinygrad_lite.ops.linalg.products import multi_dot
from tinygrad_lite.ops.linalg.solving import (
    cholesky_ex,
    inv,
    inv_ex,
    lstsq,
    pinv,
    solve,
    solve_ex,
    solve_triangular,
    tensorinv,
    tensorsolve,
)
from tinygrad_lite.ops.linalg.solving import linalg_lu_solve as lu_solve
from tinygrad_lite.ops.linalg.spectral import eigh, eigvalsh, matrix_rank, svdvals
from tinygrad_lite.ops.linalg.spectral import linalg_svd as svd
from tinygrad_lite.ops.linalg.vector_products import linalg_cross as cross
from tinygrad_lite.ops.linalg.vector_products import vander, vecdot

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eigh", "eigvalsh", "householder_product",
    "inv", "inv_ex", "lstsq", "lu", "lu_factor", "lu_factor_ex", "lu_solve", "matmul", "matrix_exp", "matrix_norm",
    "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet", "solve", "solve_ex", "solve_triangular",
    "svd", "svdvals", "tensorinv", "tensorsolve", "vander", "vecdot", "vector_norm",
]  # fmt: skip
