"""See the backward pass: record a step with its values, go through it step by step."""

from tinygrad_lite.study.entries import Contribution, Entry, Pass, Step
from tinygrad_lite.study.recording import Tape, record
from tinygrad_lite.study.stepping import Sent, Stepper, Stop
from tinygrad_lite.study.values import Values

__all__ = ["Contribution", "Entry", "Pass", "Sent", "Step", "Stepper", "Stop", "Tape", "Values", "record"]
