"""The predictions of a classifier, and how a notebook shows them."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from PIL import Image

from alexnet.data.images.decode import decode
from alexnet.data.images.open import open_image
from alexnet.data.images.rejection import IMAGE_ERRORS
from alexnet.io.html import bar, escape, picture

THUMBNAIL = 96
"""Side in pixels of an image in a notebook."""
MAX_SHOWN = 20
"""Predictions that a notebook shows."""


NumberType: TypeAlias = Literal["int8", "bf16", "fp16", "float32", "float64"]


@dataclass(frozen=True, kw_only=True, slots=True)
class AnsweringNetwork:
    """The kind of network that made a prediction, and the type of numbers in which it computes."""

    is_optimized: bool
    """Whether the network is optimized for inference; otherwise it is as it was trained."""
    number_type: NumberType
    """Type of the matrix products: int8 if layers have quantized weights and activations."""
    depends_on_batch: bool
    """Whether a prediction may depend on the rest of the batch. In int8 it never does; in float32
    its last digits do; in bf16 a logit changed by up to 0.036, and fp16 rounds less."""


@dataclass(frozen=True, slots=True)
class ClassProbability:
    """A class and its probability, 0 to 1."""

    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The most probable classes of one image, best first, or why there are none."""

    image: str
    """The file's path, or "image 3" for the image at index 3 if it has no path."""
    top_classes: tuple[ClassProbability, ...] = ()
    error: str = ""
    is_unsure: bool = False
    """Whether the highest probability is below the `min_probability` that was asked for."""
    thumbnail: bytes = field(default=b"", repr=False, compare=False)
    """A small JPEG of the resized image, for the first images of a call in a notebook."""

    @property
    def label(self) -> str | None:
        """The most probable class; None if it is unsure or there is an error."""
        return self.top_classes[0].label if self.top_classes and not self.is_unsure else None

    @property
    def probability(self) -> float | None:
        """The probability of the most probable class, also if unsure; None if there is an error."""
        return self.top_classes[0].probability if self.top_classes else None

    def _repr_html_(self) -> str:
        """HTML of the image, if its file is readable or it has a thumbnail, and of the classes."""
        answer = f"no answer: {self.error}" if self.error else "unsure" if self.is_unsure else ""
        rows = "".join(
            f'<tr><td style="text-align: left">{escape(c.label)}</td><td>{bar(c.probability)}</td>'
            f'<td style="text-align: right">{c.probability:.1%}</td></tr>'
            for c in self.top_classes
        )
        image = "" if self.error else file_thumbnail(self.image)
        if self.thumbnail and not image:
            image = picture(self.thumbnail, self.image, kind="jpeg")
        return (
            '<div style="display: flex; gap: 12px; align-items: center; margin: 4px 0">'
            f"{image}<div><div>{escape(self.image)}</div>"
            f"<div><b>{escape(answer)}</b></div><table>{rows}</table></div></div>"
        )

    def _ranked(self) -> list[tuple[int | None, str | None, float | None]]:
        """Rank, label and probability of each row; an unsure prediction has one without a label."""
        if self.error or self.is_unsure:
            return [(None if self.error else 1, None, self.probability)]
        return [(i, c.label, c.probability) for i, c in enumerate(self.top_classes, 1)]


class Predictions(list[Prediction]):
    """A list of predictions, which a notebook shows with their images."""

    def rows(self) -> list[dict[str, str | int | float | None]]:
        """A row for every class of every image, as `alexnet predict --csv` has them.

        `pandas.DataFrame(predictions.rows())` is a table of image, rank (from 1), label and
        probability. An unsure image has one row, whose label is None; one that could not be
        read has one with its name alone.
        """
        return [
            {"image": one.image, "rank": rank, "label": label, "probability": probability}
            for one in self
            for rank, label, probability in one._ranked()
        ]

    def _repr_html_(self) -> str:
        """HTML of the first MAX_SHOWN predictions."""
        shown = "\n".join(prediction._repr_html_() for prediction in self[:MAX_SHOWN])
        more = len(self) - MAX_SHOWN
        return f"<div>{shown}{f'<div>and {more:,} more</div>' if more > 0 else ''}</div>"


def file_thumbnail(path: str) -> str:
    """HTML of a small image of a file; "" if it cannot be read."""
    try:
        with open_image(Path(path), THUMBNAIL) as opened:
            pixels = decode(opened, "shortest_edge", THUMBNAIL)
    except (*IMAGE_ERRORS, OSError, ValueError):
        return ""
    return picture(small_jpeg(pixels), path, kind="jpeg")


def small_jpeg(pixels: np.ndarray) -> bytes:
    """An image, uint8 [H, W, 3], as a JPEG of at most THUMBNAIL pixels a side."""
    image, file = Image.fromarray(pixels), io.BytesIO()
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    image.save(file, "JPEG", quality=80)
    return file.getvalue()
