"""The worst image files that people have, each with its pixels or the reason why it is rejected."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from alexnet.data.images.decode import decode
from alexnet.data.images.open import open_image
from alexnet.data.images.rejection import IMAGE_ERRORS, rejection_reason
from stress.mutators import png_chunks, png_file

SIDE = 8
RNG = np.random.default_rng(5)
COLORS = RNG.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
GREYS = RNG.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
WIDE = RNG.integers(0, 65536, (SIDE, SIDE), dtype=np.uint16)
WIDE[2, 3] = WIDE[0, 0] ^ 1  # the same high byte, and not the transparent grey
WIDE_COLORS = WIDE[..., None] ^ np.array([0, 7, 999])
EPS = "a PostScript drawing (EPS), which is not read"
UNKNOWN = "not a whole image of a supported format"


def read(path: Path) -> np.ndarray:
    """The image in a file at SIDE x SIDE pixels."""
    with open_image(path) as image:
        return decode(image, "stretch", SIDE)


def rejection(path: Path) -> str:
    """Why a file is rejected; "" where it is used."""
    try:
        read(path)
    except IMAGE_ERRORS as error:
        return rejection_reason(error, path.name)
    return ""


def grey(values: np.ndarray) -> np.ndarray:
    return np.stack([values.astype(np.uint8)] * 3, -1)


def encode(pixels: np.ndarray | Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(file, kind, **options)  # type: ignore[arg-type]
    return file.getvalue()


def png(
    samples: np.ndarray, depth: int, color: int, *more: tuple[bytes, bytes], interlaced: int = 0
) -> bytes:
    """A PNG written by hand: samples [H, W, bands], chunks before the data."""
    height, width, _ = samples.shape
    rows = b""
    for row in samples.reshape(height, -1):
        bits = "".join(format(int(value), f"0{depth}b") for value in row)
        bits += "0" * (-len(bits) % 8)
        rows += b"\0" + bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    return png_file([(b"IHDR", header), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")])


def tiff(rows: bytes, bits: int, photometric: int = 1, sample_format: int = 1) -> bytes:
    """A grey TIFF of SIDE x SIDE written by hand."""
    entries = [
        (256, 3, SIDE), (257, 3, SIDE), (258, 3, bits), (259, 3, 1), (262, 3, photometric),
        (273, 4, 8), (277, 3, 1), (278, 3, SIDE), (279, 4, len(rows)), (339, 3, sample_format),
    ]  # fmt: skip
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    head = b"II*\0" + struct.pack("<I", 8 + len(rows))
    return head + rows + struct.pack("<H", len(entries)) + directory + bytes(4)


def text_for_subfile_type() -> ImageFileDirectory_v2:
    """A tag of a TIFF, NewSubfileType, of the wrong type."""
    tags = ImageFileDirectory_v2()
    tags.tagtype[254] = 2
    tags[254] = "no number"
    return tags


def exif(orientation: int) -> bytes:
    made = Image.Exif()
    made[0x0112] = orientation
    return made.tobytes()


# The stored image for each of EXIF's eight orientations of the same upright image.
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda upright: upright,
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright, 1),
    7: lambda upright: np.rot90(upright, 2).transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


@dataclass(frozen=True)
class Good:
    """A file that is used."""

    name: str
    content: bytes
    pixels: np.ndarray
    tolerance: int = 0


@dataclass(frozen=True)
class Bad:
    """A file that is rejected."""

    name: str
    content: bytes
    reason: str


def cmyk_jpeg(transform: int | None) -> bytes:
    """Flat ink; Adobe's marker says 0: inverted CMYK, 2: inverted YCCK; None: no marker."""
    content = encode(Image.new("CMYK", (SIDE, SIDE), (200, 60, 30, 10)), "JPEG", quality=100)
    place = content.index(b"Adobe")
    if transform is None:
        return content[: place - 4] + content[place - 2 + content[place - 1] :]
    return content[: place + 11] + bytes([transform]) + content[place + 12 :]


def ink_color(c: float, m: float, y: float, k: float) -> np.ndarray:
    color = [(255 - ink) * (255 - k) / 255 for ink in (c, m, y)]
    return np.broadcast_to(np.round(color).astype(np.uint8), (SIDE, SIDE, 3))


def ycck() -> np.ndarray:
    """The stored bytes are 255 - ink; YCCK takes them for Y, Cb, Cr of inverted CMY, and K."""
    y, cb, cr, k = 255 - 200, 255 - 60, 255 - 30, 255 - 10
    r = y + 1.402 * (cr - 128)
    g = y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128)
    b = y + 1.772 * (cb - 128)
    # libjpeg gives 255 - R and so on, which Pillow inverts again
    c, m, yellow = (255 - (255 - min(max(v, 0.0), 255.0)) for v in (r, g, b))
    return ink_color(c, m, yellow, 255 - k)


def over_white(colors: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    fraction = alpha[..., None] / 255
    return np.round(fraction * colors + (1 - fraction) * 255).astype(np.uint8)


def gif_with_margin() -> tuple[bytes, np.ndarray]:
    """A frame of 5 x 4 at (2, 1) on a screen of 8 x 8; the rest has no pixels."""
    table = np.arange(0, 240, 15, dtype=np.uint8).repeat(3).reshape(16, 3)
    image = Image.fromarray(GREYS[:4, :5] % 16)
    image.putpalette(table.tobytes())
    content = bytearray(encode(image, "GIF"))
    content[6:10] = struct.pack("<HH", SIDE, SIDE)
    place = content.index(b",\0\0\0\0")
    content[place + 1 : place + 5] = struct.pack("<HH", 2, 1)
    pixels = np.full((SIDE, SIDE, 3), 255, np.uint8)
    pixels[1:5, 2:7] = table[GREYS[:4, :5] % 16]
    return bytes(content), pixels


def transparent_values() -> list[Good]:
    """PNGs of grey with one transparent value, in every depth."""
    goods = []
    for depth in (1, 2, 4, 8, 16):
        samples = WIDE.astype(int) >> (16 - depth)
        key = int(samples[0, 0])
        shown = samples >> 8 if depth == 16 else samples * 255 // (2**depth - 1)
        pixels = grey(np.where(samples == key, 255, shown))
        chunk = (b"tRNS", struct.pack(">H", key))
        goods.append(Good(f"tRNS {depth}.png", png(samples[..., None], depth, 0, chunk), pixels))
    return goods


def good_files() -> list[Good]:
    palette = RNG.integers(0, 256, (256, 3), dtype=np.uint8)
    alphas = RNG.integers(0, 256, 256, dtype=np.uint8)
    frames = [Image.fromarray(COLORS), Image.new("RGB", (SIDE, SIDE), "blue")]
    more: dict[str, object] = {"save_all": True, "append_images": frames[1:]}
    indexed = Image.fromarray(GREYS)
    indexed.putpalette(palette.tobytes())
    rgba = np.dstack([COLORS, GREYS])
    twelve = WIDE.astype(int) >> 4
    packed = b"".join(
        bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in twelve.reshape(-1, 2)
    )
    framed, framed_pixels = gif_with_margin()
    rotated = [
        Good(f"exif {kind} {o}.png", encode(np.ascontiguousarray(stored(COLORS)), kind,
             exif=exif(o), **options), COLORS)
        for o, stored in STORED.items()
        for kind, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True}))
    ]  # fmt: skip
    return [
        *rotated,
        *transparent_values(),
        Good("rgb.png", encode(COLORS, "PNG"), COLORS),
        Good("a PNG.JPEG", encode(COLORS, "PNG"), COLORS),
        Good("a BMP.png", encode(COLORS, "BMP"), COLORS),
        Good("rgb.ppm", encode(COLORS, "PPM"), COLORS),
        Good("grey.png", encode(GREYS, "PNG"), grey(GREYS)),
        Good("grey and alpha.png", encode(Image.fromarray(np.dstack([GREYS, GREYS.T])), "PNG"),
             over_white(grey(GREYS), GREYS.T), 1),
        Good("alpha.png", encode(rgba, "PNG"), over_white(COLORS, GREYS), 1),
        Good("alpha.webp", encode(rgba, "WEBP", lossless=True, exact=True),
             over_white(COLORS, GREYS), 1),
        Good("one bit.png", encode(Image.fromarray(GREYS > 99), "PNG"), grey((GREYS > 99) * 255)),
        Good("one bit.bmp", encode(Image.fromarray(GREYS > 99), "BMP"), grey((GREYS > 99) * 255)),
        Good("palette.png", encode(indexed, "PNG"), palette[GREYS]),
        Good("clear palette.png", encode(indexed, "PNG", transparency=alphas.tobytes()),
             over_white(palette[GREYS], alphas[GREYS]), 1),
        Good("clear entry.gif", encode(indexed, "GIF", transparency=int(GREYS[0, 0])),
             over_white(palette[GREYS], (GREYS[0, 0] != GREYS) * 255)),
        Good("16 bits.png", encode(WIDE, "PNG"), grey(WIDE >> 8)),
        Good("16 bits of colour.png", png(WIDE_COLORS, 16, 2),
             WIDE_COLORS >> 8),
        Good("16 bits.tif", tiff(WIDE.tobytes(), 16), grey(WIDE >> 8)),
        Good("16 bits, 0 is white.tif", tiff(WIDE.tobytes(), 16, 0), grey(255 - (WIDE >> 8))),
        Good("12 bits.tif", tiff(packed, 12), grey(WIDE >> 8)),
        Good("animated.gif", encode(indexed, "GIF", save_all=True, append_images=[indexed]),
             palette[GREYS]),
        Good("animated.png", encode(frames[0], "PNG", **more), COLORS),
        Good("animated.webp", encode(frames[0], "WEBP", lossless=True, **more), COLORS),
        Good("a text for a number.tif", encode(COLORS, "TIFF", tiffinfo=text_for_subfile_type()),
             COLORS),
        Good("two pages.tif", encode(frames[0], "TIFF", **more), COLORS),
        Good("small frame.gif", framed, framed_pixels),
        Good("Adobe CMYK.jpg", cmyk_jpeg(0), ink_color(200, 60, 30, 10), 2),
        Good("CMYK without a marker.jpg", cmyk_jpeg(None), ink_color(200, 60, 30, 10), 2),
        Good("Adobe YCCK.jpg", cmyk_jpeg(2), ycck(), 3),
        Good("CMYK.tif", encode(Image.new("CMYK", (SIDE, SIDE), (200, 60, 30, 10)), "TIFF"),
             ink_color(200, 60, 30, 10), 1),
        Good("one pixel.png", encode(COLORS[:1, :1], "PNG"),
             np.broadcast_to(COLORS[0, 0], (SIDE, SIDE, 3))),
        Good("one row.png", encode(np.repeat(COLORS[:1], 1, 0), "PNG"),
             np.repeat(COLORS[:1], SIDE, 0)),
        Good("grey corner.jpg", encode(np.full((SIDE, SIDE, 3), 128, np.uint8), "JPEG"),
             np.full((SIDE, SIDE, 3), 128, np.uint8)),
        Good("black.png", encode(np.zeros((SIDE, SIDE, 3), np.uint8), "PNG"),
             np.zeros((SIDE, SIDE, 3), np.uint8)),
        *broken_exif(),
    ]  # fmt: skip


def broken_exif() -> list[Good]:
    """Where the EXIF says nothing, the image stays as it is stored; what it does say is used."""
    whole = exif(3)
    turned = np.ascontiguousarray(COLORS[::-1, ::-1])
    junk_after = b"Exif\0\0MM\0*\0\0\0\x08\0\x02" + bytes.fromhex(
        "0112000300000001000300008769000400000001ffffffff00000000"
    )
    endless = b"Exif\0\0MM\0*\0\0\0\x08\0\x01" + bytes.fromhex("011200030000000100010000 00000008")
    return [
        Good("exif of noise.png", encode(COLORS, "PNG", exif=RNG.bytes(99)), COLORS),
        Good("exif cut off.png", encode(COLORS, "PNG", exif=whole[:12]), COLORS),
        Good("exif of 9.png", encode(COLORS, "PNG", exif=exif(9)), COLORS),
        Good("exif with junk.png", encode(turned, "PNG", exif=junk_after), COLORS),
        Good("exif in a circle.webp", encode(COLORS, "WEBP", lossless=True, exif=endless), COLORS),
    ]


def bad_files() -> list[Bad]:
    big = RNG.integers(0, 256, (60, 60, 3), dtype=np.uint8)
    jpeg, deflated = encode(big, "JPEG"), encode(big, "PNG")
    chunks = png_chunks(deflated)
    rows = zlib.decompress(chunks[1][1])
    fewer = png_file([chunks[0], (b"IDAT", zlib.compress(rows[: len(rows) // 2])), chunks[-1]])
    stored = zlib.compress(rows, 0)
    in_two = bytearray(png_file([chunks[0], (b"IDAT", stored[:-4]), (b"IDAT", stored[-4:]),
                                 chunks[-1]]))  # fmt: skip
    in_two[2000] ^= 0x40
    taller = bytearray(jpeg)
    place = taller.index(b"\xff\xc0") + 5
    taller[place : place + 2] = struct.pack(">H", 600)
    huge = png_file(
        [(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)), *chunks[1:]]
    )
    wide = png_file([(b"IHDR", struct.pack(">IIBBBBB", 30_000, 6_000, 8, 2, 0, 0, 0)), *chunks[1:]])
    flat = encode(Image.new("L", (200, 200)), "JPEG", progressive=True)
    scan = flat[flat.rindex(b"\xff\xda") : -2]
    floats = encode(Image.fromarray(GREYS.astype(np.float32)), "TIFF")
    key = (b"tRNS", struct.pack(">HHH", 1, 2, 3))
    return [
        Bad("empty.jpg", b"", "the file is empty"),
        Bad("text.jpg", b"no image at all", "a text file, not an image"),
        Bad("program.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(x) run\n", EPS),
        Bad("another kind.png", encode(COLORS, "TGA"), "a TGA image, which is not read"),
        Bad("half.jpg", jpeg[: len(jpeg) // 2], "its data ends before"),
        Bad("half.png", deflated[: len(deflated) // 2], "the file ends within its IDAT"),
        Bad("nine tenths.gif", encode(grey(GREYS)[..., 0], "GIF")[:-9], "damaged: "),
        Bad("half, and an end.jpg", jpeg[: len(jpeg) // 2] + b"\xff\xd9", "ends before"),
        Bad("taller than its data.jpg", bytes(taller), "ends before the image does"),
        Bad("taller than its data.png", fewer, "ends before the image does (5,"),
        Bad("a flipped bit.png", bytes(in_two), "the checksum of its IDAT is wrong"),
        Bad("bomb.png", huge, "more than 178,956,970 pixels"),
        Bad("30,000 wide and high.png", wide, "more than 178,956,970 pixels"),
        Bad("many scans.jpg", flat[:-2] + scan * 200 + flat[-2:], "more than 100 scans"),
        Bad("no pixels.ppm", b"P6\n0 5\n255\n", ""),
        Bad("floating point.tif", floats, "a floating-point image has no colour scale"),
        Bad("signed.tif", tiff(GREYS.tobytes(), 8, 1, 2), "signed numbers has no colour scale"),
        Bad("32 bits.tif", tiff(WIDE.astype(np.uint32).tobytes()[:-4] + b"\0\0\1\0", 32),
            "numbers of more than 16 bits have no colour scale"),
        Bad("two of three strips.tif", few_strips(), "parts of the image have no data"),
        Bad("16-bit key.png", png(WIDE_COLORS, 16, 2, key),
            "one 16-bit colour is transparent, which is not supported"),
    ]  # fmt: skip


def few_strips() -> bytes:
    """Strips of 3 rows for 8 rows, and two of them."""
    rows = GREYS.tobytes()
    entries = [
        (256, 3, 1, SIDE), (257, 3, 1, SIDE), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (273, 4, 2, 200), (277, 3, 1, 1), (278, 3, 1, 3), (279, 4, 2, 208),
    ]  # fmt: skip
    directory = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", *e) for e in entries
    )
    head = (b"II*\0" + struct.pack("<I", 72) + rows + directory + bytes(4)).ljust(200, b"\0")
    return head + struct.pack("<IIII", 8, 32, 24, 24)
