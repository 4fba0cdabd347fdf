"""Samples for special functions."""

import numpy as np
import pytest

from tests.check_op import sample

special = pytest.importorskip("scipy.special")

draw = np.random.default_rng(6)
x, positive, inside = draw.standard_normal((2, 3)), draw.uniform(0.5, 2, (2, 3)), draw.uniform(0.1, 0.9, (2, 3))

sample("lgamma", positive, reference=special.gammaln, elementwise=True)
sample("polygamma", positive, 0, reference=lambda x, n: special.digamma(x), elementwise=True)
sample("polygamma", positive, 2, reference=lambda x, n: special.polygamma(n, x))
for upper, name in ((False, "gammainc"), (True, "gammaincc")):
    sample(
        "igamma", 1.5 + positive, positive, upper, reference=lambda x, y, _, name=name: getattr(special, name)(x, y),
        elementwise=True, differentiable=[1],
    )  # fmt: skip
sample("zeta", 1.5 + positive, positive, reference=special.zeta, elementwise=True, differentiable=[1])
sample("erfinv", inside, reference=special.erfinv, elementwise=True)
sample("erfcx", x, reference=special.erfcx, elementwise=True)
sample("ndtri", inside, reference=special.ndtri, elementwise=True)
for i, kind in enumerate(("ai", "aip")):
    sample("bessel", x, kind, reference=lambda x, _, i=i: special.airy(x)[i], elementwise=True)
for kind in ("j0", "j1", "y0", "y1", "i0", "i1", "i0e", "i1e", "k0", "k1", "k0e", "k1e"):
    values = x if kind[0] in "ij" else positive
    sample("bessel", values, kind, reference=lambda x, kind: getattr(special, kind)(x), elementwise=True)
sample("entr", positive, reference=special.entr, elementwise=True)
sample("xlog1py", x, positive, reference=special.xlog1py, elementwise=True)
