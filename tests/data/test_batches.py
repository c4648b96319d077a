"""Batches: the order is a function of (seed, epoch), and nothing is used twice in an epoch."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.data.batches import Batches, balanced_order
from alexnet.data.store.store import Store, StoreInfo, store_text
from support.collecting import closes_while_a_thread_starts, threads_end

COUNT = 50


def store() -> Store:
    """Images whose pixels are their index; labels are index + 100."""
    info = StoreInfo(
        name="numbers", fingerprint="", resize="stretch", side=2, test_fraction=0.2, rejected=(),
        skipped=(), class_names=("a", "b"), splits=("",) * COUNT,
        names=tuple(map(str, range(COUNT))),
    )  # fmt: skip
    images = np.broadcast_to(
        np.arange(COUNT, dtype=np.uint8)[:, None, None, None], (COUNT, 2, 2, 3)
    )
    return Store(Path(), info, images, np.arange(100, 100 + COUNT), np.zeros((COUNT, 9)))


STORE = store()
EVEN = np.arange(0, COUNT, 2)


def batch_indices(batches: Batches, epoch: int, first_step: int = 0) -> list[list[int]]:
    """The indices in every batch of an epoch; checks pixels and labels."""
    found = []
    for pixels, labels in batches.epoch(epoch, first_step):
        assert pixels.dtype == np.uint8
        assert labels.dtype == np.int64
        assert pixels.shape == (len(labels), 2, 2, 3)
        assert (pixels == (labels - 100)[:, None, None, None]).all()
        found.append((labels - 100).tolist())
    return found


@given(st.integers(1, 30), st.integers(0, 2**31 - 1), st.integers(0, 500))
def test_an_epoch_has_each_image_of_the_split_at_most_once(
    size: int, seed: int, epoch: int
) -> None:
    batches = Batches(STORE, EVEN, size, seed)
    found = batch_indices(batches, epoch)
    assert len(found) == batches.steps_per_epoch == max(1, 25 // size)
    assert {len(indices) for indices in found} == {min(size, 25)}
    indices = [index for batch in found for index in batch]
    assert len(set(indices)) == len(indices)
    assert set(indices) <= set(EVEN.tolist())


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    batches = Batches(STORE, EVEN, 5, seed=3)
    other = Batches(STORE, EVEN, 5, seed=4)
    assert batch_indices(batches, 1) == batch_indices(Batches(STORE, EVEN, 5, seed=3), 1)
    assert batch_indices(batches, 0) != batch_indices(batches, 1)
    assert batch_indices(batches, 1) != batch_indices(other, 1)
    assert batch_indices(batches, 1) != batch_indices(other, 0), "seed and epoch must not be added"


@pytest.mark.parametrize("first_step", range(6))
def test_an_epoch_can_start_at_any_step(first_step: int) -> None:
    batches = Batches(STORE, EVEN, 4, seed=0)
    assert batch_indices(batches, 2, first_step) == batch_indices(batches, 2)[first_step:]


def test_what_does_not_fill_a_batch_changes_from_epoch_to_epoch() -> None:
    batches = Batches(STORE, EVEN, 8, seed=0)  # 3 batches of 8 leave 1 of 25 out
    left = [
        set(EVEN.tolist()) - {r for b in batch_indices(batches, e) for r in b} for e in range(12)
    ]
    assert {len(indices) for indices in left} == {1}
    assert len(set.union(*left)) > 1


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_set_smaller_than_a_batch_is_one_batch(count: int) -> None:
    batches = Batches(STORE, np.arange(count), 8, seed=0)
    assert batches.steps_per_epoch == 1
    (only,) = batch_indices(batches, 0)
    assert sorted(only) == list(range(count))


def test_closing_an_epoch_early_ends_its_thread() -> None:
    before = threading.active_count()
    epoch = Batches(STORE, EVEN, 4, seed=0).epoch(0)
    next(epoch)
    epoch.close()  # type: ignore[attr-defined]
    assert threads_end(before)


def test_an_abandoned_epoch_can_be_collected_at_any_moment() -> None:
    epoch = Batches(STORE, EVEN, 4, seed=0).epoch(0)
    next(epoch)
    assert closes_while_a_thread_starts(epoch)


READER = """
import sys
from pathlib import Path
import numpy as np
from alexnet.data.batches import Batches
from alexnet.data.store.store import open_store

def anonymous_bytes():
    line = next(l for l in open("/proc/self/status") if l.startswith("RssAnon"))
    return 1024 * int(line.split()[1])

store = open_store(Path(sys.argv[1]))
batches = Batches(store, np.arange(len(store)), 128, 0)
epoch = batches.epoch(0)
next(epoch)
before, most = anonymous_bytes(), 0
for _ in range(25):
    pixels, labels = next(epoch)
    assert pixels.shape == (128, 256, 256, 3)
    most = max(most, anonymous_bytes() - before)
print(len(store), most)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_a_store_of_imagenets_size_is_read_in_constant_memory(tmp_path: Path) -> None:
    """1,281,167 images of 256 pixels, 252 GB, as a sparse file."""
    count, side = 1_281_167, 256
    info = StoreInfo(
        name="huge", fingerprint="", resize="stretch", side=side, test_fraction=0.2, rejected=(),
        skipped=(), class_names=("a", "b"), names=tuple(f"{i}.jpg" for i in range(count)),
        splits=("train",) * count,
    )  # fmt: skip
    (tmp_path / "store.json").write_text(store_text(info))
    shape = (count, side, side, 3)
    images = np.lib.format.open_memmap(tmp_path / "images.npy", "w+", np.uint8, shape)
    assert images.nbytes > 250e9
    del images
    np.save(tmp_path / "labels.npy", np.zeros(count, np.int64))
    np.save(tmp_path / "color_moments.npy", np.zeros((count, 9)))
    process = subprocess.run(
        [sys.executable, "-c", READER, str(tmp_path)], capture_output=True, text=True, check=True
    )
    read, peak = map(int, process.stdout.split())
    assert read == count
    assert peak < 6 * 128 * side * side * 3  # a few batches of 25 MB, however many are read


# balanced

UNEQUAL = np.repeat([0, 1, 2], [20, 4, 1])
"""Labels of 25 images."""


@given(st.integers(0, 2**31 - 1), st.integers(0, 500))
def test_a_balanced_order_has_each_class_equally_often(seed: int, epoch: int) -> None:
    order = balanced_order(EVEN, UNEQUAL, np.random.default_rng([seed, epoch]))
    labels = UNEQUAL[order // 2]
    assert len(order) == 27, "25 images are nine rounds of three classes"
    for start in range(0, 27, 3):
        assert sorted(labels[start : start + 3]) == [0, 1, 2]
    counts = np.bincount(order // 2, minlength=25)
    assert counts[UNEQUAL == 0].max() == 1
    assert set(counts[UNEQUAL == 1]) == {2, 3}
    assert counts[UNEQUAL == 2] == 9


def test_a_balanced_order_is_a_function_of_seed_and_epoch() -> None:
    labels = STORE.labels.copy()
    labels[EVEN] = UNEQUAL
    balanced = Batches(replace(STORE, labels=labels), EVEN, 5, seed=3, is_balanced=True)
    again = replace(balanced)
    assert balanced.steps_per_epoch == 5
    assert (balanced.order(1) == again.order(1)).all()
    assert (balanced.order(1) != balanced.order(0)).any()
    assert (balanced.order(1) != replace(balanced, seed=4).order(1)).any()
    found = np.concatenate([labels for _, labels in balanced.epoch(2)])
    assert sorted(np.bincount(found)) == [8, 8, 9]
    of_large_class = {index for e in range(9) for index in balanced.order(e) if labels[index] == 0}
    assert len(of_large_class) == 20, "every image comes in some epoch"
