"""Utilities for training programs: data loading and activation checkpointing."""

from tinygrad_lite.utils import checkpoint, data

__all__ = ["checkpoint", "data"]
