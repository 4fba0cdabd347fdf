"""What programs need beside models: data loading, and checkpoints of activations."""

from tinygrad_lite.utils import checkpoint, data

__all__ = ["checkpoint", "data"]
