"""Linear algebra: the last two dims of a tensor are a matrix, the dims before them a batch.

A matrix that does not allow the operation raises LinAlgError, which is also a RuntimeError.
"""

from tinygrad_lite.ops.calculus import matmul
from tinygrad_lite.ops.linalg.checks import LinAlgError
from tinygrad_lite.ops.linalg.cholesky import cholesky, cholesky_ex
from tinygrad_lite.ops.linalg.eigh import eigh, eigvalsh
from tinygrad_lite.ops.linalg.inverses import inv, inv_ex, pinv
from tinygrad_lite.ops.linalg.lu import linalg_lu_solve as lu_solve
from tinygrad_lite.ops.linalg.lu import lu, lu_factor, lu_factor_ex
from tinygrad_lite.ops.linalg.matrix_functions import det, matrix_exp, matrix_power, slogdet, vander
from tinygrad_lite.ops.linalg.norms import cond, matrix_norm, vector_norm
from tinygrad_lite.ops.linalg.norms import linalg_norm as norm
from tinygrad_lite.ops.linalg.products import linalg_cross as cross
from tinygrad_lite.ops.linalg.products import linalg_diagonal as diagonal
from tinygrad_lite.ops.linalg.products import multi_dot, vecdot
from tinygrad_lite.ops.linalg.qr import householder_product
from tinygrad_lite.ops.linalg.qr import linalg_qr as qr
from tinygrad_lite.ops.linalg.solving import lstsq, solve, solve_ex, tensorinv, tensorsolve
from tinygrad_lite.ops.linalg.svd import linalg_svd as svd
from tinygrad_lite.ops.linalg.svd import matrix_rank, svdvals
from tinygrad_lite.ops.linalg.triangular import solve_triangular

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eigh", "eigvalsh", "householder_product",
    "inv", "inv_ex", "lstsq", "lu", "lu_factor", "lu_factor_ex", "lu_solve", "matmul", "matrix_exp", "matrix_norm",
    "matrix_power", "matrix_rank", "multi_dot", "norm", "pinv", "qr", "slogdet", "solve", "solve_ex", "solve_triangular",
    "svd", "svdvals", "tensorinv", "tensorsolve", "vander", "vecdot", "vector_norm",
]  # fmt: skip
