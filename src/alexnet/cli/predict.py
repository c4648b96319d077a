"""`alexnet predict`: the most probable classes of images."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from alexnet.cli.console import ProgressReporter, note, percent, table
from alexnet.cli.flags import parse
from alexnet.config.serialization import json_text, to_dict
from alexnet.data.images.find import find_images
from alexnet.errors import UsageError

if TYPE_CHECKING:
    from alexnet.inference.classifier import Prediction


@dataclass(frozen=True, kw_only=True)
class PredictFlags:
    """The most probable classes of images."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A model file or a run folder."""
    paths: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE ...")]
    """Images, folders of images, or patterns such as 'photos/*.jpg'."""
    top: int = 5
    """Number of classes per image."""
    crops: Literal["1", "10"] = "1"
    """10 averages the center and the corners, each also flipped (paper, section 4.1)."""
    device: str = "auto"
    """auto: the first GPU, else the CPU."""
    json: bool = False
    """Print JSON."""
    csv: bool = False
    """Print CSV: image,rank,label,probability."""


def run(arguments: Sequence[str]) -> int:
    """Predict and print; 1 if an image could not be read."""
    flags = parse(PredictFlags, arguments, "predict")
    if flags.top < 1:
        raise UsageError(f"--top {flags.top} must be at least 1")
    if flags.json and flags.csv:
        raise UsageError("choose one of --json and --csv")
    if not flags.paths or "" in flags.paths:
        raise UsageError("name at least one image, folder or pattern")
    paths = [path for pattern in flags.paths for path in image_paths(pattern)]
    from alexnet.inference.classifier import load

    classifier = load(flags.model, flags.device)
    crops: Literal[1, 10] = 10 if flags.crops == "10" else 1
    with ProgressReporter() as reporter:
        predictions = classifier.predict(paths, flags.top, crops, reporter.on_predict)
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


def image_paths(pattern: str) -> list[Path]:
    """The files that a path or pattern matches, in order; for a folder, the images in it.

    Raises:
        UsageError: there is no such file.
    """
    path = Path(pattern)
    # The name of an existing file may contain the signs of a pattern.
    matches = [path] if path.exists() else sorted(map(Path, glob(pattern, recursive=True)))  # noqa: PTH207
    images: list[Path] = []
    for match in matches:
        images += find_images(match) if match.is_dir() else [match]
    if not images:
        raise UsageError(f"there is no image at {pattern}")
    return images


def _print_csv(predictions: Sequence[Prediction]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("image", "rank", "label", "probability"))
    for prediction in predictions:
        for rank, top in enumerate(prediction.top_classes, 1):
            writer.writerow((prediction.image, rank, top.label, f"{top.probability:.6f}"))


def _text(predictions: Sequence[Prediction]) -> str:
    rows = [
        (
            p.image,
            p.top_classes[0].label,
            percent(p.top_classes[0].probability),
            ", ".join(f"{c.label} {percent(c.probability)}" for c in p.top_classes[1:]),
        )
        for p in predictions
        if p.top_classes
    ]
    return table(("image", "prediction", "probability", "next"), rows, left=4)
