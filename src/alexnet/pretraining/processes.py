"""What a pretraining by several processes needs: their number, one folder, and restarts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from alexnet.errors import UsageError
from alexnet.parallel.world import current_world
from alexnet.pretraining.recipe import PretrainRecipe, read_pretrain_recipe, recipe_to_json
from alexnet.pretraining.records import PretrainReporter
from alexnet.pretraining.setup import PretrainingSetup
from alexnet.runtime.environment import describe_environment
from alexnet.training.processes import begun_run, create_shared_run, job_name
from alexnet.training.run_folder import RunFolder


def with_devices(recipe: PretrainRecipe, reporter: PretrainReporter) -> PretrainRecipe:
    """The recipe with the actual number of processes.

    Raises:
        UsageError: this process is alone, and the recipe is for several.
    """
    wanted, size = recipe.devices, current_world().size
    if wanted > 1 and size == 1:
        raise UsageError(
            f"--devices {wanted} needs {wanted} processes: start them with alexnet pretrain "
            f"{recipe.kind} --devices {wanted}, or with torchrun --nproc-per-node {wanted} "
            f"-m alexnet pretrain {recipe.kind}"
        )
    if wanted not in (1, size):
        reporter.note(f"{size} processes pretrain together, not the {wanted} of the recipe")
    return replace(recipe, devices=size)


def folder_to_go_on(recipe: PretrainRecipe, out: Path | None) -> Path | None:
    """The run that this torchrun job has begun with the same recipe; None if there is none."""

    def is_the_one(folder: RunFolder) -> bool:
        if folder.job() != job_name() or not folder.config.exists():
            return False
        return replace(read_pretrain_recipe(folder.config), devices=1) == alone

    alone = replace(recipe, devices=1)
    return begun_run(f"{recipe.name}-{recipe.kind}", out, is_the_one)


def create_folder(setup: PretrainingSetup, out: Path | None) -> RunFolder:
    """Create the run folder in the process of rank 0; its name is numbered if `out` is None."""
    recipe, environment = setup.recipe, describe_environment(setup.device, setup.world.size)
    name = f"{recipe.name}-{recipe.kind}"
    return create_shared_run(name, recipe_to_json(recipe), environment, out)
