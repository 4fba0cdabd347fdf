"""Shape, order, dtype and place of elements: views, indexing, joining, scattering, changes in place."""
