"""Special functions under the names of torch.special."""

from tinygrad_lite.ops.elementary import erf, erfc, exp2, expm1, log1p, logit, sinc, xlogy
from tinygrad_lite.ops.elementary import sigmoid as expit
from tinygrad_lite.ops.piecewise import round
from tinygrad_lite.ops.reduction import logsumexp
from tinygrad_lite.ops.softmaxes import log_softmax, softmax
from tinygrad_lite.ops.special import (
    digamma,
    entr,
    erfcx,
    erfinv,
    i0,
    i0e,
    i1,
    i1e,
    log_ndtr,
    ndtr,
    ndtri,
    polygamma,
    xlog1py,
    zeta,
)
from tinygrad_lite.ops.special import digamma as psi
from tinygrad_lite.ops.special import igamma as gammainc
from tinygrad_lite.ops.special import igammac as gammaincc
from tinygrad_lite.ops.special import lgamma as gammaln
from tinygrad_lite.ops.special import mvlgamma as multigammaln

__all__ = [
    "digamma", "entr", "erf", "erfc", "erfcx", "erfinv", "exp2", "expit", "expm1", "gammainc", "gammaincc", "gammaln", "i0",
    "i0e", "i1", "i1e", "log1p", "log_ndtr", "log_softmax", "logit", "logsumexp", "multigammaln", "ndtr", "ndtri",
    "polygamma", "psi", "round", "sinc", "softmax", "xlog1py", "xlogy", "zeta",
]  # fmt: skip
