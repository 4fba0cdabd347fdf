"""Newton's method, with the full Hessian and with conjugate gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_lite.arrays import namespace_of
from tinygrad_lite.autograd.grad_mode import enable_grad
from tinygrad_lite.optim.curvature import GaussNewton, Hessian, conjugate_gradients
from tinygrad_lite.optim.optimizer import Group, Optimizer, ParamsT, options


class Newton(Optimizer):
    """Newton's method with the full Hessian H (Nocedal and Wright 2006, section 3.3; docs/lectures.md#item-18):

        p <- p - lr (H + damping I)^-1 g

    `step(closure)`: the closure returns the loss and does not call backward. On a quadratic, the first step reaches the
    minimum whatever the condition number. Without damping it also converges to saddle points and maxima. A step costs n
    Hessian-vector products and O(n^3) operations for n numbers in all, so n must be small.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([3.0, 4.0], requires_grad=True)
    >>> Newton([w]).step(lambda: (w * w * tg.tensor([1.0, 100.0])).sum()).item()
    1609.0
    >>> w
    tensor([0., 0.], requires_grad=True)
    """

    numbers = ()

    def __init__(self, params: ParamsT, lr: Any = 1.0, damping: Any = 0.0):
        super().__init__(params, options(locals()))

    def check(self, group: Group) -> None:
        super().check(group)
        if group["damping"] < 0:
            raise ValueError(f"{type(self).__name__}: damping must be 0 or more, got {group['damping']}")

    def add_param_group(self, param_group: Group) -> None:
        if self.param_groups:
            raise ValueError(f"{type(self).__name__}: all parameters are one vector, there can be only one parameter group")
        super().add_param_group(param_group)

    def _expected(self, p: Any, group: Group) -> tuple[dict[str, Any], dict[str, Any]]:
        return {}, {}

    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        group = self.numbers_of(self.param_groups[0])
        with enable_grad():
            result = closure()
        params = [p for p in self.param_groups[0]["params"] if p.requires_grad]
        curvature, loss = self.curvature(result, params, group)
        if not self._may_step({id(p): g for p, g in zip(params, curvature.flat.split(curvature.gradient))}):
            return loss
        d = self.direction(curvature, group)
        curvature.flat.write(curvature.flat.values() + group["lr"] * d, self.step_name)
        return loss

    def curvature(self, result: Any, params: list[Any], group: Group) -> tuple[Any, Any]:
        return Hessian(result, params), result

    def direction(self, curvature: Any, group: Group) -> Any:
        g, linalg = curvature.gradient, namespace_of(curvature.gradient).linalg
        h = curvature.matrix()
        h[range(g.size), range(g.size)] += group["damping"]
        try:
            return linalg.solve(h, -g)
        except linalg.LinAlgError as error:
            raise RuntimeError(f"{self.step_name}: the Hessian is singular here; give some damping") from error


class CGNewton(Newton):
    """Hessian-free Newton (Nash 1984; Martens 2010; docs/lectures.md#item-78):

        (H + damping I) d = -g
        p <- p + lr d

    solved by conjugate gradients in O(p) memory, until |residual| <= tolerance |g| or for `max_iter` products (default:
    twice the number of entries).

    At nonpositive curvature it steps along the solution so far, initially -g. `curvature`: "hessian", or "gauss-newton",
    which is positive semidefinite for a convex loss; the closure then returns `(outputs, loss_function)`. `products`: how
    many products have been computed.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([8.0, -8.0], requires_grad=True)
    >>> optimizer = CGNewton([w])
    >>> _ = optimizer.step(lambda: (w * w * tg.tensor([1.0, 100.0])).sum())  # a quadratic: one step
    >>> w.detach().abs().max().item() < 1e-4
    True
    """

    def __init__(
        self, params: ParamsT, lr: Any = 1.0, damping: Any = 0.0, tolerance: float = 1e-10, max_iter: int | None = None,
        curvature: str = "hessian",
    ):  # fmt: skip
        if curvature not in ("hessian", "gauss-newton"):
            raise ValueError(f"CGNewton: curvature must be 'hessian' or 'gauss-newton', got {curvature!r}")
        self.products = 0
        Optimizer.__init__(self, params, options(locals()))

    def curvature(self, result: Any, params: list[Any], group: Group) -> tuple[Any, Any]:
        if group["curvature"] == "hessian":
            return super().curvature(result, params, group)
        outputs, loss = result
        return GaussNewton(outputs, loss, params), loss(outputs.detach())

    def direction(self, curvature: Any, group: Group) -> Any:
        def product(v: Any) -> Any:
            self.products += 1
            return curvature @ v + group["damping"] * v

        return conjugate_gradients(product, -curvature.gradient, group["tolerance"], group["max_iter"]).x
