"""Apple's GPUs are not used."""


def is_available() -> bool:
    """False: arrays are NumPy's or, on NVIDIA GPUs, CuPy's."""
    return False


def is_built() -> bool:
    """False."""
    return False
