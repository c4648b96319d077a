"""Example images for a model card: the first of each class in the evaluated split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from alexnet.errors import UsageError
from alexnet.reports.predictions import ImagePrediction
from alexnet.reports.stored_images import open_run_data
from alexnet.reports.stored_run import StoredRun

MAX_EXAMPLES = 24


@dataclass(frozen=True, kw_only=True)
class Example:
    """An image of the evaluated split."""

    file: str
    """Path of the image's file in the folder."""
    label: str
    predicted: str
    probability: float
    """Probability of the predicted class, 0 to 1."""


def write_examples(run: StoredRun, folder: Path, count: int) -> list[Example]:
    """Write images that the run was evaluated on, as they are stored, into `examples/`.

    Raises:
        UsageError: the images or the predictions no longer exist, or `count` is not from 1 to
            MAX_EXAMPLES.
    """
    if not 1 <= count <= MAX_EXAMPLES:
        raise UsageError(f"--examples {count} must be from 1 to {MAX_EXAMPLES}")
    data = open_run_data(run)
    if not data.store or not data.has_pixels or not run.predictions or not run.evaluation:
        reason = data.problem or run.problems.get("the predictions", "they have no predictions")
        raise UsageError(f"there are no example images: {reason}; leave out --examples")
    names = run.evaluation.class_names
    (folder / "examples").mkdir()
    examples = []
    for number, row in enumerate(_choose(run.predictions, count), 1):
        file = f"examples/{number:02d}.png"
        Image.fromarray(data.store.image(row.index)).save(folder / file)
        examples.append(
            Example(
                file=file,
                label=names[row.label],
                predicted=names[row.predicted],
                probability=row.predicted_probability,
            )
        )
    return examples


def _choose(rows: tuple[ImagePrediction, ...], count: int) -> list[ImagePrediction]:
    """The first `count` images, taken from each class in turn, whether predicted right or wrong."""
    seen: dict[int, int] = {}
    ranked = []
    for row in sorted(rows, key=lambda row: row.index):
        ranked.append((seen.get(row.label, 0), row.label, row.index, row))
        seen[row.label] = seen.get(row.label, 0) + 1
    return [row for *_, row in sorted(ranked, key=lambda entry: entry[:3])[:count]]
