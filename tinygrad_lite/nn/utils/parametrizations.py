"""Weight normalization and spectral normalization."""

from __future__ import annotations

from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadIndex, BadValue
from tinygrad_lite.autograd.grad_mode import no_grad
from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn.modules.conv import _ConvTransposeNd
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.nn.utils.parametrize import register_parametrization
from tinygrad_lite.ops.creation.conversion import as_tensor
from tinygrad_lite.ops.creation.factories import empty
from tinygrad_lite.ops.linalg.inverses import pinv
from tinygrad_lite.ops.linalg.norms import vector_norm

__all__ = ["spectral_norm", "weight_norm"]


def norm_except(v: Tensor, dim: int | None) -> Tensor:
    """The norm of each slice along `dim` (None or -1: of the whole tensor)."""
    if dim is None or dim == -1:
        return vector_norm(v)
    return vector_norm(v, dim=tuple(d for d in range(v.ndim) if d != dim), keepdim=True)


class _WeightNorm(Module):
    """g v / |v| (Salimans and Kingma, 2016)"""

    def __init__(self, dim: int | None = 0):
        super().__init__()
        self.dim = dim

    def forward(self, weight_g: Tensor, weight_v: Tensor) -> Tensor:
        return weight_v * (weight_g / norm_except(weight_v, self.dim))

    def right_inverse(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        return norm_except(weight, self.dim), weight.clone()

    def from_older(self, state: dict[str, Any], name: str) -> dict[str, Any]:
        """Convert a state that stores magnitude and direction as `weight_g` and `weight_v`."""
        if f"{name}_g" not in state or f"{name}_v" not in state:
            return {}
        return {"original0": state.pop(f"{name}_g"), "original1": state.pop(f"{name}_v")}


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Train the magnitude (`original0`, one per slice along `dim`) and the direction (`original1`) of a weight instead
    of the weight.

    >>> from tinygrad_lite import nn, tensor
    >>> layer = nn.Linear(2, 1, bias=False)
    >>> layer.weight.data = tensor([[3.0, 4.0]])
    >>> {name: value.tolist() for name, value in weight_norm(layer).state_dict().items()}
    {'parametrizations.weight.original0': [[5.0]], 'parametrizations.weight.original1': [[3.0, 4.0]]}
    """
    if not isinstance(getattr(module, name, None), Tensor):
        raise BadValue(f"{module._get_name()} has no parameter {name!r}", function="weight_norm")
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """`weight` as a matrix: `dim` first, all other dims flattened."""
    return weight.movedim(dim, 0).flatten(1)


@no_grad()
def power_iterations(matrix: Tensor, u: Tensor, v: Tensor, count: int, eps: float) -> None:
    """Move u and v towards the first singular vectors, in place."""
    for _ in range(count):
        u.copy_(F.normalize(matrix @ v, dim=0, eps=eps))
        v.copy_(F.normalize(matrix.mT @ u, dim=0, eps=eps))


class _SpectralNorm(Module):
    """The weight divided by its largest singular value, approximated in training by `n_power_iterations` at each access
    (Miyato et al., 2018)."""

    def __init__(self, weight: Tensor, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12):
        super().__init__()
        if not -weight.ndim <= dim < weight.ndim:
            raise BadIndex(f"dim {dim} is out of range for a weight of {weight.ndim} dimensions", function="spectral_norm")
        self.dim = dim % weight.ndim
        self.eps = eps
        if weight.ndim > 1:
            self.n_power_iterations = n_power_iterations
            matrix = as_matrix(weight.detach(), self.dim)
            for name, size in zip(("_u", "_v"), matrix.shape):
                start = empty((size,), dtype=weight.dtype, device=weight.device).normal_(0, 1)
                self.register_buffer(name, F.normalize(start, dim=0, eps=eps))
            power_iterations(matrix, self._u, self._v, 15, eps)

    def forward(self, weight: Tensor) -> Tensor:
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            power_iterations(matrix.detach(), self._u, self._v, self.n_power_iterations, self.eps)
        return weight / (self._u.clone() @ (matrix @ self._v.clone()))

    def right_inverse(self, value: Tensor) -> Tensor:
        return value

    def from_older(self, state: dict[str, Any], name: str) -> dict[str, Any]:
        """Convert a state that stores the weight and the vectors as `weight_orig`, `weight_u` and `weight_v`."""
        add_right_vector(state, name, self.dim)
        if any(f"{name}_{part}" not in state for part in ("orig", "u", "v")):
            return {}
        return {new: state.pop(f"{name}_{part}") for new, part in (("original", "orig"), ("_u", "u"), ("_v", "v"))}


@no_grad()
def add_right_vector(state: dict[str, Any], name: str, dim: int) -> None:
    """Convert the oldest states of a spectral norm, which have `weight` beside `weight_orig` and `weight_u`, to the
    current form with `weight_v`: u = W v / |W v| and u W v = |weight_orig| / |weight|."""
    if any(key not in state for key in (name, f"{name}_orig", f"{name}_u")):
        return
    weight, orig, u = (as_tensor(state[key]) for key in (name, f"{name}_orig", f"{name}_u"))
    del state[name]
    matrix = as_matrix(orig, dim)
    v = pinv(matrix.mT @ matrix) @ (matrix.mT @ u)
    state[f"{name}_v"] = v * ((orig / weight).mean() / (u @ (matrix @ v)))


def default_dim(module: Module) -> int:
    """The output dim of a layer's weight."""
    return 1 if isinstance(module, _ConvTransposeNd) else 0


def spectral_norm(module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None) -> Module:
    """Divide a weight by its largest singular value each time it is accessed.

    >>> from tinygrad_lite import diag, nn, tensor
    >>> layer = nn.Linear(2, 2)
    >>> layer.weight.data = diag(tensor([8.0, 2.0]))
    >>> spectral_norm(layer).weight.detach()
    tensor([[1.0000, 0.0000],
            [0.0000, 0.2500]])
    """
    weight: Any = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise BadValue(f"{module._get_name()} has no parameter or buffer {name!r}", function="spectral_norm")
    dim = default_dim(module) if dim is None else dim
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))
