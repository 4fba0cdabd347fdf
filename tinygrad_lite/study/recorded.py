"""The data of a tape: its entries, the steps of its backward passes, and the arrays and tensors that belong to them."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from tinygrad_lite.arrays.changes import tick
from tinygrad_lite.arrays.memory import owner_of
from tinygrad_lite.engine.record import Result, Synthetic
from tinygrad_lite.engine.tape import Leaf, Traced
from tinygrad_lite.study.entries import Entry, Pass
from tinygrad_lite.study.program import elements_of
from tinygrad_lite.study.values import Values, values_of


class Recorded:
    """The entries of a block in the order of recording, and its backward passes."""

    def __init__(self, names: dict[int, str] | None = None):
        self.entries: list[Entry] = []
        self.passes: list[Pass] = []
        self._numbers: dict[Any, int] = {}  # by node, which stays alive with the tape
        self._names = names or {}  # of leaves, by the id of their tensor's node
        self._constants: dict[int, dict[str, Any]] = {}  # the arrays that each entry took and that are not on the tape, a leaf's own
        self._named: dict[str, Any] = {}  # those of them that are Tensors in variables of the program
        # By the id of an array or of its memory, a weak reference to it and the entry that made it or took it as a constant.
        self._made: dict[int, tuple[Any, int]] = {}
        self._taken: dict[int, tuple[Any, int]] = {}
        self.modules_without_grad: dict[str, tuple[Any, ...]] = {}  # that ran under no_grad, and where they were called
        self._thread = threading.get_ident()
        self._began = tick()
        self._values_of: Callable[[Any], Values] = values_of  # of a leaf

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __getitem__(self, key: int | str | Traced) -> Entry:
        """An entry by its number, the name of its variable or parameter (the latest of that name), or the Tensor it made."""
        return self.entries[self.number_of(key)]

    def number_of(self, key: int | str | Traced) -> int:
        if isinstance(key, int):
            if not -len(self.entries) <= key < len(self.entries):
                raise IndexError(f"the tape has {len(self.entries)} entries, no entry {key}")
            return key % len(self.entries)
        if isinstance(key, str):
            for entry in reversed(self.entries):
                if key in (entry.name, f"%{entry.number}"):
                    return entry.number
            raise KeyError(f"no entry of the tape is named {key!r}; names: {', '.join(sorted({e.name for e in self.entries if e.name}))}")
        if not isinstance(key, Traced):
            raise TypeError(f"expected the number of an entry, a name or a Tensor, got {type(key).__name__}")
        if key.node is None:
            raise KeyError("this tensor has no entry on the tape, because it needs no gradient: explain(x) says why")
        if key.node not in self._numbers:
            raise KeyError("this tensor has no entry on the tape, because it was made outside of the block: make it inside")
        return self._numbers[key.node]

    def made(self, array: Any) -> Entry | None:
        """The entry whose result an array is, or is a view of; None if there is none."""
        for each in (array, owner_of(array)):
            known = self._made.get(id(each))
            if known is not None and known[0]() is each:
                return self.entries[known[1]]
        return None

    def taken(self, array: Any) -> Entry | None:
        """The first entry that took an array as a constant, None if there is none."""
        known = self._taken.get(id(array))
        return self.entries[known[1]] if known is not None and known[0]() is array else None

    def note_made(self, array: Any, number: int) -> None:
        reference = weakref.ref(array), number
        self._made[id(array)] = reference
        owner = owner_of(array)
        known = self._made.get(id(owner))
        if owner is not array and (known is None or known[0]() is not owner):
            self._made[id(owner)] = weakref.ref(owner), number

    def entry_of(self, node: Any) -> Entry:
        """A node's entry; one that is not known, such as a leaf or what was recorded before the block, is added."""
        number = self._numbers.get(node)
        if number is not None:
            return self.entries[number]
        if isinstance(getattr(node, "plan", None), Result):
            whole = self.entry_of(node.parents[0])
            place = node.plan.place
            values = whole.values[place] if isinstance(whole.values, tuple) else None
            names = [whole.name] if len(whole.shape) == 1 else elements_of(whole.name)
            name = names[place] if len(names) == len(whole.shape) else ""
            return self.add(node, (whole.number,), values=values, calls=whole.calls, module=whole.module, name=name)
        if isinstance(getattr(node, "plan", None), Synthetic):
            return self.add(node, tuple(self.entry_of(parent).number for parent in node.parents))
        if type(node) is not Leaf:
            return self.add(node, ())  # recorded before the block: where it comes from is not known
        tensor = node.tensor()
        array = node.array if tensor is None else tensor.array
        if array is not None:
            self.note_made(array, len(self.entries))
            self._constants[len(self.entries)] = {"": array}
        return self.add(node, (), values=None if array is None else self._values_of(array), name=self._names.get(id(node), ""))

    def add(self, node: Any, inputs: tuple[int, ...], **known: Any) -> Entry:
        dtype = ", ".join(map(str, node.dtype)) if isinstance(node.dtype, tuple) else str(node.dtype)
        entry = Entry(len(self.entries), node.name, inputs, node.shape, dtype, **known)
        self.entries.append(entry)
        self._numbers[node] = entry.number
        return entry
