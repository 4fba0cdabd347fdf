"""`func.functional_call`, under its deprecated name."""

from tinygrad_lite.func import functional_call

__all__ = ["functional_call"]
