"""Linear algebra: products, norms, factorizations, linear systems."""
