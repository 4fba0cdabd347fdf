"""The GPUs themselves: how many, which one is in use, their memory. Asking never fails for want of one."""

from __future__ import annotations

from typing import Any

from tinygrad_lite.arrays.devices import Device, cupy_or_explain


def count() -> int:
    """How many GPUs can be used: none without CuPy, or without a driver."""
    try:
        return int(cupy_or_explain().cuda.runtime.getDeviceCount())
    except Exception:  # whatever a missing or broken driver raises
        return 0


def index_of(device: Any) -> int | None:
    """The number of a GPU: given as one, as "cuda:1" or as a Device; None for the one in use."""
    if device is None or (isinstance(device, int) and device < 0):
        return None
    device = Device(device)
    if device.type != "cuda":
        raise ValueError(f"cuda: expected a GPU ('cuda', 'cuda:N' or its number), got {str(device)!r}")
    return device.index


def handle(device: Any = None) -> Any:
    """CuPy's object for a GPU."""
    cupy, index = cupy_or_explain(), index_of(device)
    if not count():
        raise RuntimeError("cuda: no GPU was found, or its driver does not work")
    return cupy.cuda.Device(index)


def properties(device: Any = None) -> dict[str, Any]:
    """What the driver says of a GPU."""
    return cupy_or_explain().cuda.runtime.getDeviceProperties(handle(device).id)


def memory(device: Any = None) -> tuple[int, int]:
    """The bytes that arrays use on a GPU, and the bytes that CuPy's memory pool holds for them."""
    with handle(device):
        pool = cupy_or_explain().get_default_memory_pool()
        return int(pool.used_bytes()), int(pool.total_bytes())


def free_unused() -> None:
    """Give the memory that no array uses back to the GPU."""
    cupy_or_explain().get_default_memory_pool().free_all_blocks()
