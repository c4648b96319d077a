"""Archives of folders of images: read as the folder, refused if hostile or damaged."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from alexnet.data.datasets import archive as archives
from alexnet.data.datasets.archive import archive_stem, is_archive_name
from alexnet.data.datasets.catalogue import open_source
from alexnet.errors import DataError, UsageError
from alexnet.io import text
from alexnet.io import unpack as unpacking
from support.drawing import draw_all
from support.runs import Witness

IMAGES = tuple(f"{s}/{c}/{i}.png" for s in ("train", "test1") for c in ("cat", "dog") for i in "12")
FORMATS = {"zip": "zip", "tar": "tar", "tar.gz": "gztar", "tar.bz2": "bztar", "tar.xz": "xztar"}


def make(tmp_path: Path, ending: str, *names: str) -> Path:
    """An archive of drawn images in a folder `photos`."""
    draw_all(tmp_path / "from" / "photos", *(names or IMAGES))
    made = shutil.make_archive(str(tmp_path / "set"), FORMATS[ending], tmp_path / "from")
    return Path(made)


def zip_of(path: Path, *names: str | zipfile.ZipInfo, content: bytes = b"x") -> Path:
    """A zip archive with members of any name."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, content)
    return path


def tar_of(path: Path, *names: str, type: bytes = tarfile.REGTYPE) -> Path:
    """A tar archive with empty members of any name and type."""
    with tarfile.open(path, "w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = type, "elsewhere"
            archive.addfile(member, io.BytesIO())
    return path


def unpacked(cache: Path) -> list[Path]:
    """What is in the cache of unpacked archives."""
    return [p for p in cache.glob("unpacked/*") if not p.name.endswith(".lock")]


@pytest.mark.parametrize("ending", FORMATS)
def test_an_archive_is_read_as_its_folder(tmp_path: Path, ending: str, cache: Path) -> None:
    archive = make(tmp_path, ending)
    folder, source = open_source(str(tmp_path / "from")), open_source(str(archive))
    assert (source.name, source.class_names) == ("set", ("cat", "dog"))
    assert (source.names, source.splits) == (folder.names, folder.splits)
    with source.images.open(0) as image:
        assert image.size == (4, 3)
    (kept,) = unpacked(cache)
    shutil.rmtree(tmp_path / "from")
    fingerprint = source.fingerprint()
    assert open_source(str(archive)).fingerprint() == fingerprint
    shutil.rmtree(kept)
    assert open_source(str(archive)).fingerprint() == fingerprint


def test_unpacking_tells_how_far_it_is(tmp_path: Path, witness: Witness) -> None:
    archive = make(tmp_path, "zip")
    open_source(str(archive), reporter=witness)
    told = witness.progress["on_unpack"]
    size = archive.stat().st_size
    assert [total for _, total in told] == [size] * 9
    assert told[-1] == (size, size)
    assert sorted(told[:-1]) == told[:-1]
    assert 0 < told[0][0] < size
    open_source(str(archive), reporter=witness)
    assert len(told) == 9


def test_a_changed_archive_is_unpacked_again(tmp_path: Path) -> None:
    assert len(open_source(str(make(tmp_path, "zip")))) == 8
    assert len(open_source(str(make(tmp_path, "zip", "train/cat/3.png")))) == 9


def test_what_macos_and_windows_write_is_read(tmp_path: Path) -> None:
    image = make(tmp_path, "zip").parent / "from/photos/train/cat/1.png"
    name = unicodedata.normalize("NFD", "rosé")
    marked = zip_of(
        tmp_path / "m.zip", "top\\", f"top\\{name}\\",
        f"top\\{name}\\1.png", "top/b/2.png", "__MACOSX/top/b/._2.png",
        "top/.DS_Store", content=image.read_bytes(),
    )  # fmt: skip
    assert open_source(str(marked)).class_names == ("b", "ros\u00e9")
    plain = zip_of(tmp_path / "p.zip", "xx1/1.png", "b/2.png", content=image.read_bytes())
    raw = plain.read_bytes().replace(b"xx1", "ö1".encode())  # UTF-8 that is not marked as such
    (tmp_path / "p.zip").write_bytes(raw)
    assert open_source(str(tmp_path / "p.zip")).class_names == ("b", "ö1")


def test_archives_in_an_archive_are_named(tmp_path: Path) -> None:
    outer = zip_of(tmp_path / "outer.zip", "competition/train.zip", "competition/test.zip")
    with pytest.raises(
        DataError, match=r"outer.zip, unpacked: .* archives .test.zip, train.zip.: u"
    ):
        open_source(str(outer))


def test_labels_in_names_and_images_alone_are_read_from_archives(tmp_path: Path) -> None:
    archive = str(make(tmp_path, "zip", "cat_1.png", "dog_1.png"))
    assert open_source(archive, label_from="^([a-z]+)_").class_names == ("cat", "dog")
    assert len(open_source(archive, allow_unlabelled=True)) == 2


def link(name: str) -> zipfile.ZipInfo:
    """A member that is a symbolic link."""
    info = zipfile.ZipInfo(name)
    info.external_attr = 0o120777 << 16
    return info


HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "up": (lambda p: zip_of(p, "a/../../x.png"), r"would be written elsewhere, 'a/\.\./\.\./x"),
    "backslash": (lambda p: zip_of(p, "..\\x.png"), "would be written elsewhere"),
    "root": (lambda p: tar_of(p, "/etc/x.png"), "would be written elsewhere"),
    "drive": (lambda p: zip_of(p, "C:/x.png"), "would be written elsewhere"),
    "link": (lambda p: zip_of(p, link("a/x.png")), "holds a link, 'a/x.png'; unpack it yourself"),
    "tar link": (lambda p: tar_of(p, "a/x", type=tarfile.SYMTYPE), "holds a link, 'a/x'"),
    "hard link": (lambda p: tar_of(p, "a/x", type=tarfile.LNKTYPE), "holds a link"),
    "device": (lambda p: tar_of(p, "a/x", type=tarfile.CHRTYPE), "holds a device"),
    "twice": (lambda p: tar_of(p, "a/x.png", "a/x.png"), "two files called 'x.png'"),
    "file as folder": (lambda p: zip_of(p, "a", "a/x.png"), "two files called 'x.png'"),
    "bomb": (lambda p: zip_of(p, "a/x.png", content=bytes(1 << 20)), "far more than photos"),
    "many": (lambda p: tar_of(p, *(f"a/{i}.png" for i in range(9))), "more than 8 files"),
    "no archive": (lambda p: p.write_bytes(b"PK") and p, "damaged or not complete"),
    "empty": (lambda p: p.write_bytes(b"") or p, "damaged or not complete"),
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_archives_are_refused_and_leave_nothing(
    tmp_path: Path, kind: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "MIN_UNPACKED_LIMIT_BYTES", 1 << 19)
    monkeypatch.setattr(unpacking, "MAX_DATA_ARCHIVE_FILES", 8)
    write, complaint = HOSTILE[kind]
    with pytest.raises(DataError, match=complaint) as caught:
        open_source(str(write(tmp_path / "set.zip")))
    assert "\n" not in str(caught.value)
    assert unpacked(cache) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set.zip"]


@pytest.mark.parametrize(
    "name", ["..\\..\\x.png", "\\x.png", "a/D:/x.png", "a/\\\\server\\share\\..", "a/x.png:stream"]
)
def test_names_that_lead_elsewhere_on_windows(
    tmp_path: Path, name: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "IS_WINDOWS", True)
    monkeypatch.setattr(text, "NOT_IN_FILE_NAMES", set('\0/\\:*?"<>|'))
    with pytest.raises(DataError, match="would be written elsewhere"):
        open_source(str(tar_of(tmp_path / "set.tar", name)))
    assert unpacked(cache) == []


@pytest.mark.parametrize("ending", FORMATS)
def test_archives_that_are_cut_off_or_changed_are_damaged(
    tmp_path: Path, ending: str, cache: Path
) -> None:
    whole = make(tmp_path, ending).read_bytes()
    outcomes: Counter[bool] = Counter()
    for cut in (len(whole) // 3, len(whole) * 2 // 3 // 512 * 512, len(whole) - 30):
        archive = tmp_path / f"cut{cut}.{ending}"
        archive.write_bytes(whole[:cut])
        try:
            open_source(str(archive))
        except DataError as error:
            outcomes["is damaged or not complete" in str(error)] += 1
    assert outcomes == {True: 2 if ending == "tar" else 3}  # its last bytes are padding
    assert len(unpacked(cache)) == 3 - outcomes[True]


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "s.zip", "a/x.png")
    raw = bytearray(archive.read_bytes())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        raw[raw.index(mark) + offset] |= 1
    archive.write_bytes(raw)
    with pytest.raises(DataError, match=r"'a/x\.png' in the archive is encrypted; unpack it yo"):
        open_source(str(archive))


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    archive = make(tmp_path, "zip")
    usage = shutil.disk_usage(tmp_path)._replace(free=unpacking.MIN_FREE_BYTES + 10)
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(DataError, match=r"more than the 10 bytes that are free .*ALEXNET_CACHE"):
        open_source(str(archive))
    assert unpacked(cache) == []


def test_a_killed_unpacking_leaves_nothing_that_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    archive = make(tmp_path, "zip")

    def killed(archive: Path, folder: Path, on_progress: object) -> None:
        unpacking.unpack(archive, folder)
        os.rename(folder, folder.with_name(f"{folder.name}0"))  # noqa: PTH104
        raise KeyboardInterrupt

    monkeypatch.setattr(archives, "unpack", killed)
    with pytest.raises(KeyboardInterrupt):
        open_source(str(archive))
    (left,) = unpacked(cache)
    assert left.name.startswith(".set-")
    monkeypatch.undo()
    monkeypatch.setenv("ALEXNET_CACHE", str(cache))
    assert len(open_source(str(archive))) == 8
    (kept,) = unpacked(cache)
    assert not kept.name.startswith(".")


def test_other_archives_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.rar").write_bytes(b"Rar!")
    with pytest.raises(DataError, match="an archive of a kind that is not read; unpack it"):
        open_source(str(tmp_path / "x.rar"))
    with pytest.raises(DataError, match=r"there is no file 'none.zip'"):
        open_source("none.zip")
    with pytest.raises(UsageError, match="--label-from is for folders"):
        open_source("none.zip", label_from="(a)")


def test_names() -> None:
    assert archive_stem(Path("a/My.Photos.TAR.GZ")) == "My.Photos"
    assert is_archive_name(Path("x.Zip"))
    assert not is_archive_name(Path("zip"))


def zip_of_bytes(path: Path, *names: bytes) -> Path:
    """A zip archive whose names are these bytes, without the flag for UTF-8."""
    held = ["AB"[i] * len(name) for i, name in enumerate(names)]
    content = zip_of(path, *held).read_bytes()
    for placeholder, name in zip(held, names, strict=True):
        content = content.replace(placeholder.encode(), name)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("names", "encoding"),
    [
        (("バラ/1.png", "photos/花/1.png"), "cp932"),
        (("写真_バラ/a.png", "写真_ユリ/a.png"), "cp932"),
        (("Stiefmütterchen/1.png", "Gänseblümchen/2.png"), "cp437"),
        (("pâte/1.png", "forêt/1.png"), "cp437"),
        (("pâte/1.png", "バラ/1.png"), "utf-8"),
    ],
)
def test_names_of_old_zip_programs(tmp_path: Path, names: tuple[str, ...], encoding: str) -> None:
    archive = zip_of_bytes(tmp_path / "a.zip", *(name.encode(encoding) for name in names))
    (tmp_path / "out").mkdir()
    unpacking.unpack(archive, tmp_path / "out")
    found = [p.relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*.png")]
    assert {path.as_posix() for path in found} == set(names)


@pytest.mark.parametrize(
    ("names", "encoding"),
    [(("роза/1.png", "лилия/1.png"), "cp866"), (("玫瑰/1.png", "百合/1.png"), "gbk")],
)
def test_names_in_an_unknown_encoding_are_refused(
    tmp_path: Path, names: tuple[str, ...], encoding: str
) -> None:
    archive = zip_of_bytes(tmp_path / "a.zip", *(name.encode(encoding) for name in names))
    (tmp_path / "out").mkdir()
    with pytest.raises(DataError, match=r"an encoding that it does not tell, such as \\x"):
        unpacking.unpack(archive, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
