"""`Variable`, the name under which old programs ask for a tensor on the tape."""

from __future__ import annotations

from typing import Any


def Variable(data: Any, requires_grad: bool = False) -> Any:
    """A tensor on the memory of the tensor `data`: a new leaf."""
    return data.detach().requires_grad_(requires_grad)
