"""A recipe in TOML is that in JSON, with the same errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.config.presets import preset
from alexnet.errors import ConfigError
from alexnet.training.run_folder import read_recipe


def test_toml_gives_the_same_recipe_as_json(tmp_path: Path) -> None:
    toml, json = tmp_path / "a.toml", tmp_path / "a.json"
    toml.write_text("epochs = 3\n[optimizer]\nlr = 1\n[schedule]\nmilestones = [1, 2]\n")
    json.write_text('{"epochs": 3, "optimizer": {"lr": 1}, "schedule": {"milestones": [1, 2]}}')
    start = preset("flowers17")
    assert read_recipe(toml, start) == read_recipe(json, start)
    assert read_recipe(toml, start).optimizer.lr == 1.0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs = ", "is not TOML: "),
        ("epochs = 1\nepochs = 2", "is not TOML: "),
        ("\xff", "is not TOML: "),
        (f"epochs = {10**30}", "is not TOML: .* has more than 64 bits"),
        ("epoch = 3", "did you mean 'epochs'"),
        ("epochs = 2026-01-01", "recipe.epochs must be int"),
        ("[optimizer]\nlr = nan", "lr"),
    ],
)
def test_a_mistake_in_toml_is_told(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError, match=message):
        read_recipe(path)
