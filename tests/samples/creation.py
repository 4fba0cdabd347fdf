"""Samples for creation."""

import numpy as np

from tests.check_op import sample

sample("moved", np.ones((2, 3)), "cpu", reference=lambda x, device: x, order=1)
