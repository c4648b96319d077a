"""`alexnet pretrain autoencoder|rbm`: pretrain conv layers on images without labels."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from alexnet.api.recipes import name_after_data, read_call
from alexnet.cli.console import percent, print_json, table
from alexnet.cli.flags import parse
from alexnet.cli.help import HELP_WORDS
from alexnet.cli.processes import is_to_be_launched, launch_again
from alexnet.cli.run_options import DEFAULT_OPTIONS, RunOptions, choosing_flags, read_run_options
from alexnet.cli.slow_cpu import note_slow_cpu
from alexnet.config.presets import PRESETS
from alexnet.config.recipe import SCRATCH
from alexnet.errors import UnknownNameError, UsageError
from alexnet.io.text import count_text
from alexnet.pretraining.recipe import (
    KINDS,
    AutoencoderRecipe,
    PretrainRecipe,
    RbmRecipe,
    read_pretrain_recipe,
)
from alexnet.progress import ProgressReporter

if TYPE_CHECKING:
    from alexnet.pretraining.pretrainer import Pretrained
    from alexnet.pretraining.run_files import PretrainingResult

HELP = """usage: alexnet pretrain KIND [PRESET] [OPTIONS]

Pretrains the conv layers one after the other on the training images, without
labels. Test images are never read. Then `alexnet train PRESET --from
RUN/model.safetensors` trains with labels.

  autoencoder  convolutional denoising auto-encoders with tied weights
  rbm          convolutional restricted Boltzmann machines, by contrastive
               divergence

PRESET is a preset of alexnet train; its data, network, preprocessing and
augmentation are used: {presets}.

  alexnet pretrain autoencoder                          the preset quickstart
  alexnet pretrain rbm --data photos/                   your own images
  alexnet pretrain autoencoder flowers17 --up-to conv3  the first layers

alexnet pretrain KIND --help lists the flags."""

DESCRIPTIONS = {
    "autoencoder": "Pretrain convolutional auto-encoders (Masci et al. 2011)",
    "rbm": "Pretrain convolutional restricted Boltzmann machines (Lee et al. 2009)",
}
CHANGEABLE = ("--devices",)
"""Flags of the recipe that --resume takes."""
R = TypeVar("R", bound=PretrainRecipe)


@dataclass(frozen=True, kw_only=True)
class PretrainFlags(Generic[R]):
    """Pretrain conv layers without labels."""

    run: RunOptions = DEFAULT_OPTIONS
    recipe: R


def run(arguments: Sequence[str]) -> int:
    """Pretrain, then print the reconstruction errors and the paths of the files."""
    if not arguments or arguments[0] in HELP_WORDS:
        print(HELP.format(presets=_presets_text()))
        return 0
    kind, *words = arguments
    if kind not in KINDS:
        raise UnknownNameError("kind of pretraining", kind, KINDS)
    preset_name, options, words = read_run_options(
        f"pretrain {kind}", words, DEFAULT_OPTIONS, CHANGEABLE
    )
    if preset_name and options.config:
        raise UsageError(f"give the preset {preset_name!r} or --config {options.config}, not both")
    given = options.config or options.resume
    start = from_config(kind, given) if given else starting_recipe(kind, preset_name, words)
    recipe = parse_flags(kind, words, start, arguments[1:]).recipe
    if is_to_be_launched(recipe.devices):
        return launch_again("pretrain", arguments, recipe.devices)
    from alexnet.pretraining.pretrainer import pretrain, resume_pretraining
    from alexnet.pretraining.run_files import read_result

    note_slow_cpu(recipe.device)
    with ProgressReporter() as reporter:
        if options.resume:
            result = resume_pretraining(options.resume, reporter=reporter)
        else:
            result = pretrain(name_after_data(recipe, start), out=options.out, reporter=reporter)
    values = read_result(result.folder)
    if options.json:
        from alexnet.cli.outputs.pretrain import pretrain_output

        print_json(pretrain_output(result.folder, values))
    else:
        print(_text(result, values))
    return 0


def _presets_text() -> str:
    """The names of the presets, wrapped for the place of `{presets}` in HELP."""
    return "\n".join(textwrap.wrap(", ".join(PRESETS), 79, initial_indent=" " * 22)).lstrip()


def starting_recipe(kind: str, preset_name: str, words: Sequence[str]) -> PretrainRecipe:
    """The recipe that the flags change."""
    call = read_call(preset_name, options=choosing_flags(words)[0])
    return KINDS[kind].from_recipe(call.recipe(init_from=SCRATCH))


def parse_flags(
    kind: str, words: Sequence[str], start: PretrainRecipe, typed: Sequence[str] = ()
) -> PretrainFlags[PretrainRecipe]:
    """Parse the flags of one kind of pretraining; `start` gives their defaults.

    Messages look at all the words that were `typed` after the kind; `words` unless given.

    Raises:
        UsageError: an unknown flag, or a value that does not parse or is out of range.
    """
    cls = {"autoencoder": PretrainFlags[AutoencoderRecipe], "rbm": PretrainFlags[RbmRecipe]}[kind]
    description = (
        f"{DESCRIPTIONS[kind]}. Presets: {', '.join(PRESETS)}. "
        f"The defaults below are those of {start.name}."
    )
    return parse(
        cls, words, f"pretrain {kind}", PretrainFlags(recipe=start), description, typed=typed
    )


def from_config(kind: str, config: str) -> PretrainRecipe:
    """The recipe in a config file or run folder, which must be of the given kind.

    Raises:
        UsageError: there is no such file, or the recipe is of the other kind.
    """
    recipe = read_pretrain_recipe(Path(config))
    if recipe.kind != kind:
        raise UsageError(f"{config} is of kind {recipe.kind}: use alexnet pretrain {recipe.kind}")
    return recipe


def _text(result: Pretrained, values: PretrainingResult) -> str:
    folder = result.folder
    rows = [
        (
            layer.layer,
            percent(layer.train_error),
            "" if layer.val_error is None else percent(layer.val_error),
            percent(layer.activation_rate),
        )
        for layer in values.layers
    ]
    return "\n".join(
        [
            f"pretrained {count_text(len(rows), 'layer')} "
            f"on {count_text(values.num_train_images, 'image')} "
            f"in {values.training_seconds / 60:.1f} min",
            table(("layer", "train error", "val error", "activation rate"), rows),
            "error: mean squared reconstruction error, divided by the input's variance",
            *_split_advice(values),
            f"model     {folder.model}",
            f"plots     {folder.plots}",
            f"next      alexnet train PRESET --from {folder.model}",
        ]
    )


def _split_advice(values: PretrainingResult) -> list[str]:
    """A line on how the next training keeps the same test images; empty without test images."""
    if not values.num_test_images:
        return []
    method = "" if values.split == "stratified" else f" --split {values.split}"
    return [
        f"unseen    {count_text(values.num_test_images, 'test image')}: train with "
        f"--split-seed {values.split_seed}{method}, unless the data set has its own split"
    ]
