"""Consecutive actions of a plan as compiled functions and loops."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from tinygrad_lite.compiler.actions import Action
from tinygrad_lite.compiler.chains import ALONE, Slots, chain_of, is_link, may_follow
from tinygrad_lite.compiler.native import Function, function_of, is_small, is_supported
from tinygrad_lite.compiler.nests import Piece
from tinygrad_lite.compiler.program import Program


def note_last_uses(pieces: Iterable[Piece], program: Program, ends: Mapping[int, Sequence[int]]) -> None:
    """Tell each piece which call is the last to read what it writes. `ends`: see `program.last_uses`."""
    last = {memory: i for i, memories in ends.items() for memory in memories}
    outside = {variable.memory for variable in (*program.inputs, *program.captured)}
    for piece in pieces:
        call = program.calls[piece.number]
        memory = (call.result or call.written[0]).memory
        piece.last = -1 if memory in outside else last.get(memory, -1)


def combined(actions: Sequence[Action], pieces: Mapping[int, Piece], late: Slots) -> tuple[list[Action], dict[int, int], list[Function]]:
    """The actions with compiled functions in the place of consecutive pieces, the place among them of each action, by number, and
    the functions that are not chains, which own what their actions need."""
    found: list[Action] = []
    functions: list[Function] = []
    moved: dict[int, int] = {}
    run: list[int] = []

    def finish() -> None:
        parts, instead = [pieces[number] for number in run], [actions[number] for number in run]
        function: Function | Callable[[], None] | None = None
        if kind == "function" and len(run) > 1:
            function = function_of(parts)
        elif len(run) > 1 or (run and parts[0].out.size >= ALONE):
            function = chain_of(parts, late, instead)
        if function is None:
            for number in run:
                moved[number] = len(found)
                found.append(actions[number])
        else:
            moved.update(dict.fromkeys(run, len(found)))
            found.append(function.action if isinstance(function, Function) else (function, ()))
            if isinstance(function, Function):
                functions.append(function)
        run.clear()

    kind = ""
    for number, action in enumerate(actions):
        piece = pieces.get(number)
        now = "" if piece is None else _kind_of(piece, late)
        if now != kind or (run and now == "chain" and not may_follow(pieces[run[-1]], pieces[number])):
            finish()
        kind = now
        if kind:
            run.append(number)
        else:
            moved[number] = len(found)
            found.append(action)
    finish()
    return found, moved, functions


def _kind_of(piece: Piece, late: Slots) -> str:
    """What a piece may be a part of: a "function" on small arrays, of which no run makes one, or a "chain" on large ones."""
    is_late = any(id(array) in late.numbers for array in (piece.out, *piece.operands))
    if is_small(piece) and is_supported(piece) and not is_late:
        return "function"
    return "chain" if is_link(piece) else ""
