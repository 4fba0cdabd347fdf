"""The operations, a file a family. A name's rule stands beside its forward function.

Those of networks are gathered in networks.py, which is imported when it is needed.
"""

from tinygrad_lite.ops.arithmetic import *
from tinygrad_lite.ops.bessel import *
from tinygrad_lite.ops.bitwise import *
from tinygrad_lite.ops.casting import *
from tinygrad_lite.ops.comparison import *
from tinygrad_lite.ops.conjugates import *
from tinygrad_lite.ops.contraction import *
from tinygrad_lite.ops.conversion import *
from tinygrad_lite.ops.copies import *
from tinygrad_lite.ops.creation import *
from tinygrad_lite.ops.cumulative import *
from tinygrad_lite.ops.diagonals import *
from tinygrad_lite.ops.differences import *
from tinygrad_lite.ops.elementary import *
from tinygrad_lite.ops.generators import *
from tinygrad_lite.ops.histograms import *
from tinygrad_lite.ops.indexing import *
from tinygrad_lite.ops.inplace import *
from tinygrad_lite.ops.joining import *
from tinygrad_lite.ops.lengths import *
from tinygrad_lite.ops.masking import *
from tinygrad_lite.ops.matrix_functions import *
from tinygrad_lite.ops.norms import *
from tinygrad_lite.ops.piecewise import *
from tinygrad_lite.ops.products import *
from tinygrad_lite.ops.random import *
from tinygrad_lite.ops.rectifiers import *
from tinygrad_lite.ops.reduction import *
from tinygrad_lite.ops.repeating import *
from tinygrad_lite.ops.scattering import *
from tinygrad_lite.ops.shape import *
from tinygrad_lite.ops.softmaxes import *
from tinygrad_lite.ops.solving import *
from tinygrad_lite.ops.sorting import *
from tinygrad_lite.ops.special import *
from tinygrad_lite.ops.spectral import *
from tinygrad_lite.ops.statistics import *
from tinygrad_lite.ops.storage import *
from tinygrad_lite.ops.strided_views import *
from tinygrad_lite.ops.triangular import *
from tinygrad_lite.ops.types import *
from tinygrad_lite.ops.vectors import *

# A family says which of its functions are methods of a Tensor too, and which have an in-place form.
FAMILIES = tuple(module for module in list(vars().values()) if hasattr(module, "METHODS"))

__all__ = [name for family in FAMILIES for name in family.__all__]  # and not the families' own names
