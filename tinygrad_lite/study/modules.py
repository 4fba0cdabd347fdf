"""Which modules of a model are running."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tinygrad_lite.nn import Module


def models_in(variables: dict[str, Any]) -> dict[str, Module]:
    """The models among variables, by name."""
    return {name: value for name, value in variables.items() if isinstance(value, Module)}


class Running:
    """Inside this block, `names` are those of the modules whose forward is running, innermost last.

    `models`: by the name that their modules' names begin with. `entered` is called with a name as its module begins.
    """

    def __init__(self, models: dict[str, Module], entered: Callable[[str], None] | None = None):
        self.models, self.entered = models, entered
        self.names: list[str] = []

    @property
    def innermost(self) -> str:
        return self.names[-1] if self.names else ""

    def __enter__(self) -> None:
        self.handles = []
        for prefix, model in self.models.items():
            for name, module in model.named_modules():
                path = ".".join(filter(None, (prefix, name)))
                self.handles.append(module.register_forward_pre_hook(functools.partial(self._begins, path)))
                self.handles.append(module.register_forward_hook(self._ends, always_call=True))

    def __exit__(self, *exception: object) -> None:
        for handle in self.handles:
            handle.remove()
        self.entered = None  # which would close a reference cycle with the recorder whose method it is

    def _begins(self, path: str, module: Any, args: Any) -> None:
        self.names.append(path)
        if self.entered is not None:
            self.entered(path)

    def _ends(self, module: Any, args: Any, output: Any) -> None:
        self.names.pop()
