"""torch.autograd's names, and tools that inspect the tape. They build on the engine, which knows none of them."""

from typing import TYPE_CHECKING

from tinygrad_lite._first_use import at_first_use
from tinygrad_lite.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from tinygrad_lite.engine.primitive import NONDIFFERENTIABLE, REGISTRY, primitive
from tinygrad_lite.ops.nondifferentiable import nondifferentiable

if TYPE_CHECKING:
    from tinygrad_lite.autograd import functional, graph
    from tinygrad_lite.autograd.anomaly import (
        detect_anomaly,
        is_anomaly_check_nan_enabled,
        is_anomaly_enabled,
        set_anomaly_enabled,
        set_detect_anomaly,
    )
    from tinygrad_lite.autograd.finite_differences import GradcheckError, gradcheck, gradgradcheck
    from tinygrad_lite.autograd.function import Function, once_differentiable
    from tinygrad_lite.autograd.gradients import backward, grad
    from tinygrad_lite.autograd.table import Tape, tape_lines, tape_of
    from tinygrad_lite.autograd.variable import Variable

# Imported at first use: most training programs need none of them, and they would add 3 ms to the import.
_LATER = {
    "anomaly": (
        "detect_anomaly", "is_anomaly_check_nan_enabled", "is_anomaly_enabled", "set_anomaly_enabled", "set_detect_anomaly",
    ),
    "finite_differences": ("GradcheckError", "gradcheck", "gradgradcheck"),
    "function": ("Function", "once_differentiable"),
    "functional": (),
    "gradients": ("backward", "grad"),
    "graph": (),
    "table": ("Tape", "tape_lines", "tape_of"),
    "variable": ("Variable",),
}  # fmt: skip
_HOME = {name: module for module, names in _LATER.items() for name in names}

__all__ = [
    "NONDIFFERENTIABLE", "REGISTRY", "Function", "GradcheckError", "Tape", "Variable", "backward", "detect_anomaly",
    "enable_grad", "functional", "grad", "gradcheck", "gradgradcheck", "graph", "inference_mode",
    "is_anomaly_check_nan_enabled", "is_anomaly_enabled", "is_grad_enabled", "is_inference_mode_enabled", "no_grad",
    "nondifferentiable", "once_differentiable", "primitive", "set_anomaly_enabled", "set_detect_anomaly",
    "set_grad_enabled", "tape_lines", "tape_of",
]  # fmt: skip


__getattr__, __dir__ = at_first_use(__name__, _LATER, _HOME)
