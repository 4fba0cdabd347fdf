"""The public module of study/progress.py."""

from tinygrad_lite.optim.study.progress import Progress, iterations_to

__all__ = ["Progress", "iterations_to"]
