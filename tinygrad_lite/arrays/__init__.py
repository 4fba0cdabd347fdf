"""The only code that tells NumPy from CuPy."""

from tinygrad_lite.arrays.blas import axpby, let_threads_rest
from tinygrad_lite.arrays.blocked import BLOCK, by_blocks, elementwise, mapped
from tinygrad_lite.arrays.choice import choose
from tinygrad_lite.arrays.devices import (
    Array,
    Device,
    as_array,
    cupy_or_explain,
    default_device,
    device_of,
    get_default_device,
    is_array,
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
    as_dtype,
    as_float,
    common_dtype,
    default_float,
    get_default_dtype,
    is_floating,
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
    set_default_dtype,
    some_tensor,
)
from tinygrad_lite.arrays.factors import linalg, lu_of, solve_triangular_of, with_one_batch
from tinygrad_lite.arrays.memory import address_range, keep_freed_memory, on_cache_lines, owner_of, start_of, strided
from tinygrad_lite.arrays.order import accumulate, order, recurrence
from tinygrad_lite.arrays.products import column_sums, product, rows
from tinygrad_lite.arrays.quiet import quietly
from tinygrad_lite.arrays.reductions import add_up, extreme
from tinygrad_lite.arrays.rowwise import exponentials, row_products, row_sums
from tinygrad_lite.arrays.scatter import flat_places, scatter_add
from tinygrad_lite.arrays.special import erf_of, erfc_of, special
from tinygrad_lite.arrays.threads import get_num_threads, in_threads, set_num_threads

__all__ = [
    "BLOCK",
    "AbsentDtype",
    "Array",
    "Device",
    "accumulate",
    "add_up",
    "address_range",
    "as_array",
    "as_dtype",
    "as_float",
    "axpby",
    "by_blocks",
    "choose",
    "column_sums",
    "common_dtype",
    "cupy_or_explain",
    "default_device",
    "default_float",
    "device_of",
    "elementwise",
    "erf_of",
    "erfc_of",
    "exponentials",
    "extreme",
    "flat_places",
    "get_default_device",
    "get_default_dtype",
    "get_num_threads",
    "in_threads",
    "is_array",
    "is_floating",
    "keep_freed_memory",
    "linalg",
    "lu_of",
    "mapped",
    "namespace_for",
    "namespace_of",
    "number_for",
    "on_cache_lines",
    "on_device",
    "only_floats",
    "only_integers",
    "only_numbers",
    "only_tensors",
    "order",
    "owner_of",
    "product",
    "promote",
    "promote_floats",
    "promote_tensors",
    "promoted",
    "promoted_floats",
    "quietly",
    "recurrence",
    "row_products",
    "row_sums",
    "rows",
    "scatter_add",
    "scipy_of",
    "set_default_device",
    "set_default_dtype",
    "set_num_threads",
    "solve_triangular_of",
    "some_tensor",
    "special",
    "start_of",
    "strided",
    "to_device",
    "to_numpy",
    "with_one_batch",
]

keep_freed_memory()  # a step of a small convolutional network: 40 ms instead of 52 (one thread)
let_threads_rest()
