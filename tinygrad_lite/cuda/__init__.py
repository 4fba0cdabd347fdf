"""GPUs, under the names of torch.cuda: `tg.device("cuda" if tg.cuda.is_available() else "cpu")`.

Queries work without a GPU too; functions that need one raise an error that says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_lite._first_use import at_first_use
from tinygrad_lite.arrays import Device, devices, gpu
from tinygrad_lite.arrays.deferred_checks import settle
from tinygrad_lite.arrays.gpu import OutOfMemoryError
from tinygrad_lite.ops.random import generators

__all__ = [
    "OutOfMemoryError", "current_device", "device", "device_count", "empty_cache", "get_device_capability",
    "get_device_name", "get_rng_state", "initial_seed", "is_available", "is_bf16_supported", "manual_seed",
    "manual_seed_all", "max_memory_allocated", "memory_allocated", "memory_reserved", "reset_peak_memory_stats",
    "set_device", "set_rng_state", "synchronize",
]  # fmt: skip

if TYPE_CHECKING:
    from tinygrad_lite.cuda import amp


__getattr__, __dir__ = at_first_use(__name__, ("amp",))


def is_available() -> bool:
    """Whether "cuda" can be used: CuPy, a driver and a GPU are present.

    >>> is_available() == (device_count() > 0)
    True
    """
    return gpu.count() > 0


def device_count() -> int:
    """The number of GPUs.

    >>> device_count() > 0 or not is_available()
    True
    """
    return gpu.count()


def current_device() -> int:
    """The number of the GPU that "cuda" refers to."""
    return int(devices.handle().id)


def set_device(device: Any) -> None:
    """Make "cuda" refer to another GPU; a negative number changes nothing.

    >>> set_device(-1)
    """
    if devices.index_of(device) is not None:
        devices.handle(device).use()


class device:
    """A block in which "cuda" refers to another GPU; None or a negative number changes nothing.

    >>> import tinygrad_lite as tg
    >>> with device(None):  # device(1): on the second GPU
    ...     x = tg.ones(2, device="cuda" if is_available() else "cpu")
    >>> x.shape
    (2,)
    """

    def __init__(self, device: Any):
        self.idx = devices.index_of(device)
        self._before: list[int] = []

    def __enter__(self) -> None:
        if self.idx is not None:
            self._before.append(current_device())
            set_device(self.idx)

    def __exit__(self, *exception: object) -> None:
        if self._before:
            set_device(self._before.pop())


def synchronize(device: Any = None) -> None:
    """Wait until the GPU has finished all its work.

    >>> if is_available():
    ...     synchronize()
    """
    devices.handle(device).synchronize()
    settle()


def get_device_name(device: Any = None) -> str:
    """The GPU's name.

    >>> name = get_device_name() if is_available() else "none"
    """
    return gpu.properties(devices.handle(device))["name"].decode()


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """The GPU's compute capability, major and minor.

    >>> if is_available():
    ...     major, minor = get_device_capability()
    """
    found = gpu.properties(devices.handle(device))
    return found["major"], found["minor"]


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False: NumPy and CuPy have no bfloat16.

    >>> is_bf16_supported()
    False
    """
    return False


def memory_allocated(device: Any = None) -> int:
    """The number of bytes that arrays use on the GPU.

    >>> 0 <= memory_allocated() <= memory_reserved()
    True
    """
    return gpu.memory(devices.handle(device))[0] if is_available() else 0


def memory_reserved(device: Any = None) -> int:
    """The number of bytes held for arrays on the GPU, in use or not."""
    return gpu.memory(devices.handle(device))[1] if is_available() else 0


def max_memory_allocated(device: Any = None) -> int:
    """An upper bound of the most bytes that arrays have used since `empty_cache()`: the memory CuPy holds for them, which
    shrinks only in `empty_cache()`.

    >>> max_memory_allocated() >= memory_allocated()
    True
    """
    return memory_reserved(device)


def reset_peak_memory_stats(device: Any = None) -> None:
    """Restart `max_memory_allocated`."""
    empty_cache()


def empty_cache() -> None:
    """Return unused memory to the GPU.

    >>> empty_cache()
    >>> memory_reserved() >= memory_allocated()
    True
    """
    if is_available():
        gpu.free_unused()


def manual_seed(seed: int) -> None:
    """Restart the random stream of the current GPU from `seed`; does nothing without a GPU.

    >>> manual_seed(0)  # also without a GPU
    """
    if is_available():
        generators.source(device="cuda").reseed(seed % 2**64)


def get_rng_state(device: Any = "cuda") -> Any:
    """The state of a GPU's random stream, as a byte tensor on the CPU.

    >>> if is_available():
    ...     state = get_rng_state()
    ...     set_rng_state(state)
    """
    return _generator(device).get_state()


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Restore a GPU's random stream to `new_state`.

    >>> import tinygrad_lite as tg
    >>> if is_available():
    ...     state = get_rng_state()
    ...     x = tg.randn(2, device="cuda")
    ...     set_rng_state(state)
    ...     assert (tg.randn(2, device="cuda") == x).all()
    """
    _generator(device).set_state(new_state)


def initial_seed() -> int:
    """The seed from which the current GPU's stream started."""
    return _generator("cuda").initial_seed()


def _generator(device: Any) -> Any:
    return generators.on_gpu(Device("cuda", devices.index_of(device)))


def manual_seed_all(seed: int) -> None:
    """`manual_seed` for every GPU.

    >>> manual_seed_all(0)
    """
    if is_available():
        for i in range(device_count()):
            generators.source(device=f"cuda:{i}").reseed(seed % 2**64)
