"""Utilities for training programs: data loading and activation checkpointing."""

from tinygrad_lite.utils import checkpoint, data, hooks

__all__ = ["checkpoint", "data", "hooks"]
