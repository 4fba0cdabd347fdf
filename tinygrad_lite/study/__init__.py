"""See the backward pass: record a step with its values, go through it step by step, see what it keeps."""

from tinygrad_lite.study.differences import Change, Difference
from tinygrad_lite.study.entries import Contribution, Entry, Pass, Step
from tinygrad_lite.study.holding import Holder, Holders, holders
from tinygrad_lite.study.kept_memory import Block, Memory, Use, memory
from tinygrad_lite.study.live_memory import Life, Moment, Timeline, timeline
from tinygrad_lite.study.recording import Tape, record
from tinygrad_lite.study.stepping import Sent, Stepper, Stop
from tinygrad_lite.study.values import Values

__all__ = [
    "Block", "Change", "Contribution", "Difference", "Entry", "Holder", "Holders", "Life", "Memory", "Moment", "Pass", "Sent",
    "Step", "Stepper", "Stop", "Tape", "Timeline", "Use", "Values", "holders", "memory", "record", "timeline",
]  # fmt: skip
