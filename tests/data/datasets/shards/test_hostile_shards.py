"""Tar shards that are damaged or made to do harm: each gets a sentence, and none is unpacked."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from alexnet.data.data_files import LocalFile
from alexnet.data.datasets.catalogue import open_source
from alexnet.data.datasets.shards import index, samples
from alexnet.data.datasets.shards.samples import read_samples
from alexnet.errors import DataError
from support.runs import Witness
from support.shards import photo, tar_bytes

PHOTO = photo(0)
GOOD = tar_bytes([("a.jpg", PHOTO), ("a.cls", b"a"), ("b.jpg", PHOTO), ("b.cls", b"b")])


def member(name: str, **fields: object) -> bytes:
    """A shard with one more member, which has no content."""
    info = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(info, field, value)
    header = info.tobuf(tarfile.GNU_FORMAT)
    end = GOOD.rstrip(b"\0")
    at = -(-len(end) // 512) * 512
    return GOOD[:at] + header + bytes(10240)


def sparse() -> bytes:
    """A shard with a file that claims to be a terabyte of zeros."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("c.jpg")
        info.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1",
                            "GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 40)}  # fmt: skip
        tar.addfile(info)
    return file.getvalue()


def negative_size() -> bytes:
    """The size of the first file is -512, which would make a reader go in circles."""
    header = bytearray(GOOD[:512])
    header[124:136] = (-512).to_bytes(12, "big", signed=True)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + GOOD[512:]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (member("c.jpg", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "holds a link, 'c.jpg'"),
        (member("c.jpg", type=tarfile.LNKTYPE, linkname="a.jpg"), "holds a link, 'c.jpg'"),
        (member("c.jpg", type=tarfile.CHRTYPE), "holds a device, 'c.jpg'"),
        (sparse(), "holds a sparse file, 'c.jpg'"),
        (negative_size(), "damaged or not complete"),
        (member("c.cls", size=1 << 30), "'c.cls' has 1,073,741,824 bytes, too many for a label"),
        (member("c.jpg", size=1 << 40), "damaged or not complete"),
        (GOOD[:700], "damaged or not complete"),
        (GOOD[: len(PHOTO) + 1024], "damaged or not complete"),
        (GOOD[:512], "damaged or not complete"),
        (b"", "damaged or not complete"),
        (bytes(range(256)) * 40, "damaged or not complete"),
        (gzip.compress(GOOD), "is compressed, so its images cannot be read in place"),
        (tar_bytes([("a.jpg", PHOTO), ("a.cls", b"a"), ("a.jpg", PHOTO)]), "two files called"),
        (tar_bytes([("a.jpg", PHOTO), ("a.cls", b"\xff\xfe")]), "'a.cls' cannot be read"),
        (tar_bytes([("a.jpg", PHOTO), ("a.json", b"[" * 100_000)]), "'a.json' cannot be read"),
        (tar_bytes([("a.jpg", PHOTO), ("a.json", b'{"label": [1, 2]}')]), "neither a number nor"),
        (tar_bytes([("a.jpg", PHOTO), ("a.cls", b"a\nb")]), "neither a number nor"),
    ],
)  # fmt: skip
def test_it_gets_a_sentence(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "s-0.tar").write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        open_source(f"{tmp_path}/s-*.tar")
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "s-0.tar") in str(caught.value)


def test_every_way_to_cut_a_shard_short_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "s-0.tar"
    end = GOOD.rstrip(b"\0")
    for length in range(0, len(end) + 300, 211):
        path.write_bytes(GOOD[:length])
        with pytest.raises(DataError, match="damaged or not complete"):
            read_samples(LocalFile(path, path.name))


def test_a_shard_that_is_cut_later_rejects_its_images(tmp_path: Path) -> None:
    path = tmp_path / "s-0.tar"
    path.write_bytes(GOOD)
    source = open_source(str(path))
    path.write_bytes(GOOD[:1000])
    with pytest.raises(DataError, match="its shard has been cut short"), source.images.open(1):
        pass


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b"{}", lambda b: b"", lambda b: b'{"samples": [[1]]}']
)
def test_the_index_is_read_once_and_a_damaged_one_is_made_again(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[bytes], bytes],
) -> None:  # fmt: skip
    path = tmp_path / "s-0.tar"
    path.write_bytes(GOOD)
    names = open_source(f"{tmp_path}/s-*.tar").names
    with monkeypatch.context() as patch:
        patch.setattr(index, "read_samples", lambda file: pytest.fail("it was read again"))
        assert open_source(f"{tmp_path}/s-*.tar").names == names
    (kept,) = (cache / "shards").iterdir()
    kept.write_bytes(damage(kept.read_bytes()))
    assert open_source(f"{tmp_path}/s-*.tar").names == names


def test_a_cache_that_cannot_be_written_only_costs_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "s-0.tar").write_bytes(GOOD)
    (tmp_path / "file").touch()
    monkeypatch.setenv("ALEXNET_CACHE", str(tmp_path / "file"))
    assert len(open_source(f"{tmp_path}/s-*.tar")) == 2


def test_the_number_of_files_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MAX_DATA_ARCHIVE_FILES", 3)
    (tmp_path / "s-0.tar").write_bytes(GOOD)
    with pytest.raises(DataError, match="has more than 3 files"):
        open_source(f"{tmp_path}/s-*.tar")


@pytest.mark.parametrize("data", ["{}", "{}/s-*.tar"])
def test_reading_shards_the_first_time_has_a_progress(
    tmp_path: Path, data: str, witness: Witness
) -> None:
    for number in range(3):
        (tmp_path / f"s-{number}.tar").write_bytes(GOOD)
    open_source(data.format(tmp_path), reporter=witness)
    assert witness.progress["on_index"] == [(1, 3), (2, 3), (3, 3)]
