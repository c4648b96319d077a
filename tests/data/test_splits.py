"""Splits: shares, strata, seeds, and what a source gives is left as it is."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.config.recipe import DataOptions, SplitMethod
from alexnet.data.load import load_dataset
from alexnet.data.splits import (
    Splits,
    _keep_together,
    hash_numbers,
    require_training_images,
    split,
    split_indices,
)
from alexnet.data.store.store import Store
from alexnet.errors import DataError
from alexnet.reporter import SILENT
from support.noise_stores import noise

DRAWN = DataOptions(test_fraction=0.25, val_fraction=0.2)


def drawn(
    labels: list[int], options: DataOptions = DRAWN, seed: int = 0, given_splits: str = ""
) -> Splits:
    """The splits of images; `given_splits` has t, v or e (train, val, test) for each."""
    names = {"t": "train", "v": "val", "e": "test"}
    given = np.array([names[c] for c in given_splits] or [""] * len(labels))
    rows, hashes = np.arange(len(labels)), np.arange(len(labels), dtype=np.uint64)
    return split(rows, np.array(labels), given, 0.25, options, seed, image_hashes=hashes)


def together(splits: Splits) -> list[int]:
    """All rows of the three splits, sorted; doubles stay."""
    return sorted(np.concatenate([splits.train, splits.val, splits.test]).tolist())


@given(
    st.lists(st.integers(0, 4), min_size=5, max_size=80),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
    st.sampled_from(get_args(SplitMethod)),
    st.integers(0, 1000),
)
def test_every_image_is_in_one_split(
    labels: list[int], test: float, val: float, how: str, seed: int
) -> None:
    options = DataOptions(test_fraction=test, val_fraction=val, split=how)  # type: ignore[arg-type]
    splits = drawn(labels, options, seed)
    assert together(splits) == list(range(len(labels)))
    for rows in (splits.train, splits.val, splits.test):
        assert rows.tolist() == sorted(rows.tolist())


@given(st.integers(0, 1000), st.sampled_from(get_args(SplitMethod)))
def test_images_that_are_the_same_are_never_parted(seed: int, how: str) -> None:
    """Pairs, and a class of one image many times, which always keeps its training images."""
    labels = np.repeat([0, 1, 2], [40, 40, 7])
    groups = [np.array([i, i + 40]) for i in range(40)] + [np.arange(80, 87)]
    options = DataOptions(test_fraction=0.25, val_fraction=0.2, split=how)  # type: ignore[arg-type]
    rows, given = np.arange(87), np.full(87, "")
    splits = split(rows, labels, given, 0.25, options, seed, groups, rows.astype(np.uint64))
    assert together(splits) == rows.tolist()
    side = np.zeros(87, int)
    side[splits.val], side[splits.test] = 1, 2
    assert all(len(set(side[group])) == 1 for group in groups)
    if how != "hash":
        assert 4 <= len(splits.test) <= 40
    if how == "stratified":
        assert side[80] == 0


def test_many_groups_in_a_large_set_take_no_time() -> None:
    rows, groups = np.arange(100_000), list(np.arange(10_000).reshape(2, 5_000).T)
    started = time.process_time()
    splits = split(rows, rows % 1_000, np.full(100_000, ""), 0.25, DRAWN, 0, groups)
    assert time.process_time() - started < 2
    is_test = np.isin(rows, splits.test)
    assert np.array_equal(is_test[:5_000], is_test[5_000:10_000])


@pytest.mark.parametrize(
    ("kept", "held_out", "group", "expected"),
    [
        ([0, 2, 5], [1, 4], [0, 1, 2], ([0, 1, 2, 5], [4])),
        ([0, 5], [1, 2, 4], [0, 1, 2], ([5], [0, 1, 2, 4])),
        ([0, 5], [1, 4], [0, 1], ([0, 1, 5], [4])),
        ([1, 5], [0, 4], [0, 1], ([5], [0, 1, 4])),
        ([0, 5], [1, 4], [0, 1, 2, 3], ([0, 1, 5], [4])),
    ],
    ids=["most kept", "most held out", "first kept", "first held out", "others elsewhere"],
)
def test_where_a_group_goes(
    kept: list[int], held_out: list[int], group: list[int], expected: tuple[list[int], list[int]]
) -> None:
    parts = (np.array(part) for part in (kept, held_out))
    found = _keep_together(*parts, [np.array(group)], num_images=6)
    assert tuple(part.tolist() for part in found) == expected


def test_stratified_takes_the_share_of_every_class() -> None:
    splits = drawn([0] * 40 + [1] * 20 + [2] * 80)
    labels = np.repeat([0, 1, 2], [40, 20, 80])
    assert np.bincount(labels[splits.test]).tolist() == [10, 5, 20]
    assert np.bincount(labels[splits.val]).tolist() == [6, 3, 12]
    assert np.bincount(labels[splits.train]).tolist() == [24, 12, 48]


def test_random_takes_the_share_of_all_and_not_of_every_class() -> None:
    options = DataOptions(split="random", test_fraction=0.2)
    counts = set()
    for seed in range(5):
        splits = drawn([0] * 50 + [1] * 50, options, seed)
        assert (len(splits.train), len(splits.val), len(splits.test)) == (80, 0, 20)
        counts.add(int((splits.test < 50).sum()))
    assert len(counts) > 1


def test_the_seed_decides_and_a_split_seed_wins_over_it() -> None:
    labels = [0] * 20 + [1] * 20
    assert np.array_equal(drawn(labels, seed=1).test, drawn(labels, seed=1).test)
    assert not np.array_equal(drawn(labels, seed=1).test, drawn(labels, seed=2).test)
    fixed = replace(DRAWN, split_seed=2)
    assert np.array_equal(drawn(labels, fixed, seed=1).test, drawn(labels, seed=2).test)
    assert np.array_equal(drawn(labels, fixed, seed=1).val, drawn(labels, fixed, seed=9).val)


def test_more_test_images_keep_the_old_ones() -> None:
    """A larger share holds out a superset, so runs with different shares stay comparable."""
    labels = [0] * 20 + [1] * 20
    few = drawn(labels, DataOptions(test_fraction=0.2)).test
    many = drawn(labels, DataOptions(test_fraction=0.4)).test
    assert set(few.tolist()) < set(many.tolist())


def test_the_sources_share_is_used_unless_the_options_say_otherwise() -> None:
    labels = [0] * 20 + [1] * 20
    assert len(drawn(labels, DataOptions()).test) == 10  # the source's 0.25
    assert len(drawn(labels, DataOptions(test_fraction=0.1)).test) == 4
    assert len(drawn(labels, DataOptions(test_fraction=0.0)).test) == 0


def test_given_splits_stay() -> None:
    splits = drawn([0, 1, 0, 1, 0, 1], given_splits="ttvvee")
    assert splits.train.tolist() == [0, 1]
    assert splits.val.tolist() == [2, 3]
    assert splits.test.tolist() == [4, 5]


def test_a_given_test_split_is_never_touched_by_the_shares() -> None:
    splits = drawn([0, 1] * 10, given_splits="t" * 16 + "e" * 4)
    assert splits.test.tolist() == [16, 17, 18, 19]
    assert len(splits.val) == 4  # round(8 x 0.2) = 2 of each class
    assert together(splits) == list(range(20))
    no_test = drawn([0, 1] * 10, DataOptions(), given_splits="t" * 16 + "v" * 4)
    assert (len(no_test.train), len(no_test.val), len(no_test.test)) == (16, 4, 0)


def test_a_class_of_one_image_is_for_training() -> None:
    splits = drawn([0] * 20 + [1])
    assert 20 in splits.train


def test_nothing_left_for_training_is_an_error() -> None:
    splits = drawn([0, 1], DataOptions(test_fraction=0.99))
    with pytest.raises(DataError, match=r"^flowers: no images are left for training .there are 2"):
        require_training_images("flowers", splits)
    require_training_images("flowers", drawn([0, 1], given_splits="te"))


def test_a_given_fraction_is_held_out_where_the_data_has_no_test_split() -> None:
    labels, given = [0] * 40 + [1] * 20, "t" * 30 + "v" * 10 + "t" * 20
    assert drawn(labels, DataOptions(), given_splits=given).counts == {"train": 50, "val": 10}
    splits = drawn(labels, DataOptions(test_fraction=0.1, val_fraction=0.1), given_splits=given)
    assert splits.val.tolist() == list(range(30, 40))
    assert np.bincount(np.array(labels)[splits.test]).tolist() == [3, 2]
    assert together(splits) == list(range(60))
    splits = drawn([0] * 40, DRAWN, given_splits="t" * 40)
    assert splits.counts == {"train": 24, "val": 6, "test": 10}
    given = "t" * 30 + "e" * 10
    assert drawn([0] * 40, DRAWN, given_splits=given).test.tolist() == list(range(30, 40))


def test_a_test_split_out_of_the_training_images_parts_no_equal_images() -> None:
    rows, groups = np.arange(40), [np.array([i, i + 20]) for i in range(20)]
    given = np.array(["train"] * 30 + ["val"] * 10)
    splits = split(rows, rows * 0, given, 0.25, DRAWN, 0, groups)
    side = np.isin(rows, splits.test)
    assert np.array_equal(side[:10], side[20:30])
    assert splits.val.tolist() == list(range(30, 40))
    assert len(splits.test)


def test_one_given_split_is_not_split_again() -> None:
    for letter, name in (("v", "val"), ("e", "test")):
        splits = drawn([0, 1] * 5, given_splits=letter * 10)
        assert splits.counts == {name: 10}


def test_an_empty_split_is_named_when_it_is_asked_for() -> None:
    splits = drawn([0] * 8 + [1] * 8, DataOptions(test_fraction=0.25))
    assert splits.indices("test").tolist() == splits.test.tolist()
    with pytest.raises(DataError, match=r"no val images; choose .*: train .12., test .4., or all$"):
        splits.indices("val")


# some of each class


def test_some_images_a_class_are_drawn_by_the_run_and_fewer_are_among_more() -> None:
    labels = [0] * 40 + [1] * 30 + [2] * 3
    sets = []
    for count in (2, 5, 20, None):
        options = DataOptions(test_fraction=0.0, train_per_class=count)
        rows = drawn(labels, options, seed=3).train
        kept = np.bincount(np.array(labels)[rows]).tolist()
        assert kept == [min(n, count or n) for n in (40, 30, 3)]
        assert rows.tolist() == sorted(rows.tolist())
        sets.append(set(rows.tolist()))
    assert sets[0] < sets[1] < sets[2] < sets[3]
    five = DataOptions(test_fraction=0.0, train_per_class=5)
    assert set(drawn(labels, five, seed=4).train.tolist()) != sets[1]


def test_with_a_split_seed_the_run_still_draws_its_training_images() -> None:
    options = replace(DRAWN, split_seed=0, train_per_class=3)
    one, two = (drawn([0] * 40 + [1] * 40, options, seed) for seed in (1, 2))
    assert np.array_equal(one.test, two.test)
    assert np.array_equal(one.val, two.val)
    assert not np.array_equal(one.train, two.train)


def test_some_test_images_are_the_first_of_each_class_whatever_the_seed() -> None:
    labels, own = [0, 1] * 20, "t" * 20 + "e" * 20
    options = DataOptions(test_per_class=3)
    for seed in (0, 1):
        splits = drawn(labels, options, seed, own)
        assert splits.test.tolist() == [20, 21, 22, 23, 24, 25]
        assert len(splits.train) == 20


@pytest.mark.parametrize(
    ("how", "seed", "test", "val"),
    [
        ("stratified", 0, [1, 2, 10, 14, 15, 20], [0, 11, 13, 18, 23]),
        ("stratified", 7, [0, 3, 11, 13, 19, 22], [4, 14, 20]),
        ("random", 0, [1, 2, 10, 14, 20, 21], [0, 11, 13, 17, 23]),
        ("random", 7, [0, 3, 13, 19, 20, 22], [4, 12, 18]),
        ("hash", 0, [2, 17, 21, 23], [9, 14, 18, 19]),
        ("hash", 7, [9, 10, 11, 12, 16, 23], [18, 21]),
    ],
)
def test_splits_stay_what_they_are_in_every_version(
    how: SplitMethod, seed: int, test: list[int], val: list[int]
) -> None:
    """Else the test images of a saved run would be images that it was trained on."""
    labels, rows = np.repeat([0, 1, 2], [12, 8, 4]), np.arange(24)
    groups, hashes = [np.array([0, 13]), np.array([5, 6, 7])], rows.astype(np.uint64)
    options = replace(DRAWN, split=how)
    splits = split(rows, labels, np.full(24, ""), 0.25, options, seed, groups, hashes)
    assert (splits.test.tolist(), splits.val.tolist()) == (test, val)


# by hash

BY_HASH = replace(DRAWN, split="hash")


def split_of(hashes: list[int], seed: int, groups: list[list[int]] | None = None) -> dict[int, str]:
    """The name of the split of each image, by its hash."""
    rows, content = np.arange(len(hashes)), np.array(hashes, np.uint64)
    same = [np.array(group) for group in groups or []]
    splits = split(rows, rows * 0, np.full(len(rows), ""), 0.25, BY_HASH, seed, same, content)
    return {hashes[i]: name for name, part in splits.by_name.items() for i in part}


@given(
    st.lists(st.integers(0, 2**64 - 1), unique=True, min_size=2, max_size=60),
    st.randoms(use_true_random=False),
    st.integers(0, 1000),
)
def test_by_hash_no_image_leaves_its_split_when_others_come_and_go(
    hashes: list[int], random: Random, seed: int
) -> None:
    before = split_of(hashes[: len(hashes) // 2 + 1], seed)
    random.shuffle(hashes)
    now = split_of(hashes, seed)
    assert all(now[one] == name for one, name in before.items())
    some = hashes[: len(hashes) // 2]
    assert all(now[one] == name for one, name in split_of(some, seed).items())


@given(st.integers(0, 1000), st.lists(st.integers(1, 2**64 - 1), unique=True, max_size=3))
def test_by_hash_copies_that_are_added_put_no_training_image_into_the_test(
    seed: int, copies: list[int]
) -> None:
    """Copies in files of other bytes; those of the same bytes have the same hash."""
    before = split_of([0], seed)[0]
    now = split_of([0, *copies], seed, [list(range(len(copies) + 1))])
    assert len(set(now.values())) == 1
    assert now[0] == before or (before, now[0]) in (
        ("test", "train"),
        ("test", "val"),
        ("val", "train"),
    )


def test_by_hash_the_fractions_hold_on_average_and_the_splits_are_independent() -> None:
    names = list(split_of(list(range(20_000)), 0).values())
    assert names.count("test") / 20_000 == pytest.approx(0.25, abs=0.01)
    assert names.count("val") / 15_000 == pytest.approx(0.2, abs=0.01)
    hashes = np.arange(20_000, dtype=np.uint64)
    first, second = (hash_numbers(hashes, salt) for salt in ("0 test ", "1 test "))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03
    assert 0 <= first.min() < first.max() < 1


def test_by_hash_a_larger_fraction_keeps_the_test_images() -> None:
    options = [replace(BY_HASH, test_fraction=fraction) for fraction in (0.2, 0.4)]
    few, many = (set(drawn([0] * 100, one).test.tolist()) for one in options)
    assert few < many


def test_by_hash_given_splits_stay_and_no_fraction_needs_no_hash() -> None:
    options = replace(BY_HASH, val_fraction=0.0)
    rows, given = np.arange(10), np.array(["train"] * 6 + ["test"] * 4)
    splits = split(rows, rows % 2, given, 0.25, options, 0)
    assert splits.counts == {"train": 6, "test": 4}
    with pytest.raises(DataError, match=r"needs the hashes .* load_dataset\(hash_images=True\)"):
        split(rows, rows % 2, given, 0.25, BY_HASH, 0)


def by_pixels(store: Store, options: DataOptions = BY_HASH) -> dict[bytes, str]:
    """The split of each image, known by its pixels."""
    splits = split_indices(store, options, 0).by_name
    return {store.image(i).tobytes(): name for name, part in splits.items() for i in part}


def test_by_hash_a_folder_of_photos_can_change(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for i in range(60):
        noise(folder / "ab"[i % 2] / f"{i:02}.png", i, (8, 8))

    def load(**options: Any) -> Store:
        form = {"resize_size": 8, "hash_images": True} | options
        return load_dataset(str(folder), reporter=SILENT, **form)

    before = by_pixels(load())
    assert set(before.values()) == {"train", "val", "test"}
    for i in range(60, 80):
        noise(folder / "abc"[i % 3] / f"{i:02}.png", i, (8, 8))  # also of a new class
    (folder / "a" / "00.png").rename(folder / "a" / "renamed.png")
    (folder / "a" / "02.png").rename(folder / "b" / "000.png")  # relabelled
    shutil.copy(folder / "b" / "01.png", folder / "b" / "copy.png")
    (folder / "a" / "04.png").unlink()
    now = by_pixels(load())
    assert len(now) == 79
    assert all(now[pixels] == name for pixels, name in before.items() if pixels in now)
    names = [split_indices(load(resize_size=side), BY_HASH, 0).by_name for side in (8, 4)]
    for name, part in names[0].items():
        assert np.array_equal(part, names[1][name]), "the stored size does not matter"
