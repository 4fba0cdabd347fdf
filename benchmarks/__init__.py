"""Training steps timed against peers: `python -m benchmarks --help`."""
