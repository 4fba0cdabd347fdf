"""Learning rates as functions of time."""

from tinygrad_lite.optim.lr_scheduler.base import LRScheduler
from tinygrad_lite.optim.lr_scheduler.combined import ChainedScheduler, ReduceLROnPlateau, SequentialLR
from tinygrad_lite.optim.lr_scheduler.cycles import CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from tinygrad_lite.optim.lr_scheduler.formulas import (
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
from tinygrad_lite.optim.lr_scheduler.robbins_monro import Verdict, picture, preview, robbins_monro

_LRScheduler = LRScheduler  # its former name, which programs still use

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "InverseTimeLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
    "Verdict",
    "picture",
    "preview",
    "robbins_monro",
]
