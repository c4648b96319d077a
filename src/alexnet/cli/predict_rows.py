"""Format predictions as text, CSV or JSON, batch by batch."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeAlias

from alexnet.cli.console import percent
from alexnet.cli.outputs.predict import PredictOutput, image_prediction
from alexnet.config.serialization import json_document_parts
from alexnet.inference.predictions import AnsweringNetwork, Prediction
from alexnet.io.data_url import is_data_url
from alexnet.io.tables import Table
from alexnet.io.text import printable

Batches: TypeAlias = Iterable[Sequence[Prediction]]

UNSURE = "unsure"
"""Printed in place of a class whose probability is below --min-probability."""
MAX_CLASS_WIDTH = 30
"""Maximum initial width of the column of classes; longer names widen it when they come."""


def json_rows(
    batches: Batches, network: AnsweringNetwork, skipped: Mapping[str, int]
) -> Iterator[str]:
    """Yield one JSON document in parts."""
    output = PredictOutput(network=network, predictions=(), skipped=dict(skipped))
    return json_document_parts(output, (map(image_prediction, batch) for batch in batches))


def csv_rows(batches: Batches) -> Iterator[str]:
    """Yield the CSV text of each batch: one row for each class of an image, after a header."""
    header = [("image", "rank", "label", "probability")]
    for batch in batches:
        text = io.StringIO()
        rows = chain(header, chain.from_iterable(map(_csv_rows, batch)))
        csv.writer(text, lineterminator="\n").writerows(rows)
        yield text.getvalue()
        header = []


def _csv_rows(prediction: Prediction) -> Iterator[tuple[object, ...]]:
    """Yield the rows of one image."""
    answers = prediction.top_classes
    if prediction.error:
        yield prediction.image, "", "", ""
    if prediction.is_unsure:
        answers = (replace(answers[0], label=UNSURE),)
    for rank, top in enumerate(answers, 1):
        yield prediction.image, rank, top.label, f"{top.probability:.6f}"


def text_rows(batches: Batches, min_widths: Sequence[int]) -> Iterator[str]:
    """Yield the text of a table with a row for each image that could be read.

    Args:
        batches: the predictions.
        min_widths: minimum widths of the first columns, so that later rows fit.
    """
    header_lines = 0
    for batch in batches:
        if rows := [_row(prediction) for prediction in batch if prediction.top_classes]:
            table = Table(("image", "prediction", "probability", "next"), rows, left=4)
            lines = table.as_text(min_widths).split("\n")
            yield "".join(f"{line}\n" for line in lines[header_lines:])
            header_lines = 2


def text_widths(images: Iterable[object], class_names: Sequence[str]) -> tuple[int, int]:
    """The widths of the columns of images and classes that hold all of them."""
    texts = (image for image in images if isinstance(image, str) and not is_data_url(image))
    names = (len(printable(text)) for text in texts)
    classes = max(len(printable(name)) for name in class_names)
    return max(names, default=0), min(classes, MAX_CLASS_WIDTH)


def _row(prediction: Prediction) -> tuple[str, str, str, str]:
    """The row of an image: name, class, probability, and other classes (all if it is unsure)."""
    top, label = prediction.top_classes, prediction.label
    others = top if label is None else top[1:]
    return (
        prediction.image,
        UNSURE if label is None else label,
        "" if label is None else percent(top[0].probability),
        ", ".join(f"{other.label} {percent(other.probability)}" for other in others),
    )
