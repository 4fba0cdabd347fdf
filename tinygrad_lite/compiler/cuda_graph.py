"""The calls of a plan as CUDA graphs.

CuPy refuses to record calls of cuBLAS and other libraries, and sorting waits for the GPU. So what is recorded may be several
graphs, with such calls between them.

A graph holds kernels with their operands' addresses. So what is recorded must find everything at the same place in each
run: the plan's fixed arrays, and for intermediate values a pool of memory that nobody else takes from. The pool and the
stream are those of the rehearsal, after which CuPy has compiled all kernels, and its libraries have their work space.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from tinygrad_lite.arrays.devices import cupy_or_explain


class Recorder:
    """A stream and memory of its own on the current GPU."""

    def __init__(self) -> None:
        self._cupy = cupy_or_explain()
        self._stream = self._cupy.cuda.Stream(non_blocking=True)
        self._pool = self._cupy.cuda.MemoryPool()

    @contextlib.contextmanager
    def _entered(self) -> Iterator[None]:
        with self._stream, self._cupy.cuda.using_allocator(self._pool.malloc):
            yield

    @property
    def bytes(self) -> int:
        """Of the pool."""
        return self._pool.total_bytes()

    def rehearse(self, body: Callable[[], Any]) -> None:
        """Run `body`."""
        self._cupy.cuda.get_current_stream().synchronize()
        try:
            with self._entered():
                body()
        finally:
            self._stream.synchronize()

    def record(self, body: Callable[[Any], Any]) -> tuple[list[Callable[[], Any]], Any]:
        """The stages of `body`, functions that do what it does when they are called in turn, and what it returns: arrays that
        the stages fill. Nothing is carried out; what waits for the GPU, or needs values from the CPU, raises.

        `body` is called with a function `aside(work, is_first)` for work that no graph can hold. `is_first`: nothing was
        recorded since the last such work."""
        stages: list[Callable[[], Any]] = []

        def aside(work: Callable[[], Any], is_first: bool) -> None:
            graph = self._stream.end_capture()
            stages.extend([work] if is_first else [graph.launch, work])
            self._stream.begin_capture()

        with self._entered():
            self._stream.begin_capture()
            try:
                found = body(aside)
            except BaseException:
                with contextlib.suppress(Exception):  # the recording is invalid
                    self._stream.end_capture()
                raise
            stages.append(self._stream.end_capture().launch)
            return stages, found
