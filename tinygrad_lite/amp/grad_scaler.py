"""`GradScaler` keeps small gradients from underflowing in float16."""

from __future__ import annotations

import math
import warnings
from typing import Any

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays import gpu

__all__ = ["GradScaler"]


class GradScaler:
    """Scales the loss up before `backward()` and the gradients down before a step, and skips steps whose gradients are
    not finite. After a skipped step the scale shrinks by `backoff_factor`; after `growth_interval` good steps in a
    row it grows by `growth_factor` (Micikevicius et al., Mixed precision training, 2018).

        scaler.scale(loss).backward()
        scaler.step(optimizer)      # scaler.unscale_(optimizer) before it, to clip gradients
        scaler.update()

    With `enabled=False` it passes everything through.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([1.0], requires_grad=True)
    >>> optimizer, scaler = tg.optim.SGD([w], lr=0.5), GradScaler("cpu", init_scale=8.0)
    >>> scaler.scale(w.sum() * float("inf")).backward()
    >>> scaler.step(optimizer)
    >>> scaler.update()
    >>> w.item(), scaler.get_scale()  # no step, half the scale
    (1.0, 4.0)
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ):
        if enabled and str(device).startswith("cuda") and not gpu.count():
            warnings.warn("GradScaler: it is for a GPU, and there is none; it is disabled", stacklevel=2)
            enabled = False
        if not growth_factor > 1 or not backoff_factor < 1:
            raise ValueError(f"GradScaler: expected growth_factor > 1 > backoff_factor, got {growth_factor}, {backoff_factor}")
        self._enabled = enabled
        self._scale, self._init_scale = float(init_scale), float(init_scale)
        self._growth_factor, self._backoff_factor = growth_factor, backoff_factor
        self._growth_interval, self._good_steps = growth_interval, 0
        self._found: dict[int, bool] = {}  # per optimizer, since the last update: were its gradients not finite?
        self._stage: dict[int, str] = {}  # per optimizer: "unscaled" or "stepped"

    def __getstate__(self) -> dict[str, Any]:
        if self._stage:  # keyed by the identity of the optimizers
            raise AssertionError("GradScaler: it can be copied or pickled before a step's unscale_ or after its update only")
        return {**self.__dict__, "_found": {}, "_stage": {}}

    def is_enabled(self) -> bool:
        return self._enabled

    def get_scale(self) -> float:
        """The factor by which losses are multiplied; 1 when disabled."""
        return self._scale if self._enabled else 1.0

    def scale(self, outputs: Any) -> Any:
        """A tensor, or several in a list or tuple, times the scale."""
        if not self._enabled:
            return outputs
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        return type(outputs)(self.scale(output) for output in outputs)

    def unscale_(self, optimizer: Any) -> None:
        """Divide the gradients of an optimizer's parameters by the scale, once before each step."""
        if not self._enabled:
            return
        if id(optimizer) in self._stage:
            done = self._stage[id(optimizer)]
            raise RuntimeError(f"unscale_: this optimizer's gradients are {done} already since the last update()")
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        for gradient in gradients:
            gradient.detach().mul_(1 / self._scale)
        self._found[id(optimizer)] = not all(gradient.isfinite().all().item() for gradient in gradients)
        self._stage[id(optimizer)] = "unscaled"

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """Unscale the gradients if they are not unscaled yet, and call `optimizer.step(...)` if they are finite."""
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs or args:
            raise RuntimeError("step: a closure would compute gradients that are not scaled; it is not supported")
        if self._stage.get(id(optimizer)) == "stepped":
            raise RuntimeError("step: it was called already since the last update()")
        if id(optimizer) not in self._stage:
            self.unscale_(optimizer)
        self._stage[id(optimizer)] = "stepped"
        return None if self._found[id(optimizer)] else optimizer.step()

    def update(self, new_scale: Any = None) -> None:
        """Set the scale, or adapt it to what the steps since the last call have found."""
        if not self._enabled:
            return
        if new_scale is None and not self._found:
            raise RuntimeError("update: no optimizer was stepped or unscaled since the last update()")
        if new_scale is not None:
            self._scale = float(new_scale)
        elif any(self._found.values()):
            self._scale *= self._backoff_factor
            self._good_steps = 0
        else:
            self._good_steps += 1
            if self._good_steps == self._growth_interval:
                grown = self._scale * self._growth_factor
                self._scale = grown if math.isfinite(grown) else self._scale
                self._good_steps = 0
        self._found.clear()
        self._stage.clear()

    def get_growth_factor(self) -> float:
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        self._growth_interval = new_interval

    def state_dict(self) -> dict[str, Any]:
        """The scale and its settings; empty when disabled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth_factor,
            "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval,
            "_growth_tracker": self._good_steps,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the scale and its settings."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("load_state_dict: the state is empty, as that of a disabled GradScaler is")
        self._scale = state_dict["scale"]
        self._growth_factor, self._backoff_factor = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._growth_interval, self._good_steps = state_dict["growth_interval"], state_dict["_growth_tracker"]
