"""The deprecated forms of weight_norm and spectral_norm: a hook recomputes the weight before each call.

New programs use `nn.utils.parametrizations`; these keep the older state_dict keys (`weight_g` and `weight_v`;
`weight_orig`, `weight_u` and `weight_v`)."""

from __future__ import annotations

from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays.errors import BadValue, Refusal
from tinygrad_lite.autograd.grad_mode import no_grad
from tinygrad_lite.nn import functional as F
from tinygrad_lite.nn.modules.hooks import hooks_of
from tinygrad_lite.nn.modules.module import Module
from tinygrad_lite.nn.parameter import Parameter
from tinygrad_lite.nn.utils.parametrizations import add_right_vector, as_matrix, default_dim, norm_except
from tinygrad_lite.ops.creation.factories import empty

__all__ = ["remove_spectral_norm", "remove_weight_norm", "spectral_norm", "weight_norm"]


class _RecomputeHook:
    """A forward pre-hook that sets `module.<name>` to the result of `compute`."""

    def __init__(self, module: Module, name: str):
        for hook in _recompute_hooks(module):
            if hook.name == name and type(hook) is type(self):
                raise Refusal(f"Cannot register two {type(self).__name__} hooks on the same parameter {name}")
        self.name = name

    def __call__(self, module: Module, args: Any) -> None:
        setattr(module, self.name, self.compute(module))

    def compute(self, module: Module) -> Tensor:
        raise NotImplementedError

    def start(self, module: Module) -> Module:
        setattr(module, self.name, self.compute(module))
        self.handles = [module.register_forward_pre_hook(self)]
        return module

    def stop(self, module: Module, *parts: str) -> Module:
        with no_grad():
            value = self.compute(module)
        delattr(module, self.name)
        for part in parts:
            delattr(module, f"{self.name}_{part}")
        module.register_parameter(self.name, Parameter(value.detach()))
        for handle in self.handles:
            handle.remove()
        return module


def _recompute_hooks(module: Module) -> list[Any]:
    return [hook for hook in hooks_of(module, "forward_pre") if isinstance(hook, _RecomputeHook)]


def _found(module: Module, kind: type[_RecomputeHook], name: str) -> Any:
    for hook in _recompute_hooks(module):
        if isinstance(hook, kind) and hook.name == name:
            return hook
    raise BadValue(f"{name!r} of {module._get_name()} has no {kind.__name__}")


class WeightNorm(_RecomputeHook):
    """The hook of `weight_norm`: weight <- weight_g weight_v / |weight_v|."""

    def __init__(self, module: Module, name: str, dim: int | None):
        super().__init__(module, name)
        self.dim = dim
        weight = getattr(module, name)
        delattr(module, name)
        module.register_parameter(f"{name}_g", Parameter(norm_except(weight.detach(), dim)))
        module.register_parameter(f"{name}_v", Parameter(weight.detach()))

    def compute(self, module: Module) -> Tensor:
        g, v = getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v")
        return v * (g / norm_except(v, self.dim))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Train the magnitude `weight_g` and the direction `weight_v` of a weight instead of the weight (Salimans and
    Kingma, 2016).

    >>> from tinygrad_lite import nn
    >>> {name: value.shape for name, value in weight_norm(nn.Linear(2, 3)).named_parameters()}
    {'bias': (3,), 'weight_g': (3, 1), 'weight_v': (3, 2)}
    """
    return WeightNorm(module, name, dim).start(module)


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again.

    >>> from tinygrad_lite import nn
    >>> [name for name, _ in remove_weight_norm(weight_norm(nn.Linear(2, 3))).named_parameters()]
    ['bias', 'weight']
    """
    return _found(module, WeightNorm, name).stop(module, "g", "v")


class SpectralNorm(_RecomputeHook):
    """The hook of `spectral_norm`: weight <- weight_orig / (u W v), with u and v near the first singular vectors."""

    def __init__(self, module: Module, name: str, n_power_iterations: int, eps: float, dim: int):
        if n_power_iterations <= 0:
            raise BadValue(
                function="spectral_norm",
                argument="n_power_iterations",
                expected="n_power_iterations to be positive",
                got=n_power_iterations,
            )
        super().__init__(module, name)
        self.n_power_iterations, self.eps, self.dim = n_power_iterations, eps, dim
        weight = getattr(module, name)
        delattr(module, name)
        module.register_parameter(f"{name}_orig", weight)
        for part, size in zip("uv", as_matrix(weight.detach(), dim).shape):
            start = empty((size,), dtype=weight.dtype, device=weight.device).normal_(0, 1)
            module.register_buffer(f"{name}_{part}", F.normalize(start, dim=0, eps=eps))

    def start(self, module: Module) -> Module:
        setattr(module, self.name, getattr(module, f"{self.name}_orig").detach())
        self.handles = [
            module.register_forward_pre_hook(self),
            module._register_load_state_dict_pre_hook(self._convert_keys),
        ]
        return module

    def _convert_keys(self, state_dict: Any, prefix: str, *others: Any) -> None:
        add_right_vector(state_dict, prefix + self.name, self.dim)

    def compute(self, module: Module) -> Tensor:
        weight, u, v = (getattr(module, f"{self.name}_{part}") for part in ("orig", "u", "v"))
        matrix = as_matrix(weight, self.dim)
        if module.training:
            # v first, as in PyTorch's deprecated form.
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(F.normalize(matrix.mT @ u, dim=0, eps=self.eps))
                    u.copy_(F.normalize(matrix @ v, dim=0, eps=self.eps))
        return weight / (u.clone() @ (matrix @ v.clone()))


def spectral_norm(module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None) -> Module:
    """Divide a weight by its largest singular value, approximated in training by `n_power_iterations` before each call
    (Miyato et al., 2018).

    >>> from tinygrad_lite import diag, nn, ones, tensor
    >>> layer = nn.Linear(2, 2, bias=False)
    >>> layer.weight.data = diag(tensor([8.0, 2.0]))
    >>> layer = spectral_norm(layer, n_power_iterations=20)
    >>> layer(ones(1, 2)).detach()  # [[8, 2]] / 8
    tensor([[1.0000, 0.2500]])
    """
    return SpectralNorm(module, name, n_power_iterations, eps, default_dim(module) if dim is None else dim).start(module)


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make the weight an ordinary parameter again.

    >>> from tinygrad_lite import nn
    >>> [name for name, _ in remove_spectral_norm(spectral_norm(nn.Linear(2, 3))).named_parameters()]
    ['bias', 'weight']
    """
    hook = _found(module, SpectralNorm, name)
    return hook.stop(module, "orig", "u", "v")
