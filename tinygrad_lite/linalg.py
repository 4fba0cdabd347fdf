"""Linear algebra, as `torch.linalg`: `tg.linalg.vector_norm`, ..."""

from tinygrad_lite.ops.norms import vector_norm

__all__ = ["vector_norm"]
