"""An image store of JPEGs: the same data set in a tenth of the space."""

from __future__ import annotations

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from alexnet.config.preprocessing import StoredForm
from alexnet.data.datasets.folder import folder_source
from alexnet.data.images.decode import color_moments, decode
from alexnet.data.store.build import planned_store, prepare
from alexnet.data.store.jpegs import encode_jpeg, estimated_bytes
from alexnet.data.store.store import Store
from alexnet.errors import DataError
from alexnet.io import arrays as disk
from support.cores import set_cores
from support.noise_stores import (
    SIDE,
    TINY_FORM,
    build,
    contents,
    interrupted_build,
    recording,
    write_images,
)

prepare_jpegs = partial(prepare, form=replace(TINY_FORM, store_format="jpeg"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of six images; b/1.png is not an image."""
    return write_images(tmp_path)


def build_jpegs(folder: Path) -> Store:
    """The store of a folder, of images of the size of `build`."""
    source = folder_source(folder)
    return prepare(source, StoredForm(resize_size=SIDE, store_format="jpeg"))


def test_images_are_nearly_the_decoded_ones(folder: Path) -> None:
    store, exact = build_jpegs(folder), build(folder)
    errors = store.images(range(12)).astype(int) - exact.images(range(12))
    assert 0 < np.sqrt(np.square(errors).mean()) < 12, "of noise, the worst images there are"
    assert store.info.rejected == exact.info.rejected
    assert not store.image(7).any()
    assert np.array_equal(store.labels, exact.labels)
    assert store.manifest_hash() == exact.manifest_hash(), "it is the same data set"


def test_it_is_another_store_with_another_fingerprint(folder: Path) -> None:
    """Such as the features of its images, which are kept by fingerprint."""
    store, exact = build_jpegs(folder), build(folder)
    assert store.folder != exact.folder
    assert store.info.fingerprint != exact.info.fingerprint
    assert set(contents(store.folder)) == {
        "images.jpegs", "spans.npy", "labels.npy", "color_moments.npy", "store.json",
    }  # fmt: skip


def test_images_are_read_in_the_order_of_the_indices_by_any_number_of_threads(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = build_jpegs(folder)
    indices = np.array([9, 3, 3, 7, 11, 0])
    expected = np.stack([store.image(int(index)) for index in indices])
    for cores in (1, 4):
        set_cores(monkeypatch, cores)
        assert np.array_equal(store.images(indices), expected)
    assert store.images([]).shape == (0, SIDE, SIDE, 3)


def test_the_color_statistics_are_those_of_the_images_that_are_read(folder: Path) -> None:
    store = build_jpegs(folder)
    expected = [color_moments(store.image(index)) for index in (0, 5, 11)]
    assert np.array_equal(store.color_moments[[0, 5, 11]], expected)


@pytest.mark.parametrize("cores", [1, 8])
def test_after_an_interruption_the_store_has_the_same_bytes(
    folder: Path, tmp_path: Path, cache: Path, cores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_cores(monkeypatch, cores)
    source, images = recording(folder_source(folder))
    complete = prepare_jpegs(source, cache=tmp_path / "complete").folder
    begun = interrupted_build(source, cache, store_format="jpeg")
    with (begun / "images.jpegs").open("ab") as file:
        file.write(b"half of an image, which a kill has cut short")
    images.opened.clear()
    store = prepare_jpegs(source)
    assert sorted(images.opened) == [9, 10, 11]
    assert contents(store.folder) == contents(complete)


def test_what_a_power_cut_lost_is_decoded_again(folder: Path, tmp_path: Path, cache: Path) -> None:
    source, recorded = recording(folder_source(folder))
    complete = prepare_jpegs(source, cache=tmp_path / "complete")
    begun = interrupted_build(source, cache, store_format="jpeg")
    spans = np.load(begun / "spans.npy", mmap_mode="r+")
    with (begun / "images.jpegs").open("r+b") as file:
        file.seek(spans[2, 0])
        file.write(bytes(20))
        file.truncate(spans[8].sum() - 1)
    spans[4] = (1 << 60, 1 << 60)
    spans[5] = (-9, 5)
    spans.flush()
    recorded.opened.clear()
    store = prepare_jpegs(source)
    assert sorted(recorded.opened) == [2, 4, 5, 8, 9, 10, 11]
    assert np.array_equal(store.images(range(12)), complete.images(range(12)))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: os.truncate(path, path.stat().st_size - 1), "not a whole store.*cut short"),
        (lambda path: path.write_bytes(bytes(path.stat().st_size)), "is damaged.*prepare it again"),
        (
            lambda path: path.write_bytes(
                encode_jpeg(np.zeros((8, 9, 3), np.uint8)).ljust(path.stat().st_size)
            ),
            "is damaged.*prepare it again",
        ),
    ],
    ids=["cut", "zeros", "another size"],
)  # fmt: skip
def test_damage_is_told_in_a_sentence(folder: Path, damage: object, message: str) -> None:
    damage(build_jpegs(folder).folder / "images.jpegs")  # type: ignore[operator]
    with pytest.raises(DataError, match=message):
        build_jpegs(folder).images([0])


def test_too_little_space_is_told_before_any_image_is_decoded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, images = recording(folder_source(folder))
    usage = disk.shutil.disk_usage(folder)._replace(free=1)  # type: ignore[attr-defined]
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: usage)  # type: ignore[attr-defined]
    with pytest.raises(DataError, match=r"it needs .* GB are free; free some space there"):
        prepare_jpegs(source)
    assert images.opened == []


def test_a_planned_store_tells_about_the_size_of_the_whole_one(tmp_path: Path) -> None:
    """Of photos; noise takes more."""
    source = folder_source(write_images(tmp_path))
    planned, is_there = planned_store(
        source, StoredForm(resize="stretch", resize_size=256, store_format="jpeg")
    )
    assert not is_there
    assert planned.num_bytes == estimated_bytes(12, 256) == pytest.approx(12 * 22e3, rel=0.05)
    assert planned.images([3]).shape == (1, 256, 256, 3)


def test_an_image_that_is_resized_is_the_jpeg_of_what_pixels_would_hold(folder: Path) -> None:
    source, store = folder_source(folder), build_jpegs(folder)
    with source.images.open(0) as image:
        expected = encode_jpeg(decode(image, "shortest_edge", SIDE))
    assert (store.folder / "images.jpegs").read_bytes().startswith(expected)
