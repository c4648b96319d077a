"""`alexnet train`: a preset, a config file and flags become a recipe, and the recipe a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from alexnet.cli.console import Reporter, percent
from alexnet.cli.flags import parse
from alexnet.config.presets import PRESETS, preset
from alexnet.config.recipe import Recipe
from alexnet.errors import UsageError

if TYPE_CHECKING:
    from alexnet.training.trainer import Run


@dataclass(frozen=True, kw_only=True)
class TrainFlags:
    """Train a network. `alexnet train [PRESET] [flags]`."""

    recipe: Recipe
    config: str = ""
    """JSON file of a recipe, such as a run's config.json; flags win over it."""
    out: str = ""
    """The run folder; runs/NAME-001 and so on unless given."""
    resume: str = ""
    """Go on with the stopped run in this folder; no other flags."""
    json: bool = False
    """Print the result as JSON."""


def run(arguments: Sequence[str]) -> int:
    """Train, then print where the run is and how good the model is."""
    words = list(arguments)
    typed = words.pop(0) if words and not words[0].startswith("-") else ""
    name = typed or "quickstart"
    start = preset(name)
    if config := value_of("--config", words):
        start = read_config(config, start)
    description = (
        f"Train a network. Presets: {', '.join(PRESETS)}. "
        f"The flags below show the values of {name!r}."
    )
    flags = parse(TrainFlags, words, "train", TrainFlags(recipe=start), description)
    from alexnet.training.trainer import resume, train

    with Reporter() as reporter:
        if flags.resume:
            if typed or flags != TrainFlags(recipe=start, resume=flags.resume, json=flags.json):
                raise UsageError("--resume goes on with a run as it is; leave the other words out")
            result = resume(flags.resume, reporter=reporter)
        else:
            result = train(named(flags.recipe, start), out=flags.out, reporter=reporter)
    print(result.folder.result.read_text(encoding="utf-8") if flags.json else _text(result))
    return 0


def read_config(config: str, start: Recipe) -> Recipe:
    """A config file over a preset."""
    from alexnet.training.run_folder import read_recipe

    return read_recipe(Path(config), start)


def named(recipe: Recipe, start: Recipe) -> Recipe:
    """A run on other data than the preset's is called after the data."""
    if recipe.data == start.data or recipe.name != start.name:
        return recipe
    stem = Path(recipe.data).expanduser().resolve().stem
    return replace(recipe, name="".join(c if c.isalnum() or c in "-_" else "_" for c in stem))


def value_of(flag: str, words: Sequence[str]) -> str:
    """What was typed after a flag, before the flags are parsed; "" without it."""
    for i, word in enumerate(words):
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
        if word == flag and i + 1 < len(words):
            return words[i + 1]
    return ""


def _text(result: Run) -> str:
    folder, evaluation = result.folder, result.evaluation
    minutes = sum(t.elapsed_seconds for t in result.times) / 60
    lines = [f"trained {len(result.history)} epochs in {minutes:.1f} min"]
    if evaluation:
        lines.append(
            f"test error {percent(evaluation.top1_error)} "
            f"(accuracy {percent(evaluation.accuracy)}) on {evaluation.num_images:,} pictures"
        )
        chosen = result.history[-1].eval_split == "val"
        lines.append(
            "the model is the best epoch by validation error"
            if chosen
            else "the model is the last epoch: "
            "without validation pictures nothing was chosen by the test"
        )
    return "\n".join([*lines, f"model     {folder.model}", f"pictures  {folder.plots}"])
