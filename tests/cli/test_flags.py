"""Flags from dataclasses: values, and one sentence for each kind of mistake.

The sentences for bad, missing and unknown values are made of tyro's first paragraphs, so that these
tests notice when tyro words or draws its messages in another way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import pytest
import tyro

from alexnet.cli.completion import CompletionFlags
from alexnet.cli.evaluate import EvaluateFlags
from alexnet.cli.export import ExportFlags
from alexnet.cli.flag_list import flag_names, list_flags
from alexnet.cli.flags import parse
from alexnet.config.augmentation import Augmentation
from alexnet.config.recipe import LRSchedule, Recipe
from alexnet.errors import ConfigError, UsageError
from alexnet.interop.exporter import check_format


@dataclass(frozen=True, kw_only=True)
class Group:
    """Flags that belong together."""

    lr: float = 0.1
    """Learning rate."""
    milestones: tuple[int, ...] = ()
    """Epochs."""

    def __post_init__(self) -> None:
        if self.lr < 0:
            raise ConfigError(f"--lr {self.lr} must not be negative")


@dataclass(frozen=True, kw_only=True)
class Flags:
    """Flags of a command."""

    model: Annotated[str, tyro.conf.Positional]
    """A model file."""
    group: Group = Group(lr=0.2)
    epochs: int = 3
    """Passes."""
    dropout: float | None = None
    """Probability; None: as published."""
    crops: Literal["1", "10"] = "1"
    """One or ten, which takes more than
    one line of the source."""
    flip: bool = True
    """Mirror."""


def test_flags_change_the_defaults() -> None:
    words = ["a", "--epochs", "1_0", "--lr=1e-3", "--milestones", "2", "5", "--no-flip"]
    assert parse(Flags, words, "try") == Flags(
        model="a", group=Group(lr=1e-3, milestones=(2, 5)), epochs=10, flip=False
    )
    assert parse(Flags, ["a"], "try") == Flags(model="a")
    default = Flags(model="b", crops="10")
    assert parse(Flags, ["a"], "try", default) == Flags(model="a", crops="10")
    default = Flags(model="b", dropout=0.5)
    assert parse(Flags, ["a"], "try", default).dropout == 0.5
    assert parse(Flags, ["a", "--dropout", "0"], "try", default).dropout == 0.0
    assert parse(Flags, ["a", "--dropout", "None"], "try", default).dropout is None


@pytest.mark.parametrize("columns", ["40", "200"])
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("m --epoch 3", "unknown flag '--epoch'; did you mean --epochs?"),
        ("m --epoch=3", "unknown flag '--epoch'; did you mean --epochs?"),
        ("m --milestone 3", "unknown flag '--milestone'; did you mean --milestones?"),
        ("m --no-flp", "unknown flag '--no-flp'; did you mean --no-flip?"),
        ("m --qqqq", "unknown flag '--qqqq'; see alexnet try --help"),
        ("m -q", "unknown flag '-q'; see alexnet try --help"),
        ("m n", "unknown word 'n'; see alexnet try --help"),
        ("m --epochs three", "--epochs: 'three' is not a whole number; see alexnet try --help"),
        ("m --epochs 1.5", "--epochs: '1.5' is not a whole number; see alexnet try --help"),
        ("m --lr x", "--lr: 'x' is not a number; see alexnet try --help"),
        ("m --dropout x", "--dropout: 'x' is not a number; see alexnet try --help"),
        ("m --epochs None", "--epochs: 'None' is not a whole number; see alexnet try --help"),
        ("m --milestones 3 x", "--milestones takes N ..., not 3 x; see alexnet try --help"),
        ("m --lr -1", "--lr -1.0 must not be negative"),
        ("m --epochs", "--epochs needs a value: --epochs N; see alexnet try --help"),
        ("m --epochs=", "--epochs needs a value: --epochs N; see alexnet try --help"),
        ("m --epochs --lr 1", "--epochs needs a value: --epochs N; see alexnet try --help"),
        ("m --crops", "--crops needs a value: --crops {1,10}; see alexnet try --help"),
        ("m --lr 1 2", "--lr takes one value, not 1 2"),
        ("m --flip yes", "--flip takes no value, not 'yes'"),
        ("m --no-flip 3", "--no-flip takes no value, not '3'"),
        ("m --crops 3", "unknown value of --crops '3'; known: 1, 10"),
        ("m --crops 100", "unknown value of --crops '100'; did you mean 10?"),
        ("", "try needs MODEL, a model file: alexnet try MODEL; see alexnet try --help"),
        ("m -q.jpg", "unknown flag '-q.jpg'; a name that begins with - is written ./-q.jpg"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_value_and_the_way_out(
    words: str, sentence: str, columns: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    with pytest.raises(UsageError) as raised:
        parse(Flags, words.split(), "try")
    message = str(raised.value)
    position = 0
    for part in sentence.split("*"):
        position = message.find(part, position) + len(part)
        assert position >= len(part), message
    assert position == len(message)
    assert "\n" not in message
    assert "  " not in message
    assert not set("|│+╭─") & set(message)
    assert len(message) < 120


@dataclass(frozen=True, kw_only=True)
class Required:
    """Flags of which some must be given."""

    source: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE")]
    """The images; of any size."""
    out: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    format: Literal["csv", "json"]
    """csv: a table; json: for programs."""
    kind: Annotated[Literal["a", "b"], tyro.conf.Positional] = "a"


@pytest.mark.parametrize(
    ("words", "needed"),
    [
        ("", "SOURCE and OUT and --format {csv,json}"),
        ("images", "OUT and --format {csv,json}"),
        ("images x", "--format {csv,json}"),
        ("images --format csv", "OUT"),
        ("--format csv", "SOURCE and OUT"),
    ],
)
def test_required_arguments_that_are_missing_are_named(
    words: str, needed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for columns in ("40", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        with pytest.raises(UsageError) as raised:
            parse(Required, words.split(), "try")
        command = "alexnet try SOURCE OUT {a,b} --format {csv,json}"
        assert str(raised.value) == f"try needs {needed}: {command}; see alexnet try --help"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            "-x.st",
            "evaluate needs MODEL, a model file or a run folder: alexnet evaluate MODEL; "
            "a name that begins with - is written ./-x.st; see alexnet evaluate --help",
        ),
        (
            "--crops 10 --qqqq",
            "evaluate needs MODEL, a model file or a run folder: alexnet evaluate MODEL; "
            "see alexnet evaluate --help",
        ),
        (
            "m --data-root -photos",
            "--data-root needs a value: --data-root FOLDER; "
            "a value that begins with - is written --data-root=-photos; "
            "see alexnet evaluate --help",
        ),
    ],
)
def test_a_name_that_begins_with_a_dash_is_answered(words: str, sentence: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse(EvaluateFlags, words.split(), "evaluate")
    assert str(raised.value) == sentence
    assert parse(EvaluateFlags, ["./-x.st", "--data=-x"], "evaluate").data == "-x"


def test_a_choice_of_a_word_is_no_name_of_a_file() -> None:
    with pytest.raises(
        UsageError, match=r"^completion needs \{bash,[a-z,]*\}: alexnet [^;]*; see "
    ):
        parse(CompletionFlags, ["-x"], "completion")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        (
            "torchscript",
            r"there is no --format torchscript: torch\.jit\.trace\(alexnet\.load\(MODEL\)",
        ),
        ("tflite", "there is no --format tflite: its own converter takes the file of onnx"),
        ("pytorch", "there is no --format pytorch: torch is torch.export's program"),
        ("onix", "unknown value of --format 'onix'; did you mean onnx"),
    ],
)
def test_a_format_of_other_programs_is_answered(word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse(ExportFlags, ["m", "--format", word], "export")
    with pytest.raises(UsageError, match=message.split(":")[-1].replace("value of --", "")):
        check_format(word)


def test_an_unknown_choice_of_a_word() -> None:
    with pytest.raises(UsageError, match=r"^unknown kind 'c'; known: a, b$"):
        parse(Required, ["images", "x", "c", "--format", "csv"], "try")


def test_help_is_printed_and_ends_with_0(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as stop:
        parse(Flags, ["--help"], "try", description="What it does.")
    told = capsys.readouterr()
    assert stop.value.code == 0
    assert told.err == ""
    assert (
        told.out
        == """\
usage: alexnet try MODEL [OPTIONS]

What it does.

  MODEL                 A model file.

Flags that belong together:
  --lr NUMBER           Learning rate. (default: 0.2)
  --milestones N ...    Epochs.

Flags of a command:
  --epochs N            Passes. (default: 3)
  --dropout NUMBER      Probability; unless given: as published.
  --crops {1,10}        One or ten, which takes more than one line of the
                        source. (default: 1)
  --flip, --no-flip     Mirror. (default: yes)
"""
    )
    assert [flag.field for flag in list_flags(Flags) if flag.is_positional] == ["model"]


@pytest.mark.parametrize(
    ("words", "pair"), [("2 9", (2, 9)), ("2 9 --rotation 5", (2, 9)), ("None", None)]
)
def test_a_pair_of_numbers(words: str, pair: tuple[int, int] | None) -> None:
    start = Augmentation(rand_augment=(1, 1))
    parsed = parse(Augmentation, ["--rand-augment", *words.split()], "try", start)
    assert parsed.rand_augment == pair
    assert parse(Augmentation, [], "try", start) == start


@pytest.mark.parametrize("words", ["2", "2 x", "2 9 1", "2.5 9"])
def test_what_is_no_pair_is_one_sentence(words: str) -> None:
    with pytest.raises(UsageError, match=f"'{words}' is not two whole numbers, such as 2 9; see"):
        parse(Augmentation, ["--rand-augment", *words.split()], "try")


def test_names_of_the_flags() -> None:
    expected = ["--lr", "--milestones", "--epochs", "--dropout", "--crops", "--flip", "--no-flip"]
    assert list(flag_names(Flags)) == expected
    assert list(flag_names(Flags, Flags(model="a"))) == expected


def test_a_flag_may_have_a_word_that_python_keeps_for_itself() -> None:
    recipe = Recipe(epochs=7, augment=Augmentation(flip=False))
    changed = parse(Recipe, ["--from", "a.pth"], "try", recipe)
    assert changed == replace(recipe, init_from="a.pth")
    with pytest.raises(UsageError, match="--from needs a value: --from SOURCE; see alexnet try"):
        parse(Recipe, ["--from"], "try", recipe)


def test_what_the_program_sets_has_no_flag_and_is_kept() -> None:
    start = Recipe(schedule=LRSchedule(schedule="cosine", replanned=((6, 5),)))
    with pytest.raises(UsageError, match="unknown flag '--replanned'; see"):
        parse(Recipe, ["--replanned", "6", "5"], "try", start)
    assert parse(Recipe, ["--warmup-epochs", "2"], "try", start) == replace(
        start, schedule=replace(start.schedule, warmup_epochs=2)
    )
