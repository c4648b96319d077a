"""`alexnet predict`: what is on pictures."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from alexnet.cli.console import note, percent, table
from alexnet.cli.flags import parse
from alexnet.config.serialization import json_text, to_dict
from alexnet.data.datasets.folder import pictures_below
from alexnet.errors import UsageError

if TYPE_CHECKING:
    from alexnet.inference.classifier import Prediction


@dataclass(frozen=True, kw_only=True)
class PredictFlags:
    """The likeliest classes of pictures."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A model file or a run folder."""
    paths: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE ...")]
    """Pictures, folders of pictures, or patterns such as 'photos/*.jpg'."""
    top: int = 5
    """How many classes to name."""
    crops: Literal["1", "10"] = "1"
    """10 averages the centre and the corners, each also mirrored."""
    device: str = "auto"
    """auto: the first GPU, else the processor."""
    json: bool = False
    """Print JSON."""
    csv: bool = False
    """Print CSV: image,rank,label,probability."""


def run(arguments: Sequence[str]) -> int:
    """Predict and print; 1 when a picture could not be read."""
    flags = parse(PredictFlags, arguments, "predict")
    if flags.top < 1:
        raise UsageError(f"--top {flags.top} must be at least 1")
    if flags.json and flags.csv:
        raise UsageError("choose one of --json and --csv")
    if not flags.paths or "" in flags.paths:
        raise UsageError("name at least one picture, folder or pattern")
    paths = [path for pattern in flags.paths for path in pictures(pattern)]
    from alexnet.inference.classifier import load

    classifier = load(flags.model, flags.device)
    predictions = classifier.predict(paths, flags.top, 10 if flags.crops == "10" else 1)
    if flags.json:
        print(json_text(to_dict(tuple(predictions))))
    elif flags.csv:
        _print_csv(predictions)
    elif any(prediction.top_classes for prediction in predictions):
        print(_text(predictions))
    for prediction in predictions:
        if prediction.error:
            note(f"alexnet: cannot read {prediction.image}: {prediction.error}")
    return int(any(prediction.error for prediction in predictions))


def pictures(pattern: str) -> Iterator[Path]:
    """The pictures that a path or pattern means, in order; a folder means all pictures below it.

    Raises:
        UsageError: nothing is there.
    """
    path = Path(pattern)
    is_one = path.exists()  # a name may hold pattern signs
    matches = [path] if is_one else sorted(map(Path, glob(pattern, recursive=True)))  # noqa: PTH207
    found = [picture for match in matches for picture in _below(match)]
    if not found:
        raise UsageError(f"there is no picture at {pattern}")
    yield from found


def _below(path: Path) -> list[Path]:
    """The file itself, or the pictures in a folder."""
    return [path / name for name in pictures_below(path, Counter())] if path.is_dir() else [path]


def _print_csv(predictions: Sequence[Prediction]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("image", "rank", "label", "probability"))
    for prediction in predictions:
        for rank, guess in enumerate(prediction.top_classes, 1):
            writer.writerow((prediction.image, rank, guess.label, f"{guess.probability:.6f}"))


def _text(predictions: Sequence[Prediction]) -> str:
    rows = [
        (
            p.image,
            p.top_classes[0].label,
            percent(p.top_classes[0].probability),
            ", ".join(f"{g.label} {percent(g.probability)}" for g in p.top_classes[1:]),
        )
        for p in predictions
        if p.top_classes
    ]
    return table(("picture", "class", "belief", "then"), rows, left=4)
