"""What experiments cost, by hand, and the measured speeds that this takes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.config.presets import CIFAR_RELU
from alexnet.config.recipe import DataOptions, Recipe
from alexnet.experiments import calibration, speeds
from alexnet.experiments.catalogue import EXPERIMENTS
from alexnet.experiments.cost import estimate_minutes
from alexnet.experiments.experiment import Arm, Protocol
from alexnet.experiments.plan import Plan
from alexnet.experiments.speeds import known_speeds, network_key
from alexnet.runtime import cpu


def twice_as_fast_without_dropout(recipe: Recipe) -> float:
    return 200 if recipe.model.dropout == 0 else 100


def test_a_cost_by_hand() -> None:
    """Three seeds of two arms, each with five tuning runs, one of the arms twice as fast."""
    quick = Protocol(
        base=Recipe(data="flowers17", epochs=10, data_options=DataOptions(test_per_class=5)),
        lr_grid=(0.1, 0.2),
        tuning_epochs=5,
        tuning_val_fraction=0.2,
    )
    plan = Plan(experiment=replace(EXPERIMENTS["dropout"], protocols={"quick": quick}))
    run = 10 * (17 * 60 + 17 * 5 / 3) + 17 * 20 / 3
    tuning = 5 * (17 * 48 + 17 * 12 / 3) + 17 * 1 / 3
    seconds = 3 * (run + 5 * tuning) * (1 / 100 + 1 / 200) + 3 * 2 * 6 * 2
    speed_of = twice_as_fast_without_dropout
    assert estimate_minutes(plan, speed_of) == pytest.approx(seconds / 60)
    assert estimate_minutes(plan, speed_of, jobs=2) == pytest.approx(seconds / 120)


def test_ten_crops_cost_ten_evaluations_more() -> None:
    """Of 340 test images after the training, for each of three seeds, at a third of the cost."""
    one = Protocol(base=Recipe(data="flowers17"), lr_grid=(0.1,))
    experiment = replace(EXPERIMENTS["ten-crop"], protocols={"quick": one})
    alone = replace(experiment, arms=(Arm(name="center-crop"), Arm(name="ten-crop")))
    both, single = (
        estimate_minutes(Plan(experiment=e), lambda recipe: 100) for e in (experiment, alone)
    )
    assert both is not None
    assert single is not None
    assert both - single == pytest.approx(3 * 10 * 340 / 3 / 100 / 60)


def test_speeds_are_measured_once_for_each_network_and_kept(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    """Arms of one network at several learning rates, sizes and seeds need one measurement."""
    measured: list[Recipe] = []

    def stub(recipe: Recipe, device: str, threads: int) -> float:
        measured.append(recipe)
        return 123.4

    monkeypatch.setattr(calibration, "measure_speed", stub)
    plan, seen = Plan(experiment=EXPERIMENTS["dropout"]), list[tuple[int, int]]()
    assert estimate_minutes(plan, known_speeds("cpu")) is None
    known_speeds("cpu").measure([plan], lambda done, total: seen.append((done, total)))
    assert len(measured) == 2
    assert seen == [(0, 2), (1, 2), (2, 2)]
    later = known_speeds("cpu")
    assert later(plan.recipe(plan.arms[0], 0.5, 7)) == 123.4
    assert estimate_minutes(plan, later)
    later.measure([plan])
    assert len(measured) == 2
    assert known_speeds("cpu", jobs=10_000).threads == 1
    (kept,) = (cache / "speeds").iterdir()
    kept.write_text('{"x": ')
    assert known_speeds("cpu").by_network == {}
    kept.write_text(json.dumps({"x": -1, "y": "fast", "z": 2.5}))
    assert known_speeds("cpu").by_network == {"z": 2.5}


def test_speeds_of_another_gpu_are_kept_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def paths() -> list[str]:
        return [known_speeds(device).path.name for device in ("cpu", "auto")]

    monkeypatch.setattr(speeds, "may_have_gpu", lambda: False)
    without = paths()
    monkeypatch.setattr(speeds, "may_have_gpu", lambda: True)
    monkeypatch.setattr(cpu, "NVIDIA_GPUS", tmp_path)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    found = [without]
    for index, model in enumerate(("NVIDIA H200", "Tesla T4")):
        (tmp_path / f"0000:0{index}:00.0").mkdir()
        facts = f"Model: \t\t {model}\nIRQ:   \t\t 44\n"
        (tmp_path / f"0000:0{index}:00.0" / "information").write_text(facts)
        found.append(paths())
    assert cpu.gpu_names() == ("all", "NVIDIA H200", "Tesla T4")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    found.append(paths())
    assert len({alone for alone, _ in found}) == 1
    assert len({auto for _, auto in found}) == len(found)


def test_what_changes_the_speed_changes_the_name_of_a_network() -> None:
    recipe = replace(CIFAR_RELU, name="a", seed=3, epochs=7)
    assert network_key(recipe) == network_key(CIFAR_RELU)
    model, options = recipe.model, recipe.data_options
    for other in (
        replace(recipe, batch_size=17),
        replace(recipe, precision="float32"),
        replace(recipe, model=replace(model, width=0.5)),
        replace(recipe, model=replace(model, activation="tanh")),
        replace(recipe, data_options=replace(options, resize_size=33)),
    ):
        assert network_key(other) != network_key(recipe)


def test_the_speed_of_a_network_is_measured_without_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "MIN_SECONDS", 0.0)
    small = EXPERIMENTS["lenet-vs-alexnet"]
    plan = Plan(experiment=small)
    recipe = replace(plan.recipe(small.arm("lenet"), 0.01, 0), batch_size=4, precision="float32")
    assert calibration.measure_speed(recipe, "cpu", 1) > 1


@pytest.mark.slow
def test_a_network_with_frozen_layers_is_measured_with_them_frozen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calibration, "MIN_SECONDS", 0.0)
    small = EXPERIMENTS["small-data"]
    recipe = Plan(experiment=small).recipe(small.arm("fine-tuning-20"), 0.01, 0)
    frozen = calibration.measure_speed(replace(recipe, batch_size=2), "cpu", 2)
    assert frozen > 0
