"""A recipe in TOML or YAML, whole or by the words of flags, is that in JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from alexnet.config.options import into_groups
from alexnet.config.presets import PRESETS, preset
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import from_dict, to_dict, to_json
from alexnet.errors import ConfigError, UsageError
from alexnet.pretraining.recipe import read_pretrain_recipe
from alexnet.training.run_folder import read_recipe
from support.slow import every_nth_fast

JSON = '{"epochs": 3, "optimizer": {"lr": 0.001}, "schedule": {"milestones": [1, 2]}}'
SAME = {
    "a.toml": "epochs = 3\n[optimizer]\nlr = 1e-3\n[schedule]\nmilestones = [1, 2]\n",
    "b.yaml": "epochs: 3\noptimizer:\n  lr: 1e-3\nschedule: {milestones: [1, 2]}\n",
    "c.yml": "\ufeff--- # ours\nepochs: 3\noptimizer: {lr: .001}\nmilestones:\n- 1\n- 2\n",
    "d.YAML": "epochs: 3\nlr: 1.0E-3\nmilestones: [01, 2]\n",
    "e.json": '{"epochs": 3, "lr": 0.001, "milestones": [1, 2]}',
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_every_kind_gives_the_same_recipe(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.json").write_text(JSON)
    (tmp_path / name).write_text(SAME[name])
    start = preset("flowers17")
    found = read_recipe(tmp_path / name, start)
    assert found == read_recipe(tmp_path / "a.json", start)
    assert found.optimizer.lr == 1e-3


def test_words_of_flags_find_their_groups() -> None:
    words = {
        "batch-size": 8, "optimizer": "adamw", "schedule": {"milestones": [1]}, "gamma": 0.5,
        "input-size": 32, "from": "a.pth",
    }  # fmt: skip
    assert into_groups(Recipe, words) == {
        "batch_size": 8,
        "optimizer": {"optimizer": "adamw"},
        "schedule": {"milestones": [1], "gamma": 0.5},
        "model": {"input_size": 32},
        "init_from": "a.pth",
    }
    assert all(into_groups(Recipe, to_dict(one)) == to_dict(one) for one in PRESETS.values())
    assert into_groups(Recipe, ["a"]) == ["a"]


def test_a_whole_recipe_of_json_is_yaml(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(to_json(preset("cifar_tanh")))
    assert read_recipe(tmp_path / "a.yaml") == preset("cifar_tanh")


def test_a_pretraining_takes_yaml(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: rbm\nbatch-size: 4\nsparsity_cost: 2\n")
    recipe = read_pretrain_recipe(tmp_path / "a.yaml")
    assert (recipe.kind, recipe.batch_size, getattr(recipe, "sparsity_cost", 0)) == ("rbm", 4, 2.0)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    every_nth_fast(
        [
            ("a.toml", "epochs = ", "is not TOML: "),
            ("a.toml", "epochs = 1\nepochs = 2", "is not TOML: "),
            ("a.toml", "\xff", "is not TOML: "),
            ("a.toml", f"epochs = {10**30}", "is not TOML: .* has more than 64 bits"),
            ("a.toml", "epoch = 3", "did you mean 'epochs'"),
            ("a.toml", "epochs = 2026-01-01", "recipe.epochs must be int"),
            ("a.toml", "[optimizer]\nlr = nan", "lr"),
            ("a.json", '{"lr": 1, "optimizer": {"lr": 2}}', "lr is given twice"),
            ("a.json", '{"batch_size": 1, "batch-size": 2}', "batch_size is given twice"),
            ("a.yaml", "learning_rate: 1", "has no key 'learning_rate'; it is called lr here$"),
            (
                "a.yaml",
                "wieght-decay: 1",
                "has no key 'wieght-decay'; did you mean 'weight_decay'\\?$",
            ),
            ("a.yaml", "augment: {cut-mix: 1}", "has no key 'cut-mix'; did you mean 'cutmix'\\?$"),
            ("a.yaml", "epochs: 1\nepochs: 2", "is not YAML: duplicate key 'epochs' in line 2"),
            ("a.yaml", "augment: {flip: no}", "augment.flip must be bool, not 'no'; write false"),
            ("a.yaml", "augment: {flip: Off}", "augment.flip must be bool, not 'Off'; write false"),
            ("a.yaml", "epochs: 1:30", "recipe.epochs must be int, not '1:30'"),
            ("a.yaml", "epochs: 2026-01-01", "recipe.epochs must be int, not '2026-01-01'"),
            ("a.yaml", "epochs: '3'", "recipe.epochs must be int, not '3'"),
            ("a.yaml", "lr: .nan", "--lr is nan"),
            ("a.yaml", "lr: -.INF", "--lr is -inf"),
            ("a.yaml", f"epochs: {10**30}", "is not YAML: .* has more than 64 bits"),
            ("a.yaml", f"epochs: {'9' * 5000}", "is not YAML: "),
            ("a.yaml", "epochs:\n\t3", "is not YAML: .* in line 2"),
            (
                "a.yaml",
                "a: &a [1]\nb: [*a, *a]",
                "is not YAML: the alias \\*a is not read; .* line 2",
            ),
            ("a.yaml", "a: &a {x: 1}\nb: {<<: *a}", "is not YAML: the alias"),
            (
                "a.yaml",
                "a: !!python/object/apply:os.system [ls]",
                "the tag !!python/object/apply:os",
            ),
            ("a.yaml", "a: !!binary aGk=", "is not YAML: the tag !!binary is not read"),
            ("a.yaml", "a: !mine 3", "is not YAML: the tag !mine is not read"),
            ("a.yaml", "? [a, b]\n: 3", "is not YAML: no text as key \\['a', 'b'\\] in line 1"),
            ("a.yaml", "1: 3", "is not YAML: no text as key 1 in line 1"),
            ("a.yaml", "a: 1\n---\nb: 2", "is not YAML: "),
            ("a.yaml", "\xff", "is not YAML: "),
            ("a.yaml", "a: \x01", "is not YAML: "),
            ("a.yaml", "[" * 3000, "is not YAML: "),
            ("a.yaml", "", "recipe must be an object, not None"),
            ("a.yaml", "- epochs", "recipe must be an object"),
            ("a.yaml", "#" * (1 << 18) + "\n", "has more than 262,144 bytes"),
        ],
        n=3,
    ),
)
def test_a_mistake_is_told(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text, encoding="latin-1")
    with pytest.raises(ConfigError, match=message) as told:
        read_recipe(tmp_path / name)
    assert "\n" not in str(told.value)


def test_without_pyyaml_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text("epochs: 3")
    monkeypatch.setattr("alexnet.runtime.extras.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'a.yaml needs the package yaml.*"alexnet\[yaml\]"'):
        read_recipe(tmp_path / "a.yaml")


def test_a_value_that_is_an_object_is_no_group() -> None:
    with pytest.raises(ConfigError, match=r"recipe\.epochs must be int"):
        from_dict(Recipe, into_groups(Recipe, json.loads('{"epochs": {"lr": 1}}')), "recipe")
