"""Kernels: the hot loops that make operations fast, one file each; rules call them by name."""
