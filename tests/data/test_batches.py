"""Batches: the order is a function of (seed, epoch), and nothing is used twice in an epoch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alexnet.config.recipe import Recipe
from alexnet.data.batches import Batches
from alexnet.data.store.store import Store, StoreInfo, store_text
from alexnet.errors import DataError
from alexnet.reporter import NullReporter
from alexnet.training.setup import set_up_training

ROWS = 50


def store() -> Store:
    """Pictures whose pixels are their row, labelled row + 100."""
    info = StoreInfo(
        name="numbers", fingerprint="", resize="stretch", side=2, test_fraction=0.2, rejected=(),
        skipped=(), class_names=("a", "b"), names=tuple(map(str, range(ROWS))), splits=("",) * ROWS,
    )  # fmt: skip
    images = np.broadcast_to(np.arange(ROWS, dtype=np.uint8)[:, None, None, None], (ROWS, 2, 2, 3))
    return Store(Path(), info, images, np.arange(100, 100 + ROWS), np.zeros((ROWS, 9)))


STORE = store()
EVEN = np.arange(0, ROWS, 2)


def dealt(batches: Batches, epoch: int, first_step: int = 0) -> list[list[int]]:
    """The rows of every batch of an epoch; its labels are those of its pictures."""
    found = []
    for pixels, labels in batches.epoch(epoch, first_step):
        assert pixels.dtype == np.uint8
        assert labels.dtype == np.int64
        assert pixels.shape == (len(labels), 2, 2, 3)
        assert (pixels == (labels - 100)[:, None, None, None]).all()
        found.append((labels - 100).tolist())
    return found


@given(st.integers(1, 30), st.integers(0, 2**31 - 1), st.integers(0, 500))
def test_an_epoch_deals_pictures_of_the_split_at_most_once(
    size: int, seed: int, epoch: int
) -> None:
    batches = Batches(STORE, EVEN, size, seed)
    found = dealt(batches, epoch)
    assert len(found) == batches.steps_per_epoch == max(1, 25 // size)
    assert {len(rows) for rows in found} == {min(size, 25)}
    rows = [row for batch in found for row in batch]
    assert len(set(rows)) == len(rows)
    assert set(rows) <= set(EVEN.tolist())


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    batches = Batches(STORE, EVEN, 5, seed=3)
    other = Batches(STORE, EVEN, 5, seed=4)
    assert dealt(batches, 1) == dealt(Batches(STORE, EVEN, 5, seed=3), 1)
    assert dealt(batches, 0) != dealt(batches, 1)
    assert dealt(batches, 1) != dealt(other, 1)
    assert dealt(batches, 1) != dealt(other, 0), "seed and epoch must not be added"


@pytest.mark.parametrize("first_step", range(6))
def test_an_epoch_goes_on_from_any_step(first_step: int) -> None:
    batches = Batches(STORE, EVEN, 4, seed=0)
    assert dealt(batches, 2, first_step) == dealt(batches, 2)[first_step:]


def test_what_does_not_fill_a_batch_is_dealt_another_time() -> None:
    batches = Batches(STORE, EVEN, 8, seed=0)  # 3 batches of 8 leave 1 of 25 out
    left = [set(EVEN.tolist()) - {r for b in dealt(batches, e) for r in b} for e in range(12)]
    assert {len(rows) for rows in left} == {1}
    assert len(set.union(*left)) > 1


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_set_smaller_than_a_batch_is_one_batch(count: int) -> None:
    batches = Batches(STORE, np.arange(count), 8, seed=0)
    assert batches.steps_per_epoch == 1
    (only,) = dealt(batches, 0)
    assert sorted(only) == list(range(count))


def test_leaving_an_epoch_early_leaves_no_thread() -> None:
    import threading

    before = threading.active_count()
    epoch = Batches(STORE, EVEN, 4, seed=0).epoch(0)
    next(epoch)
    epoch.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


READER = """
import sys, time
import os
import subprocess
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
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's own account")
def test_a_store_of_imagenets_size_is_read_in_constant_memory(tmp_path: Path) -> None:
    """1,281,167 pictures of 256 pixels, 252 GB, as a file full of holes."""
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
    np.save(tmp_path / "moments.npy", np.zeros((count, 9)))
    told = subprocess.run(
        [sys.executable, "-c", READER, str(tmp_path)], capture_output=True, text=True, check=True
    )
    read, most = map(int, told.stdout.split())
    assert read == count
    assert most < 6 * 128 * side * side * 3  # a few batches of 25 MB, however many were read


def test_pictures_are_read_one_by_one(tiny: Recipe) -> None:
    store = set_up_training(tiny, NullReporter()).store
    array = np.load(store.folder / "images.npy")
    rows = np.array([7, 3, 3, len(store) - 1, 0])
    assert np.array_equal(store.images(rows), array[rows])
    assert np.array_equal(store.image(7), array[7])
    assert store.images([]).shape == (0, *store.image_shape)


def test_a_store_cut_short_is_noticed(tiny: Recipe) -> None:
    store = set_up_training(tiny, NullReporter()).store
    os.truncate(store.folder / "images.npy", (store.folder / "images.npy").stat().st_size - 1)
    with pytest.raises(DataError, match="cut short; remove it"):
        store.image(len(store) - 1)
