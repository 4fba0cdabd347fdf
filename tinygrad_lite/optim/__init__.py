"""Optimizers, which see only parameters and their gradients. docs/lectures.md has the lecture items that docstrings cite."""

from typing import TYPE_CHECKING

from tinygrad_lite._first_use import at_first_use
from tinygrad_lite.optim import averaging, curvature, lr_scheduler, swa_utils
from tinygrad_lite.optim.curvature import GaussNewton, Hessian, hvp
from tinygrad_lite.optim.hooks import register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from tinygrad_lite.optim.methods.adafactor import Adafactor
from tinygrad_lite.optim.methods.adam import Adam, Adamax, AdamW, NAdam, RAdam
from tinygrad_lite.optim.methods.adaptive import Adadelta, Adagrad, RMSprop
from tinygrad_lite.optim.methods.asgd import ASGD
from tinygrad_lite.optim.methods.lbfgs import LBFGS
from tinygrad_lite.optim.methods.momentum import HeavyBall, Momentum, Nesterov, convert_momentum
from tinygrad_lite.optim.methods.muon import Muon
from tinygrad_lite.optim.methods.newton import CGNewton, Newton
from tinygrad_lite.optim.methods.rprop import QuickProp, Rprop
from tinygrad_lite.optim.methods.sgd import SGD
from tinygrad_lite.optim.optimizer import Optimizer
from tinygrad_lite.optim.study.effective_rates import EffectiveRates

if TYPE_CHECKING:
    from tinygrad_lite.optim import diagnosis, noise, order_zero, progress, stopping, surfaces

__all__ = [
    "ASGD", "LBFGS", "SGD", "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "CGNewton", "EffectiveRates",
    "GaussNewton", "HeavyBall", "Hessian", "Momentum", "Muon", "NAdam", "Nesterov", "Newton", "Optimizer", "QuickProp",
    "RAdam", "RMSprop", "Rprop", "averaging", "convert_momentum", "curvature", "hvp", "lr_scheduler", "noise",
    "order_zero", "progress", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook", "stopping", "swa_utils",
]  # fmt: skip

# Imported at first use: few programs need them.
_LATER = ("diagnosis", "noise", "order_zero", "progress", "stopping", "surfaces")


__getattr__, __dir__ = at_first_use(__name__, _LATER)
