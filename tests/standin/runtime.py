"""The stand-in's devices: two, with separate memory, and a list of transfers between host and device."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

DEVICES = 2
HELD = 24 << 30  # the memory that each device reports, in bytes

_thread = threading.local()
_lock = threading.RLock()

transfers: list[str] = []  # every time the host waited for the device, or sent it data


def transferred(what: str) -> None:
    if current_stream().is_capturing():
        raise RuntimeError("the current stream is capturing, so synchronous API calls are disallowed")
    transfers.append(what)
    if len(transfers) > 100_000:
        del transfers[:50_000]


class CUDARuntimeError(RuntimeError):
    pass


class OutOfMemoryError(MemoryError):
    pass


def current() -> int:
    return getattr(_thread, "device", 0)


class Device:
    def __init__(self, device: Any = None):
        self.id = current() if device is None else int(device.id if isinstance(device, Device) else device)
        self._before: list[int] = []

    def use(self) -> None:
        if not 0 <= self.id < DEVICES:
            raise CUDARuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        _thread.device = self.id

    def __enter__(self) -> Device:
        before = current()
        self.use()
        self._before.append(before)
        return self

    def __exit__(self, *exception: Any) -> None:
        _thread.device = self._before.pop()

    def synchronize(self) -> None:
        transferred("synchronize")

    @property
    def mem_info(self) -> tuple[int, int]:
        return HELD - pool.held[self.id], HELD

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, Device) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __int__(self) -> int:
        return self.id

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"


class Block:
    """Memory from the pool, returned when no one holds it."""

    def __init__(self, size: int, device: int, pool: MemoryPool):
        self.size, self.device, self.pool = size, device, pool
        with _lock:
            limit, used = pool.limit[device] or HELD, pool.used[device]
            if used + size > limit:
                self.size = 0
                raise OutOfMemoryError(
                    f"Out of memory allocating {size:,} bytes (allocated so far: {used:,} bytes, limit set to: {limit:,} bytes)."
                )
            pool.used[device] += size
            pool.held[device] = max(pool.held[device], pool.used[device])

    def __del__(self) -> None:
        with _lock or contextlib.nullcontext():  # None when the interpreter ends
            self.pool.used[self.device] -= self.size


class MemoryPool:
    def __init__(self) -> None:
        self.used, self.held, self.limit = [0] * DEVICES, [0] * DEVICES, [0] * DEVICES

    def malloc(self, size: int) -> Block:
        return Block(size, current(), self)

    def used_bytes(self) -> int:
        return self.used[current()]

    def total_bytes(self) -> int:
        return self.held[current()]

    def free_bytes(self) -> int:
        return self.total_bytes() - self.used_bytes()

    def free_all_blocks(self, stream: Any = None) -> None:
        self.held[current()] = self.used[current()]

    def set_limit(self, size: Any = None, fraction: Any = None) -> None:
        self.limit[current()] = int(size or 0)

    def get_limit(self) -> int:
        return self.limit[current()]


pool = MemoryPool()
_allocator: Any = pool.malloc


def set_allocator(allocator: Any = None) -> None:
    global _allocator
    if getattr(_thread, "allocator", None) is not None:
        raise ValueError("Can't change the global allocator inside `using_allocator` context manager.")
    _allocator = pool.malloc if allocator is None else allocator


def get_allocator() -> Any:
    return getattr(_thread, "allocator", None) or _allocator


@contextlib.contextmanager
def using_allocator(allocator: Any = None) -> Iterator[None]:
    before = getattr(_thread, "allocator", None)
    _thread.allocator = pool.malloc if allocator is None else allocator
    try:
        yield
    finally:
        _thread.allocator = before


def alloc(size: int) -> Any:
    return get_allocator()(size)


# -- streams and graphs -----------------------------------------------------------------------------


class Stream:
    """Work is done at once, except while the stream captures it."""

    null: Stream

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: Any = None):
        self._is_null, self._before, self._captured = null, list[Any](), None

    def __enter__(self) -> Stream:
        self._before.append(getattr(_thread, "stream", None))
        return self.use()

    def __exit__(self, *exception: object) -> None:
        _thread.stream = self._before.pop()

    def use(self) -> Stream:
        _thread.stream = self
        return self

    def synchronize(self) -> None:
        if self.is_capturing():
            raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing")
        transferred("synchronize")

    def is_capturing(self) -> bool:
        return self._captured is not None

    def begin_capture(self, mode: Any = None) -> None:
        if self._is_null:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        self._captured = Graph()

    def end_capture(self) -> Graph:
        graph, self._captured = self._captured, None
        if graph is None:
            raise CUDARuntimeError("cudaErrorIllegalState: the operation cannot be performed in the present state")
        graph._recorded()
        return graph


Stream.null = Stream(null=True)


def current_stream(device_id: int = -1) -> Stream:
    return getattr(_thread, "stream", None) or Stream.null


class Graph:
    """Work in order, on memory that must still be there when the graph is launched: held by somebody, or from a pool that
    nobody else takes from."""

    def __init__(self) -> None:
        self._work: list[Callable[[], None]] = []
        self._undo: list[Callable[[], None]] = []
        self._memory: dict[int, Callable[[], bool]] = {}  # whether a block of memory is still what it was

    def _recorded(self) -> None:
        """Nothing has been done yet."""
        for undo in self._undo:
            undo()
        self._undo.clear()

    def launch(self, stream: Any = None) -> None:
        if current_stream().is_capturing():
            raise CUDARuntimeError("cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing")
        if not all(is_there() for is_there in self._memory.values()):
            raise CUDARuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered")
        for work in self._work:
            work()
