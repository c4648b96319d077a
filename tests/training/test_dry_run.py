"""Plans of runs: counts by hand, no store, and estimates that the run then keeps."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np
import pytest

from alexnet.cli.trials import memory_text
from alexnet.config.preprocessing import StoredForm
from alexnet.config.recipe import OptimizerOptions, Recipe
from alexnet.data.datasets.folder import folder_source
from alexnet.data.store import plan
from alexnet.data.store.build import planned_store, prepare
from alexnet.errors import DataError
from alexnet.reporter import NullReporter
from alexnet.training.data import plan_data, prepare_data
from alexnet.training.dry_run import RunPlan, plan_run
from alexnet.training.setup import set_up_training
from support.processes import Processes
from support.runs import Witness, train


def test_a_plan_prepares_nothing_and_keeps_its_word(
    tiny: Recipe, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = replace(tiny, keep_state=True, optimizer=replace(tiny.optimizer, ema=0.9))
    plan = plan_run(recipe, NullReporter())
    assert list(tmp_path.iterdir()) == []
    assert not (cache / "stores").exists()
    assert (plan.images, len(plan.class_names)) == ({"train": 36, "val": 12, "test": 12}, 12)
    assert (plan.batch, plan.stored_image) == ((8, 3, 67, 67), (72, 72, 3))
    assert (plan.steps_per_epoch, plan.total_steps) == (4, 12)
    assert plan.disk.store == 60 * 72 * 72 * 3
    assert (plan.disk.is_prepared, plan.seconds_per_step > 0) == (False, True)
    assert plan.total_seconds == pytest.approx(plan.seconds_per_step * 12 * 1.125)

    run = train(recipe, out=tmp_path / "run").folder
    files = [run.model, run.last, *run.saved_checkpoints()]
    assert plan.disk.run == pytest.approx(sum(f.stat().st_size for f in files), rel=0.15)
    assert plan_run(recipe, NullReporter()).disk.is_prepared
    setup = set_up_training(recipe, NullReporter())
    state = sum(t.numel() for t in setup.network.parameters())
    assert plan.parameters >= state
    assert plan.memory.gradients == 4 * state
    assert plan.memory.optimizer == 8 * state


def test_memory_of_the_activations_by_hand(tiny: Recipe) -> None:
    optimizer = OptimizerOptions(optimizer="sgd", accumulate=3)
    recipe = replace(tiny, arch="lenet5", model=replace(tiny.model, width=1.0, input_size=32))
    options = replace(tiny.data_options, resize_size=32)
    recipe = replace(recipe, data_options=options, batch_size=4, optimizer=optimizer)
    plan = plan_run(recipe, NullReporter())
    arch = set_up_training(recipe, NullReporter()).network.architecture
    outputs = sum(prod(info.output) for info in arch.layer_infos())
    assert plan.memory.activations == 4 * (4 * 2 * outputs + 12 * 32 * 32)
    assert plan.memory.optimizer == plan.memory.gradients


def shared_plan(recipe: Recipe) -> RunPlan:
    return plan_run(recipe, NullReporter())


def test_memory_of_each_of_two_processes(tiny: Recipe, pair: Processes) -> None:
    """Half of the activations; of a hybrid also fewer gradients, whose files hold the whole."""
    recipe = replace(tiny, arch="alexnet", batch_size=8)
    alone = plan_run(recipe, NullReporter())
    data, same = pair.run(shared_plan, recipe)
    assert data.memory == same.memory
    assert (alone.processes, data.processes) == (1, 2)
    assert data.memory.activations == alone.memory.activations / 2
    assert data.memory.gradients == 2 * alone.memory.gradients
    options = replace(recipe.distributed, parallel="hybrid")
    hybrid, _ = pair.run(shared_plan, replace(recipe, distributed=options))
    part = hybrid.memory.gradients / alone.memory.gradients
    assert part < 0.8
    assert hybrid.memory.optimizer == pytest.approx(part * alone.memory.optimizer)
    assert hybrid.disk.run == data.disk.run == alone.disk.run
    assert "in each of 2 processes (weights " in memory_text(hybrid.memory, hybrid.processes)


def test_a_planned_store_is_the_store_without_its_images(flowers: Path, tmp_path: Path) -> None:
    source = folder_source(flowers)
    planned, is_there = planned_store(source, StoredForm(resize="stretch", resize_size=16))
    assert not is_there
    whole = prepare(source, StoredForm(resize="stretch", resize_size=16))
    assert (planned.folder, planned.info) == (whole.folder, whole.info)
    assert (planned.labels == whole.labels).all()
    assert planned.images([0, 59]).shape == whole.images([0, 59]).shape
    assert planned.num_bytes == whole.num_bytes
    assert np.shares_memory(planned.images([0])[0], planned.images([0])[0]) is False
    again, is_there = planned_store(source, StoredForm(resize="stretch", resize_size=16))
    assert is_there
    assert (again.images([5]) == whole.images([5])).all()


def test_a_large_store_is_announced_before_it_is_built(
    tiny: Recipe, witness: Witness, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "LARGE_STORE_BYTES", 60 * 72 * 72 * 3)
    prepare_data(tiny, witness)
    announced = [note for note in witness.notes if "GB in" in note]
    assert len(announced) == 1
    assert f"the 60 images of flowers take 0.0 GB in {cache}/stores, where " in announced[0]
    prepare_data(tiny, witness)
    assert [note for note in witness.notes if "GB in" in note] == announced, "it is there"


def test_a_named_data_set_that_is_not_here_is_planned_by_its_published_size(
    tiny: Recipe, tmp_path: Path, witness: Witness
) -> None:
    recipe = replace(tiny, data="tiny_imagenet", data_root=str(tmp_path))
    store, splits, is_there = plan_data(recipe, witness)
    assert (len(splits.train), len(splits.val), is_there) == (100_000, 10_000, False)
    assert len(store.info.class_names) == 200
    assert [note for note in witness.notes if "is not here" in note and "published" in note]
    with pytest.raises(DataError, match="there is no folder"):
        plan_data(replace(recipe, data="./none"), witness)


def test_a_plan_by_hash_tells_of_the_images_it_reads(tiny: Recipe, witness: Witness) -> None:
    plan_data(replace(tiny, data_options=replace(tiny.data_options, split="hash")), witness)
    assert witness.progress["on_hash"] == [(i, 60) for i in range(1, 61)]
