"""The public module of study/stopping.py."""

from tinygrad_lite.optim.study.stopping import EarlyStopping, EpochGradient, WeightChange, kind_of_point

__all__ = ["EarlyStopping", "EpochGradient", "WeightChange", "kind_of_point"]
