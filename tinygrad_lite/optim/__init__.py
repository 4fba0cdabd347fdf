"""Optimizers. They see parameters and their gradients, nothing else."""

from tinygrad_lite.optim import lr_scheduler, swa_utils
from tinygrad_lite.optim.adafactor import Adafactor
from tinygrad_lite.optim.adam import Adam, Adamax, AdamW, NAdam, RAdam
from tinygrad_lite.optim.adaptive import Adadelta, Adagrad, RMSprop
from tinygrad_lite.optim.asgd import ASGD
from tinygrad_lite.optim.lbfgs import LBFGS
from tinygrad_lite.optim.muon import Muon
from tinygrad_lite.optim.optimizer import Optimizer
from tinygrad_lite.optim.rprop import QuickProp, Rprop
from tinygrad_lite.optim.sgd import SGD

__all__ = [
    "ASGD",
    "LBFGS",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Muon",
    "NAdam",
    "Optimizer",
    "QuickProp",
    "RAdam",
    "RMSprop",
    "Rprop",
    "lr_scheduler",
    "swa_utils",
]
