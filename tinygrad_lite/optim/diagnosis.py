"""The public module of study/diagnosis.py."""

from tinygrad_lite.optim.study.diagnosis import EXPLODED, LETTERS, SATURATED, VANISHED, Report, diagnose

__all__ = ["EXPLODED", "LETTERS", "SATURATED", "VANISHED", "Report", "diagnose"]
