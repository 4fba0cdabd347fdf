"""Threads that share the parts of a compiled loop.

Python's pools take 50 to 100 us to start a task on another thread, longer than most loops run. The threads here are in
compiled code already: each watches a word in memory for some time after its last part, and takes the next one within a
microsecond; where other programs want the core, they get it. A thread that has waited in vain leaves for Python and
sleeps there until it is called. Nobody waits for a thread that sleeps or has no core: the caller takes part after part
itself, and at the end waits only for those begun.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import platform
import threading
from array import array
from collections.abc import Callable, Sequence
from itertools import chain
from queue import SimpleQueue

import numpy as np

from tinygrad_lite.arrays.compiling import Loop, load
from tinygrad_lite.arrays.memory import start_of
from tinygrad_lite.arrays.threads import get_num_threads

PARTS = 4  # for each thread, so that one that begins late has less to do
_PATIENCE = 1 << 12  # looks at the word in 0.1 ms, before a thread offers its core to others between two looks
_YIELDS = 1 << 11  # such looks, in 0.5 to 1 ms, before it sleeps: most work of Python between two loops is shorter
_CLOSED = 1 << 40  # the next part, where no more may be taken

# The words that the threads share, each on cache lines of its own: where they are, in bytes.
_NEXT, _ACTIVE, _AWAKE, _JOB, _WORDS = 0, 128, 256, 384, 512

_ON_X86 = platform.machine() in ("x86_64", "AMD64")
_PAUSE = "call void @llvm.x86.sse2.pause()" if _ON_X86 else ""
_YIELD = "call i32 @sched_yield()" if os.name == "posix" else "add i32 0, 0"

_DECLARED = ("declare void @llvm.x86.sse2.pause()\n" if _ON_X86 else "") + ("declare i32 @sched_yield()\n" if os.name == "posix" else "")
_FIELDS = f"""
  %next = getelementptr i8, ptr %state, i64 {_NEXT}
  %active = getelementptr i8, ptr %state, i64 {_ACTIVE}
  %awake = getelementptr i8, ptr %state, i64 {_AWAKE}
  %calls_at = getelementptr i8, ptr %state, i64 {_AWAKE + 8}
  %count_at = getelementptr i8, ptr %state, i64 {_JOB}
  %part_at = getelementptr i8, ptr %state, i64 {_JOB + 8}
  %args_at = getelementptr i8, ptr %state, i64 {_JOB + 16}"""

# Takes parts until there are none, and goes on at `done`.
_TAKE = """
take:
  %i = atomicrmw add ptr %next, i64 1 seq_cst
  %of = load atomic i64, ptr %count_at seq_cst, align 8
  %valid = icmp slt i64 %i, %of
  br i1 %valid, label %run, label %done
run:
  %part = load ptr, ptr %part_at
  %args = load ptr, ptr %args_at
  call void %part(i64 %i, ptr %args)
  br label %take"""

# A part may be taken while `next` is below `count`. A thread counts itself as active before it takes one, so that the
# caller, once it has closed `next`, sees everyone who has.
_SERVE = f"""{_DECLARED}
define void @loop(i64 %patience, ptr %state) {{
entry:{_FIELDS}
  br label %look
look:
  %tries = phi i64 [ 0, %entry ], [ 0, %done ], [ %tried, %pause ], [ %tried, %yield ]
  %seen = load atomic i64, ptr %next seq_cst, align 8
  %count = load atomic i64, ptr %count_at seq_cst, align 8
  %open = icmp slt i64 %seen, %count
  br i1 %open, label %enter, label %wait
enter:
  %entered = atomicrmw add ptr %active, i64 1 seq_cst
  br label %take{_TAKE}
done:
  %left = atomicrmw sub ptr %active, i64 1 seq_cst
  br label %look
wait:
  %tried = add i64 %tries, 1
  %soon = icmp slt i64 %tried, %patience
  br i1 %soon, label %pause, label %wait_longer
pause:
  {_PAUSE}
  br label %look
wait_longer:
  %most = add i64 %patience, {_YIELDS}
  %more = icmp slt i64 %tried, %most
  br i1 %more, label %yield, label %sleep
yield:
  %yielded = {_YIELD}
  br label %look
sleep:
  %tired = atomicrmw sub ptr %awake, i64 1 seq_cst
  ret void
}}
"""

# Opens the parts, counts those threads as awake that have to be woken for them, and writes down how many.
_POST = f"""
define void @loop(i64 %count, i64 %threads, ptr %state, ptr %part, ptr %args) {{
entry:{_FIELDS}
  store ptr %part, ptr %part_at
  store ptr %args, ptr %args_at
  store atomic i64 %count, ptr %count_at seq_cst, align 8
  store atomic i64 0, ptr %next seq_cst, align 8
  %others = sub i64 %count, 1
  %fewer = icmp slt i64 %others, %threads
  %wanted = select i1 %fewer, i64 %others, i64 %threads
  %were = load atomic i64, ptr %awake seq_cst, align 8
  %missing = sub i64 %wanted, %were
  %some = icmp sgt i64 %missing, 0
  %calls = select i1 %some, i64 %missing, i64 0
  %counted = atomicrmw add ptr %awake, i64 %calls seq_cst
  store i64 %calls, ptr %calls_at
  ret void
}}
"""

# Takes parts as the threads do, and waits for those that others have begun.
_WORK = f"""{_DECLARED}
define void @loop(i64 %patience, ptr %state) {{
entry:{_FIELDS}
  br label %take{_TAKE}
done:
  store atomic i64 {_CLOSED}, ptr %next seq_cst, align 8
  br label %look
look:
  %tries = phi i64 [ 0, %done ], [ %tried, %wait ], [ %tries, %yield ]
  %busy = load atomic i64, ptr %active seq_cst, align 8
  %some = icmp ne i64 %busy, 0
  br i1 %some, label %wait, label %end
wait:
  {_PAUSE}
  %tried = add i64 %tries, 1
  %more = icmp slt i64 %tried, %patience
  br i1 %more, label %look, label %yield
yield:
  %yielded = {_YIELD}
  br label %look
end:
  ret void
}}
"""


@functools.cache
def _compiled(text: str, sizes: int, addresses: int) -> Callable[..., None]:
    return load(text, np.dtype(np.float32), sizes, addresses, 0, shared=False).call


class _Crew:
    """The threads besides the caller's."""

    def __init__(self, wanted: int):
        self.wanted, self.threads = wanted, 0
        self.serve, self.post, self.work = _compiled(_SERVE, 1, 1), _compiled(_POST, 2, 3), _compiled(_WORK, 1, 1)
        memory = np.zeros(_WORDS // 8 + 16, np.int64)
        self.words = memory[-start_of(memory) % 128 // 8 :]
        self.words[_NEXT // 8] = _CLOSED
        self.state = start_of(self.words)
        self.calls: SimpleQueue[bool] = SimpleQueue()
        with contextlib.suppress(RuntimeError):  # no more can be started: because of a limit, or while Python ends
            for _ in range(wanted):
                threading.Thread(target=self._serve, name="tinygrad_lite", daemon=True).start()
                self.threads += 1

    def _serve(self) -> None:
        calls = self.calls
        while calls.get():
            self.serve(_PATIENCE, self.state)

    def run(self, part: int, args: int, count: int) -> None:
        try:
            self.post(count, self.threads, self.state, part, args)
            for _ in range(self.words[_AWAKE // 8 + 1]):
                self.calls.put(True)
        finally:  # also after Ctrl-C: the threads use the arguments until then
            self.work(_PATIENCE, self.state)

    def dismiss(self) -> None:
        for _ in range(self.threads):
            self.calls.put(False)


_crew: _Crew | None = None
_lock = threading.Lock()  # held while parts are open


def _forget() -> None:
    global _crew, _lock
    _crew, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)  # a child process does not have its parent's threads


def share(
    loop: Loop, rows: int, each: int, sizes: Sequence[int], arrays: Sequence[tuple[int, int, int]], numbers: Sequence[float] = ()
) -> None:
    """Call `loop(rows, *sizes, *addresses, *numbers)` in parts of `each` rows, shared among threads.

    `arrays`: for each its address, the bytes from a row to the next, and those to add for each part.
    """
    block = array("q", [rows, each, *sizes, *chain.from_iterable(arrays)])
    if numbers:
        block.frombytes(array("d", numbers).tobytes())
    in_parts(loop.part, block, -(-rows // each))


def in_parts(part: int, block: array[int], count: int) -> None:
    """Call the compiled function at the address `part` with 0, 1, ..., `count` - 1 and the address of `block`, on several
    threads."""
    global _crew
    wanted = get_num_threads() - 1
    if not _lock.acquire(blocking=False):  # another thread of the program uses the crew
        for i in range(count):
            _PART(part)(i, block.buffer_info()[0])
        return
    try:
        if _crew is None or _crew.wanted != wanted:
            if _crew is not None:
                _crew.dismiss()
            _crew = _Crew(wanted)
        _crew.run(part, block.buffer_info()[0], count)
    except BaseException:  # after Ctrl-C threads may count as awake that were never called
        if _crew is not None:
            _crew.dismiss()
        _crew = None
        raise
    finally:
        _lock.release()


_PART = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_void_p)
