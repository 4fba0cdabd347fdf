"""For tests of programs, and for people who write their own operations: comparisons, and checks that say what is wrong."""

from tinygrad_lite.testing.backprop import Comparison, compare_backprop
from tinygrad_lite.testing.closeness import assert_close
from tinygrad_lite.testing.operations import check_function
from tinygrad_lite.testing.report import Finding, Report

__all__ = ["Comparison", "Finding", "Report", "assert_close", "check_function", "compare_backprop"]
