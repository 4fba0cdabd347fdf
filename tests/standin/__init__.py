"""A strict stand-in for CuPy, on NumPy: what would fail, or be slow, on a GPU fails here.

Its arrays are no NumPy arrays, become none by accident and do not meet them; a reduction gives a 0-d
array; an integer index out of range wraps; of several values assigned to one place none arrives; what
CuPy lacks does not exist. There are two devices, whose arrays do not meet. What crosses between host and
device is written down (`runtime.transfers`), and so is each function that was called (`used`).
"""

from tests.standin.modules import install, used
from tests.standin.runtime import transfers

__all__ = ["install", "transfers", "used"]
