"""A computation captured as a program of NumPy calls: traced, simplified, printed, run."""
