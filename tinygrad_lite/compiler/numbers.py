"""What a plan does before a run: numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tinygrad_lite.compiler.actions import Action

Sources = frozenset[int] | None


class Numbers:
    """Numbers that follow from the numbers given for a run, conditions on them, and cells that hold them.

    What depends on numbers that are the same objects as in the last run has been done. So a learning rate costs nothing as long as
    it stays, and a step count what follows from it.
    """

    def __init__(self) -> None:
        self._sources: dict[int, Sources] = {}  # the given numbers that a number follows from; None if it is read from an array
        self._groups: dict[Sources, list[Action]] = {}
        self._in_order: list[_Group] = []

    def __len__(self) -> int:
        return sum(map(len, self._groups.values()))

    def add(self, action: Action, reads: Iterable[int], makes: int | None, is_of_array: bool) -> None:
        """Something to do, which reads numbers and may make one, each known by its slot."""
        sources: Sources = None if is_of_array else frozenset()
        for slot in reads:
            more = self._sources.get(slot, frozenset((slot,)))
            sources = None if sources is None or more is None else sources | more
        if makes is not None:
            self._sources[makes] = sources
        self._groups.setdefault(sources, []).append(action)
        # What a number follows from is done first: its sources are among those of what reads it.
        order = sorted(self._groups, key=lambda sources: (sources is None, len(sources or ())))
        self._in_order = [_Group(None if sources is None else list(sources), self._groups[sources]) for sources in order]

    def do(self, given: Sequence[Any]) -> None:
        """Do it, if the numbers given are not those of the last run."""
        for group in self._in_order:
            group.do(given)


class _Group:
    """What depends on the same given numbers, those at `places`."""

    def __init__(self, places: list[int] | None, actions: list[Action]):
        self.places, self.actions = places, actions
        self.known: list[Any] | None = None  # the numbers for which it was done

    def do(self, given: Sequence[Any]) -> None:
        known = self.known
        if known is not None:
            for place, value in zip(self.places or (), known):
                if given[place] is not value:
                    break
            else:
                return
        self.known = None  # an action may raise
        for function, arguments in self.actions:
            function(*arguments)
        if self.places is not None:
            self.known = [given[place] for place in self.places]


def set_by_one(slots: list[Any], slot: int, operation: Callable[[Any], Any], a: int) -> None:
    slots[slot] = operation(slots[a])


def set_by_two(slots: list[Any], slot: int, operation: Callable[[Any, Any], Any], a: int, b: int) -> None:
    slots[slot] = operation(slots[a], slots[b])
