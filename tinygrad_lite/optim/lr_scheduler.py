"""Learning rate schedules: the public module of schedules/."""

from tinygrad_lite.optim.schedules.base import LRScheduler
from tinygrad_lite.optim.schedules.combined import ChainedScheduler, SequentialLR
from tinygrad_lite.optim.schedules.cycles import CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from tinygrad_lite.optim.schedules.formulas import (
    ConstantLR,
    CosineAnnealingLR,
    ExponentialLR,
    InverseTimeLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from tinygrad_lite.optim.schedules.plateau import ReduceLROnPlateau
from tinygrad_lite.optim.schedules.robbins_monro import Verdict, picture, preview, robbins_monro

_LRScheduler = LRScheduler  # its old name, which programs still use

__all__ = [
    "ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts", "CyclicLR", "ExponentialLR",
    "InverseTimeLR", "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR", "MultiplicativeLR", "OneCycleLR",
    "PolynomialLR", "ReduceLROnPlateau", "SequentialLR", "StepLR", "Verdict", "picture", "preview", "robbins_monro",
]  # fmt: skip
