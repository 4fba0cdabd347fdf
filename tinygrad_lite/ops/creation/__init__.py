"""New tensors: filled, counted, and made of what is there already."""
