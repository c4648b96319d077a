"""Formats that need a codec, told by content and not by name; other kinds of files are named."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import alexnet.data.images.open as opening
from alexnet.data.images.decode import decode
from alexnet.data.images.formats import FORMATS, SUFFIXES, heic_formats
from alexnet.data.images.fraction import BOX
from alexnet.data.images.kinds import READ, kind_of
from alexnet.errors import DataError
from stress.mutators import png_chunks, png_file
from support.hostile_images import COLORS, encode, exif, read, rejection

SMOOTH = np.asarray(Image.fromarray(COLORS).resize((64, 48), Image.Resampling.BICUBIC))
needs_avif = pytest.mark.skipif("AVIF" not in FORMATS, reason="Pillow was built without AVIF")
needs_jpeg2000 = pytest.mark.skipif("JPEG2000" not in FORMATS, reason="Pillow has no JPEG 2000")


def is_close(path: Path) -> bool:
    expected = np.asarray(Image.fromarray(SMOOTH).resize((8, 8), Image.Resampling.LANCZOS))
    return bool(np.abs(read(path).astype(int) - expected).max() < 30)


@needs_avif
@pytest.mark.parametrize("name", ["x.avif", "x.jpg", "x"])
def test_avif_is_read_whatever_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(encode(SMOOTH, "AVIF", quality=95))
    assert is_close(tmp_path / name)
    (tmp_path / name).write_bytes(encode(SMOOTH, "AVIF")[:-40])
    assert rejection(tmp_path / name).startswith("damaged: ")


@needs_avif
def test_the_orientation_of_avif(tmp_path: Path) -> None:
    (tmp_path / "x.avif").write_bytes(encode(SMOOTH, "AVIF", quality=95, exif=exif(3)))
    upright = tmp_path / "y.avif"
    upright.write_bytes(encode(SMOOTH[::-1, ::-1], "AVIF", quality=95))
    difference = read(tmp_path / "x.avif").astype(int) - read(upright)
    assert np.abs(difference).max() < 20


@needs_jpeg2000
@pytest.mark.parametrize("options", [{}, {"no_jp2": True}])
def test_jpeg_2000_is_read(tmp_path: Path, options: dict[str, bool]) -> None:
    content = encode(SMOOTH, "JPEG2000", **options)
    (tmp_path / "x.jpg").write_bytes(content)
    assert is_close(tmp_path / "x.jpg")
    (tmp_path / "x.jpg").write_bytes(content[: len(content) // 2])
    assert rejection(tmp_path / "x.jpg")


def test_heic_is_read_by_its_package(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    pillow_heif.register_heif_opener()
    (tmp_path / "x.jpg").write_bytes(encode(SMOOTH, "HEIF", quality=95))
    assert is_close(tmp_path / "x.jpg")


def test_without_a_codec_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "FORMATS", ("JPEG", "PNG"))
    monkeypatch.setattr(opening, "heic_formats", lambda: ())
    path = tmp_path / "x.jpg"
    path.write_bytes(b"\0\0\0\x20ftypavif" + bytes(99))
    assert rejection(path) == (
        "an AVIF image, which the installed Pillow cannot read; update it, "
        "or convert it to PNG or JPEG"
    )
    path.write_bytes(b"\0\0\0\x20ftypheic" + bytes(99))
    assert "a HEIC image, which needs pip install 'alexnet[heic]'" in rejection(path)
    path.write_bytes(b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(99))
    assert "a JPEG 2000 image, which the installed Pillow cannot read" in rejection(path)


def test_a_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alexnet.data.images.formats.find_spec", lambda name: None)
    assert heic_formats.__wrapped__() == ()


OTHERS = [
    (encode(SMOOTH, "ICO"), "an icon (ICO), which is not read; convert it to PNG or JPEG"),
    (encode(SMOOTH, "TGA"), "a TGA image, which is not read"),
    (encode(SMOOTH, "PCX"), "a PCX image, which is not read"),
    (encode(SMOOTH, "PDF"), "a PDF document, not an image; save its pages as images"),
    (encode(SMOOTH, "EPS"), "a PostScript drawing (EPS), which is not read"),
    (b"8BPS\0\1" + bytes(99), "a Photoshop file (PSD), which is not read"),
    (b"<svg xmlns='x'/>", "an SVG drawing, which is not read; convert it to PNG or JPEG"),
    (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- <a> -->\n<svg:svg>", "an SVG drawing"),
    (b"<?xml version='1.0'?><!-- made by x -->\n<SVG>", "an SVG drawing, which is not read"),
    (b"\n<!DOCTYPE html><html><svg></svg>", "an HTML page, not an image; download the image"),
    (b"Not found", "a text file, not an image"),
    ("höflich".encode() * 999, "a text file, not an image"),
    (
        b"version https://git-lfs.github.com/spec/v1\n",
        "a pointer of Git LFS, not an image; run git",
    ),
    (b"\0\0\0\x20ftypisom" + bytes(99), "a video, not an image; save its frames as images"),
    (b"\x1a\x45\xdf\xa3" + bytes(99), "a video, not an image"),
    (b"II*\0\x10\0\0\0CR\2\0" + bytes(99), "a raw camera file, which is not read; develop it"),
    (b"PK\3\4" + bytes(99), "an archive, not an image; unpack it"),
    (b"\x93NUMPY\1\0" + bytes(99), "a numpy array, not an image"),
    (b"\xff\x0a" + bytes(99), "a JPEG XL image, which is not read"),
    (b"\x89PNG\r\n\x1a\n" + bytes(99), "damaged: a PNG image whose header cannot be read"),
    (bytes(99), "not a whole image of a supported format"),
]


@pytest.mark.parametrize(("content", "reason"), OTHERS, ids=[reason[:20] for _, reason in OTHERS])
def test_another_kind_of_file_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "x.jpg").write_bytes(content)
    assert rejection(tmp_path / "x.jpg").startswith(reason)


def test_a_raw_file_that_pillow_takes_for_a_tiff(tmp_path: Path) -> None:
    """Its first image is a small preview."""
    info = Image.new("L", (1, 1)).getexif()
    info[50706] = b"\1\4\0\0"
    (tmp_path / "x.tif").write_bytes(encode(SMOOTH, "TIFF", tiffinfo=info))
    assert rejection(tmp_path / "x.tif").startswith("a raw camera file, which is not read")


def test_the_kind_of_every_format_that_is_read() -> None:
    for name in FORMATS:
        assert kind_of(encode(SMOOTH, name)) in READ, name


def test_kinds_are_told_in_no_time() -> None:
    """Whatever a file begins with."""
    for unit in (b"<!--", b"<!---->", b"P1#", b"\0\0\0\x20ftypmif1avix", b" ", b"PK\3\4", b"\0"):
        kind_of((unit * 4096)[:4096])


def test_every_format_has_an_ending() -> None:
    assert {".avif", ".heic", ".jp2", ".jpg", ".tiff"} <= set(SUFFIXES)


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"quality": 100}])
def test_a_jpeg_without_its_end_marker(
    tmp_path: Path, mode: str, options: dict[str, object]
) -> None:
    """It is read if every pixel is there, and rejected if one byte of them is missing."""
    image = Image.fromarray(np.asarray(Image.fromarray(SMOOTH).resize((21, 19)))).convert(mode)
    content = encode(image, "JPEG", **options)
    whole, cut = tmp_path / "whole.jpg", tmp_path / "cut.jpg"
    whole.write_bytes(content)
    for missing in (1, 2):
        cut.write_bytes(content[:-missing])
        assert np.array_equal(read(cut), read(whole))
        with opening.open_image(cut) as opened:
            assert opened.info[opening.REMARKS] == ["it lacks its end marker; all pixels are there"]
    data = content.rindex(b"\xff\xda")
    for length in range(data + 20, len(content) - 4, 5):
        cut.write_bytes(content[:length])
        assert rejection(cut), length


def test_a_progressive_jpeg_that_lacks_a_whole_scan(tmp_path: Path) -> None:
    content = encode(SMOOTH, "JPEG", progressive=True)
    start = content.rindex(b"\xff\xda")
    for end in range(start, start + 14):  # also within the header of that scan
        (tmp_path / "x.jpg").write_bytes(content[:end])
        assert rejection(tmp_path / "x.jpg")


def test_a_png_with_much_text(tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    plain = tmp_path / "plain.png"
    plain.write_bytes(encode(COLORS, "PNG"))
    long = "x" * (1 << 21)
    for kind in ("tEXt", "zTXt", "iTXt", "compressed iTXt", "iCCP"):
        info, options = PngInfo(), {}
        if kind.endswith("iTXt"):
            info.add_itxt("a", long, zip=kind != "iTXt")
        elif kind == "iCCP":
            options = {"icc_profile": long.encode()}
        else:
            info.add_text("a", long, zip=kind == "zTXt")
        path = tmp_path / "x.png"
        path.write_bytes(encode(COLORS, "PNG", pnginfo=info, **options))
        assert np.array_equal(read(path), read(plain)), kind
        with opening.open_image(path) as opened:
            (remark,) = opened.info[opening.REMARKS]
        assert "a text of more than 1 MB" in remark


PILLOWS_KEYS = ("transparency", "interlace", "bbox", "default_image", "loop", "disposal", "blend")
OUR_KEYS = ("box", "remarks", "full_size", opening.REMARKS, BOX)


@pytest.mark.parametrize("key", [*PILLOWS_KEYS, *OUR_KEYS, "dpi", "gamma", "icc_profile", "exif"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("is_last", [False, True])
def test_a_text_named_like_a_value(tmp_path: Path, mode: str, key: str, is_last: bool) -> None:
    """Pillow keeps texts beside what it has read from other chunks, and where we keep a box."""
    path = tmp_path / "x.png"
    image = Image.fromarray(COLORS).convert(mode if mode != "I;16" else "L").convert(mode)
    options = {"transparency": 3} if mode in ("L", "P") else {}
    content = encode(image, "PNG", **options)
    path.write_bytes(content)
    expected = read(path)
    chunks = list(png_chunks(content))
    at = len(chunks) - 1 if is_last else 1
    chunks.insert(at, (b"tEXt", key.encode() + b"\0" + b"12 30 40 50"))
    path.write_bytes(png_file(chunks))
    assert np.array_equal(read(path), expected)
    with opening.open_image(path) as opened:
        assert not [one for one in opened.info[opening.REMARKS] if "text" in one]


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("key", ["box", "transparency"])
def test_a_text_named_like_a_value_in_an_opened_image(mode: str, key: str) -> None:
    image = Image.fromarray(COLORS).convert(mode)
    expected = decode(image, "stretch", 8)
    image.info[key] = "12 30 40 50"
    assert np.array_equal(decode(image, "stretch", 8), expected)
    assert image.info == {key: "12 30 40 50"}


def test_a_transparency_that_pillow_cannot_use() -> None:
    image = Image.fromarray(COLORS)
    image.info["transparency"] = 1.5
    with pytest.raises(DataError, match="damaged"):
        decode(image, "stretch", 8)


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_fewer_bits_in_16(tmp_path: Path, bits: int, kind: str) -> None:
    values = np.linspace(0, 2**bits - 1, 64).astype(np.uint16).reshape(8, 8)
    file = io.BytesIO(encode(values, kind))
    with opening.read_image(file) as opened:
        remarks = opened.info[opening.REMARKS]
    if bits == 16:
        assert remarks == []
    else:
        assert remarks[0].startswith(f"values up to {2**bits - 1:,} of 65,535")
        assert f"looks like {bits} bits in 16" in remarks[0]
