"""`func.functional_call`, under its deprecated name."""

from tinygrad_lite.stateless import functional_call

__all__ = ["functional_call"]
