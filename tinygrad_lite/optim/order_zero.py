"""The public module of study/order_zero.py."""

from tinygrad_lite.optim.study.order_zero import simultaneous_perturbation

__all__ = ["simultaneous_perturbation"]
