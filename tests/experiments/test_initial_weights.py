"""What the arms of an experiment begin from."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.experiments import catalogue
from alexnet.experiments import initial_weights as first_weights
from alexnet.experiments.plan import Plan
from alexnet.pretraining.recipe import PretrainRecipe


class Asked:
    """Stands in for pretraining, and remembers what it was asked."""

    def __init__(self) -> None:
        self.all: list[tuple[str, object]] = []

    def pretrain(self, recipe: PretrainRecipe, *, out: Path) -> None:
        self.all.append(("pretrain", recipe))
        out.mkdir()
        (out / "config.json").write_text("{}")

    def resume(self, out: Path) -> None:
        self.all.append(("resume", out))
        (out / "result.json").write_text("{}")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    found = Asked()
    monkeypatch.setattr(first_weights, "pretrain", found.pretrain)
    monkeypatch.setattr(first_weights, "resume_pretraining", found.resume)
    return found


PLAN = Plan(experiment=catalogue.experiment("small-data"))


def begins(arm: str, out: Path) -> str:
    return first_weights.first_weights(PLAN, PLAN.experiment.arm(arm), out)


@pytest.mark.parametrize("kind", ["autoencoder", "rbm"])
def test_pretraining_sees_all_training_pictures_once_for_all_runs(
    kind: str, tmp_path: Path, asked: Asked
) -> None:
    found = {begins(f"{kind}-{size}", tmp_path) for size in (20, 20, 5)}
    assert found == {str(tmp_path / kind / "model.safetensors")}
    assert [word for word, _ in asked.all] == ["pretrain", "resume"]
    recipe = asked.all[0][1]
    assert isinstance(recipe, PretrainRecipe)
    assert recipe.kind == kind
    assert recipe.data_options.train_per_class is None
    assert recipe.data_options.split_seed == 0
    assert recipe.model == PLAN.protocol.base.model


def test_all_four_begins_from_the_autoencoder(tmp_path: Path, asked: Asked) -> None:
    begins("autoencoder-20", tmp_path)
    assert begins("all-four-20", tmp_path) == begins("autoencoder-60", tmp_path)
    assert [word for word, _ in asked.all] == ["pretrain", "resume"]


def test_drawn_weights_are_no_file(tmp_path: Path) -> None:
    assert begins("nothing-20", tmp_path) == ""
