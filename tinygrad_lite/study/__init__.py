"""See the backward pass: record a step with its values, go through it step by step."""

from tinygrad_lite.study.entries import Contribution, Entry, Pass, Step
from tinygrad_lite.study.explaining import explain
from tinygrad_lite.study.explanation import Cause, Explanation, Explanations
from tinygrad_lite.study.inserting import Gradient, insert_grad
from tinygrad_lite.study.recording import Tape, record
from tinygrad_lite.study.routes import Layer, Path, Paths, paths
from tinygrad_lite.study.stepping import Sent, Stepper, Stop
from tinygrad_lite.study.stopping import NonFiniteError, first_bad
from tinygrad_lite.study.values import Values

__all__ = [
    "Cause", "Contribution", "Entry", "Explanation", "Explanations", "Gradient", "Layer", "NonFiniteError", "Pass", "Path", "Paths",
    "Sent", "Step", "Stepper", "Stop", "Tape", "Values", "explain", "first_bad", "insert_grad", "paths", "record",
]  # fmt: skip
