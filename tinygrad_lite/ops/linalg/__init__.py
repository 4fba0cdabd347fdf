"""Linear algebra: products, norms, factorizations, systems of equations."""
