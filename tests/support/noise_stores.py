"""Small folders of noise, their stores, and what was decoded for them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.config.preprocessing import Resize
from alexnet.data.datasets.folder import folder_source
from alexnet.data.source import Source
from alexnet.data.store import build as module
from alexnet.data.store.build import prepare
from alexnet.data.store.store import Store

SIDE = 24


def noise(path: Path, seed: int, size: tuple[int, int] = (30, 26)) -> None:
    """A picture of noise as PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def write_pictures(place: Path) -> Path:
    """Two classes of six pictures; b/1.png is not a picture."""
    for i in range(6):
        noise(place / "pictures" / "a" / f"{i}.png", i)
        noise(place / "pictures" / "b" / f"{i}.png", 10 + i)
    (place / "pictures" / "b" / "1.png").write_bytes(b"no picture")
    return place / "pictures"


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def decoded_rows(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows that are decoded from now on."""
    rows: list[int] = []
    original = module._decode_row

    def noted(source: Source, resize: Resize, side: int, partial: object, row: int) -> str:
        rows.append(row)
        return original(source, resize, side, partial, row)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_decode_row", noted)
    return rows


def ready(folder: Path, resize: Resize = "shortest_edge", side: int = SIDE) -> Store:
    """The store of a folder."""
    return prepare(folder_source(folder), resize=resize, side=side)


class TrainingInterrupted(BaseException):
    """Nothing in the program catches this."""


def cut_short(source: Source, monkeypatch: pytest.MonkeyPatch, cache: Path, done: int = 9) -> Path:
    """The half store that a power cut leaves after some pictures."""

    def stop(number: int, total: int) -> None:
        if number == done:
            raise TrainingInterrupted

    with monkeypatch.context() as patch:
        patch.setattr(module, "CHUNK", 1)
        patch.setattr(os, "cpu_count", lambda: 1)
        with pytest.raises(TrainingInterrupted):
            prepare(source, resize="stretch", side=8, progress=stop)
    return next((cache / "stores").glob("*.partial"))
