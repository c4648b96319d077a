"""Data sets at addresses, which fsspec opens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest

from alexnet.data.datasets.catalogue import open_source
from alexnet.data.store.build import prepare
from alexnet.errors import DataError, UsageError
from support.noise_stores import TINY_FORM
from support.shards import (
    labelled_photos,
    photo,
    sample,
    tar_bytes,
    write_folder,
    write_parquet,
    write_shards,
)


@pytest.fixture
def memory() -> Iterator[Any]:
    """fsspec's file system in memory, empty."""
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def copy_to(system: Any, folder: Path, place: str) -> None:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            system.pipe(f"{place}/{path.relative_to(folder).as_posix()}", path.read_bytes())


@pytest.mark.parametrize("write", [write_shards, write_parquet])
def test_shards_at_an_address_are_those_on_the_disk(
    memory: Any, tmp_path: Path, write: Any
) -> None:
    photos = labelled_photos(per_class=2)
    copy_to(memory, write(tmp_path / "shards", photos), "/bucket/flowers")
    source = open_source("memory://bucket/flowers")
    local = open_source(str(write_folder(tmp_path / "folder", photos)))
    assert source.name == "flowers"
    assert source.class_names == local.class_names
    assert source.splits == local.splits
    stores = [prepare(one, TINY_FORM) for one in (source, local)]
    assert np.array_equal(stores[0].images(range(12)), stores[1].images(range(12)))


def test_a_file_and_a_pattern_at_an_address(memory: Any, tmp_path: Path) -> None:
    copy_to(memory, write_shards(tmp_path, labelled_photos(), per_shard=4), "/b/f")
    assert len(open_source("memory://b/f/test-000000.tar")) == 4
    assert len(open_source("memory://b/f/test-{000000..000001}.tar")) == 8
    assert len(open_source("memory://b/f/t*-000000.tar")) == 8
    with pytest.raises(DataError, match=r"test-000003.tar is not there"):
        open_source("memory://b/f/test-{000002..000003}.tar")


def test_a_pattern_of_folders_at_an_address(memory: Any) -> None:
    for number in range(3):
        memory.pipe(f"/b/p{number}/d.tar", tar_bytes(sample(f"a/{number}.jpg", photo(number))))
    names = ("p0/d.tar/a/0.jpg", "p1/d.tar/a/1.jpg")
    assert open_source("memory://b/p{0..1}/d.tar").names == names
    with pytest.raises(DataError, match=r"p3/d.tar is not there"):
        open_source("memory://b/p{0..3}/d.tar")


def test_a_changed_file_at_an_address_is_another_data_set(memory: Any, tmp_path: Path) -> None:
    write_shards(tmp_path / "one", labelled_photos(2))
    copy_to(memory, tmp_path / "one", "/b/f")
    before = open_source("memory://b/f")
    fingerprint = before.fingerprint()
    assert before.fingerprint() == fingerprint
    copy_to(memory, tmp_path / "one", "/b/f")
    assert before.fingerprint() != fingerprint


@pytest.mark.parametrize("write", [write_shards, write_parquet])
def test_a_lost_file_is_no_reason_to_reject_its_images(
    memory: Any, tmp_path: Path, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be the connection; a store would keep the rejection."""
    copy_to(memory, write(tmp_path, labelled_photos(2)), "/b/f")
    source = open_source("memory://b/f")
    memory.rm("/b/f", recursive=True)
    monkeypatch.setattr(type(source.images), "signatures", lambda self: [b"same"])
    with pytest.raises(DataError, match="cannot be read now"):
        prepare(source, TINY_FORM)


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("memory://b/none", DataError, "no files .tar or .parquet"),
        ("nosuch://b/f", UsageError, r"nosuch://b/f is not read: \$ALEXNET_OFFLINE is set"),
        ("http://b/f.tar", UsageError, r"\$ALEXNET_OFFLINE is set"),
    ],
)
def test_what_cannot_be_read_gets_a_sentence(
    memory: Any, url: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        open_source(url)


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("nosuch://b/f", DataError, "nosuch://b/f cannot be read: Protocol not known"),
        ("http://b/f.tar", UsageError, "not an https address"),
        ("oss://b/f", UsageError, "oss://b/f needs one more package: .*ossfs"),
    ],
)
def test_addresses_that_are_not_read_online(
    monkeypatch: pytest.MonkeyPatch, url: str, error: type[Exception], message: str
) -> None:
    monkeypatch.setenv("ALEXNET_OFFLINE", "0")
    with pytest.raises(error, match=message):
        open_source(url)


def test_without_fsspec_the_command_that_installs_it_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("alexnet.runtime.extras.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'pip install "alexnet\[remote\]"'):
        open_source("memory://b/f")
