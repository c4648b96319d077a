"""Recipes: config files from anywhere, and values out of range."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.config.recipe import DataOptions, OptimizerOptions, Recipe
from alexnet.errors import ConfigError
from support.commands import Command


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"epochs": 3, "epochs": 4}', "duplicate key 'epochs'"),
        (b'{"epochs": ' + b"[" * 900 + b"]" * 900 + b"}", "epochs must be int"),
        (b'{"optimizer": {"lr": NaN}}', "--lr is nan"),
        (b'{"name": "../../etc/x"}', "must be a valid folder name"),
        (b'{"epochs": 1' + b"0" * 30 + b"}", "more than 64 bits"),
        (b"\xff\xfe{}", "is not JSON"),
        (b" " * ((1 << 22) + 1), "has more than 4,194,304 bytes"),
        (b'{"data_options": {"padding": 1000000}}', "--padding 1000000 must be from 0 to 4096"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_invalid_config_file_is_an_error_of_one_sentence(
    command: Command, tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "config.json").write_bytes(content)
    result = command("train", "--config", tmp_path / "config.json", "--out", tmp_path / "run")
    assert result.code == 2
    assert message in result.err
    assert len(result.err.splitlines()) == 1
    assert len(result.err) < 1500
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("options", "name"),
    [
        *((Recipe, name) for name in ("epochs", "batch_size", "seed", "label_smoothing")),
        (OptimizerOptions, "momentum"),
        (OptimizerOptions, "weight_decay"),
        (DataOptions, "resize_size"),
    ],
)
def test_none_is_for_options_whose_type_has_it(options: type, name: str) -> None:
    with pytest.raises(ConfigError, match=f"^--{name.replace('_', '-')} None must be a number"):
        options(**{name: None})
