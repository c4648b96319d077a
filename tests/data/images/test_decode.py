"""Decoding: every kind of image to the pixel, resizing as Pillow, colour sums as numpy."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from alexnet.data.images import open as open_module
from alexnet.data.images.decode import color_moments, decode
from alexnet.errors import DataError

SIDE = 6
RNG = np.random.default_rng(0)
COLORS = RNG.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
GREYS = RNG.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)


def reopened(image: Image.Image, kind: str, **options: object) -> Image.Image:
    """The image as a file gives it back."""
    file = io.BytesIO()
    image.save(file, kind, **options)  # type: ignore[arg-type]
    return Image.open(file)


def square(image: Image.Image) -> np.ndarray:
    """Decoded without resizing."""
    pixels = decode(image, "shortest_edge", SIDE)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (SIDE, SIDE, 3)
    return pixels


def test_rgb_comes_through_unchanged() -> None:
    assert np.array_equal(square(reopened(Image.fromarray(COLORS), "PNG")), COLORS)


# What the camera's sensor saw, for each of EXIF's eight orientations of the same upright image.
STORED = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_exif_rotation_is_applied(orientation: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](COLORS)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    assert np.array_equal(square(reopened(stored, "PNG", exif=exif)), COLORS)


def test_exif_rotation_comes_before_the_crop() -> None:
    upright = RNG.integers(0, 256, (SIDE, 2 * SIDE, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = reopened(Image.fromarray(np.ascontiguousarray(np.rot90(upright))), "PNG", exif=exif)
    assert lying.size == (SIDE, 2 * SIDE)
    assert np.array_equal(square(lying), upright[:, SIDE // 2 : SIDE // 2 + SIDE])


def test_grey_is_three_equal_channels() -> None:
    assert np.array_equal(square(Image.fromarray(GREYS)), np.stack([GREYS] * 3, -1))


def test_black_and_white() -> None:
    pixels = square(reopened(Image.fromarray(GREYS > 99), "PNG"))
    assert np.array_equal(pixels, np.where(GREYS > 99, 255, 0)[..., None].repeat(3, -1))


def test_palette() -> None:
    image = Image.fromarray(GREYS % 4)
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    table = np.arange(10, 130, 10, dtype=np.uint8).reshape(4, 3)
    assert np.array_equal(square(reopened(image, "PNG")), table[GREYS % 4])


def test_palette_with_a_transparent_colour_is_white_there() -> None:
    image = Image.fromarray(GREYS % 2)
    image.putpalette([10, 20, 30, 40, 50, 60])
    pixels = square(reopened(image, "PNG", transparency=1))
    table = np.array([[10, 20, 30], [255, 255, 255]], np.uint8)
    assert np.array_equal(pixels, table[GREYS % 2])


def test_rgb_with_a_transparent_colour_is_white_there() -> None:
    colours = COLORS.copy()
    colours[2, 3] = (1, 2, 3)
    pixels = square(reopened(Image.fromarray(colours), "PNG", transparency=(1, 2, 3)))
    colours[2, 3] = 255
    assert np.array_equal(pixels, colours)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_laid_over_white(mode: str) -> None:
    alpha = RNG.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    alpha[0], alpha[1] = 0, 255
    colours = COLORS if mode == "RGBA" else np.stack([GREYS] * 3, -1)
    base = Image.fromarray(COLORS if mode == "RGBA" else GREYS)
    base.putalpha(Image.fromarray(alpha))
    assert base.mode == mode
    share = alpha[..., None] / 255
    expected = share * colours + (1 - share) * 255
    pixels = square(reopened(base, "PNG"))
    assert np.abs(pixels - expected).max() <= 1
    assert (pixels[0] == 255).all()
    assert np.array_equal(pixels[1], colours[1])


def test_sixteen_bits_keep_their_high_byte() -> None:
    wide = RNG.integers(0, 65536, (SIDE, SIDE), dtype=np.uint16)
    pixels = square(reopened(Image.fromarray(wide), "PNG"))
    assert np.array_equal(pixels, (wide >> 8).astype(np.uint8)[..., None].repeat(3, -1))


def test_cmyk_of_a_jpeg() -> None:
    """Full ink of one kind on a whole image, which JPEG keeps."""
    cyan, black, none = (255, 0, 0, 0), (0, 0, 0, 255), (0, 0, 0, 0)
    for ink, colour in ((cyan, (0, 255, 255)), (black, (0, 0, 0)), (none, (255, 255, 255))):
        opened = reopened(Image.new("CMYK", (SIDE, SIDE), ink), "JPEG", quality=100)
        assert opened.mode == "CMYK"
        assert np.abs(square(opened).astype(int) - colour).max() <= 2


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ("red", "blue")]
    opened = reopened(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert opened.n_frames == 2  # type: ignore[attr-defined]
    assert (square(opened) == (255, 0, 0)).all()


@pytest.mark.parametrize("size", [(31, 17), (17, 31), (5, 4), (6, 40)], ids=str)
def test_resizing_is_pillows(size: tuple[int, int]) -> None:
    image = Image.fromarray(RNG.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    lanczos = Image.Resampling.LANCZOS
    squashed = np.asarray(image.resize((SIDE, SIDE), lanczos))
    fitted = np.asarray(ImageOps.fit(image, (SIDE, SIDE), lanczos))
    assert np.array_equal(decode(image, "stretch", SIDE), squashed)
    assert np.array_equal(decode(image, "shortest_edge", SIDE), fitted)
    assert not np.array_equal(squashed, fitted)


def test_shortest_edge_takes_the_middle_and_stretch_takes_everything() -> None:
    wide = np.zeros((SIDE, 3 * SIDE, 3), np.uint8)
    wide[:, SIDE : 2 * SIDE] = COLORS
    assert np.array_equal(decode(Image.fromarray(wide), "shortest_edge", SIDE), COLORS)
    assert not np.array_equal(decode(Image.fromarray(wide), "stretch", SIDE), COLORS)


def test_floating_point_is_rejected() -> None:
    image = Image.fromarray(RNG.random((SIDE, SIDE)).astype(np.float32))
    with pytest.raises(DataError, match="floating-point"):
        decode(reopened(image, "TIFF"), "stretch", SIDE)


def test_huge_images_are_rejected_before_they_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = reopened(Image.new("RGB", (20, 10)), "PNG")
    monkeypatch.setattr(open_module, "MAX_IMAGE_PIXELS", 199)
    monkeypatch.setattr(opened, "load", lambda: pytest.fail("it was decoded"))
    with pytest.raises(DataError, match="20x10 pixels are more than 199"):
        decode(opened, "stretch", SIDE)


def test_a_cut_off_file_is_an_error(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (99, 99, 3), dtype=np.uint8)).save(file, "JPEG")
    with pytest.raises(OSError, match="truncated"):
        decode(Image.open(io.BytesIO(file.getvalue()[:2000])), "stretch", SIDE)


@given(st.integers(1, 9), st.integers(0, 2**31))
def test_color_moments_are_numpys(side: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)
    flat = pixels.reshape(-1, 3).astype(np.float64)
    r, g, b = flat.T
    expected = [r, g, b, r * r, r * g, r * b, g * g, g * b, b * b]
    assert color_moments(pixels) == pytest.approx([x.mean() for x in expected], rel=1e-5)


def test_color_moments_of_a_large_flat_image_are_accurate() -> None:
    moments = color_moments(np.full((512, 512, 3), 255, np.uint8))
    variance = moments[3:] - np.outer(moments[:3], moments[:3])[np.triu_indices(3)]
    assert moments[:3] == pytest.approx([255.0] * 3, rel=1e-6)
    assert np.abs(variance).max() < 0.1
