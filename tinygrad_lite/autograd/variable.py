"""`Variable`, the old PyTorch name for a tensor on the tape."""

from __future__ import annotations

from typing import Any


def Variable(data: Any, requires_grad: bool = False) -> Any:
    """A new leaf that shares memory with the tensor `data`.

    >>> import tinygrad_lite as tg
    >>> x = tg.ones(2)
    >>> v = Variable(x, requires_grad=True)
    >>> _ = x.fill_(5.0)
    >>> v  # the same memory
    tensor([5., 5.], requires_grad=True)
    """
    return data.detach().requires_grad_(requires_grad)
