"""What programs need beside models: data loading."""

from tinygrad_lite.utils import data

__all__ = ["data"]
