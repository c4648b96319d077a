"""What a run needs where several processes train it: their number, one folder, and restarts."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from alexnet.config.recipe import Recipe
from alexnet.errors import UsageError
from alexnet.parallel.world import current_world
from alexnet.reporter import Reporter
from alexnet.runtime.environment import describe_environment
from alexnet.training.run_folder import RunFolder, create_numbered_run, create_run, read_run_recipe
from alexnet.training.setup import TrainingSetup

RESTARTS = "TORCHELASTIC_RESTART_COUNT"
"""Of torchrun: how often it has started the processes again."""


def with_devices(recipe: Recipe, reporter: Reporter) -> Recipe:
    """The recipe with the number of processes that there are.

    Raises:
        UsageError: this process is alone, and the recipe is for several.
    """
    wanted, size = recipe.distributed.devices, current_world().size
    if wanted > 1 and size == 1:
        raise UsageError(
            f"--devices {wanted} needs {wanted} processes: start them with alexnet train "
            f"--devices {wanted}, or with torchrun --nproc-per-node {wanted} -m alexnet train"
        )
    check_scheme(recipe, size)
    if wanted not in (1, size):
        reporter.note(f"{size} processes train together, not the {wanted} of the recipe")
    return at_size(recipe, size)


def check_scheme(recipe: Recipe, size: int) -> None:
    """Reject a network in parts where one process is alone.

    Raises:
        UsageError: says what to add.
    """
    scheme = recipe.distributed.parallel
    if size == 1 and scheme != "data":
        raise UsageError(
            f"--parallel {scheme} needs several processes: add --devices 2, or use --parallel data"
        )


def at_size(recipe: Recipe, size: int) -> Recipe:
    """The recipe for so many processes."""
    return replace(recipe, distributed=replace(recipe.distributed, devices=size))


def folder_to_go_on(recipe: Recipe, out: Path | None) -> Path | None:
    """The run that torchrun has restarted its processes for; None if these are the first.

    Without `out` it is the newest unfinished run of the same recipe that nobody is training.
    """
    world = current_world()
    if os.environ.get(RESTARTS, "0") == "0" or world.size == 1:
        return None
    path = (out or unfinished_run(recipe, Path("runs"))) if world.is_main else None
    path = world.broadcast_object(path)
    return path if path and RunFolder(path).config.exists() else None


def unfinished_run(recipe: Recipe, parent: Path) -> Path | None:
    """The newest run of a recipe that has not finished, and that nobody is training."""
    for path in sorted(parent.glob(f"{recipe.name}-*/config.json"), reverse=True):
        folder = RunFolder(path.parent)
        if folder.result.exists() or folder.is_locked():
            continue
        if at_size(read_run_recipe(folder), 1) == at_size(recipe, 1):
            return folder.path
    return None


def create_folder(setup: TrainingSetup, out: Path | None) -> RunFolder:
    """The new run folder, which the process of rank 0 creates; numbered if `out` is None."""
    recipe, world = setup.recipe, setup.world
    environment = describe_environment(setup.device, world.size)
    path = None
    if world.is_main:
        folder = (
            create_run(out, recipe, environment)
            if out
            else create_numbered_run(Path("runs"), recipe, environment)
        )
        path = folder.path
    return RunFolder(world.broadcast_object(path) or Path())
