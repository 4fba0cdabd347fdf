"""The engine: primitives, the tape, and the backward pass along it. It knows no operations."""
