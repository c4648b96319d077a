"""The built-in data set: twelve species of flowers that differ in form alone.

Petals, centres and backgrounds of every species take their colours from the same palettes, so that
a network has to look at shapes. An image is a function of (species, seed).
"""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
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
from alexnet.io.isolated import own_environment
from alexnet.ops.cores import num_threads
from alexnet.reporter import ProgressCallback, ignore_progress

SUPERSAMPLING = 3
IMAGES_PER_PROCESS = 200
"""Images for which one more process is started; a start takes as long as painting 15."""
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


@dataclass(frozen=True, slots=True)
class _Files:
    """The files of the data set in a folder; no two images share a seed."""

    folder: Path
    seed: int
    per_class: tuple[int, ...]
    """Images of each of `SPLITS`."""
    side: int

    def __len__(self) -> int:
        return sum(self.per_class) * len(CLASS_NAMES)

    def save(self, first: int, step: int) -> Iterator[Path]:
        """Paint every `step`-th image from the `first` on, and yield the path of each."""
        kinds = (
            (split, species, index)
            for split, count in zip(SPLITS, self.per_class, strict=True)
            for species in range(len(CLASS_NAMES))
            for index in range(count)
        )
        for split, species, index in itertools.islice(kinds, first, None, step):
            name = CLASS_NAMES[species]
            path = self.folder / split / name / f"{index:04d}.jpg"
            text = f"toyflowers {self.seed} {split} {name} {index}"
            digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
            path.parent.mkdir(parents=True, exist_ok=True)
            paint(species, int.from_bytes(digest, "big"), self.side).save(path, quality=90)
            yield path


def write(
    folder: Path,
    *,
    seed: int = 0,
    train_per_class: int = 100,
    val_per_class: int = 15,
    test_per_class: int = 30,
    side: int = 160,
    on_paint: ProgressCallback = ignore_progress,
) -> None:
    """Paint the data set into `folder`/{train,val,test}/{class}/0000.jpg and so on.

    It is painted into a temporary folder that is renamed at the end, so that `folder` is complete
    or absent. Many images are painted by a process for each core.

    Args:
        folder: the folder to make, which must not exist.
        seed: seed of all images.
        train_per_class: training images per class.
        val_per_class: validation images per class.
        test_per_class: test images per class.
        side: side of an image, in pixels.
        on_paint: called with (images done, images in all).

    Raises:
        DataError: `folder` exists already, or a process failed.
    """
    if folder.exists():
        raise DataError(f"{folder} exists already; remove it or name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
        per_class = (train_per_class, val_per_class, test_per_class)
        files = _Files(Path(temporary) / folder.name, seed, per_class, side)
        processes = min(num_threads(), 1 + len(files) // IMAGES_PER_PROCESS)
        if processes > 1 and sys.executable:
            _save_in_processes(files, processes, on_paint)
        else:
            for done, _ in enumerate(files.save(0, 1), 1):
                on_paint(done, len(files))
        rename(files.folder, folder)


def _save_in_processes(files: _Files, count: int, on_paint: ProgressCallback) -> None:
    """Paint all images in `count` processes, each of which writes a byte for every image."""
    read_end, write_end = os.pipe()
    words = [str(files.folder), files.seed, files.side, count, *files.per_class]
    command = [sys.executable, "-m", __name__, *map(str, words)]
    processes = []
    # The processes are ended before the pipe is closed, which they would complain of.
    with os.fdopen(read_end, "rb", buffering=0) as pipe, ExitStack() as stack:
        with os.fdopen(write_end, "wb") as end:
            for index in range(count):
                process = subprocess.Popen(
                    [*command, str(index)],
                    stdin=subprocess.DEVNULL,
                    stdout=end,
                    stderr=subprocess.PIPE,
                    env=own_environment(),
                    start_new_session=True,  # Ctrl-C is for this process, which ends the others
                )
                processes.append(stack.enter_context(process))
                stack.callback(process.kill)
        done = 0
        while received := pipe.read(count):
            done += len(received)
            on_paint(done, len(files))
        for process in processes:
            assert process.stderr
            error = process.stderr.read().decode("utf-8", "replace")
            if code := process.wait():
                reason = error.rstrip().rpartition("\n")[2] or f"a process ended with {code}"
                raise DataError(f"the images cannot be painted: {reason}")


def main(folder: str, *numbers: str) -> None:
    """Paint one process's part of the images; the command that `write` starts."""
    seed, side, count, *per_class, index = map(int, numbers)
    for _ in _Files(Path(folder), seed, tuple(per_class), side).save(index, count):
        os.write(1, b".")


if __name__ == "__main__":
    main(*sys.argv[1:])
