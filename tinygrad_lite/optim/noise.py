"""The public module of study/noise.py."""

from tinygrad_lite.optim.study.noise import Noise, gradient_noise, per_sample_gradients

__all__ = ["Noise", "gradient_noise", "per_sample_gradients"]
