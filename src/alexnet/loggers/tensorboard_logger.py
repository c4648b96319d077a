"""Log to an event file that TensorBoard reads: `tensorboard --logdir runs`.

The file is written with TensorBoard's own records and messages. A resumed run writes it anew
without the events after its checkpoint, so that every reader finds every step once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import hparams, text

from alexnet.io.files import atomic_write
from alexnet.loggers.logger import LogResult, LogStart, Row

FILES = "events.out.tfevents.*"
FILE_VERSION = "brain.Event:2"
RGB = 3
"""TensorBoard's number for this colorspace."""


class TensorBoardLogger:
    """A logger to one event file."""

    def __init__(self, folder: Path, start: LogStart) -> None:
        self._start = start
        path = folder / f"events.out.tfevents.{time.time():.6f}"
        _copy_kept(sorted(folder.glob(FILES)), path, start)
        self._file = path.open("ab")
        self._records = RecordWriter(self._file)
        if start.is_new:
            recipe = text("recipe", f"```json\n{start.recipe}\n```")  # type: ignore[no-untyped-call]
            self._add(0, summary=recipe)
        self._file.flush()

    def log_rows(self, rows: Sequence[Row]) -> None:
        """Add a scalar for every value, such as epoch/train_loss, over the steps."""
        for row in rows:
            self._add(row.step, summary=_scalars(row.tagged))
        self._file.flush()

    def log_result(self, result: LogResult) -> None:
        """Add the figures, and the recipe's values with the final metrics."""
        metrics = {f"result/{name}": value for name, value in result.metrics.items()}
        settings = dict(self._start.settings)
        for part in hparams(settings, metrics):  # type: ignore[no-untyped-call]
            self._add(result.step, summary=part)
        self._add(result.step, summary=_scalars(metrics))
        for path in result.figures:
            self._add(result.step, summary=_figure(path))
        self._file.flush()

    def close(self, *, is_finished: bool) -> None:
        """Close the file."""
        self._file.close()

    def _add(self, step: int, **content: Any) -> None:
        self._records.write(_event(step, **content))


def _event(step: int, **content: Any) -> bytes:
    data: bytes = Event(wall_time=time.time(), step=step, **content).SerializeToString()
    return data


def _copy_kept(old: Sequence[Path], new: Path, start: LogStart) -> None:
    """Begin a file with the events of earlier sessions that stay, and remove their files."""
    with atomic_write(new) as temp, temp.open("xb") as file:
        records = RecordWriter(file)
        records.write(_event(0, file_version=FILE_VERSION))
        for path in old:
            for data in _kept(path, start):
                records.write(data)
    for path in old:
        path.unlink()


def _kept(path: Path, start: LogStart) -> Iterator[bytes]:
    """Yield the events up to the step where the run is resumed, or up to one that is cut off."""
    last_steps = {"recipe": 0} | {str(kind): step for kind, step in start.last_steps.items()}
    for data in RawEventFileLoader(str(path)).Load():
        event = Event.FromString(data)
        for value in event.summary.value[:1]:
            if event.step <= last_steps.get(value.tag.partition("/")[0], -1):
                yield data


def _scalars(values: dict[str, float]) -> Any:
    parts = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
    return Summary(value=parts)


def _figure(path: Path) -> Any:
    with Image.open(path) as image:
        width, height = image.size
    image = Summary.Image(
        height=height, width=width, colorspace=RGB, encoded_image_string=path.read_bytes()
    )
    return Summary(value=[Summary.Value(tag=f"plots/{path.stem}", image=image)])
