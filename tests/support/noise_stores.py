"""Small folders of noise, their image stores, and sources that record what is decoded."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.config.preprocessing import Resize, StoredForm, StoreFormat
from alexnet.data.datasets.folder import folder_source
from alexnet.data.source import Images, Source
from alexnet.data.store.build import prepare
from alexnet.data.store.store import Store

SIDE = 24
TINY_FORM = StoredForm(resize="stretch", resize_size=8)


def noise(path: Path, seed: int, size: tuple[int, int] = (30, 26)) -> None:
    """An image of noise as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write_images(parent: Path) -> Path:
    """Two classes of six images; b/1.png, of index 7, is not an image."""
    for i in range(6):
        noise(parent / "images" / "a" / f"{i}.png", i)
        noise(parent / "images" / "b" / f"{i}.png", 10 + i)
    (parent / "images" / "b" / "1.png").write_bytes(b"no image")
    return parent / "images"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@dataclass
class RecordingImages:
    """Images that record which of them are opened, can fail, and can be slow."""

    images: Images
    opened: list[int] = field(default_factory=list)
    errors: dict[int, OSError] = field(default_factory=dict)
    """Raised when an image is opened, by index."""
    delay_seconds: float = 0.0

    def open(self, index: int, side: int = 0) -> AbstractContextManager[Image.Image]:
        time.sleep(self.delay_seconds)
        self.opened.append(index)
        if index in self.errors:
            raise self.errors[index]
        return self.images.open(index, side)

    def signatures(self) -> Iterable[bytes]:
        return self.images.signatures()

    def content(self, index: int) -> bytes:
        return self.images.content(index)


def recording(source: Source) -> tuple[Source, RecordingImages]:
    """The source with images that record what is opened."""
    images = RecordingImages(source.images)
    return replace(source, images=images), images


def build(folder: Path, resize: Resize = "shortest_edge", side: int = SIDE) -> Store:
    """The store of a folder."""
    return prepare(folder_source(folder), StoredForm(resize=resize, resize_size=side))


class Interrupted(BaseException):
    """Nothing in the program catches this."""


def interrupted_build(
    source: Source, cache: Path, done: int = 9, store_format: StoreFormat = "pixels"
) -> Path:
    """The partial store that an interruption leaves after `done` images of size 8."""

    def stop(number: int, total: int) -> None:
        if number == done:
            raise Interrupted

    form = replace(TINY_FORM, store_format=store_format)
    with pytest.raises(Interrupted):
        prepare(source, form, cache=cache, chunk=1, on_progress=stop)
    return next((cache / "stores").glob("*.partial"))
