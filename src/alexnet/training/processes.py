"""What training by several processes needs: their number, one run folder, and restarts."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from glob import escape
from pathlib import Path

from alexnet.config.recipe import Recipe
from alexnet.errors import UsageError
from alexnet.parallel.world import current_world
from alexnet.reporter import Reporter
from alexnet.runtime.environment import Environment, describe_environment
from alexnet.training.run_folder import (
    RunFolder,
    config_text,
    create_numbered_run,
    create_run,
    read_run_recipe,
)
from alexnet.training.setup import TrainingSetup

JOB, UNNAMED = "TORCHELASTIC_RUN_ID", "none"
"""Environment variable of torchrun's --rdzv-id, and its value without that flag."""
RESTARTS = "TORCHELASTIC_RESTART_COUNT"
"""Environment variable of torchrun: how often it has started the processes again after a
failure."""


def with_devices(recipe: Recipe, reporter: Reporter) -> Recipe:
    """The recipe with the actual number of processes.

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
    """Reject model parallelism if this process is alone.

    Raises:
        UsageError: says what to add.
    """
    scheme = recipe.distributed.parallel
    if size == 1 and scheme != "data":
        raise UsageError(
            f"--parallel {scheme} needs several processes: add --devices 2, or use --parallel data"
        )


def at_size(recipe: Recipe, size: int) -> Recipe:
    """The recipe for this number of processes."""
    return replace(recipe, distributed=replace(recipe.distributed, devices=size))


def job_name() -> str:
    """The name of this torchrun job; "" without torchrun.

    torchrun calls all jobs "none" that have no --rdzv-id; then it is the program itself, by number.
    """
    name = os.environ.get(JOB, "")
    return f"process {os.getppid()} on {socket.gethostname()}" if name == UNNAMED else name


def folder_to_go_on(recipe: Recipe, out: Path | None) -> Path | None:
    """The run that this job of torchrun has begun with the same recipe; None if there is none."""
    return begun_run(recipe.name, out, lambda folder: is_of_this_job(folder, recipe))


def begun_run(name: str, out: Path | None, is_the_one: Callable[[RunFolder], bool]) -> Path | None:
    """The run that this job of torchrun has begun by the same command; None if there is none.

    torchrun starts all processes again when one has failed, or when hosts have come or gone, by the
    same command. Without `out` it is the newest run in the folder runs.
    """
    if JOB not in os.environ:
        return None
    world, path = current_world(), None
    is_again = world.any_rank(os.environ.get(RESTARTS, "0") != "0")
    if world.is_main and (is_again or os.environ[JOB] != UNNAMED):
        found = [out] if out else numbered_runs(Path("runs"), name)
        path = next((path for path in found if is_the_one(RunFolder(path))), None)
    return world.broadcast_object(path)


def numbered_runs(parent: Path, name: str) -> list[Path]:
    """The runs that were numbered, NAME-001 and so on, newest first."""
    found = parent.glob(f"{escape(name)}-*")
    return sorted(found, key=lambda path: (len(path.name), path), reverse=True)


def is_of_this_job(folder: RunFolder, recipe: Recipe) -> bool:
    """Whether this job of torchrun has begun a run, with the same recipe; it may have finished."""
    if folder.job() != job_name() or not folder.config.exists():
        return False
    return at_size(read_run_recipe(folder), 1) == at_size(recipe, 1)


def check_is_new(out: str | Path) -> None:
    """Reject a run folder that exists; "" is accepted and leaves the choice open.

    The process of rank 0 looks, before it creates the folder: another might look after that.

    Raises:
        UsageError: says how to resume the run in it.
    """
    path = Path(out)
    if not out or not current_world().broadcast_object(path.exists()):
        return
    resume_command = (
        f", or resume it with --resume {out}" if RunFolder(path).config.exists() else ""
    )
    raise UsageError(f"{out} exists; choose another --out{resume_command}")


def create_folder(setup: TrainingSetup, out: Path | None) -> RunFolder:
    """Create the run folder in the process of rank 0; its name is numbered if `out` is None."""
    environment = describe_environment(setup.device, setup.world.size)
    return create_shared_run(setup.recipe.name, config_text(setup.recipe), environment, out)


def create_shared_run(
    name: str, config: str, environment: Environment, out: Path | None
) -> RunFolder:
    """Create a run folder for all processes, in the process of rank 0.

    Args:
        name: of the recipe; the folder is numbered if `out` is None.
        config: the content of `config.json`.
        environment: of this process.
        out: the run folder.
    """
    world, job, path = current_world(), job_name(), out
    if world.is_main and out:
        create_run(out, config, environment, job)
    elif world.is_main:
        path = create_numbered_run(Path("runs"), name, config, environment, job).path
    return RunFolder(world.broadcast_object(path) or Path())
