"""The stand-in's devices: two, with separate memory, and a list of transfers between host and device."""

from __future__ import annotations

import threading
from typing import Any

DEVICES = 2
HELD = 24 << 30  # the memory that each device reports, in bytes

_thread = threading.local()
_lock = threading.RLock()
_used = [0] * DEVICES
_held = [0] * DEVICES
_limit = [0] * DEVICES

transfers: list[str] = []  # every time the host waited for the device, or sent it data


def transferred(what: str) -> None:
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
        return HELD - _held[self.id], HELD

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

    def __init__(self, size: int, device: int):
        self.size, self.device = size, device
        with _lock:
            limit, used = _limit[device] or HELD, _used[device]
            if used + size > limit:
                self.size = 0
                raise OutOfMemoryError(
                    f"Out of memory allocating {size:,} bytes (allocated so far: {used:,} bytes, limit set to: {limit:,} bytes)."
                )
            _used[device] += size
            _held[device] = max(_held[device], _used[device])

    def __del__(self) -> None:
        with _lock:
            _used[self.device] -= self.size


class MemoryPool:
    def malloc(self, size: int) -> Block:
        return Block(size, current())

    def used_bytes(self) -> int:
        return _used[current()]

    def total_bytes(self) -> int:
        return _held[current()]

    def free_bytes(self) -> int:
        return self.total_bytes() - self.used_bytes()

    def free_all_blocks(self, stream: Any = None) -> None:
        _held[current()] = _used[current()]

    def set_limit(self, size: Any = None, fraction: Any = None) -> None:
        _limit[current()] = int(size or 0)

    def get_limit(self) -> int:
        return _limit[current()]


pool = MemoryPool()
_allocator: Any = pool.malloc


def set_allocator(allocator: Any = None) -> None:
    global _allocator
    _allocator = pool.malloc if allocator is None else allocator


def get_allocator() -> Any:
    return _allocator


def alloc(size: int) -> Any:
    return _allocator(size)
