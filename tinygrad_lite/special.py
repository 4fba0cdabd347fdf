"""Special functions under the names of torch.special."""

from tinygrad_lite.ops.math.bessel import (
    airy_ai,
    bessel_j0,
    bessel_j1,
    bessel_y0,
    bessel_y1,
    i0,
    i0e,
    i1,
    i1e,
    modified_bessel_i0,
    modified_bessel_i1,
    modified_bessel_k0,
    modified_bessel_k1,
    scaled_modified_bessel_k0,
    scaled_modified_bessel_k1,
    spherical_bessel_j0,
)
from tinygrad_lite.ops.math.elementary import erf, erfc, exp2, expm1, log1p, logit, sinc, xlogy
from tinygrad_lite.ops.math.elementary import sigmoid as expit
from tinygrad_lite.ops.math.polynomials import (
    chebyshev_polynomial_t,
    chebyshev_polynomial_u,
    chebyshev_polynomial_v,
    chebyshev_polynomial_w,
    hermite_polynomial_h,
    hermite_polynomial_he,
    laguerre_polynomial_l,
    legendre_polynomial_p,
    shifted_chebyshev_polynomial_t,
    shifted_chebyshev_polynomial_u,
    shifted_chebyshev_polynomial_v,
    shifted_chebyshev_polynomial_w,
)
from tinygrad_lite.ops.math.rounding import round
from tinygrad_lite.ops.math.special import digamma, entr, erfcx, erfinv, log_ndtr, ndtr, ndtri, polygamma, xlog1py, zeta
from tinygrad_lite.ops.math.special import digamma as psi
from tinygrad_lite.ops.math.special import igamma as gammainc
from tinygrad_lite.ops.math.special import igammac as gammaincc
from tinygrad_lite.ops.math.special import lgamma as gammaln
from tinygrad_lite.ops.math.special import mvlgamma as multigammaln
from tinygrad_lite.ops.nn.softmax import log_softmax, softmax
from tinygrad_lite.ops.reduction.sums import logsumexp

__all__ = [
    "airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "chebyshev_polynomial_t", "chebyshev_polynomial_u",
    "chebyshev_polynomial_v", "chebyshev_polynomial_w", "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2",
    "expit", "expm1", "gammainc", "gammaincc", "gammaln", "hermite_polynomial_h", "hermite_polynomial_he", "i0", "i0e",
    "i1", "i1e", "laguerre_polynomial_l", "legendre_polynomial_p", "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp",
    "modified_bessel_i0", "modified_bessel_i1", "modified_bessel_k0", "modified_bessel_k1", "multigammaln", "ndtr", "ndtri",
    "polygamma", "psi", "round", "scaled_modified_bessel_k0", "scaled_modified_bessel_k1", "shifted_chebyshev_polynomial_t",
    "shifted_chebyshev_polynomial_u", "shifted_chebyshev_polynomial_v", "shifted_chebyshev_polynomial_w", "sinc", "softmax",
    "spherical_bessel_j0", "xlog1py", "xlogy", "zeta",
]  # fmt: skip
