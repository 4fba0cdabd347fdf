"""Timings of training steps, compared with other frameworks: `python -m benchmarks --help`."""
