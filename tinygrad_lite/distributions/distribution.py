"""The base class of distributions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_lite import ops
from tinygrad_lite._tensor import Size, Tensor
from tinygrad_lite.arrays import get_default_dtype
from tinygrad_lite.arrays.deferred_checks import left_to_program
from tinygrad_lite.arrays.gpu import is_symbol
from tinygrad_lite.autograd.grad_mode import no_grad
from tinygrad_lite.ops.arguments import raw

__all__ = ["Distribution"]


class Distribution:
    """Base class of distributions. `validate_args=False` skips the checks of parameters and values.

    >>> import tinygrad_lite as tg
    >>> from tinygrad_lite.distributions import Normal
    >>> d = Normal(tg.zeros(3), tg.ones(3))
    >>> d.sample((5,)).shape, d.batch_shape, d.entropy().shape
    ((5, 3), (3,), (3,))
    """

    has_rsample = False
    _validates = True
    parameters: tuple[str, ...] = ()

    def __init__(self, batch_shape: Any, event_shape: Any = (), validate_args: bool | None = None):
        self.batch_shape, self.event_shape = Size(batch_shape), Size(event_shape)
        self.validated = self._validates if validate_args is None else validate_args

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions check parameters and values if `validate_args` is not given."""
        if value not in (True, False):
            raise ValueError(f"set_default_validate_args: expected True or False, got {value!r}")
        Distribution._validates = value

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        """A sample that carries gradients to the parameters."""
        raise NotImplementedError(f"{type(self).__name__}: its samples are not a differentiable function of its parameters")

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """A sample (*sample_shape, *batch_shape, *event_shape), off the tape."""
        with no_grad():
            return self.rsample(sample_shape)

    def log_prob(self, value: Any) -> Tensor:
        """The logarithm of the density (or probability) at `value`, which broadcasts with the batch shape."""
        raise NotImplementedError

    def cdf(self, value: Any) -> Tensor:
        """The probability of a value less than or equal to `value`."""
        raise NotImplementedError

    def icdf(self, value: Any) -> Tensor:
        """The inverse of `cdf`: the `value`-quantile."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        """The entropy in nats, (*batch_shape)."""
        raise NotImplementedError

    @property
    def mean(self) -> Tensor:
        raise NotImplementedError

    @property
    def variance(self) -> Tensor:
        raise NotImplementedError

    @property
    def stddev(self) -> Tensor:
        return self.variance.sqrt()

    def _require(self, holds: Any, name: str, value: Any, expected: str) -> None:
        if not self.validated:
            return
        problem, array = f"{type(self).__name__}: expected {name} {expected}", raw(holds)
        if not (is_symbol(array) and left_to_program(~array, ValueError, problem)) and not bool(holds.all()):
            raise ValueError(f"{problem}, got {value}")

    def _known(self, value: Any, within: Callable[[Tensor], Tensor], expected: str) -> Tensor:
        """`value` for log_prob or cdf, checked against the support."""
        value = ops.as_tensor(value)
        if self.validated:
            whole, event = self.batch_shape + self.event_shape, len(self.event_shape)
            pairs = zip(reversed(value.shape), reversed(whole))
            fits = all(a == b or (i >= event and 1 in (a, b)) for i, (a, b) in enumerate(pairs))
            if value.ndim < event or not fits:
                raise ValueError(
                    f"{type(self).__name__}: expected a value that broadcasts with {tuple(whole)}, the shapes of batch and event, "
                    f"got {tuple(value.shape)}"
                )
            self._require(within(value), "a value", value, expected)
        return value

    def _shape(self, sample_shape: Any) -> tuple[int, ...]:
        return (*sample_shape, *self.batch_shape, *self.event_shape)

    def __repr__(self) -> str:
        given = [(name, vars(self)[name]) for name in self.parameters if name in vars(self)]
        shown = [f"{name}: {value.item() if value.numel() == 1 else tuple(value.shape)}" for name, value in given]
        return f"{type(self).__name__}({', '.join(shown)})"


def together(*parameters: Any) -> tuple[Tensor, ...]:
    """Parameters broadcast to one shape; Python numbers take the dtype of the tensors beside them."""
    tensors = [p for p in parameters if isinstance(p, Tensor)]
    like: dict[str, Any] = {"dtype": tensors[0].dtype, "device": tensors[0].device} if tensors else {"dtype": None}
    dtype = like.pop("dtype") or get_default_dtype()
    return ops.broadcast_tensors(*[p if isinstance(p, Tensor) else ops.tensor(p, dtype=dtype, **like) for p in parameters])
