"""Damaged and lying picture files: each is refused, or read as Pillow reads it.

Every case takes a whole file of one kind, damages it in one way, and has the program decode it. The
other reading is Pillow's own decoder in strict mode with colours turned to RGB by numpy, which
shares nothing with `alexnet.data.images.decode` but the resampling. A PNG has checksums: one that
is damaged without mending them must be refused, or be the picture that it was.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from alexnet.data.images.decode import decode
from alexnet.data.images.open import open_picture, rejection_reason
from alexnet.errors import DataError
from torture.mutators import GENERAL, Mutator, edit_jpeg, edit_png, edit_tiff
from torture.picture_kinds import Drawn, drawn_kinds
from torture.tally import Tally
from torture.workers import Cases, Ending, run_cases

SIDE = 24
SECONDS = 20.0
MEMORY_BYTES = 4 << 30
"""Beyond that of the process: the largest picture that is read takes 3.6 GB."""
EDITS: dict[str, Mutator] = {
    "JPEG": edit_jpeg, "MPO": edit_jpeg, "PNG": edit_png, "TIFF": edit_tiff,
}  # fmt: skip
TOLERANCE = 3
"""Grey levels between two ways to round the laying over white, after resampling."""


def torture(count: int, seed: int, folder: Path) -> Tally:
    """Try `count` mutated pictures."""
    return run_cases(
        "mutated pictures", "torture.pictures", count, seed, folder,
        seconds=SECONDS, memory_bytes=MEMORY_BYTES,
    )  # fmt: skip


def cases(seed: int, folder: Path) -> Cases:
    """Draw the whole pictures; the cases damage them one after the other."""
    kinds = drawn_kinds(seed)
    for drawn in kinds:  # a whole one is read, so that no mutation stands for a mistake here
        ours = _ours(drawn.content, folder)
        assert isinstance(ours, np.ndarray), f"{drawn.name}: {ours}"
        assert _is_same(ours, theirs(drawn.content)), drawn.name

    def try_one(index: int) -> Ending:
        rng = np.random.default_rng([seed, index])
        drawn = kinds[index % len(kinds)]
        other = kinds[int(rng.integers(len(kinds)))]
        edit = EDITS.get(drawn.format)
        mutators = (*GENERAL, edit, edit, edit, edit) if edit else GENERAL
        mutator = mutators[int(rng.integers(len(mutators)))]
        content = mutator(drawn.content, other.content, rng)
        return judged(drawn, mutator.__name__, content, _ours(content, folder))

    return try_one


def _ours(content: bytes, folder: Path) -> np.ndarray | str:
    """The program's reading of a file, or why it refuses it."""
    path = folder / "picture"
    path.write_bytes(content)
    try:
        with open_picture(path) as image:
            return decode(image, "stretch", SIDE)
    except Exception as error:
        return rejection_reason(error, "picture")


def judged(drawn: Drawn, how: str, content: bytes, ours: np.ndarray | str) -> Ending:
    """Hold the program's reading against Pillow's and, where there are checksums, the whole one."""
    other = theirs(content)
    where = f"{drawn.name}, {how}"
    if isinstance(ours, str):
        if "\n" in ours or len(ours) > 300:
            return Ending("refused", f"{where}: the reason is no line: {ours[:300]!r}")
        return Ending(
            "refused, as by Pillow" if other is None else "refused, though Pillow reads it"
        )
    if other is None:
        return Ending("read", f"{where}: read, and Pillow refuses it")
    if not _is_same(ours, other):
        return Ending("read", f"{where}: not as Pillow reads it")
    is_summed = drawn.format == "PNG" and how in ("flip_bits", "flip_head", "cut_off", "overwrite")
    if is_summed and not _is_same(ours, theirs(drawn.content)):
        return Ending("read", f"{where}: not the picture that it was, and it has checksums")
    return Ending("read, as Pillow reads it")


def _is_same(ours: np.ndarray, other: np.ndarray | None) -> bool:
    if other is None or ours.shape != other.shape:
        return False
    return int(np.abs(ours.astype(int) - other.astype(int)).max()) <= TOLERANCE


def theirs(content: bytes) -> np.ndarray | None:
    """Pillow's strict reading, turned to RGB by numpy; None where Pillow refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            image = Image.open(io.BytesIO(content))
            boxes = [tile[1] for tile in image.tile] if image.format == "GIF" else []
            image.load()
            pixels = _rgb(image, content)
            for left, upper, right, lower in boxes:  # what a GIF's first frame leaves is white
                shown = np.zeros(pixels.shape[:2], bool)
                shown[upper:lower, left:right] = True
                pixels = np.where(shown[..., None], pixels, 255).astype(np.uint8)
            turned = _turned(Image.fromarray(pixels), image)
        except Exception:
            return None
    return np.asarray(turned.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def _turned(pixels: Image.Image, image: Image.Image) -> Image.Image:
    """Upright, by Pillow's own rule where it gets along with the file's EXIF."""
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
    """Colours as uint8 [H, W, 3], transparency over white; refuses what has no scale."""
    array, mode, key = np.asarray(image), image.mode, image.info.get("transparency")
    if mode == "F" or 2 in getattr(image, "tag_v2", {}).get(339, ()):
        raise DataError("no scale")
    if mode.startswith("I"):
        return _over_white(_highest_bits(image, array), None, key, array)
    if mode in ("1", "L"):
        depth = content[24] if image.format == "PNG" and mode == "L" else 8
        grey, scale = array * (255 if mode == "1" else 1), {2: 85, 4: 17}.get(depth, 1)
        return _over_white(grey, None, key * scale if isinstance(key, int) else None, grey)
    if mode == "CMYK":
        light = 255 - array.astype(float)
        return np.round(light[..., :3] * light[..., 3:] / 255).astype(np.uint8)
    if mode == "RGB" and key is None:
        return array
    is_clear = mode in ("RGBA", "LA", "La", "PA") or key is not None
    straight = np.asarray((image.convert("LA") if mode == "La" else image).convert("RGBA"))
    return _over_white(straight[..., :3], straight[..., 3] if is_clear else None, None, straight)


def _highest_bits(image: Image.Image, array: np.ndarray) -> np.ndarray:
    """Grey of 12 or 16 bits as 8; refuses more than 16."""
    if array.min() < 0 or array.max() > 65535:
        raise DataError("no scale")
    tags = getattr(image, "tag_v2", {})
    grey = array // (16 if tags.get(258) == (12,) else 256)
    return 255 - grey if tags.get(262) == 0 else grey


def _over_white(
    colours: np.ndarray, alpha: np.ndarray | None, key: object, raw: np.ndarray
) -> np.ndarray:
    """Grey [H, W] or colours [H, W, 3] over white, by an alpha or one transparent value."""
    rgb = (colours if colours.ndim == 3 else np.stack([colours] * 3, -1)).astype(float)
    share = np.ones(rgb.shape[:2]) if alpha is None else alpha / 255
    if isinstance(key, int):
        share = np.where(raw == key, 0, share)
    return np.round(rgb * share[..., None] + 255 * (1 - share[..., None])).astype(np.uint8)
