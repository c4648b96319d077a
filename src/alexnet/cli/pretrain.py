"""`alexnet pretrain autoencoder|rbm`: conv layers that learn from pictures without labels."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from alexnet.cli.console import ProgressReporter, percent, table
from alexnet.cli.flags import parse
from alexnet.cli.run_options import DEFAULT_OPTIONS, RunOptions, read_run_options
from alexnet.cli.train import DEFAULT_PRESET, named
from alexnet.config.presets import PRESETS, preset
from alexnet.errors import UnknownNameError, UsageError
from alexnet.pretraining.recipe import (
    KINDS,
    AutoencoderRecipe,
    PretrainRecipe,
    RbmRecipe,
    read_pretrain_recipe,
)

if TYPE_CHECKING:
    from alexnet.pretraining.pretrainer import Pretrained

HELP = """usage: alexnet pretrain KIND [PRESET] [flags]

Conv layers learn one after the other from all training pictures, without labels; the test pictures
are never seen. `alexnet train PRESET --init-from RUN/model.safetensors` goes on with labels.

  autoencoder  convolutional (denoising) auto-encoders with tied filters
  rbm          convolutional restricted Boltzmann machines, by contrastive divergence

PRESET is one of alexnet train's, whose data, network, preprocessing and views are taken:
{presets}.

alexnet pretrain KIND --help lists the flags."""

DESCRIPTIONS = {
    "autoencoder": "Pretrain by convolutional auto-encoders (Masci et al. 2011).",
    "rbm": "Pretrain by convolutional restricted Boltzmann machines (Lee et al. 2009).",
}
R = TypeVar("R", bound=PretrainRecipe)


@dataclass(frozen=True, kw_only=True)
class PretrainFlags(Generic[R]):
    """Pretrain conv layers without labels."""

    run: RunOptions = DEFAULT_OPTIONS
    recipe: R


def run(arguments: Sequence[str]) -> int:
    """Pretrain, then print where the layers are and how well they reconstruct."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(HELP.format(presets=", ".join(PRESETS)))
        return 0
    kind, *words = arguments
    if kind not in KINDS:
        raise UnknownNameError("kind of pretraining", kind, KINDS)
    preset_name, options, words = read_run_options(f"pretrain {kind}", words)
    if preset_name and options.config:
        raise UsageError(f"give the preset {preset_name!r} or --config {options.config}, not both")
    start = (
        from_config(kind, options.config)
        if options.config
        else KINDS[kind].before(preset(preset_name or DEFAULT_PRESET))
    )
    recipe = parse_flags(kind, words, start).recipe
    from alexnet.pretraining.pretrainer import pretrain, resume_pretraining

    with ProgressReporter() as reporter:
        if options.resume:
            from_config(kind, options.resume)
            result = resume_pretraining(options.resume, reporter=reporter)
        else:
            result = pretrain(named(recipe, start), out=options.out, reporter=reporter)
    print(result.folder.result.read_text(encoding="utf-8") if options.json else _text(result))
    return 0


def parse_flags(
    kind: str, words: Sequence[str], start: PretrainRecipe
) -> PretrainFlags[PretrainRecipe]:
    """The flags of one kind, beginning with the values of `start`.

    Raises:
        UsageError: an unknown flag, or a value that does not parse or is out of range.
    """
    cls = {"autoencoder": PretrainFlags[AutoencoderRecipe], "rbm": PretrainFlags[RbmRecipe]}[kind]
    description = (
        f"{DESCRIPTIONS[kind]} Presets: {', '.join(PRESETS)}. "
        f"The flags below show the values of {start.name!r}."
    )
    return parse(cls, words, f"pretrain {kind}", PretrainFlags(recipe=start), description)


def from_config(kind: str, config: str) -> PretrainRecipe:
    """The pretraining of a config file or run folder, which must be of the kind that was typed.

    Raises:
        UsageError: no such file, or of the other kind.
    """
    recipe = read_pretrain_recipe(Path(config))
    if recipe.kind != kind:
        raise UsageError(f"{config} is of kind {recipe.kind}: say alexnet pretrain {recipe.kind}")
    return recipe


def _text(result: Pretrained) -> str:
    facts, folder = json.loads(result.folder.result.read_text(encoding="utf-8")), result.folder
    rows = [
        (
            layer["layer"],
            percent(layer["train_error"]),
            percent(layer["held_out_error"]) if facts["held_out_pictures"] else "",
            percent(layer["activity"]),
        )
        for layer in facts["layers"]
    ]
    head = ("layer", "error, training", "held out", "active")
    return "\n".join(
        [
            f"pretrained {len(rows)} layers on {facts['train_pictures']:,} pictures "
            f"in {facts['training_seconds'] / 60:.1f} min",
            table(head, rows),
            "error: squared difference to the input, as a share of its variance",
            *_unseen(facts["unseen_test_pictures"], facts["split_seed"]),
            f"model     {folder.model}",
            f"pictures  {folder.plots}",
            f"next      alexnet train PRESET --init-from {folder.model}",
        ]
    )


def _unseen(pictures: int, seed: int) -> list[str]:
    """What keeps the test pictures unseen in the training that follows."""
    if not pictures:
        return []
    return [
        f"unseen    {pictures:,} test pictures: train with --seed {seed} or --split-seed {seed}, "
        "unless the data set has its own split"
    ]
