"""Training or resuming a run, whichever it needs to be finished."""

from __future__ import annotations

from alexnet import plots
from alexnet.config.recipe import Recipe
from alexnet.errors import DivergedError
from alexnet.io.files import remove_folder
from alexnet.reporter import Reporter
from alexnet.training.run_folder import RunFolder, has_diverged
from alexnet.training.trainer import resume, train


def train_or_resume(
    run: RunFolder, recipe: Recipe, reporter: Reporter, save_plot: plots.SavePlot | None = None
) -> None:
    """Train a run from where it is to its end; one that has finished stays as it is.

    Args:
        run: its folder; one without a recipe was left by a kill, and is made anew.
        recipe: of a run that has not begun.
        reporter: receives notes and progress.
        save_plot: draws and writes a plot; `alexnet.plots.save_plot` unless given.

    Raises:
        DivergedError: the loss or a weight is not finite, or was not in an earlier session.
        AlexNetError: the recipe, the data or the weights cannot work.
        TrainingInterrupted: SIGINT or SIGTERM came; a checkpoint is saved.
    """
    if run.result.exists():
        return
    if has_diverged(run):
        raise DivergedError(run.diverged.read_text("utf-8", "replace").strip())
    if run.config.exists():
        resume(run.path, reporter=reporter, save_plot=save_plot)
    else:
        remove_folder(run.path)
        train(recipe, out=run.path, reporter=reporter, save_plot=save_plot)
