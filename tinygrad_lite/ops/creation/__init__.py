"""New tensors: filled, from sequences, and from existing data."""
