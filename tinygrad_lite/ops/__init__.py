"""Operations: a folder per theme, a file per family, each rule beside its forward function.

The operations of neural networks are gathered in nn/exports.py, which is imported at first use.
"""

from tinygrad_lite.ops import calculus, types
from tinygrad_lite.ops.creation import conversion, factories
from tinygrad_lite.ops.linalg import (
    checks, cholesky as _cholesky, eigh, einsum as _einsum, inverses, lu, matrix_functions, norms, products, qr as _qr, solving, svd as
    _svd, triangular,
)
from tinygrad_lite.ops.math import (
    arithmetic, bessel, bitwise, clamping, comparison, complex, elementary, rounding, signs, special, where as _where,
)
from tinygrad_lite.ops.movement import (
    broadcasting, casting, copying, diagonals, dtype_methods, flipping, indexing, inplace, joining, masking, repeating, scattering, shape,
    storage, strides, transposing, view_copies,
)
from tinygrad_lite.ops.nn import piecewise_activations, softmax as _softmax
from tinygrad_lite.ops.random import generators, sampling
from tinygrad_lite.ops.reduction import cumulative, differences, extremes, histograms, sorting, statistics, sums
from tinygrad_lite.ops.calculus import abs, cos, exp, log, matmul, maximum, minimum, mul, neg, pow, sign, sin, sqrt, tanh
from tinygrad_lite.ops.types import (
    can_cast, finfo, iinfo, is_complex, is_conj, is_distributed, is_floating_point, is_inference, is_neg, is_nonzero, is_same_size,
    is_signed, is_tensor, numel, promote_types, result_type,
)
from tinygrad_lite.ops.creation.conversion import (
    BoolTensor, ByteTensor, CharTensor, DoubleTensor, FloatTensor, HalfTensor, IntTensor, LongTensor, ShortTensor, as_tensor, asarray,
    from_dlpack, from_numpy, frombuffer, scalar_tensor, tensor,
)
from tinygrad_lite.ops.creation.factories import (
    arange, empty, empty_like, eye, full, full_like, linspace, logspace, ones, ones_like, range, zeros, zeros_like,
)
from tinygrad_lite.ops.movement.broadcasting import broadcast_shapes, broadcast_tensors, broadcast_to
from tinygrad_lite.ops.movement.copying import clone
from tinygrad_lite.ops.movement.diagonals import block_diag, diag, diag_embed, diagflat, diagonal, tril, tril_indices, triu, triu_indices
from tinygrad_lite.ops.movement.flipping import flip, fliplr, flipud, roll, rot90
from tinygrad_lite.ops.movement.indexing import (
    argwhere, gather, index_select, narrow, nonzero, nonzero_static, select, take, take_along_dim, unravel_index,
)
from tinygrad_lite.ops.movement.joining import (
    cat, chunk, column_stack, concat, concatenate, dsplit, dstack, hsplit, hstack, row_stack, split, split_with_sizes, stack, tensor_split,
    unbind, unsafe_chunk, unsafe_split, vsplit, vstack,
)
from tinygrad_lite.ops.movement.masking import fill, masked_fill, masked_scatter, masked_select
from tinygrad_lite.ops.movement.repeating import repeat_interleave, tile
from tinygrad_lite.ops.movement.scattering import (
    as_strided_scatter, diagonal_scatter, index_add, index_copy, index_fill, index_put, index_reduce, put, scatter, scatter_add,
    scatter_reduce, select_scatter, slice_scatter,
)
from tinygrad_lite.ops.movement.shape import atleast_1d, atleast_2d, atleast_3d, flatten, ravel, reshape, squeeze, unflatten, unsqueeze
from tinygrad_lite.ops.movement.storage import empty_permuted, empty_strided
from tinygrad_lite.ops.movement.strides import as_strided
from tinygrad_lite.ops.movement.transposing import adjoint, moveaxis, movedim, permute, swapaxes, swapdims, t, transpose
from tinygrad_lite.ops.movement.view_copies import (
    alias_copy, as_strided_copy, detach_copy, diagonal_copy, expand_copy, narrow_copy, permute_copy, select_copy, slice_copy, split_copy,
    split_with_sizes_copy, squeeze_copy, t_copy, transpose_copy, unbind_copy, unfold_copy, unsqueeze_copy, view_copy,
)
from tinygrad_lite.ops.math.arithmetic import (
    add, addcdiv, addcmul, div, divide, float_power, floor_divide, fmod, frexp, ldexp, lerp, multiply, negative, positive, reciprocal,
    remainder, rsub, square, sub, subtract, true_divide,
)
from tinygrad_lite.ops.math.bessel import i0
from tinygrad_lite.ops.math.bitwise import (
    bitwise_and, bitwise_left_shift, bitwise_not, bitwise_or, bitwise_right_shift, bitwise_xor, gcd, lcm,
)
from tinygrad_lite.ops.math.clamping import clamp, clamp_max, clamp_min, clip, fmax, fmin, nan_to_num
from tinygrad_lite.ops.math.comparison import (
    allclose, eq, equal, ge, greater, greater_equal, gt, isclose, isfinite, isin, isinf, isnan, isneginf, isposinf, isreal, le, less,
    less_equal, logical_and, logical_not, logical_or, logical_xor, lt, ne, not_equal,
)
from tinygrad_lite.ops.math.complex import angle, conj, conj_physical, real, resolve_conj, resolve_neg
from tinygrad_lite.ops.math.elementary import (
    acos, acosh, arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh, asin, asinh, atan, atan2, atanh, cosh, deg2rad, erf, erfc,
    exp2, expm1, hypot, log10, log1p, log2, logaddexp, logaddexp2, logit, rad2deg, rsqrt, sigmoid, sinc, sinh, tan, xlogy,
)
from tinygrad_lite.ops.math.rounding import ceil, fix, floor, frac, round, trunc
from tinygrad_lite.ops.math.signs import absolute, copysign, heaviside, nextafter, sgn, signbit
from tinygrad_lite.ops.math.special import digamma, erfinv, igamma, igammac, lgamma, mvlgamma, polygamma
from tinygrad_lite.ops.math.where import where
from tinygrad_lite.ops.reduction.cumulative import cummax, cummin, cumprod, cumsum, logcumsumexp
from tinygrad_lite.ops.reduction.differences import cumulative_trapezoid, diff, gradient, trapezoid, trapz
from tinygrad_lite.ops.reduction.extremes import all, amax, amin, aminmax, any, argmax, argmin, max, min
from tinygrad_lite.ops.reduction.histograms import histogram, histogramdd
from tinygrad_lite.ops.reduction.sorting import (
    argsort, bucketize, kthvalue, median, mode, msort, nanmedian, searchsorted, sort, topk, unique, unique_consecutive,
)
from tinygrad_lite.ops.reduction.statistics import bincount, corrcoef, cov, histc, nanquantile, quantile, std, std_mean, var, var_mean
from tinygrad_lite.ops.reduction.sums import count_nonzero, logsumexp, mean, nanmean, nansum, prod, sum
from tinygrad_lite.ops.linalg.cholesky import cholesky, cholesky_inverse, cholesky_solve
from tinygrad_lite.ops.linalg.einsum import einsum, tensordot
from tinygrad_lite.ops.linalg.inverses import inverse, pinverse
from tinygrad_lite.ops.linalg.lu import lu_solve, lu_unpack
from tinygrad_lite.ops.linalg.matrix_functions import det, logdet, matrix_exp, matrix_power, slogdet
from tinygrad_lite.ops.linalg.norms import dist, norm, renorm
from tinygrad_lite.ops.linalg.products import (
    addbmm, addmm, addmv, addr, baddbmm, bmm, chain_matmul, cross, dot, ger, inner, kron, mm, mv, outer, trace, vdot,
)
from tinygrad_lite.ops.linalg.qr import orgqr, qr
from tinygrad_lite.ops.linalg.svd import svd
from tinygrad_lite.ops.nn.piecewise_activations import hardshrink, prelu, relu, relu_, rrelu, rrelu_, threshold, threshold_
from tinygrad_lite.ops.nn.softmax import log_softmax, softmax
from tinygrad_lite.ops.random.generators import Generator, default_generator, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from tinygrad_lite.ops.random.sampling import (
    bernoulli, multinomial, normal, poisson, rand, rand_like, randint, randint_like, randn, randn_like, randperm,
)

# The families whose names are exported here.
FAMILIES = (
    calculus, types, conversion, factories, broadcasting, copying, diagonals, flipping, indexing, joining, masking, repeating, scattering,
    shape, storage, strides, transposing, view_copies, arithmetic, bessel, bitwise, clamping, comparison, complex, elementary, rounding,
    signs, special, _where, cumulative, differences, extremes, histograms, sorting, statistics, sums, _cholesky, _einsum, inverses, lu,
    matrix_functions, norms, products, _qr, _svd, piecewise_activations, _softmax, generators, sampling,
)

__all__ = [name for family in FAMILIES for name in family.__all__]  # without the names of the modules
