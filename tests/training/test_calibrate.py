"""The temperature that a run stores in its model: of the validation images, and of nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

import alexnet
from alexnet.checkpoints.model_file import load_model
from alexnet.config.recipe import Recipe
from alexnet.evaluation.calibration import fit_temperature
from alexnet.evaluation.evaluator import evaluate_images, predict_logits
from alexnet.reporter import NullReporter
from alexnet.training.run_folder import RunFolder
from alexnet.training.setup import set_up_training
from support.runs import SetAside, train


def test_the_models_temperature_is_that_of_the_validation_images(
    trained: RunFolder, tiny: Recipe
) -> None:
    classifier = alexnet.load(trained.path)
    setup = set_up_training(tiny, NullReporter())
    logits = predict_logits(classifier, setup.store, setup.splits.val)
    expected = fit_temperature(logits, setup.store.labels[setup.splits.val])
    assert expected != 1
    assert classifier.info.temperature == pytest.approx(expected, rel=1e-6)
    assert classifier.info.num_temperature_images == len(setup.splits.val) == 12
    last = load_model(trained.last)[1]
    assert (last.temperature, last.num_temperature_images) == (1, 0)


def test_the_test_images_are_evaluated_with_it_and_the_errors_are_those_without(
    trained: RunFolder, tiny: Recipe
) -> None:
    classifier = alexnet.load(trained.path)
    setup = set_up_training(tiny, NullReporter())
    plain = replace(classifier, info=replace(classifier.info, temperature=1.0))
    warm, cold = (
        evaluate_images(one, setup.store, setup.splits.test) for one in (classifier, plain)
    )
    assert (warm.confusion == cold.confusion).all()
    assert (warm.top1_error, warm.top5_error) == (cold.top1_error, cold.top5_error)
    assert warm.loss != cold.loss
    facts = json.loads(trained.result.read_text())["test"]
    assert facts["loss"] == pytest.approx(warm.loss, rel=1e-6)
    assert facts["calibration"]["temperature"] == classifier.info.temperature
    assert facts["calibration"]["error_before"] == pytest.approx(cold.calibration.error, abs=1e-5)


def test_without_a_validation_split_there_is_none(
    tiny: Recipe, tmp_path: Path, set_aside: SetAside
) -> None:
    recipe = replace(tiny, data=str(set_aside("train", "test")), epochs=1)
    run = train(recipe, out=tmp_path / "run")
    info = load_model(run.folder.model)[1]
    assert (info.temperature, info.num_temperature_images) == (1, 0)
    assert run.evaluation is not None
    assert run.evaluation.calibration.error_before is None
