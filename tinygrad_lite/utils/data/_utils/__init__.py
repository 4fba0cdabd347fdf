"""Module paths that PyTorch programs import from."""
