"""cuDNN is not used."""

enabled = False
benchmark = False
deterministic = True
allow_tf32 = False


def is_available() -> bool:
    """False: no operation calls cuDNN."""
    return False


def version() -> None:
    """None, as in PyTorch built without cuDNN."""
