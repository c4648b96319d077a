"""Opening an image file: limits of size and memory, silence, and the reasons of rejections."""

from __future__ import annotations

import errno
import os
import re
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import ImageFile
from PIL.PngImagePlugin import PngImageFile

import alexnet.data.images.open
from alexnet.data.images.concurrency import PixelBudget, SilenceWarnings, pixel_budget
from alexnet.data.images.rejection import rejection_reason
from alexnet.data.source import file_signature
from alexnet.errors import DataError
from alexnet.io.files import open_regular, read_regular
from alexnet.io.limits import MAX_IMAGE_PIXELS
from support.hostile_images import COLORS, encode, exif, read, rejection


@contextmanager
def as_nobody() -> Iterator[None]:
    """As a user who is not root, for whom file modes count."""
    is_root = os.geteuid() == 0
    if is_root:
        os.setresuid(65534, 65534, 0)
    yield
    if is_root:
        os.setresuid(0, 0, 0)


def test_a_file_that_may_not_be_read() -> None:
    """It is rejected now, and used once it may be read, since its signature differs then."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "shut.png"
        path.write_bytes(encode(COLORS, "PNG"))
        path.parent.chmod(0o755)
        path.chmod(0o644)
        with as_nobody():
            read(path)
            readable = file_signature(path)
        path.chmod(0)
        with as_nobody():
            reason, unreadable = rejection(path), file_signature(path)
    assert reason == "Permission denied"
    assert unreadable != readable


def test_pillows_option_that_hides_damage_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.png").write_bytes(encode(COLORS, "PNG"))
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(DataError, match="LOAD_TRUNCATED_IMAGES is on, which hides damage"):
        read(tmp_path / "x.png")


def test_a_too_large_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "sparse.jpg").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(DataError, match="more than 536,870,912 bytes"):
        read(tmp_path / "sparse.jpg")
    with pytest.raises(OSError, match="more than 100 bytes"):
        read_regular(tmp_path / "sparse.jpg", 100)
    with pytest.raises(IsADirectoryError):
        open_regular(tmp_path)


def test_no_warning_comes_out_of_any_thread(tmp_path: Path) -> None:
    """And the filters are as before, in whatever order the threads enter and leave."""
    path = tmp_path / "x.tif"
    path.write_bytes(encode(COLORS, "TIFF", compression="tiff_lzw", exif=exif(6))[:-7])

    def read_often() -> None:
        for _ in range(20):
            assert rejection(path)

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        threads = [threading.Thread(target=read_often) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert warnings.filters == before
        warnings.warn("heard again", stacklevel=1)
    assert [str(one.message) for one in seen] == ["heard again"]


def test_overlapping_threads_restore_the_filters() -> None:
    """With `catch_warnings` in each of two threads, the exit of the first would end the silence."""
    silence = SilenceWarnings()
    before = list(warnings.filters)
    silence.__enter__()
    silence.__enter__()
    silence.__exit__()
    warnings.warn("not heard", stacklevel=1)
    silence.__exit__()
    assert warnings.filters == before


def test_the_pixel_budget_is_never_exceeded() -> None:
    budget, inside, most = PixelBudget(10), [0], [0]
    lock = threading.Lock()

    def take(pixels: int) -> None:
        for _ in range(30):
            with budget.reserve(pixels):
                with lock:
                    inside[0] += pixels
                    most[0] = max(most[0], inside[0])
                with lock:
                    inside[0] -= pixels

    threads = [threading.Thread(target=take, args=(n,)) for n in (10, 7, 3, 3, 1, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    assert most[0] <= 10


def test_a_failed_image_frees_its_pixels(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(encode(COLORS, "PNG")[:-30])
    for _ in range(3):
        assert rejection(path)
    with pixel_budget.reserve(MAX_IMAGE_PIXELS):
        pass


def test_reasons_are_one_short_line() -> None:
    assert rejection_reason(ValueError("a\nb\n" * 999), "x").startswith("damaged: a b a b")
    assert len(rejection_reason(ValueError("a\nb\n" * 999), "x")) < 250
    assert rejection_reason(KeyError(), "x") == "damaged: KeyError"
    assert not re.search("/x", rejection_reason(OSError(2, "No such file", "/x"), "x"))


@pytest.mark.parametrize(
    "number",
    [errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.EINVAL,
     errno.ELOOP, errno.ENAMETOOLONG, errno.EILSEQ, errno.EFBIG],
)  # fmt: skip
def test_an_error_that_concerns_one_file_rejects_it(number: int) -> None:
    text = os.strerror(number)
    assert rejection_reason(OSError(number, text, "/x"), "x") == text


def test_a_mistake_of_the_program_is_not_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*arguments: object) -> None:
        raise TypeError("unsupported operand")

    (tmp_path / "x.png").write_bytes(encode(COLORS, "PNG"))
    monkeypatch.setattr(alexnet.data.images.open, "check_png_end", mistaken)
    with pytest.raises(TypeError, match="unsupported operand"):
        read(tmp_path / "x.png")


def test_any_error_of_pillow_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For some damaged files Pillow raises what a mistake of the program would raise."""

    def damaged(*arguments: object) -> None:
        raise TypeError("a bytes-like object is required")

    (tmp_path / "x.png").write_bytes(encode(COLORS, "PNG"))
    monkeypatch.setattr(PngImageFile, "load", damaged)
    assert rejection(tmp_path / "x.png") == "damaged: a bytes-like object is required"
