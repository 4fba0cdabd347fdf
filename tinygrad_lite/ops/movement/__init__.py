"""Shape, order, dtype and position of elements: views, indexing, joining, scattering, in-place changes."""
