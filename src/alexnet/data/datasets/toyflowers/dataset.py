"""The embedded data set: twelve kinds of flowers drawn by the program, told apart by form alone.

Petals, centres and backgrounds of every kind take their colours from the same palettes, so a
network has to look at shapes. A picture is a function of (kind, seed), and of nothing else.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from alexnet.data.datasets.toyflowers.painting import (
    add_distance,
    add_light,
    cast_shadow,
    paint_flower,
    paint_ground,
    paint_stem,
)
from alexnet.data.datasets.toyflowers.shapes import KINDS, SIDE_VIEWS, grow_flower, place_flower
from alexnet.data.source import SPLITS
from alexnet.errors import DataError

SUPERSAMPLING = 3
CLASSES = tuple(kind.name for kind in KINDS)


def draw(kind_index: int, seed: int, pixels: int = 160) -> Image.Image:
    """Draw one flower of kind `CLASSES[kind_index]`, RGB, `pixels` wide and high.

    The same arguments give the same picture; `seed` is 0 or more.
    """
    rng = np.random.default_rng([seed, kind_index])
    kind, large = KINDS[kind_index], SUPERSAMPLING * pixels
    ground = add_distance(paint_ground(rng, pixels), kind, rng)
    place, flower = place_flower(kind, rng, rng.uniform(0.25, 0.44)), grow_flower(kind, rng)
    cast_shadow(ground, place, flower)
    canvas = ground.resize((large, large), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(canvas, "RGBA")
    if kind.layout in SIDE_VIEWS or rng.random() < 0.7:
        paint_stem(pen, place.scaled(large), kind, rng, large)
    paint_flower(pen, place.scaled(large), flower)
    return add_light(canvas.reduce(SUPERSAMPLING), rng)


def _tasks(folder: Path, seed: int, counts: dict[str, int]) -> Iterator[tuple[Path, int, int]]:
    """List path, kind and seed of every picture; no two pictures share a seed."""
    for split, count in counts.items():
        for (kind_index, name), index in itertools.product(enumerate(CLASSES), range(count)):
            path = folder / split / name / f"{index:04d}.jpg"
            text = f"toyflowers {seed} {split} {name} {index}"
            digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
            yield path, kind_index, int.from_bytes(digest, "big")


def write(
    folder: Path,
    *,
    seed: int = 0,
    train_per_class: int = 100,
    val_per_class: int = 15,
    test_per_class: int = 30,
    pixels: int = 160,
) -> None:
    """Draw the data set into `folder`/{train,val,test}/{class}/0000.jpg and on.

    Everything is drawn aside and renamed once, so that `folder` is whole or absent.

    Raises:
        DataError: `folder` exists already.
    """
    if folder.exists():
        raise DataError(f"{folder} exists already; remove it or name another folder")

    def save(task: tuple[Path, int, int]) -> None:
        path, kind_index, picture_seed = task
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(kind_index, picture_seed, pixels).save(path, quality=90)

    counts = dict(zip(SPLITS, (train_per_class, val_per_class, test_per_class), strict=True))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as aside:
        whole = Path(aside) / folder.name
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(save, _tasks(whole, seed, counts)))
        whole.rename(folder)
