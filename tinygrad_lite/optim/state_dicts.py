"""Saving and loading an optimizer's state and options."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable
from itertools import chain
from typing import Any, ClassVar

import numpy as np

from tinygrad_lite.arrays import device_of, is_floating, on_device, to_device, to_numpy
from tinygrad_lite.engine.tape import Traced, traced
from tinygrad_lite.ops.creation.conversion import array_of

Group = dict[str, Any]


class StateDicts:
    """The part of Optimizer that saves and loads its state."""

    numbers: ClassVar[tuple[str, ...]] = ("step",)  # entries of the state that are numbers
    later: ClassVar[tuple[str, ...]] = ()  # entries that first appear during a step
    state: defaultdict[Any, dict[str, Any]]
    param_groups: list[Group]
    defaults: Group
    updates: int
    check: Callable[[Group], None]
    numbers_of: Callable[[Group], Group]
    _name: str
    _state_dict_hooks: Any
    __setstate__: Any

    def state_dict(self) -> dict[str, Any]:
        """The state and the options; parameters are numbered in the order of their groups.

        `{"state": {number: {name: tensor}}, "param_groups": [{option: value, "params": [numbers]}]}`. The tensors are the
        optimizer's own, not copies. For schedules among the options only the number of updates is saved.
        """
        for hook in self._state_dict_hooks["pre"].values():
            hook(self)
        number: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                number[id(p)] = len(number)
            saved = {name: value for name, value in group.items() if name != "params" and not _is_schedule(value)}
            if len(saved) < len(group) - 1:
                saved["updates"] = self.updates
            groups.append({**saved, "params": [number[id(p)] for p in group["params"]]})
        state = {number.get(id(p), p) if isinstance(p, Traced) else p: entries for p, entries in self.state.items() if entries}
        result = {"state": state, "param_groups": groups}
        for hook in self._state_dict_hooks["post"].values():
            changed = hook(self, result)
            result = result if changed is None else changed
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a copy of the state and options that `state_dict()` returned."""
        state_dict = dict(state_dict)
        for hook in self._state_dict_hooks["load_pre"].values():
            changed = hook(self, state_dict)
            state_dict = state_dict if changed is None else changed
        saved_groups = state_dict["param_groups"]
        counts = [len(group["params"]) for group in saved_groups]
        mine = [len(group["params"]) for group in self.param_groups]
        if counts != mine:
            raise ValueError(f"{self._name}: the loaded state dict has parameter groups of {counts} parameters, this optimizer of {mine}")
        by_number = dict(
            zip(
                chain.from_iterable(group["params"] for group in saved_groups),
                chain.from_iterable(group["params"] for group in self.param_groups),
            )
        )
        self._check_loaded(state_dict["state"], saved_groups, by_number)
        groups, updates = [], self.updates
        for group, saved in zip(self.param_groups, saved_groups):
            saved = copy.deepcopy({name: _ours(value) for name, value in saved.items() if name != "params"})
            updates = saved.pop("updates", updates)
            kept = {name: group[name] for name in group if _is_schedule(group[name])}
            if "param_names" in group:
                saved.setdefault("param_names", group["param_names"])
            groups.append({**self.defaults, **saved, **kept, "params": group["params"]})
            self.check({**self.numbers_of(groups[-1]), "lr": 0.0})  # a scheduler may have left any rate
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for number, entries in state_dict["state"].items():
            p = by_number.get(number)
            state[number if p is None else p] = copy.deepcopy(entries) if p is None else self._for(p, entries)
        self.updates = updates
        self.__setstate__({"state": state, "param_groups": groups})
        for hook in self._state_dict_hooks["load_post"].values():
            hook(self)

    def _expected(self, p: Any, group: Group) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The shapes of the entries the state of `p` starts with, and of those that may appear later (None: any shape).
        None if unknown."""
        return None

    def _check_loaded(self, state: dict[Any, Any], groups: list[Group], by_number: dict[Any, Any]) -> None:
        """Refuse the state of a different optimizer, or of different parameters."""
        for mine, saved in zip(self.param_groups, groups):
            for number in saved["params"]:
                entries = state.get(number)
                expected = self._expected(by_number[number], {**mine, **saved}) if entries else None
                if entries and expected:
                    self._check_entries(f"the loaded state of parameter {number}", entries, *expected)

    def _check_entries(self, which: str, entries: dict[str, Any], begun: dict[str, Any], later: dict[str, Any]) -> None:
        shapes = {**begun, **later}
        for names, verdict in (
            (entries.keys() - shapes.keys(), "has"),
            (begun.keys() - entries.keys(), "lacks"),
        ):
            if names:
                raise ValueError(
                    f"{self._name}: {which} {verdict} {', '.join(map(repr, sorted(names)))}; "
                    f"what this optimizer keeps is {', '.join(map(repr, shapes)) or 'nothing'}"
                )
        for name, value in entries.items():
            for tensor in value if isinstance(value, (list, tuple)) else (value,):
                array = array_of(tensor)
                if array is not None and shapes[name] is not None and array.shape != shapes[name]:
                    raise ValueError(f"{self._name}: {which} has {name!r} of shape {array.shape}, expected {tuple(shapes[name])}")

    def _for(self, p: Any, entries: Any) -> Any:
        """A copy of the loaded state in the dtype and on the device of its parameter."""
        if isinstance(entries, dict):
            return {
                name: self._loaded_number(value) if name in self.numbers else self._for(p, value)
                for name, value in entries.items()
                if value is not None
            }
        if isinstance(entries, (list, tuple)):
            return type(entries)(self._for(p, value) for value in entries)
        array = array_of(entries)
        if array is None:
            return copy.deepcopy(entries)
        with on_device(device := device_of(p.array)):
            array = to_device(array, device)
            return traced(array.astype(p.array.dtype if is_floating(p.array.dtype) else array.dtype, order="C"))

    def _loaded_number(self, value: Any) -> Any:
        array = array_of(value)
        return traced(np.array(float(value) if array is None else to_numpy(array)))


def _ours(value: Any) -> Any:
    """An option, with a tensor of another library converted."""
    if isinstance(value, (Traced, np.ndarray, np.generic)) or array_of(value) is None:
        return value
    return traced(array_of(value))


def _is_schedule(value: Any) -> bool:
    return callable(value) or (isinstance(value, (tuple, list)) and any(map(callable, value)))
