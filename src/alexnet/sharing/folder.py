"""Write the folder of a run that is shared: model, recipe, model card, plots."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from alexnet.checkpoints.model_file import ModelInfo, load_model, save_model
from alexnet.config.recipe_values import without_folders
from alexnet.config.serialization import to_json
from alexnet.errors import UsageError
from alexnet.io.files import remove_folder, rename, write_text
from alexnet.io.hub import HEAD_FILE, MODEL_FILE, PREFIX, parse_address
from alexnet.io.text import shell_command
from alexnet.reports.stored_run import StoredRun, read_run
from alexnet.runtime.extras import require_extra
from alexnet.sharing.card import CardContent, card_text, check_license
from alexnet.sharing.examples import Example, write_examples
from alexnet.sharing.weights import save_head, to_half
from alexnet.training.run_folder import RunFolder

PLOTS = ("confusion", "reliability", "learning_curves", "filters")
"""Plots of a run that show no image of the data."""
FOLDER = "share"
"""Name of the folder in the run folder, unless another one is given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ShareOptions:
    """Options of the folder of a run that is shared."""

    license: str
    """License of the weights: an identifier such as "mit"."""
    half: bool = False
    """Whether weights are written in float16."""
    trunk: str = ""
    """"torchvision" or "hf:OWNER/NAME", whose weights are left out; "" for a whole model."""
    examples: int = 0
    """Number of images of the evaluated split, which become public."""


def write_folder(
    run: Path, repository: str, options: ShareOptions, out: Path | None = None
) -> Path:
    """Write a finished run as a folder to share, which `alexnet.load` reads, too.

    Args:
        run: the run folder.
        repository: "OWNER/NAME", for the card.
        options: options of the folder.
        out: the folder to write; None for `share` in the run folder, which is replaced.

    Raises:
        UsageError: the run has not finished, `out` exists, the licence is missing, the trunk is
            in the same repository, or the options do not fit the run.
        ModelFileError: the model is damaged.
    """
    require_extra("huggingface_hub", "hub", "a model card")
    check_license(options.license)
    _check_trunk(options.trunk, repository)
    stored = read_run(run)
    if not stored.result:
        command = shell_command(["alexnet", "train", "--resume", str(run)])
        raise UsageError(f"{run} has not finished; resume it with: {command}")
    target = out or run / FOLDER
    if out and out.exists():
        raise UsageError(f"{out} exists already; remove it or choose another folder")
    temp = target.with_name(f".{target.name}.tmp")
    remove_folder(temp)
    try:
        temp.mkdir(parents=True)
        _fill(temp, stored, repository, options)
        remove_folder(target)
        rename(temp, target)
    finally:
        remove_folder(temp)
    return target


def _check_trunk(trunk: str, repository: str) -> None:
    """Reject a trunk in the same repository, where the head would replace it."""
    if trunk.startswith(PREFIX):
        address = parse_address(trunk)
        if f"{address.owner}/{address.name}" == repository:
            raise UsageError(
                f"--head-only {trunk} is in the repository that is pushed to, where the head would "
                "replace it; push to another one"
            )


def _fill(folder: Path, run: StoredRun, repository: str, options: ShareOptions) -> None:
    info = _write_model(folder, RunFolder(run.path), options)
    write_text(folder / "config.json", to_json(info.recipe) + "\n")
    examples: list[Example] = []
    if options.examples:
        examples = write_examples(run, folder, options.examples)
    content = CardContent(
        run=run,
        info=info,
        repository=repository,
        license=options.license,
        plots=_copy_plots(RunFolder(run.path), folder),
        examples=examples,
        half=options.half,
        trunk=options.trunk,
        head_file=HEAD_FILE,
    )
    write_text(folder / "README.md", card_text(content))


def _write_model(folder: Path, run: RunFolder, options: ShareOptions) -> ModelInfo:
    """Write the weights, and return their header, which has no paths on this machine."""
    weights, info, mean_image = load_model(run.model)
    info = replace(info, recipe=without_folders(info.recipe))
    if options.trunk:
        head = folder / HEAD_FILE
        save_head(head, weights, info, mean_image, options.trunk, half=options.half)
    else:
        weights = to_half(weights) if options.half else weights
        save_model(folder / MODEL_FILE, weights, info, mean_image)
    return info


def _copy_plots(run: RunFolder, folder: Path) -> list[str]:
    found = [name for name in PLOTS if (run.plots / f"{name}.png").is_file()]
    if found:
        (folder / "plots").mkdir()
    for name in found:
        shutil.copyfile(run.plots / f"{name}.png", folder / "plots" / f"{name}.png")
    return found
