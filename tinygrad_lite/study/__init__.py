"""See the backward pass: record a step with its values, go through it step by step, see what it keeps, and watch a training."""

from tinygrad_lite.study.differences import Change, Difference
from tinygrad_lite.study.entries import Contribution, Entry, Pass, Step
from tinygrad_lite.study.explaining import explain
from tinygrad_lite.study.explanation import Cause, Explanation, Explanations
from tinygrad_lite.study.holding import Holder, Holders, holders
from tinygrad_lite.study.inserting import Gradient, insert_grad
from tinygrad_lite.study.kept_memory import Block, Memory, Use, memory
from tinygrad_lite.study.live_memory import Life, Moment, Timeline, timeline
from tinygrad_lite.study.measures import SeenLayer, SeenStep
from tinygrad_lite.study.recording import record
from tinygrad_lite.study.routes import Layer, Path, Paths, paths
from tinygrad_lite.study.stepping import Sent, Stepper, Stop
from tinygrad_lite.study.stopping import NonFiniteError, first_bad
from tinygrad_lite.study.tape import Tape
from tinygrad_lite.study.values import Values
from tinygrad_lite.study.watching import watch

__all__ = [
    "Block", "Cause", "Change", "Contribution", "Difference", "Entry", "Explanation", "Explanations", "Gradient", "Holder",
    "Holders", "Layer", "Life", "Memory", "Moment", "NonFiniteError", "Pass", "Path", "Paths", "SeenLayer", "SeenStep", "Sent",
    "Step", "Stepper", "Stop", "Tape", "Timeline", "Use", "Values", "explain", "first_bad", "holders", "insert_grad", "memory",
    "paths", "record", "timeline", "watch",
]  # fmt: skip
