"""What the tape behind a loss keeps in memory: how much, for which rule of which operation, and what frees it."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from tinygrad_lite.arrays import device_of
from tinygrad_lite.arrays.memory import address_range, owner_of
from tinygrad_lite.autograd.graph import _Packed
from tinygrad_lite.autograd.table import _arrays, entries_behind
from tinygrad_lite.engine.tape import Leaf, Traced
from tinygrad_lite.study.tape import Tape

LARGEST = 8  # blocks and rows that are printed


class Use(NamedTuple):
    """One saved value: the operation, the parameter of its rules that names the value, and where that operation was called."""

    operation: str
    parameter: str
    module: str
    line: str
    name: str

    def __str__(self) -> str:
        where = ", ".join(filter(None, (self.module, self.line)))
        return f"{self.operation}.{self.parameter}" + (f" ({where})" if where else "")


@dataclass(frozen=True, eq=False)
class Block:
    """Memory that the tape keeps alive.

    `nbytes`: all of it, which is more than `saved_bytes`, that of the saved arrays, if these are views of parts. `shape`,
    `dtype`: of the array that was saved first. `holder`: "parameter" if it is the array of a leaf, "program" if another
    Tensor that is alive (but not one given to `memory`) uses it too, otherwise "tape": dropping the graph frees it. `uses`: oldest
    operation first.
    """

    nbytes: int
    device: str
    shape: tuple[int, ...]
    dtype: str
    saved_bytes: int
    holder: str
    uses: tuple[Use, ...]

    @property
    def shared(self) -> bool:
        return len(self.uses) > 1

    @property
    def kept_for_a_view(self) -> bool:
        """Whether most of the memory is kept alive by a view that needs only a part."""
        return 2 * self.saved_bytes < self.nbytes


class Memory:
    """What a tape keeps, as `blocks`, largest first. Made by `memory`."""

    def __init__(self, blocks: Iterable[Block], freed: int):
        self.blocks = tuple(sorted(blocks, key=lambda block: -block.nbytes))
        self.freed = freed  # operations whose saved values a backward pass has freed

    @property
    def total(self) -> int:
        """Bytes that only the tape holds: what becomes free with the graph."""
        return self.held_by("tape")

    def held_by(self, holder: str) -> int:
        """Bytes that the tape uses and that are held by "tape" (alone), "parameter" or "program"."""
        return sum(block.nbytes for block in self.blocks if block.holder == holder)

    def by(self, what: str, holder: str | None = "tape") -> dict[str, int]:
        """Bytes by "operation", "line", "module", "name" (the variable that the operation's result was assigned to), "parameter"
        (of a rule: `mul.other`) or "device", largest first. `holder`: see `held_by`; None for all.

        A block with several uses counts at the first, so that the sum is that of the blocks.
        """
        if what not in (*_KEYS, "device"):
            raise ValueError(f"by: expected {', '.join(map(repr, _KEYS))} or 'device', got {what!r}")
        found: dict[str, int] = {}
        for block in self.blocks:
            if holder in (None, block.holder):
                use = block.uses[0]
                key = (
                    block.device if what == "device" else f"{use.operation}.{use.parameter}" if what == "parameter" else getattr(use, what)
                )
                found[key] = found.get(key, 0) + block.nbytes
        return dict(sorted(found.items(), key=lambda pair: -pair[1]))

    @property
    def shared(self) -> tuple[Block, ...]:
        """The blocks that several rules use."""
        return tuple(block for block in self.blocks if block.shared)

    def __str__(self) -> str:
        return "\n".join(_report(self))

    __repr__ = __str__


_KEYS = ("operation", "line", "module", "name", "parameter")


def memory(loss: Any, tape: Tape | None = None) -> Memory:
    """What the tape behind a Tensor (or several) keeps for its backward pass.

    Bytes are those of the arrays' memory, each counted once, on the CPU and on a GPU; the Python objects of the tape itself
    take about 0.5 KiB an operation more. `tape`: of a `record` block around the forward pass, which knows modules, lines and
    names; under `tape_lines` alone, lines are known.

    >>> import tinygrad_lite as tg
    >>> x = tg.ones(1000, requires_grad=True)
    >>> with tg.study.record() as tape:
    ...     h = x.exp()
    ...     loss = (h * h).sum()
    >>> del h  # the array is still there: exp keeps it as its result, and mul as its inputs
    >>> kept = memory(loss, tape)
    >>> kept.total, kept.by("name")
    (4000, {'h': 4000})
    >>> [str(use).partition(" ")[0] for use in kept.shared[0].uses]
    ['exp.out', 'mul.other', 'mul.input']
    """
    tensors = list(loss) if isinstance(loss, (tuple, list)) else [loss]
    for tensor in tensors:
        if not isinstance(tensor, Traced):
            raise TypeError(f"memory: expected a Tensor or a list of Tensors, got {type(tensor).__name__}")
        if tensor.node is None:
            raise RuntimeError("memory: this tensor has no tape: it needs no gradient, or was made under no_grad or by detach")
    nodes = entries_behind([tensor.node for tensor in tensors])
    holders = _other_holders(nodes, tensors)
    owners: dict[int, Any] = {}
    first: dict[int, Any] = {}
    uses: dict[int, dict[Use, None]] = {}
    parts: dict[int, dict[tuple[int, int], int]] = {}
    freed = 0
    for node in nodes:
        freed += node.saved is None
        for parameter, array in _saved(node):
            owner = owner_of(array)
            key = id(owner)
            owners[key] = owner
            first.setdefault(key, array)
            parts.setdefault(key, {})[address_range(array)] = array.nbytes
            uses.setdefault(key, {})[_use(node, parameter, tape)] = None
    blocks = (
        Block(
            owner.nbytes, str(device_of(owner)), first[key].shape, str(first[key].dtype),
            sum(parts[key].values()), holders.get(key, "tape"), tuple(uses[key]),
        )
        for key, owner in owners.items()
    )  # fmt: skip
    return Memory(blocks, freed)


def _saved(node: Any) -> Iterator[tuple[str, Any]]:
    """The arrays that a node keeps, each with the name by which the rules know it."""
    if type(node) is Leaf:
        if node.array is not None:
            yield "hooks", node.array
        return
    values = node.saved.values if isinstance(node.saved, _Packed) else node.saved
    for parameter, value in zip(node.plan.names, values or ()):
        for array in _arrays(value):
            yield parameter, array


def _use(node: Any, parameter: str, tape: Tape | None) -> Use:
    number = None if tape is None else tape._numbers.get(node)
    if tape is None or number is None:
        return Use(node.name, parameter, "", getattr(node, "line", ""), "")
    entry = tape.entries[number]
    line = f"{os.path.basename(entry.calls[0].file)}:{entry.calls[0].line}" if entry.calls else ""
    return Use(node.name, parameter, entry.module, line, entry.name)


def _other_holders(nodes: list[Any], given: list[Any]) -> dict[int, str]:
    """Who besides the tape holds memory, by the id of its owner: every Tensor that is alive, leaves of the tape among them, but
    for those `given`, which go with the tape."""
    going = {id(tensor) for tensor in given if type(tensor.node) is not Leaf}
    leaves = {id(node) for node in nodes if type(node) is Leaf}
    found: dict[int, str] = {}
    for tensor in tensors_alive():
        owner = id(owner_of(tensor.array))
        if id(tensor.node) in leaves:
            found[owner] = "parameter"
        elif id(tensor) not in going:
            found.setdefault(owner, "program")
    return found


def tensors_alive() -> list[Any]:
    """Every Tensor of the process that has an array, but for those whose making was left by an error."""
    tensors = [each for each in gc.get_objects() if issubclass(type(each), Traced)]
    return [tensor for tensor in tensors if getattr(tensor, "array", None) is not None and hasattr(tensor, "node")]


def _report(kept: Memory) -> Iterator[str]:
    alone, parameters, program = (kept.held_by(holder) for holder in ("tape", "parameter", "program"))
    yield f"The tape alone keeps {size(alone)}; it also uses {size(parameters)} of parameters and {size(program)} of other tensors."
    if kept.freed:
        operations = f"{kept.freed:,} operations" if kept.freed > 1 else "an operation"
        yield f"A backward pass has freed what {operations} had saved: look before backward, or pass retain_graph=True."
    if len(kept.by("device")) > 1:
        yield "on " + ", ".join(f"{device} {size(count)}" for device, count in kept.by("device").items())
    for what in ("operation", "parameter", "module", "line"):
        rows = kept.by(what)
        if any(rows) and alone:
            yield f"by {what}"
            for key, count in list(rows.items())[:LARGEST]:
                yield f"  {size(count):>10}  {count / alone:4.0%}  {key or '-'}"
            if len(rows) > LARGEST:
                rest = sum(list(rows.values())[LARGEST:])
                yield f"  {size(rest):>10}  {rest / alone:4.0%}  {len(rows) - LARGEST} more"
    own = [block for block in kept.blocks if block.holder == "tape"]
    for title, blocks in (
        ("largest", own),
        ("shared, counted once", [block for block in own if block.shared]),
        ("kept whole for a view of a part", [block for block in own if block.kept_for_a_view]),
    ):
        if blocks:
            yield title
            for block in blocks[:LARGEST]:
                yield f"  {size(block.nbytes):>10}  {block.shape} {block.dtype}: {', '.join(map(str, block.uses))}"
    if not any(kept.by("line")) and own:
        yield "For lines and modules, run the forward pass in `with study.record() as tape` and pass the tape."


def size(count: int) -> str:
    """A number of bytes in words: `3.2 MiB`."""
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB"):
        if amount >= 1024:
            amount, unit = amount / 1024, larger
    return f"{count:,} B" if unit == "B" else f"{amount:.1f} {unit}"
