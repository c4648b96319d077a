"""The built-in data set: twelve species of flowers that differ in form alone.

Petals, centres and backgrounds of every species take their colours from the same palettes, so that
a network has to look at shapes. An image is a function of (species, seed).
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
    add_light,
    cast_shadow,
    paint_distant_flowers,
    paint_flower,
    paint_ground,
    paint_stem,
)
from alexnet.data.datasets.toyflowers.shapes import (
    SIDE_VIEWS,
    SPECIES,
    sample_flower,
    sample_placement,
)
from alexnet.data.source import SPLITS
from alexnet.errors import DataError
from alexnet.io.files import rename

SUPERSAMPLING = 3
CLASS_NAMES = tuple(species.name for species in SPECIES)


def paint(species_index: int, seed: int, side: int = 160) -> Image.Image:
    """Paint one flower of the species `CLASS_NAMES[species_index]`: RGB, `side` x `side` pixels.

    The same arguments give the same image; `seed` is 0 or more.
    """
    rng = np.random.default_rng([seed, species_index])
    species, large = SPECIES[species_index], SUPERSAMPLING * side
    ground = paint_distant_flowers(paint_ground(rng, side), species, rng)
    placement, flower = (
        sample_placement(species, rng, rng.uniform(0.25, 0.44)),
        sample_flower(species, rng),
    )
    cast_shadow(ground, placement, flower)
    canvas = ground.resize((large, large), Image.Resampling.NEAREST)
    pen = ImageDraw.Draw(canvas, "RGBA")
    if species.layout in SIDE_VIEWS or rng.random() < 0.7:
        paint_stem(pen, placement.scaled(large), species, rng, large)
    paint_flower(pen, placement.scaled(large), flower)
    return add_light(canvas.reduce(SUPERSAMPLING), rng)


def _tasks(folder: Path, seed: int, counts: dict[str, int]) -> Iterator[tuple[Path, int, int]]:
    """Path, species and seed of every image; no two images share a seed."""
    for split, count in counts.items():
        for (species_index, name), index in itertools.product(enumerate(CLASS_NAMES), range(count)):
            path = folder / split / name / f"{index:04d}.jpg"
            text = f"toyflowers {seed} {split} {name} {index}"
            digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
            yield path, species_index, int.from_bytes(digest, "big")


def write(
    folder: Path,
    *,
    seed: int = 0,
    train_per_class: int = 100,
    val_per_class: int = 15,
    test_per_class: int = 30,
    side: int = 160,
) -> None:
    """Paint the data set into `folder`/{train,val,test}/{class}/0000.jpg and so on.

    It is painted into a temporary folder that is renamed at the end, so that `folder` is complete
    or absent.

    Raises:
        DataError: `folder` exists already.
    """
    if folder.exists():
        raise DataError(f"{folder} exists already; remove it or name another folder")

    def save(task: tuple[Path, int, int]) -> None:
        path, species_index, image_seed = task
        path.parent.mkdir(parents=True, exist_ok=True)
        paint(species_index, image_seed, side).save(path, quality=90)

    counts = dict(zip(SPLITS, (train_per_class, val_per_class, test_per_class), strict=True))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        complete = Path(temporary) / folder.name
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(save, _tasks(complete, seed, counts)))
        rename(complete, folder)
