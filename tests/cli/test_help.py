"""Help and version, which import no torch."""

from __future__ import annotations

import re
import subprocess
import sys
from itertools import pairwise

import pytest

import alexnet
from alexnet.cli import VERBS
from alexnet.cli.flag_list import list_flags
from alexnet.cli.help import INDENT
from alexnet.cli.help_pages import MAX_BASIC_FLAGS, PAGES
from alexnet.config.presets import FINETUNE, PRESETS
from alexnet.config.recipe import Recipe
from support.commands import Command, CommandResult

ACTIONS = [
    *[("data", action) for action in ("prepare", "check", "split", "show")],
    *[("experiment", action) for action in ("list", "plan", "run", "report")],
    *[("cache", action) for action in ("list", "clean")],
    *[("runs", action) for action in ("clean", "remove")],
]
KINDS = [("pretrain", kind) for kind in ("autoencoder", "rbm")]

HELP_SCRIPT = """
import contextlib, io, sys
from alexnet.cli import main
for words in (
    ["--help"], ["--version"], ["summary"], ["summary", "alexnet"], ["summary", "--json"],
    ["summary", "--help"], ["data", "--help"], ["data", "check", "--help"],
    ["data", "prepare", "--help"], ["data", "split", "--help"], ["data", "show", "--help"],
    ["train", "--help"], ["tune", "--help"], ["evaluate", "--help"], ["predict", "--help"],
    ["explain", "--help"], ["explain", "--filters", "--help"], ["doctor", "--help"],
    ["cache", "--help"], ["cache", "list"], ["cache", "clean", "--dry-run"],
    ["runs"], ["runs", "--json"], ["runs", "--help"],
    ["experiment", "--help"], ["experiment", "list"], ["experiment", "list", "--json"],
    ["experiment", "plan", "--help"],
    ["experiment", "run", "--help"], ["experiment", "report", "--help"],
    ["pretrain", "--help"], ["pretrain", "rbm", "--help"], ["pretrain", "autoencoder", "--help"],
):
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()),  # notes, such as that costs are not measured
    ):
        try:
            main(words)
        except SystemExit as stop:
            assert not stop.code, words
    assert out.getvalue(), words
    for module in ("torch", "matplotlib", "optuna"):
        if module in sys.modules:
            print(" ".join(words), "imports", module)
            sys.modules.pop(module)
"""


def test_help_names_every_verb(command: Command) -> None:
    for words in ((), ("--help",), ("-h",), ("help",)):
        result = command(*words)
        assert result.code == 0
        assert result.err == ""
        for verb in VERBS:
            assert f"\n  {verb} " in result.out


def test_help_of_a_verb_is_its_help(command: Command) -> None:
    for words in (["train"], ["data"], ["data", "check"], ["runs", "clean"]):
        assert command("help", *words) == command(*words, "--help")
    assert command("help", "trian").code == 2
    assert "did you mean train" in command("help", "trian").err


def test_version(command: Command) -> None:
    assert command("-V") == command("--version")
    assert command("--version") == CommandResult(0, f"alexnet {alexnet.__version__}\n", "")


@pytest.mark.parametrize("words", [*[(verb,) for verb in VERBS], *ACTIONS, *KINDS], ids=" ".join)
def test_every_help_goes_to_stdout(command: Command, words: tuple[str, ...]) -> None:
    result = command(*words, "--help")
    assert result.code == 0
    assert result.err == ""
    assert f"alexnet {' '.join(words)}" in result.out
    assert len(result.out.splitlines()) > 5


def test_help_of_a_preset_shows_its_values(command: Command) -> None:
    result = command("train", "mnist_lenet", "--help-all")
    assert "lenet5" in result.out
    assert "--warmup-steps" in result.out


@pytest.mark.parametrize("verb", PAGES)
def test_help_shows_a_dozen_flags_and_three_examples(command: Command, verb: str) -> None:
    text = command(*verb.split(), "--help").out
    flags = re.findall(r"^  (--[\w-]+)", text, re.M)
    assert len(flags) <= MAX_BASIC_FLAGS
    assert (len(flags) > 0) == ("[OPTIONS]" in text)
    assert len(re.findall(r"^  alexnet ", text, re.M)) == 3
    assert (f"alexnet {verb} --help-all lists" in text) == bool(PAGES[verb].basic)
    everything = re.findall(r"^  (--[\w-]+)", command(*verb.split(), "--help-all").out, re.M)
    assert set(flags) <= set(everything)
    assert (set(flags) < set(everything)) == bool(PAGES[verb].basic)


def test_help_of_train_has_the_defaults_for_own_images_where_they_are_others(
    command: Command,
) -> None:
    for flag in ("--help", "--help-all"):
        text = " ".join(command("train", flag).out.split())
        epochs, own = PRESETS["quickstart"].epochs, FINETUNE.epochs
        assert f"training images. (default: {epochs}; own images: {own})" in text
        assert "(default: toyflowers)" in text
        assert "own images:" not in command("train", "flowers17", flag).out


def test_help_says_what_an_own_default_of_none_means(command: Command) -> None:
    text = " ".join(command("train", "--help-all").out.split())
    assert (
        "in pixels; the word None: as published. (default: 128; own images: as published)" in text
    )
    assert "the input size. (default: 140; own images: the input size)" in text
    flags, others = (list_flags(Recipe, one) for one in (PRESETS["quickstart"], FINETUNE))
    differ = {a.field for a, b in zip(flags, others, strict=True) if a.default != b.default}
    assert text.count("own images: ") == len(differ - {"name"})


@pytest.mark.parametrize("verb", ["data", "cache", "experiment", "benchmark", "pretrain"])
def test_help_of_a_verb_with_actions_has_three_examples(command: Command, verb: str) -> None:
    for flag in ("--help", "--help-all"):
        assert len(re.findall(rf"^  alexnet {verb} ", command(verb, flag).out, re.M)) == 3


@pytest.mark.parametrize("words", [*[(verb,) for verb in VERBS], *ACTIONS, *KINDS], ids=" ".join)
def test_help_fills_its_lines_and_shows_no_value_of_python(
    command: Command, words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = command(*words, "--help-all").out.splitlines()
    assert [line for line in lines if len(line) > 79 and "alexnet" not in line[:10]] == []
    text = " ".join(" ".join(lines).split())
    for sentinel in ("(default: )", "(default: '')", "(default: None)", " STR ", '""'):
        assert sentinel not in text
    for line, following in pairwise(lines):  # a word that would have fitted was not moved down
        if line[:INDENT].isspace() and following[:INDENT].isspace() and len(words) != 1:
            assert len(line) + 1 + len(following.split()[0]) > 79


def test_the_list_of_verbs_imports_nothing_that_takes_time() -> None:
    code = (
        "import sys; from alexnet.cli import main; main(['--help']); main(['--version'])\n"
        "print([m for m in ('torch', 'numpy', 'tyro', 'rich') if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_help_and_summary_import_neither_torch_nor_matplotlib() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", HELP_SCRIPT], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_help_shows_only_what_a_user_may_set_in_words(command: Command) -> None:
    for verb in ("train", "summary"):
        text = " ".join(command(verb, "--help-all").out.split())
        assert "--replanned" not in text
        assert "; None:" not in text
        assert ("; the word None: as published. (default: 128;" in text) == (verb == "train")


def test_help_names_what_else_a_verb_does_unless_that_is_asked_for(command: Command) -> None:
    assert "  --neighbors IMAGE ..." in command("explain", "--help").out
    assert "instead of that" not in command("explain", "--map", "--help").out
    error = command("explain", "runs/x", "--neighbour", "a.jpg").err
    assert "unknown flag '--neighbour'; did you mean --neighbors?" in error
    assert "alexnet report RUN --watch" in command("train", "photos/", "--watch").err


def test_a_mode_has_examples_of_its_own(command: Command) -> None:
    for mode, other in (("--filters", "--neighbors"), ("--neighbors", "--filters")):
        examples = command("explain", mode, "--help").out.partition("examples:")[2]
        assert mode in examples
        assert other not in examples
