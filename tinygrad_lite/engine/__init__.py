"""The engine: primitives, the tape, and the walk back along it. It knows no operation."""
