"""JPEGs much larger than needed are decoded at a fraction of their size; nothing else changes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from alexnet.config.preprocessing import Preprocessing, Resize
from alexnet.data.images.decode import decode, upright_rgb, upright_size
from alexnet.data.images.fraction import LEAST_SHRINKING
from alexnet.data.images.open import open_image, read_image
from alexnet.data.source import ImageFiles
from alexnet.errors import DataError
from alexnet.inference.decoding import decode_batches
from alexnet.inference.inputs import expand
from alexnet.io.limits import MAX_IMAGE_PIXELS
from support.slow import first_fast

SIDE = 32
PREPROCESSING = Preprocessing(resize_size=SIDE, crop_size=28)


def photo(width: int, height: int) -> Image.Image:
    """Smooth colours with some noise, as in a photo."""
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    noisy = smooth + rng.integers(-8, 9, smooth.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> io.BytesIO:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [
        (300, 127, (300, 127)),  # half of it would be less than twice the side
        (300, 128, (150, 64)),
        (301, 255, (151, 128)),
        (400, 256, (100, 64)),
        (700, 600, (88, 75)),
        (5000, 100, (5000, 100)),
    ],
)
def test_the_fraction_is_at_least_twice_the_side(
    width: int, height: int, expected: tuple[int, int]
) -> None:
    with read_image(encoded(photo(width, height)), SIDE) as image:
        assert image.size == expected
        assert min(image.size) >= min(height, LEAST_SHRINKING * SIDE)
        assert upright_size(image) == (width, height)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("resize", ["shortest_edge", "stretch"])
@pytest.mark.parametrize("orientation", first_fast([8, 1, 3]))
@pytest.mark.parametrize("size", [(704, 600), (707, 603)])
def test_pixels_differ_by_little(
    mode: str, resize: Resize, orientation: int, size: tuple[int, int]
) -> None:
    """Also where the size is no multiple of the fraction."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = encoded(photo(*size).convert(mode), quality=92, exif=exif)
    with read_image(file) as whole, read_image(file, SIDE) as part:
        assert part.width < whole.width
        expected, found = (decode(one, resize, SIDE).astype(int) for one in (whole, part))
    difference = np.abs(expected - found)
    assert difference.max() <= 3
    assert difference.mean() < 0.5


def test_a_turned_photo_is_upright_and_a_stereo_photo_is_one() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with read_image(encoded(photo(700, 400), exif=exif), SIDE) as image:
        assert upright_size(image) == (400, 700)
        assert upright_rgb(image).size == (100, 175)
    both = encoded(photo(400, 400), "MPO", save_all=True, append_images=[photo(400, 400)])
    with read_image(both, SIDE) as image:
        assert (image.format, image.size) == ("MPO", (100, 100))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP"])
def test_other_formats_have_their_size(kind: str) -> None:
    with read_image(encoded(photo(300, 200), kind), SIDE) as image:
        assert image.size == (300, 200)


@pytest.mark.parametrize("left", [0.3, 0.7, 0.98])
def test_a_photo_that_is_cut_is_found_at_a_fraction(left: float) -> None:
    content = encoded(photo(512, 512)).getvalue()
    cut = content[: int(left * len(content))]
    for damaged in (cut, cut + b"\xff\xd9"):
        with pytest.raises((DataError, OSError)), read_image(io.BytesIO(damaged), SIDE):
            pass


def test_the_limit_is_that_of_the_file() -> None:
    content = bytearray(encoded(photo(64, 64)).getvalue())
    frame = content.index(b"\xff\xc0")
    content[frame + 5 : frame + 9] = b"\xff\xff\xff\xff"
    limit = f"more than {MAX_IMAGE_PIXELS:,}"
    with pytest.raises(DataError, match=limit), read_image(io.BytesIO(content), SIDE):
        pass


def test_training_and_prediction_see_the_same_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(photo(5 * SIDE, 5 * SIDE)).getvalue())
    with ImageFiles(tmp_path, ("a.jpg",)).open(0, SIDE) as opened, open_image(path) as whole:
        assert opened.size < whole.size
        trained = decode(opened, PREPROCESSING.resize, SIDE)
    ((predicted,),) = decode_batches(expand(path), PREPROCESSING, prefetch=False)
    assert np.array_equal(predicted.pixels, trained)
