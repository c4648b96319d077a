"""The predictions of every evaluated image, from the `top_losses.csv` of an evaluation."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from alexnet.errors import DataError
from alexnet.evaluation.results import MAX_TOP_LOSSES
from alexnet.evaluation.summary import EvaluationSummary
from alexnet.io.files import read_regular
from alexnet.io.limits import MAX_CSV_BYTES
from alexnet.io.text import LONE_SURROGATE, printable


@dataclass(frozen=True, slots=True)
class ImagePrediction:
    """The prediction for an evaluated image; classes are given by index."""

    index: int
    """Index of the image in the data set."""
    name: str
    label: int
    predicted: int
    probability: float
    """Predicted probability of the label."""
    predicted_probability: float

    @property
    def is_correct(self) -> bool:
        """Whether the predicted class is the label."""
        return self.label == self.predicted

    @property
    def loss(self) -> float:
        """The cross entropy -ln p(label), from 0 to 27.6 (p is taken as at least 1e-12)."""
        return -math.log(max(self.probability, 1e-12))


def read_predictions(path: Path, evaluation: EvaluationSummary) -> tuple[ImagePrediction, ...]:
    """Read the predictions of an evaluation from its `top_losses.csv`, highest loss first.

    Raises:
        OSError: the file cannot be read.
        DataError: it has other images than the evaluation, or is damaged.
    """
    text = read_regular(path, MAX_CSV_BYTES).decode("utf-8")
    number = {_as_written(name): i for i, name in enumerate(evaluation.class_names)}
    try:
        found = tuple(_rows(csv.DictReader(io.StringIO(text, newline="")), number))
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise DataError(f"{path.name} is not the table of this evaluation") from error
    wrong = sum(not row.is_correct for row in found)
    is_whole = len(found) == evaluation.num_images
    is_cut = len(found) == MAX_TOP_LOSSES < evaluation.num_images
    has_same_errors = wrong == round(evaluation.top1_error * evaluation.num_images)
    if not is_cut and not (is_whole and has_same_errors):
        raise DataError(
            f"{path.name} has {len(found):,} images, {wrong:,} of them wrong, and the evaluation "
            f"{evaluation.num_images:,}"
        )
    return found


def _rows(rows: Iterable[dict[str, str]], number: dict[str, int]) -> Iterable[ImagePrediction]:
    for row in rows:
        yield ImagePrediction(
            index=int(row["index"]),
            name=row["name"],
            label=number[row["label"]],
            predicted=number[row["predicted"]],
            probability=float(row["probability"]),
            predicted_probability=float(row["predicted_probability"]),
        )


def _as_written(name: str) -> str:
    """A class name as it is written in the table, with lone surrogates escaped."""
    return LONE_SURROGATE.sub(lambda found: printable(found[0]), name)
