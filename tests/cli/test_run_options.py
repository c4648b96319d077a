"""The preset, --config and --resume are read before the flags of the recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.cli.run_options import DEFAULT_OPTIONS, RunOptions, read_run_options, train_command
from alexnet.errors import UsageError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder without runs: in one with a folder `runs`, a run must be there."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("words", "preset", "options", "rest"),
    [
        ("", "", {}, ""),
        ("notebook", "notebook", {}, ""),
        ("notebook --epochs 3", "notebook", {}, "--epochs 3"),
        ("--epochs 3 --config a.json --lr 1", "", {"config": "a.json"}, "--epochs 3 --lr 1"),
        ("--config=a.json --config b.json", "", {"config": "b.json"}, ""),
        ("--out x --json --no-flip", "", {"out": "x", "json": True}, "--no-flip"),
        ("--json --resume run", "", {"resume": "run", "json": True}, ""),
        ("--milestones 2 --help", "", {}, "--milestones 2 --help"),
        ("--resume run -h", "", {"resume": "run"}, "-h"),
    ],
)
def test_words_are_split(words: str, preset: str, options: dict[str, object], rest: str) -> None:
    expected = (preset, RunOptions(**options), rest.split())  # type: ignore[arg-type]
    assert read_run_options("train", words.split(), DEFAULT_OPTIONS, ()) == expected


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("notebook --resume run", "'notebook'"),
        ("--resume run --epochs 3", "'--epochs'"),
        ("--resume=run --config a.json", "'a.json'"),
        ("--resume run --out elsewhere", "'elsewhere'"),
    ],
)
def test_resume_stands_alone(words: str, named: str) -> None:
    with pytest.raises(UsageError, match=r"--resume cannot change .* only --devices") as raised:
        read_run_options("train", words.split(), DEFAULT_OPTIONS, ("--devices",))
    assert named in str(raised.value)


def test_what_resume_takes_may_have_underscores() -> None:
    words = ["--resume", "run", "--max_minutes=3"]
    _, _, rest = read_run_options("train", words, DEFAULT_OPTIONS, ("--max-minutes",))
    assert rest == ["--max_minutes=3"]


def test_a_config_without_its_value_is_named() -> None:
    with pytest.raises(UsageError, match="--config needs a value: --config FILE; see alexnet"):
        read_run_options("train", ["--config"], DEFAULT_OPTIONS, ())


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("photos/", "photos/"),
        ("flowers17", "flowers17"),  # the preset of these data
        ("cifar10", "cifar10"),
        ("quickstart", "--data quickstart"),  # a folder; alone it is the preset of toyflowers
    ],
)
def test_the_command_that_trains_on_some_data(data: str, expected: str) -> None:
    assert train_command(data) == f"alexnet train {expected}".split()
    others = train_command(data, "here", "^(.)")
    assert others == [*train_command(data), "--data-root", "here", "--label-from", "^(.)"]
