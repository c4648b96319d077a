"""The preset, --config and --resume are read before the flags of the recipe."""

from __future__ import annotations

from pathlib import Path

import pytest

from alexnet.cli import main
from alexnet.cli.flags import parse
from alexnet.cli.run_options import (
    DEFAULT_OPTIONS,
    RunOptions,
    first_word,
    read_run_options,
    train_command,
)
from alexnet.config.recipe import Recipe
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


def test_the_words_before_the_flags_are_one() -> None:
    names = [f"a{i}" for i in range(200)]
    for words, named in (
        (names[:2], "a0 and a1;"),
        (names[:3], "a0, a1 and a2;"),
        (names, "a0, a1, a2 and 197 more;"),
    ):
        with pytest.raises(UsageError, match=f"^tune takes one data set or preset, not {named}"):
            first_word("tune", words)
    assert first_word("tune", ["a", "b", "--help"]) == ("a", ["--help"])
    assert first_word("tune", ["a", "b", "--lr", "1", "-h"]) == ("a", ["--lr", "1", "-h"])


@pytest.mark.parametrize("verb", ["train", "tune", "pretrain rbm"])
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--flip photos", "unknown word 'photos'; the one data set or preset comes first: "
         "alexnet {verb} photos .."),
        ("--json photos", "unknown word 'photos'; the one data set or preset comes first: "
         "alexnet {verb} photos .."),
        ("--flip true", "--flip takes no value, not 'true'"),
        ("mnist --flip photos", "--flip takes no value, not 'photos'"),
        ("mnist --epochs 3 photos", "{verb} takes one data set or preset, not mnist and photos; "
         "the images of several go into one folder, or into one list of them"),
        ("mnist --json a.json", "unknown word 'a.json'; --json prints, "
         "and > a.json writes that to the file"),
        ("mnist --epochs 5 5 5", "--epochs takes one value, not 5 5"),
        ("mnist --seed 5 --epochs 5 5", "--epochs takes one value, not 5 5"),
        ("--epochs 5 5 --seed 5", "--epochs takes one value, not 5 5"),
    ],
)  # fmt: skip
def test_a_word_too_many_is_told_from_a_late_data_set(
    verb: str, words: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*verb.split(), *words.split()]) == 2
    assert capsys.readouterr().err == f"alexnet: {sentence.format(verb=verb)}\n"


def test_a_number_too_many_after_several_numbers() -> None:
    for words in (
        ["--milestones", "2", "5", "--lr", "5", "5"],
        ["--epochs", "3", "--lr", "5", "5"],
    ):
        with pytest.raises(UsageError, match=r"^--lr takes one value, not 5 5$"):
            parse(Recipe, words, "train", Recipe())


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
