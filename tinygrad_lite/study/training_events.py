"""A training that is watched as event files for TensorBoard."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Iterator
from typing import Any

from tinygrad_lite.study.measures import SeenStep

_SECONDS = 5.0  # between the times at which what was seen reaches the file


class Events:
    """One event file in `folder`, which is made where it is missing."""

    def __init__(self, folder: str | os.PathLike[str]):
        if not isinstance(folder, (str, os.PathLike)):
            raise TypeError(f"tensorboard: folder must be a str or a path, got {type(folder).__name__}")
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError as error:
            raise ImportError("watch: event files need TensorBoard's package: pip install 'tinygrad_lite[tensorboard]'") from error
        self._event, self._summary = event_pb2.Event, summary_pb2.Summary
        self._writer = EventFileWriter(os.fspath(folder))
        self._flushed = time.monotonic()

    def seen(self, watched: Any, seen: SeenStep) -> None:
        values = [self._summary.Value(tag=tag, simple_value=value) for tag, value in scalars(seen)]
        self._writer.add_event(self._event(wall_time=time.time(), step=seen.step, summary=self._summary(value=values)))
        if time.monotonic() - self._flushed > _SECONDS:
            self._writer.flush()
            self._flushed = time.monotonic()

    def close(self, watched: Any) -> None:
        self._writer.close()


def scalars(seen: SeenStep) -> Iterator[tuple[str, float]]:
    """The numbers of a step, by tag."""
    if seen.loss is not None:
        yield "loss", seen.loss
    for i, rate in enumerate(seen.rates):
        yield f"rate/{i}", rate
    for name, layer in seen.layers.items():
        for field in dataclasses.fields(layer):
            value = getattr(layer, field.name)
            if field.name != "kind" and value is not None:
                yield f"{field.name}/{name}", float(value)
