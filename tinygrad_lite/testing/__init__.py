"""For tests of programs, and for people who write their own: comparisons, and checks that say in words what is wrong."""

from tinygrad_lite.testing.backprop import Comparison, compare_backprop
from tinygrad_lite.testing.checking import check_op
from tinygrad_lite.testing.closeness import assert_close
from tinygrad_lite.testing.losses import check_loss
from tinygrad_lite.testing.modules import check_module
from tinygrad_lite.testing.operations import check_function
from tinygrad_lite.testing.optimizers import check_optimizer
from tinygrad_lite.testing.report import Finding, Report

__all__ = [
    "Comparison", "Finding", "Report", "assert_close", "check_function", "check_loss", "check_module", "check_op",
    "check_optimizer", "compare_backprop",
]  # fmt: skip
