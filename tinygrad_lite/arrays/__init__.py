"""Arrays: the only code that distinguishes NumPy from CuPy."""

from tinygrad_lite.arrays.blas import axpby
from tinygrad_lite.arrays.blocked import BLOCK, by_blocks, elementwise, mapped
from tinygrad_lite.arrays.devices import (
    Array,
    Device,
    as_array,
    constant,
    cupy_or_explain,
    default_device,
    device_of,
    filled,
    get_default_device,
    is_array,
    is_cupy,
    kept,
    namespace_for,
    namespace_of,
    on_device,
    scipy_of,
    set_default_device,
    to_device,
    to_numpy,
)
from tinygrad_lite.arrays.dtypes import (
    AbsentDtype,
    DType,
    as_dtype,
    as_float,
    bool_,
    check_number,
    common_dtype,
    default_float,
    dtype_of_number,
    epsilon,
    float16,
    float32,
    float64,
    get_default_dtype,
    int8,
    int32,
    int64,
    is_floating,
    is_number,
    limits,
    number_for,
    only_floats,
    only_integers,
    only_numbers,
    only_tensors,
    promote,
    promote_floats,
    promote_tensors,
    promoted,
    promoted_floats,
    refuse_bools,
    set_default_dtype,
    some_tensor,
    uint8,
    wide,
)
from tinygrad_lite.arrays.errstate import quietly
from tinygrad_lite.arrays.kernels.factorizations import cholesky_of, linalg, lu_of, solve_triangular_of, with_one_batch
from tinygrad_lite.arrays.kernels.products import column_sums, product, rows
from tinygrad_lite.arrays.kernels.reductions import add_up, extreme, sum_to_shape
from tinygrad_lite.arrays.kernels.rows import exponentials, row_products, row_sums
from tinygrad_lite.arrays.kernels.scatter import flat_places, scatter_add
from tinygrad_lite.arrays.kernels.sorting import accumulate, order, recurrence
from tinygrad_lite.arrays.kernels.special import erf_of, erfc_of, expm1_below_0, log1p_up_to_1, normal_cdf, special
from tinygrad_lite.arrays.kernels.where import choose
from tinygrad_lite.arrays.memory import address_range, empty_like, in_order, on_cache_lines, order_kept, owner_of, start_of, strided
from tinygrad_lite.arrays.shared_products import affine
from tinygrad_lite.arrays.threads import get_num_threads, in_threads, set_num_threads
from tinygrad_lite.arrays.tuning import tune, tune_by_default
