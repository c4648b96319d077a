"""Flags of `train` and `pretrain` that are not part of a recipe."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

import tyro

from alexnet.api.recipes import CHOOSING
from alexnet.cli.flags import parse_known, with_run
from alexnet.cli.help import HELP_WORDS
from alexnet.cli.parser_messages import several_words_text
from alexnet.config.options import flag_name
from alexnet.config.presets import PRESETS
from alexnet.config.recipe import WEIGHT_WORDS
from alexnet.data.duplicates import data_flags
from alexnet.errors import UsageError
from alexnet.models.architecture import Architecture

Options = TypeVar("Options", bound="RunOptions")


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Everything about a run that is not its recipe."""

    config: str = ""
    """JSON, TOML or YAML file of a recipe, such as a run's config.json, or of options by their
    flags without the dashes; flags override it. For `pretrain` it needs a kind."""
    out: Annotated[str, tyro.conf.arg(metavar="FOLDER")] = ""
    """The run folder; a new numbered folder in runs/ unless given."""
    resume: str = ""
    """Resume the stopped run in this folder; takes --json and --devices, and of `train` also
    --epochs, what ends a run early, --parallel and --exchange."""
    json: bool = False
    """Print the result as JSON."""


DEFAULT_OPTIONS = RunOptions()


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RunOptions):
    """Everything about a training that is not its recipe."""

    log: str = ""
    """Also log for other programs, into logs/ of the run folder: tensorboard, mlflow, wandb, csv,
    joined by commas. --resume continues the logs that the run has, and takes --log for others."""


DEFAULT_TRAIN_OPTIONS = TrainOptions()


@dataclass(frozen=True, kw_only=True)
class ChoosingFlags:
    """The flags that choose a starting recipe, which all flags then change."""

    data: str = ""
    arch: str | Architecture = ""
    init_from: str = ""


def read_run_options(
    verb: str, arguments: Sequence[str], default: Options, changeable: Collection[str]
) -> tuple[str, Options, list[str]]:
    """Split `[PRESET] [flags]` into the preset or "", the run's options, and the recipe's flags.

    The recipe's flags are not parsed yet, since the preset and the config file give their defaults.

    Args:
        verb: the verb of the command.
        arguments: the other words of the command.
        default: the default options of the verb.
        changeable: flags of the recipe that --resume takes.

    Raises:
        UsageError: --resume is given together with anything else that would change the run.
    """
    preset, words = first_word(verb, arguments)
    options, rest = parse_known(type(default), words, verb, default)
    options = with_run(options, "resume")
    flags = [word for word in rest if word.startswith("-")]
    fixed = [w for w in flags if w.partition("=")[0].replace("_", "-") not in changeable]
    others = [word for word in (preset, options.config, options.out, *fixed) if word]
    if options.resume and others and HELP_WORDS.isdisjoint(rest):
        raise UsageError(
            f"--resume cannot change {others[0]!r} of a run, only {', '.join(changeable)}"
        )
    return preset, options, rest


def first_word(verb: str, arguments: Sequence[str]) -> tuple[str, list[str]]:
    """Split the words after a verb into the preset or data set, or "", and the flags.

    Raises:
        UsageError: there are two such words, and no help is asked for.
    """
    count = next((i for i, word in enumerate(arguments) if word.startswith("-")), len(arguments))
    if count > 1 and HELP_WORDS.isdisjoint(arguments):
        raise UsageError(several_words_text(verb, arguments[:count]))
    return arguments[0] if count else "", list(arguments[count:])


def choosing_flags(words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Parse the flags that are in CHOOSING; return their values by option, and the other words."""
    flags = {flag_name(name): name for name in CHOOSING}
    named = {flags[word] for word in (w.partition("=")[0] for w in words) if word in flags}
    if not named:
        return {}, list(words)
    found, rest = parse_known(ChoosingFlags, words, "train", ChoosingFlags())
    if found.init_from not in WEIGHT_WORDS:
        found = with_run(found, "init_from")
    return {name: getattr(found, name) for name in named}, rest


def train_command(data: str, data_root: str = "", label_from: str = "") -> list[str]:
    """The command that trains on some data.

    Args:
        data: a data set's name or a path; a word that also names the preset of other data is given
            as --data.
        data_root: the value of --data-root, or "".
        label_from: the value of --label-from, or "".
    """
    is_other_preset = data in PRESETS and PRESETS[data].data != data
    return [
        *("alexnet", "train"),
        *(["--data", data] if is_other_preset else [data]),
        *data_flags(data_root, label_from),
    ]
