"""A strict stand-in for CuPy, on NumPy: what would fail or be slow on a GPU fails here.

Its arrays are not NumPy arrays, never become NumPy arrays implicitly, and do not mix with them; a reduction returns a 0-d
array; an integer index out of range wraps; of several values assigned to one position, none arrives; functions that CuPy
lacks do not exist. There are two devices, whose arrays do not mix. Transfers between host and device are recorded
(`runtime.transfers`), and so is each function called (`used`).
"""

from tests.standin.modules import install, used
from tests.standin.runtime import transfers

__all__ = ["install", "transfers", "used"]
