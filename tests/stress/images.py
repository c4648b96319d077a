"""Damaged image files: each is rejected, or read as Pillow reads it.

Every case takes a valid file of one kind, damages it in one way, and has the program decode it. The
reference is Pillow's own decoder in strict mode with conversion to RGB in numpy, which shares
nothing with `alexnet.data.images.decode` but the resampling. A PNG has checksums: if they no longer
match, it must be rejected or give the same image as before.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from alexnet.data.images.decode import decode
from alexnet.data.images.open import open_image
from alexnet.data.images.rejection import IMAGE_ERRORS, rejection_reason
from alexnet.errors import DataError
from stress.image_kinds import ImageFile, paint_image_files
from stress.mutators import GENERAL, Mutator, edit_jpeg, edit_png, edit_tiff
from stress.tally import Tally
from stress.workers import Cases, Ending, run_cases

SIDE = 24
SECONDS = 20.0
MEMORY_BYTES = 4 << 30
"""Beyond the memory at the start; the largest accepted image takes 3.6 GB."""
EDITS: dict[str, Mutator] = {
    "JPEG": edit_jpeg, "MPO": edit_jpeg, "PNG": edit_png, "TIFF": edit_tiff,
}  # fmt: skip
TOLERANCE = 3
"""Grey levels between two roundings of the composition on white, after resampling."""


def stress(count: int, seed: int, folder: Path) -> Tally:
    """Try `count` mutated images."""
    return run_cases(
        "mutated images", "stress.images", count, seed, folder,
        seconds=SECONDS, memory_bytes=MEMORY_BYTES,
    )  # fmt: skip


def cases(seed: int, folder: Path) -> Cases:
    """Make the valid images; each case damages one of them."""
    kinds = paint_image_files(seed)
    for original in kinds:  # both readers agree on the valid file
        ours = _ours(original.content, folder)
        assert isinstance(ours, np.ndarray), f"{original.name}: {ours}"
        assert _is_same(ours, read_by_pillow(original.content)), original.name

    def try_one(index: int) -> Ending:
        rng = np.random.default_rng([seed, index])
        original = kinds[index % len(kinds)]
        other = kinds[int(rng.integers(len(kinds)))]
        edit = EDITS.get(original.format)
        mutators = (*GENERAL, edit, edit, edit, edit) if edit else GENERAL
        mutator = mutators[int(rng.integers(len(mutators)))]
        content = mutator(original.content, other.content, rng)
        return check_reading(original, mutator.__name__, content, _ours(content, folder))

    return try_one


def _ours(content: bytes, folder: Path) -> np.ndarray | str:
    """The pixels that the program reads, or its reason for rejecting the file."""
    path = folder / "image"
    path.write_bytes(content)
    try:
        with open_image(path) as image:
            return decode(image, "stretch", SIDE)
    except IMAGE_ERRORS as error:
        return rejection_reason(error, "image")


def check_reading(original: ImageFile, how: str, content: bytes, ours: np.ndarray | str) -> Ending:
    """Compare the program's pixels with Pillow's, and with the valid file's if it has checksums."""
    other = read_by_pillow(content)
    if other is None and original.format == "JPEG":  # only its end marker may be missing
        other = read_by_pillow(content + b"\xff\xd9")
    where = f"{original.name}, {how}"
    if isinstance(ours, str):
        if "\n" in ours or len(ours) > 300:
            return Ending("rejected", f"{where}: the reason is not one line: {ours[:300]!r}")
        return Ending(
            "rejected, as by Pillow" if other is None else "rejected, though Pillow reads it"
        )
    if other is None:
        return Ending("read", f"{where}: read, but Pillow rejects it")
    if not _is_same(ours, other):
        return Ending("read", f"{where}: not as Pillow reads it")
    has_checksum = original.format == "PNG" and how in (
        "flip_bits",
        "flip_head",
        "truncate",
        "overwrite",
    )
    if has_checksum and not _is_same(ours, read_by_pillow(original.content)):
        return Ending("read", f"{where}: another image than before, in spite of its checksums")
    return Ending("read, as Pillow reads it")


def _is_same(ours: np.ndarray, other: np.ndarray | None) -> bool:
    if other is None or ours.shape != other.shape:
        return False
    return int(np.abs(ours.astype(int) - other.astype(int)).max()) <= TOLERANCE


def read_by_pillow(content: bytes) -> np.ndarray | None:
    """Pixels by Pillow in strict mode, converted to RGB in numpy; None if it fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(content))
            boxes = [tile[1] for tile in image.tile] if image.format == "GIF" else []
            image.load()
            pixels = _rgb(image, content)
            for (
                left,
                upper,
                right,
                lower,
            ) in boxes:  # what a GIF's first frame does not cover is white
                shown = np.zeros(pixels.shape[:2], bool)
                shown[upper:lower, left:right] = True
                pixels = np.where(shown[..., None], pixels, 255).astype(np.uint8)
            turned = _exif_transposed(Image.fromarray(pixels), image)
        except Exception:
            return None
    return np.asarray(turned.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def _exif_transposed(pixels: Image.Image, image: Image.Image) -> Image.Image:
    """Upright by Pillow's own function, if it can read the file's EXIF."""
    try:
        orientation = image.getexif().get(0x0112, 1)
    except Exception:
        return pixels
    exif = Image.Exif()
    if isinstance(orientation, int):
        exif[0x0112] = orientation
    pixels.info["exif"] = exif.tobytes()
    return ImageOps.exif_transpose(pixels)


def _rgb(image: Image.Image, content: bytes) -> np.ndarray:
    """Colors as uint8 [H, W, 3], composed on white; rejects values without a known range."""
    array, mode, key = np.asarray(image), image.mode, image.info.get("transparency")
    if mode == "F" or 2 in getattr(image, "tag_v2", {}).get(339, ()):
        raise DataError("no known range")
    if mode.startswith("I"):
        return _composite_on_white(_highest_bits(image, array), None, key, array)
    if mode in ("1", "L"):
        depth = content[24] if image.format == "PNG" and mode == "L" else 8
        grey, scale = array * (255 if mode == "1" else 1), {2: 85, 4: 17}.get(depth, 1)
        return _composite_on_white(grey, None, key * scale if isinstance(key, int) else None, grey)
    if mode == "CMYK":
        light = 255 - array.astype(float)
        return np.round(light[..., :3] * light[..., 3:] / 255).astype(np.uint8)
    if mode == "RGB" and key is None:
        return array
    is_clear = mode in ("RGBA", "LA", "La", "PA") or key is not None
    straight = np.asarray((image.convert("LA") if mode == "La" else image).convert("RGBA"))
    return _composite_on_white(
        straight[..., :3], straight[..., 3] if is_clear else None, None, straight
    )


def _highest_bits(image: Image.Image, array: np.ndarray) -> np.ndarray:
    """The highest 8 bits of grey with 12 or 16 bits; rejects more than 16."""
    if array.min() < 0 or array.max() > 65535:
        raise DataError("no known range")
    tags = getattr(image, "tag_v2", {})
    grey = array // (16 if tags.get(258) == (12,) else 256)
    return 255 - grey if tags.get(262) == 0 else grey


def _composite_on_white(
    colors: np.ndarray, alpha: np.ndarray | None, key: object, raw: np.ndarray
) -> np.ndarray:
    """Grey [H, W] or colors [H, W, 3] composed on white, by alpha or one transparent value."""
    rgb = (colors if colors.ndim == 3 else np.stack([colors] * 3, -1)).astype(float)
    alpha_fraction = np.ones(rgb.shape[:2]) if alpha is None else alpha / 255
    if isinstance(key, int):
        alpha_fraction = np.where(raw == key, 0, alpha_fraction)
    return np.round(rgb * alpha_fraction[..., None] + 255 * (1 - alpha_fraction[..., None])).astype(
        np.uint8
    )
