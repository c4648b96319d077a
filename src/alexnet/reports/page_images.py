"""Choose the evaluated images that a page shows as thumbnails, within a number of bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from alexnet.io.text import printable
from alexnet.pages.thumbnails import ByteBudget, jpeg_url
from alexnet.reports.predictions import ImagePrediction
from alexnet.reports.stored_images import RunData

BUDGET_BYTES = 1_500_000
"""Maximum total size of the thumbnails, as base64 text."""
SIDE = 112
MAX_IMAGES = 1_500
FIRST_LOSSES = 48
"""Number of images with the highest losses that are chosen first."""


@dataclass(frozen=True, kw_only=True)
class PageImages:
    """The images in the form that the script takes, highest loss first."""

    rows: list[list[object]]
    """[URL, name, label, predicted, probability, predicted probability]; classes by index."""
    num_images: int
    """Number of evaluated images, of which these are a selection."""
    missing: str = ""
    """The reason why there are none; "" if there are some."""


def choose_images(
    predictions: Sequence[ImagePrediction], data: RunData, evaluate_command: str
) -> PageImages:
    """Choose images with the highest losses, then some of each cell of the confusion matrix.

    Args:
        predictions: the predictions of all evaluated images, highest loss first.
        data: the run's data, with the pixels.
        evaluate_command: the command that writes the predictions, for the message.
    """
    if not predictions:
        text = f"the predictions of each image are not there; {evaluate_command} writes them"
        return PageImages(rows=[], num_images=0, missing=text)
    if data.store is None or not data.has_pixels:
        return PageImages(rows=[], num_images=len(predictions), missing=data.problem)
    budget = ByteBudget(BUDGET_BYTES)
    chosen: dict[int, list[object]] = {}
    for number in _in_order(predictions):
        one = predictions[number]
        if data.store.info.names[one.index : one.index + 1] != (one.name,):
            continue
        url = jpeg_url(data.store.image(one.index), SIDE)
        if len(chosen) == MAX_IMAGES or not budget.take(url + one.name):
            break
        chosen[number] = _row(url, one)
    rows = [chosen[number] for number in sorted(chosen)]
    missing = "" if rows else "the data has changed since the evaluation"
    return PageImages(rows=rows, num_images=len(predictions), missing=missing)


def _row(url: str, one: ImagePrediction) -> list[object]:
    probabilities = (round(one.probability, 4), round(one.predicted_probability, 4))
    return [url, printable(one.name), one.label, one.predicted, *probabilities]


def _in_order(predictions: Sequence[ImagePrediction]) -> Iterator[int]:
    """Yield indices: the highest losses, then one of each cell in turn, wrong cells first."""
    first = range(min(FIRST_LOSSES, len(predictions)))
    yield from first
    cells: dict[tuple[bool, int, int], list[int]] = defaultdict(list)
    for number in range(len(first), len(predictions)):
        one = predictions[number]
        cells[one.is_correct, one.label, one.predicted].append(number)
    for is_correct in (False, True):
        parts = [part for key, part in sorted(cells.items()) if key[0] is is_correct]
        for layer in zip_longest(*parts):
            yield from (number for number in layer if number is not None)
