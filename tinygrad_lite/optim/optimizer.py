"""Optimizer: parameter groups, state, and a step that applies an equation to every parameter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from operator import is_
from typing import Any, ClassVar, TypeAlias

import numpy as np

from tinygrad_lite._tensor import Tensor
from tinygrad_lite.arrays import BLOCK, device_of, errstate, namespace_of, on_device
from tinygrad_lite.arrays.gpu import tracing
from tinygrad_lite.autograd.grad_mode import enable_grad
from tinygrad_lite.engine.tape import Node, Traced
from tinygrad_lite.optim.explain import Explanation, explain
from tinygrad_lite.optim.hooks import Hooks
from tinygrad_lite.optim.state_dicts import Group, StateDicts
from tinygrad_lite.optim.stepping import SingleTensor, State, as_number, begin, parts_of

ParamsT: TypeAlias = Iterable[Tensor] | Iterable[Group] | Iterable[tuple[str, Tensor]]

# The values each option accepts, in every optimizer that has it.
_LIMITS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "lr": ("0 or more", lambda x: x >= 0),
    "momentum": ("0 or more", lambda x: x >= 0),
    "weight_decay": ("0 or more", lambda x: x >= 0),
    "eps": ("0 or more", lambda x: x >= 0),
    "alpha": ("0 or more", lambda x: x >= 0),
    "lr_decay": ("0 or more", lambda x: x >= 0),
    "initial_accumulator_value": ("0 or more", lambda x: x >= 0),
    "momentum_decay": ("0 or more", lambda x: x >= 0),
    "rho": ("in [0, 1]", lambda x: 0 <= x <= 1),
    "betas": ("two numbers in [0, 1)", lambda x: len(x) == 2 and all(0 <= b < 1 for b in x)),
}
_PLAIN = frozenset({float, int, bool, str, type(None)})


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required: Any = _Required()  # a default that says: each group must give this option


class Optimizer(Hooks, StateDicts):
    """Base class of optimizers.

    `params`: tensors, (name, tensor) pairs, or dicts `{"params": ..., option: value}`, each a group with its own options.
    `defaults`: the options of groups that do not give them. Any numeric option may instead be a schedule, a function of the
    number of updates made before.

    A subclass either overrides `step` or states its equation: `update(p, g, state, group)` changes the arrays `p` and those
    in `state` in place, given the gradient `g` (which it must not change), and `begin(group)` maps the name of each state
    array to its initial value. The base class handles groups, weight decay, block sizes, threads and devices.

    `nonfinite`: what `step` does if a gradient contains nan or infinity. None: nothing. "raise": an error that names the
    parameter. "skip": change nothing and count it in `skipped`.

    >>> import tinygrad_lite as tg
    >>> w = tg.tensor([4.0], requires_grad=True)
    >>> optimizer = tg.optim.SGD([w], lr=lambda k: 0.25 / (k + 1))
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w
    tensor([1.5000], requires_grad=True)
    """

    elementwise: ClassVar[bool] = True  # the equation acts on each element alone
    block: ClassVar[int] = BLOCK  # elements of a large parameter per call of the equation
    threads: ClassVar[bool] = True  # whether several threads share the blocks
    decoupled: ClassVar[bool] = False  # weight decay shrinks the parameter instead of adding to the gradient
    derived: ClassVar[tuple[str, ...]] = ("_prepared", "_fixed", "_in_step", "_state_shown")  # attributes that follow from the others
    nonfinite: str | None = None

    def __init__(self, params: ParamsT, defaults: Group):
        self.defaults = defaults
        self._make_ready()
        if isinstance(params, Traced):
            raise TypeError(f"{self._name}: params must be an iterable of Tensors or of dicts, got one Tensor; put it into a list")
        groups: list[Any] = list(params)
        if not groups:
            raise ValueError(f"{self._name}: got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _make_ready(self) -> None:
        self._name = type(self).__name__
        self.step_name = f"{self._name}.step"
        self._state: Any = defaultdict(dict)
        self._state_shown = False
        self.param_groups = []
        self.updates = 0  # steps made
        self.skipped = 0  # steps skipped for a gradient that was not finite
        self._forget()
        self._make_hooks()

    def _forget(self) -> None:
        """Drop what was prepared for the parameters seen so far."""
        self._prepared: list[Any] = []
        self._fixed: dict[int, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        left_out = (*self.derived, "_state")
        kept = {name: value for name, value in self.__dict__.items() if name not in left_out and not name.endswith("_hooks")}
        return {"state": self.state, **kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "_state_dict_hooks" not in self.__dict__:  # copying does not call __init__
            self._make_hooks()
        for name, value in state.items():
            setattr(self, name, value)
        self._forget()

    @property
    def state(self) -> defaultdict[Any, dict[str, Any]]:
        """The state of each parameter: a dict from names to Tensors."""
        self.share_state()
        return self._state

    @state.setter
    def state(self, value: Any) -> None:
        self._state, self._state_shown = value, True

    def share_state(self) -> None:
        """From here on look at the state before each step: others may change it."""
        self._state_shown = True

    def __repr__(self) -> str:
        lines = [f"{self._name} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])

    # -- groups ----------------------------------------------------------------------------------

    def add_param_group(self, param_group: Group) -> None:
        """Add parameters with their own options: `{"params": [...], "lr": 0.1}`."""
        if not isinstance(param_group, dict):
            raise TypeError(f"{self._name}: a parameter group must be a dict, got {type(param_group).__name__}")
        group = dict(param_group)
        params = group["params"]
        if isinstance(params, Traced):
            params = [params]
        elif isinstance(params, (set, frozenset)):
            raise TypeError(f"{self._name}: parameters must be in order, and a set has none; use a list")
        params = list(params)
        named = [entry for entry in params if isinstance(entry, tuple)]
        if named:
            if len(named) != len(params):
                raise ValueError(f"{self._name}: either all parameters have names or none, {len(named)} of {len(params)} do")
            group["param_names"] = [name for name, _ in params]
            params = [p for _, p in params]
        for p in params:
            if not isinstance(p, Traced):
                raise TypeError(f"{self._name}: can only optimize Tensors, got {type(p).__name__}")
            if type(p.node) is Node and not p.retains_grad and not self.defaults.get("differentiable"):
                raise ValueError(f"{self._name}: can't optimize a non-leaf Tensor, the result of {p.node.name}")
            self.check_parameter(p)
        known = [other for g in self.param_groups for other in g["params"]]
        if len({id(p) for p in known + params}) != len(known) + len(params):
            raise ValueError(f"{self._name}: some parameters appear twice, or in more than one parameter group")
        if any(("param_names" in group) != ("param_names" in other) for other in self.param_groups):
            raise ValueError(f"{self._name}: either all parameter groups have names or none")
        group["params"] = params
        for name, value in self.defaults.items():
            if group.setdefault(name, value) is required:
                raise ValueError(f"{self._name}: a parameter group does not give {name}, which is required")
        self.check(self.numbers_of(group))
        param_group.update(group)
        self.param_groups.append(param_group)  # the same dict, as in PyTorch
        self._forget()

    def check(self, group: Group) -> None:
        """Refuse invalid options. Subclasses add their own checks."""
        for name in self.defaults:
            if name in _LIMITS:
                expected, holds = _LIMITS[name]
                try:
                    fault: type[Exception] | None = None if holds(group[name]) else ValueError
                except TypeError:  # not a number
                    fault = TypeError
                if fault:
                    raise fault(f"{self._name}: {name} must be {expected}, got {group[name]!r}")
        if group.get("fused") and (group.get("foreach") or group.get("differentiable")):
            raise RuntimeError(f"{self._name}: fused excludes foreach and differentiable")

    def check_parameter(self, p: Any) -> None:
        """Refuse a parameter that the equation does not support."""

    def numbers_of(self, group: Group) -> Group:
        """A copy of a group with the current value of every schedule in it."""
        number = self._number
        return {name: value if type(value) in _PLAIN else number(value) for name, value in group.items() if name != "params"}

    def _number(self, value: Any) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return value
        if kind is tuple or kind is list:
            return tuple(map(self._number, value))
        if isinstance(value, Traced):
            if self.defaults.get("differentiable") and value.node is not None:
                return value  # keep it on the tape
            if value.array.size != 1:
                raise ValueError(f"{self._name}: a Tensor among the options must have one element, got {value.array.shape}")
            number = value.array.item()
            # float32, to round 1 - lr weight_decay as PyTorch does; a wider scalar would promote the arrays
            return np.float32(number) if value.array.dtype == np.float32 else number
        if isinstance(value, np.generic):
            return value.item()
        return self._number(value(self.updates)) if callable(value) else value

    # -- the step --------------------------------------------------------------------------------

    def begin(self, group: Group) -> dict[str, float]:
        """The names of the state's arrays, with the initial value of each."""
        return {}

    def start(self, p: Any, group: Group) -> State:
        """The initial state for a parameter's array."""
        filled = namespace_of(p).full_like
        return {
            name: as_number(float(value)) if name in self.numbers else filled(p, float(value))
            for name, value in self.begin(group).items()
        }

    def _expected(self, p: Any, group: Group) -> tuple[dict[str, Any], dict[str, Any]] | None:
        if type(self).update is Optimizer.update:  # an overriding `step` manages its own state
            return None
        with on_device(device_of(p.array)):
            begun = self.start(p.array, self.numbers_of(group))
        return {name: value.shape for name, value in begun.items()}, dict.fromkeys(self.later, p.array.shape)

    def advance(self, state: State, group: Group) -> Group:
        """Advance the step count and other numbers of the state, once per step; returns the group that `update` receives."""
        if self.numbers:
            step = state["step"]
            step[()] = step.item() + 1  # 0.2 us, where `+= 1` on a 0-d array takes 2.6 us
        return group

    def apply(self, p: Any, g: Any, state: State, group: Group) -> None:
        """Weight decay and `maximize`, then the equation."""
        if group.get("maximize"):
            g = -g
        decay = group.get("weight_decay")
        if decay:
            if self.decoupled or group.get("decoupled_weight_decay"):
                p *= 1 - group["lr"] * decay
            else:
                g = g + decay * p
        self.update(p, g, state, group)

    def update(self, p: Any, g: Any, state: State, group: Group) -> None:
        """The equation."""
        raise NotImplementedError(f"{self._name}: an optimizer defines update or step")

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        `closure`: recomputes the loss, calls backward and returns the loss, which `step` returns.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        token = None
        try:
            token = errstate.enter()
            work = []
            for i, group in enumerate(self.param_groups):
                params = [p for p in group["params"] if p._grad is not None]
                work.append((self._parts(i, params, group), self._numbers(i, group)))
            for parts, _ in work:
                for part in parts:
                    part.check(self)
            if self._may_step():
                for parts, numbers in work:
                    for part in parts:
                        part.update(self, numbers)
        finally:
            errstate.leave(token) if token is not None else errstate.lost()
        return loss

    def _may_step(self, gradients: dict[int, Any] | None = None) -> bool:
        """Whether `nonfinite` allows a step with these gradients (by id of the parameter; default: those of backward). If
        not, raise or count the step as skipped."""
        if self.nonfinite is None:
            return True
        if self.nonfinite not in ("raise", "skip"):
            raise ValueError(f"{self._name}: nonfinite must be None, 'raise' or 'skip', got {self.nonfinite!r}")
        bad = []
        for i, group in enumerate(self.param_groups):
            for j, p in enumerate(group["params"]):
                g = gradients.get(id(p)) if gradients is not None else None if p.grad is None else p.grad.array
                if g is not None and not namespace_of(g).isfinite(g).all():
                    name = repr(group["param_names"][j]) if "param_names" in group else f"number {j} of group {i}"
                    bad.append(f"{name} {tuple(p.array.shape)}")
        if bad and self.nonfinite == "raise":
            raise FloatingPointError(f"{self.step_name}: a gradient is nan or infinite, of parameter {', '.join(bad)}")
        self.skipped += bool(bad)
        return not bad

    def explain_step(self, parameter: Any) -> Explanation:
        """The terms that sum to the next step of `parameter`; see explain.py."""
        return explain(self, parameter)

    def wrong_gradient(self, p: Any) -> None:
        raise ValueError(f"{self.step_name}: a gradient of shape {p.grad.array.shape} for a parameter of {p.array.shape}")

    def _parts(self, i: int, params: list[Any], group: Group) -> Any:
        """The parts in which group i is updated; those of the last step if the parameters are the same."""
        if tracing.get() is not None:  # each parameter on its own; a program makes its own arrangement
            for p in params:
                begin(self, p, self.numbers_of(group))
            return [SingleTensor(self, p) for p in params]
        while len(self._prepared) <= i:
            self._prepared.append(([], [], ()))
        ids = list(map(id, params))
        known, states, parts = self._prepared[i]
        current = ids == known
        for part in parts:
            current = part.may_stay() and current
        if current and self._state_shown:
            current = all(map(is_, map(self._state.get, params), states)) and all(part.is_current(self) for part in parts)
        if not current:
            parts = parts_of(self, params, self.numbers_of(group))
            self._prepared[i] = ids, list(map(self._state.get, params)), parts
        return parts

    def _numbers(self, i: int, group: Group) -> Group:
        """`numbers_of` group i; the last step's if the options are the same and none is a schedule."""
        given = list(group.values())
        known, numbers = self._fixed.get(i, ((), None))
        if len(given) != len(known) or not all(map(is_, given, known)):
            numbers = self.numbers_of(group)
            if all(_is_fixed(group[name]) for name in numbers):
                self._fixed[i] = given, numbers
        return numbers

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Set the gradients to None, or to zeros with `set_to_none=False`."""
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._grad = None
                elif p.grad is not None:
                    p.grad = p.grad.detach()
                    with on_device(device_of(p.grad.array)):
                        p.grad.array[...] = 0


def _is_fixed(option: Any) -> bool:
    """Whether an option has the same value in every step, as long as it is the same object."""
    return type(option) in _PLAIN or (type(option) is tuple and all(type(part) in _PLAIN for part in option))


def options(arguments: Group) -> Group:
    """The options among a constructor's arguments (its `locals()`), which become the optimizer's defaults.

    Constructors spell out every argument, because PyTorch's optimizers differ in which options they have, their order, and
    which may be positional.
    """
    return {name: value for name, value in arguments.items() if name not in ("self", "params", "__class__")}
