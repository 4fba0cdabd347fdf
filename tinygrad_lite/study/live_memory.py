"""Live memory over a step: what each operation and each rule of a backward pass adds, and when it is freed."""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from tinygrad_lite.arrays import device_of, is_array
from tinygrad_lite.arrays.memory import owner_of
from tinygrad_lite.autograd.observing import observe, observe_no_more
from tinygrad_lite.autograd.table import _arrays
from tinygrad_lite.engine.context import Observer
from tinygrad_lite.engine.tape import Traced
from tinygrad_lite.study.kept_memory import size, tensors_alive
from tinygrad_lite.study.program import Stack

_ROWS = 24  # of the printed picture


class Moment(NamedTuple):
    """After an operation ran ("forward") or after the walk called a rule of its entry ("backward"): the bytes that are live, by
    device. `line` is the program's; in a backward pass, that of the operation whose rule ran."""

    phase: str
    operation: str
    line: str
    live: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.live.values())


@dataclass(eq=False)
class Life:
    """An array's memory: the moment from which it was there, and the first at which it was not (None: at the end of the block it
    still was)."""

    nbytes: int
    device: str
    shape: tuple[int, ...]
    born: int
    died: int | None = None


class Timeline:
    """The moments of a block, and the memory that came and went. Made by `timeline`."""

    def __init__(self) -> None:
        self.moments: list[Moment] = []
        self.lives: list[Life] = []

    @property
    def peak(self) -> Moment:
        """The first moment at which most was live."""
        if not self.moments:
            raise RuntimeError("timeline: the block recorded no operation: they need an input that requires grad, and no no_grad")
        return max(self.moments, key=lambda moment: moment.total)

    def live_at(self, moment: int) -> list[Life]:
        """The memory live at a moment, by its number, largest first."""
        return sorted(
            (life for life in self.lives if life.born <= moment and (life.died is None or life.died > moment)),
            key=lambda life: -life.nbytes,
        )

    def __str__(self) -> str:
        return "\n".join(_picture(self)) if self.moments else "no operations were recorded"

    __repr__ = __str__


class timeline(Observer):
    """Inside this block, follow the memory of the arrays that recorded operations and backward passes make.

    Counted are arguments, results, what operations keep for their rules, and gradients, from when they appear until they are
    freed, on every device; not the Tensors from before the block, nor what the inside of an operation or a rule allocates and
    drops.

    >>> import tinygrad_lite as tg
    >>> x = tg.ones(1000, requires_grad=True)
    >>> with timeline() as found:
    ...     y = x.exp().sin()
    ...     y.sum().backward()
    >>> [(moment.phase, moment.operation, moment.total) for moment in found.moments][:3]
    [('forward', 'exp', 4000), ('forward', 'sin', 8000), ('forward', 'sum', 8004)]
    >>> found.peak.phase, found.peak.operation
    ('backward', 'exp')
    """

    def __enter__(self) -> Timeline:
        self.found = Timeline()
        self.live: dict[str, int] = {}
        self.met: dict[int, Any] = {}  # by the id of an owner: a reference that ends with it
        for tensor in tensors_alive():
            self._forget_with(owner_of(tensor.array))
        observe(self)
        return self.found

    def __exit__(self, *exception: object) -> None:
        observe_no_more(self)
        self.met.clear()

    def recorded(self, node: Any, arguments: Any, result: Any) -> None:
        for array in _arrays([*arguments, result]):
            self._meet(array)
        for array in _arrays(node.saved):
            self._meet(array)
        calls = Stack().calls()
        node.line = f"{os.path.basename(calls[0].file)}:{calls[0].line}" if calls else ""
        self._moment("forward", node)

    def started(self, roots: Any) -> None:
        for _, g in roots:
            self._meet_all(g)

    def arrived(self, node: Any, gradient: Any, sender: Any, part: Any) -> None:
        self._meet_all(part)
        self._meet_all(gradient)
        self._moment("backward", sender)

    def _meet_all(self, value: Any) -> None:
        for part in value if isinstance(value, (tuple, list)) else (value,):
            array = part.array if isinstance(part, Traced) else part
            if is_array(array):
                self._meet(array)

    def _meet(self, array: Any) -> None:
        owner = owner_of(array)
        if id(owner) not in self.met:
            life = Life(owner.nbytes, str(device_of(owner)), array.shape, len(self.found.moments))
            self.found.lives.append(life)
            self.live[life.device] = self.live.get(life.device, 0) + life.nbytes
            self._forget_with(owner, life)

    def _forget_with(self, owner: Any, life: Life | None = None) -> None:
        """Know an array's memory until it is freed."""
        key = id(owner)

        def freed(_: Any) -> None:
            self.met.pop(key, None)
            if life is not None:
                life.died = len(self.found.moments)
                self.live[life.device] -= life.nbytes

        self.met[key] = weakref.ref(owner, freed)

    def _moment(self, phase: str, node: Any) -> None:
        self.found.moments.append(Moment(phase, node.name, getattr(node, "line", ""), dict(self.live)))


def _picture(found: Timeline) -> Iterator[str]:
    """A bar for each of a few moments, evenly spaced, with the peak among them."""
    moments, peak = found.moments, found.peak
    top = moments.index(peak)
    yield f"{len(moments)} moments, at most {size(peak.total)} live, at the {peak.phase} of {_at(peak)}"
    shown = sorted({top, *(i * (len(moments) - 1) // max(min(_ROWS, len(moments)) - 1, 1) for i in range(min(_ROWS, len(moments))))})
    for i in shown:
        moment = moments[i]
        bar = "#" * round(30 * moment.total / max(peak.total, 1))
        yield f"{'>' if i == top else ' '}{size(moment.total):>10} {bar:30} {moment.phase} {_at(moment)}"
    yield "live at the peak"
    for life in found.live_at(top)[:8]:
        born = moments[life.born]
        yield f"  {size(life.nbytes):>10} {life.shape} on {life.device}, from the {born.phase} of {_at(born)}"


def _at(moment: Moment) -> str:
    return moment.operation + (f" ({moment.line})" if moment.line else "")
