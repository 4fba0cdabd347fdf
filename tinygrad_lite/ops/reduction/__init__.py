"""Functions of all elements along a dim: sums, extremes, order, statistics."""
