"""A small typed program, for the type checker: `mypy tests/typed_program.py`."""

from typing import TYPE_CHECKING

import tinygrad_lite as tg
from tinygrad_lite import nn

if TYPE_CHECKING:
    from typing import assert_type


def training(model: nn.Module, x: tg.Tensor, y: tg.Tensor, steps: int = 3) -> list[float]:
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses: list[float] = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss: tg.Tensor = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


a: tg.Tensor = tg.ones(4, 2).reshape(2, 4).permute(1, 0).add(1, alpha=2)
b: tg.Tensor = (1 - a).clamp(min=0).sum(dim=1, keepdim=True) * 2
c: bool = bool((a > 0).all())
print(training(nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1)), a, b), c)

# Functions have their signatures too: of the package, of nn.functional, linalg and special; each refusal is the checker's.
F = nn.functional
d: tg.Tensor = tg.matmul(tg.exp(tg.tensor([[1.0, 2.0]])), tg.ones(2, 3, dtype=tg.float32))
e: tg.Tensor = F.relu(F.conv2d(tg.zeros(1, 1, 4, 4), tg.ones(1, 1, 2, 2), stride=2), inplace=True)
q, r = tg.linalg.qr(tg.rand(3, 3))
values: tg.Tensor = tg.topk(tg.special.erf(q), 2, largest=False).values
tg.exp_(d).add_(d.max(dim=1, keepdim=True).values)
print(values, e, r, isinstance(d, tg.FloatTensor), tg.finfo(tg.float32).eps)

if TYPE_CHECKING:  # an operation on Tensors is known to give Tensors, as a function and as a method
    assert_type(F.softplus(d), tg.Tensor)
    assert_type(tg.linalg.inv(d), tg.Tensor)
    assert_type(d.float().add_(1).reshape(2, 4).split(2)[0], tg.Tensor)
    assert_type(F.cosine_similarity(d, nn.Parameter(d)), tg.Tensor)


def refused() -> None:
    tg.exp("one")  # type: ignore[arg-type]
    tg.topk(d, k="two")  # type: ignore[arg-type]
    tg.zeros(2, requires_grad="no", devise="cpu")  # type: ignore[call-arg, arg-type]
    F.softplus(d, slope=1.0)  # type: ignore[call-arg]
    tg.linalg.inv(d, "upper", 3)  # type: ignore[call-arg]
    d.softmax(dim="last")  # type: ignore[arg-type]
