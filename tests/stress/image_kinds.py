"""Small valid images in every format and mode that is accepted, written by Pillow from a seed."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

WIDTH, HEIGHT = 45, 38


@dataclass(frozen=True, slots=True)
class ImageFile:
    """A valid file."""

    name: str
    format: str
    content: bytes


KINDS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("JPEG", "RGB", {}),
    ("JPEG", "RGB", {"quality": 95, "subsampling": 0}),
    ("JPEG", "RGB", {"progressive": True}),
    ("JPEG", "RGB", {"restart_marker_blocks": 3}),
    ("JPEG", "RGB", {"exif": 6, "icc_profile": b"none" * 40, "comment": b"words"}),
    ("JPEG", "L", {}),
    ("JPEG", "L", {"progressive": True, "exif": 8}),
    ("JPEG", "CMYK", {}),
    ("MPO", "RGB", {"save_all": True}),
    ("PNG", "RGB", {}),
    ("PNG", "RGB", {"compress_level": 0, "exif": 5}),
    ("PNG", "RGB", {"transparency": (1, 2, 3)}),
    ("PNG", "RGBA", {}),
    ("PNG", "L", {}),
    ("PNG", "L", {"bits": 4, "transparency": 3}),
    ("PNG", "LA", {}),
    ("PNG", "1", {}),
    ("PNG", "I;16", {}),
    ("PNG", "P", {"transparency": b"\x00\x80\xff\x10"}),
    ("PNG", "P", {"bits": 4}),
    ("PNG", "RGB", {"save_all": True}),
    ("GIF", "P", {}),
    ("GIF", "P", {"save_all": True, "transparency": 2}),
    ("GIF", "L", {"interlace": False}),
    ("BMP", "RGB", {}),
    ("BMP", "P", {}),
    ("BMP", "1", {}),
    ("BMP", "RGBA", {}),
    ("WEBP", "RGB", {}),
    ("WEBP", "RGBA", {"lossless": True}),
    ("WEBP", "RGB", {"save_all": True, "lossless": True, "exif": 3}),
    ("TIFF", "RGB", {}),
    ("TIFF", "RGB", {"compression": "tiff_lzw", "exif": 7}),
    ("TIFF", "RGB", {"compression": "tiff_adobe_deflate", "save_all": True}),
    ("TIFF", "RGB", {"compression": "jpeg"}),
    ("TIFF", "RGBA", {"compression": "packbits"}),
    ("TIFF", "1", {"compression": "group4"}),
    ("TIFF", "L", {"strip_size": 200}),
    ("TIFF", "P", {"compression": "tiff_lzw"}),
    ("TIFF", "I;16", {}),
    ("TIFF", "CMYK", {}),
    ("PPM", "RGB", {}),
    ("PPM", "L", {}),
    ("PPM", "1", {}),
)


def paint_image_files(seed: int) -> list[ImageFile]:
    """One valid file of every kind."""
    return [
        _paint_image_file(i, *kind, np.random.default_rng([seed, i]))
        for i, kind in enumerate(KINDS)
    ]


def _paint_image_file(
    number: int, kind: str, mode: str, options: dict[str, object], rng: np.random.Generator
) -> ImageFile:
    plain = dict(options)
    if "exif" in plain:
        exif = Image.Exif()
        exif[0x0112], exif[0x010E] = plain["exif"], "a description"
        plain["exif"] = exif.tobytes()
    image = paint(mode, rng)
    if plain.get("save_all"):
        plain["append_images"] = [paint(mode, rng)]
    file = io.BytesIO()
    image.save(file, kind, **plain)  # type: ignore[arg-type]
    messages = " ".join(f"{name}={value!r}"[:30] for name, value in options.items())
    return ImageFile(f"{number} {kind} {mode} {messages}".strip(), kind, file.getvalue())


def paint(mode: str, rng: np.random.Generator) -> Image.Image:
    """Smooth blobs with some noise, so that every block has its own colors."""
    bands = {"RGB": 3, "RGBA": 4, "CMYK": 4, "LA": 2}.get(mode, 1)
    blots = rng.integers(0, 256, (7, 8, bands), dtype=np.uint8)
    layers = [
        Image.fromarray(blots[..., band]).resize((WIDTH, HEIGHT)).filter(ImageFilter.SMOOTH)
        for band in range(bands)
    ]
    noise = rng.integers(0, 30, (HEIGHT, WIDTH, bands))
    pixels = (np.stack([np.asarray(layer) for layer in layers], -1) * 0.88 + noise).astype(np.uint8)
    if mode == "I;16":
        return Image.fromarray(pixels[..., 0].astype(np.uint16) * 251)
    if mode == "P":
        image = Image.fromarray(pixels[..., 0] // 16)
        image.putpalette(rng.integers(0, 256, 48).astype(np.uint8).tobytes())
        return image
    if mode == "1":
        return Image.fromarray(pixels[..., 0]).convert("1")
    return (
        Image.fromarray(pixels[..., 0])
        if bands == 1
        else Image.merge(
            mode,
            [Image.fromarray(np.ascontiguousarray(pixels[..., band])) for band in range(bands)],
        )
    )
