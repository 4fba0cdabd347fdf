"""Reductions and operations along a dim: sums, extremes, sorting, statistics."""
