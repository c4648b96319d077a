"""The initial weights of the arms of an experiment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from alexnet.experiments.catalogue import EXPERIMENTS
from alexnet.experiments.initial_weights import (
    FEATURES_FILE,
    check_initial_weights,
    initial_weights,
    pretrained_model,
)
from alexnet.experiments.plan import Plan
from alexnet.pretraining.recipe import PretrainRecipe, RbmRecipe

PLAN = Plan(experiment=EXPERIMENTS["small-data"])


class Pretrainings:
    """Stands in for pretraining, and records what is asked of it."""

    def __init__(self) -> None:
        self.recipes: list[PretrainRecipe] = []

    def __call__(self, recipe: PretrainRecipe, folder: Path) -> Path:
        self.recipes.append(recipe)
        return folder / "model.safetensors"


def weights_of(arm: str, out: Path, pretrained: Pretrainings) -> str:
    return initial_weights(PLAN, PLAN.experiment.arm(arm), out, 2, pretrained)


@pytest.mark.parametrize("kind", ["autoencoder", "rbm"])
def test_one_pretraining_on_all_images_serves_all_runs_of_a_seed(kind: str, tmp_path: Path) -> None:
    asked = Pretrainings()
    found = {weights_of(f"{kind}-{size}", tmp_path, asked) for size in (20, 10)}
    assert found == {str(tmp_path / f"{kind}-s2" / "model.safetensors")}
    recipe, other = asked.recipes
    assert recipe == replace(other, name=recipe.name)
    assert recipe.kind == kind
    assert recipe.seed == 2
    assert recipe.data_options.train_per_class is None
    assert recipe.data_options.split_seed == 0
    assert recipe.model == PLAN.protocol.base.model


def test_all_four_starts_from_the_autoencoder(tmp_path: Path) -> None:
    asked = Pretrainings()
    paths = {weights_of(arm, tmp_path, asked) for arm in ("all-four-20", "autoencoder-20")}
    assert len(paths) == 1
    assert asked.recipes[0].kind == "autoencoder"


def test_random_weights_have_no_file(tmp_path: Path) -> None:
    assert weights_of("baseline-20", tmp_path, Pretrainings()) == "scratch"


def test_the_convolutions_alone_are_enough_for_fine_tuning(tmp_path: Path) -> None:
    path = tmp_path / "data" / FEATURES_FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    plan = replace(PLAN, data_root=str(tmp_path / "data"))
    check_initial_weights(plan)
    arm = plan.experiment.arm("fine-tuning-20")
    assert initial_weights(plan, arm, tmp_path, 0, Pretrainings()) == str(path)


def test_a_pretraining_is_started_then_resumed_then_reused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def pretrain(recipe: PretrainRecipe, *, out: Path) -> None:
        calls.append("pretrain")
        out.mkdir()
        (out / "config.json").write_text("{}")

    def resume(out: Path) -> None:
        calls.append("resume")
        (out / "result.json").write_text("{}")

    monkeypatch.setattr("alexnet.experiments.initial_weights.pretrain", pretrain)
    monkeypatch.setattr("alexnet.experiments.initial_weights.resume_pretraining", resume)
    (tmp_path / "rbm").mkdir()
    models = {pretrained_model(RbmRecipe(), tmp_path / "rbm") for _ in range(3)}
    assert models == {tmp_path / "rbm" / "model.safetensors"}
    assert calls == ["pretrain", "resume"]
