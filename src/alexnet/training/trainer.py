"""Training: one loop that reads as the algorithm, and what it needs to be stopped and to go on.

Everything random is a function of (seed, step), so a run that was stopped and resumed ends in the
same bits.
"""

from __future__ import annotations

import hashlib
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils import get_total_norm

from alexnet.checkpoints.model_file import load_model
from alexnet.config.recipe import Recipe
from alexnet.config.serialization import to_plain
from alexnet.errors import DivergedError, TrainingError, UsageError
from alexnet.evaluation.evaluator import Evaluation
from alexnet.evaluation.metrics import describe_updates
from alexnet.models.network import Network
from alexnet.records import (
    EpochRecord,
    EpochTimes,
    LastStep,
    LayerUpdate,
    Reporter,
    Silent,
    StepReport,
)
from alexnet.runtime.device import autocast
from alexnet.runtime.environment import Environment, describe_environment
from alexnet.runtime.signals import Stopped, StopRequest
from alexnet.training.checkpointing import (
    Saver,
    best_scores,
    newest_state,
    put_back,
    save_current,
    save_last,
)
from alexnet.training.epoch import (
    check_weights,
    epoch_record,
    has_ended,
    is_best,
    judged,
    note_if_stuck,
)
from alexnet.training.optimizers import rate_at, set_rate
from alexnet.training.results import write_results
from alexnet.training.run_folder import RunFolder, create_numbered_run, create_run, read_own_recipe
from alexnet.training.setup import Job, make_ready, with_whole_paths
from alexnet.training.state import Progress, added
from alexnet.training.timer import Clock
from alexnet.transforms.augment import cut_mix

BITS = ("alexnet", "torch", "processor", "threads", "kernels", "device")
"""What of the environment decides the bits of a result."""


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run."""

    folder: RunFolder
    history: tuple[EpochRecord, ...]
    times: tuple[EpochTimes, ...]
    evaluation: Evaluation | None
    """Of the final model on the test split; None when there are no test pictures."""


def train(recipe: Recipe, *, out: str | Path = "", reporter: Reporter | None = None) -> Run:
    """Train as a recipe says, into a new run folder.

    Args:
        recipe: what to do; `alexnet.preset(name)` gives the ones that ship.
        out: the run folder; `runs/<preset>-<number>` unless given.
        reporter: told what happens.

    Raises:
        AlexNetError: the recipe, the data or the weights cannot work, or the loss is not finite.
        Stopped: SIGINT or SIGTERM came; the state is saved.
    """
    reporter = reporter or Silent()
    recipe = with_whole_paths(recipe)
    if out and Path(out).exists():
        is_run = RunFolder(Path(out)).config.exists()
        way_on = f", or go on with it by --resume {out}" if is_run else ""
        raise UsageError(f"{out} exists; choose another --out{way_on}")
    job = make_ready(recipe, reporter)
    environment = describe_environment(job.device)
    folder = (
        create_run(Path(out), recipe, environment)
        if out
        else create_numbered_run(Path("runs"), recipe, environment)
    )
    with folder.locked():
        return _train_to_the_end(job, Progress(), folder, reporter)


def resume(path: str | Path, *, reporter: Reporter | None = None) -> Run:
    """Go on with a stopped run; it ends in the same bits as one that was never stopped.

    Raises:
        ModelFileError: not a run folder, or a damaged one.
        TrainingError: the run has ended already, or another process trains it.
        Stopped: SIGINT or SIGTERM came; the state is saved.
    """
    reporter = reporter or Silent()
    folder = RunFolder(Path(path))
    recipe = read_own_recipe(folder)
    with folder.locked():
        if folder.result.exists():
            folder.clear_states()
            raise TrainingError(f"{path} has ended already; its model is {folder.model}")
        job, progress = _take_up(recipe, folder, reporter)
        return _train_to_the_end(job, progress, folder, reporter)


def _take_up(recipe: Recipe, folder: RunFolder, reporter: Reporter) -> tuple[Job, Progress]:
    """Everything as it was at the newest whole state; at the beginning where there is none."""
    state = newest_state(folder, recipe, reporter)
    job = make_ready(recipe, reporter, is_begun=state is not None)
    note_other_environment(folder, describe_environment(job.device), reporter)
    progress = put_back(job, state, folder) if state else Progress()
    folder.clear_leftovers()
    folder.write_epochs(progress.history, progress.times)
    place = f"going on after step {progress.step} of {job.total_steps}"
    reporter.note(place if state else "no state is saved; beginning with the first step")
    return job, progress


def note_other_environment(folder: RunFolder, now: Environment, reporter: Reporter) -> None:
    """Say what is not as it was when the run began, since other bits may follow."""
    then, here = folder.read_environment(), to_plain(now)
    changed = [f"{k} {then[k]} -> {here[k]}" for k in BITS if k in then and then[k] != here[k]]
    if changed:
        reporter.note(f"the result may differ in its last bits: {', '.join(changed)}")
    if not then:
        reporter.note(
            f"{folder.path / 'environment.json'} is lost or damaged, so it is not known whether "
            "the run began on this machine, with these versions and threads"
        )


def _train_to_the_end(job: Job, progress: Progress, folder: RunFolder, reporter: Reporter) -> Run:
    reporter.note(f"run folder {folder.path}")
    stop = StopRequest()
    saver = Saver(job, folder, stop, (progress.step, len(progress.history)))
    try:
        with stop.listening():
            fit(job, progress, saver, reporter)
            return _finish(job, progress, saver)
    except Stopped:
        raise
    except KeyboardInterrupt as error:
        message = f"stopped at once; go on from step {saver.saved[0]:,} with: {folder.way_on}"
        raise Stopped(message, signal.SIGINT) from error
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else error
        raise TrainingError(f"{what}; put that right and go on with: {folder.way_on}") from error


def _finish(job: Job, progress: Progress, saver: Saver) -> Run:
    """Evaluate and write the model of the run; may be broken off and done again at any point."""
    folder, scores = saver.folder, best_scores(progress.history)
    if job.held_out == "val":
        save_last(job, progress, folder)
        weights, info, _ = load_model(folder.model)
        scores = info.scores
        job.network.load_state_dict(weights)
    evaluation = judged(job, job.splits.test, saver, progress)
    if evaluation:
        scores = replace(
            scores,
            test_top1_error=evaluation.top1_error,
            test_top5_error=evaluation.top5_error,
        )
    save_current(job, scores, folder)
    write_results(job, progress, evaluation, folder)
    folder.clear_states()
    return Run(folder, tuple(progress.history), tuple(progress.times), evaluation)


def fit(job: Job, progress: Progress, saver: Saver, reporter: Reporter) -> None:
    """Train from where `progress` is to the last step; after each epoch evaluate, record, save.

    Raises:
        DivergedError: a loss or a weight is not finite.
        Stopped: a signal has asked to stop; the state is saved.
    """
    folder = saver.folder
    while not has_ended(job.recipe, progress.history):
        epoch = len(progress.history)
        if not progress.has_trained_epoch(job.batches.steps_per_epoch):
            rate, moves = train_epoch(job, progress, epoch, progress.clock, saver, reporter)
            progress.last_step = LastStep(rate=rate, layers=moves)
            check_weights(progress)
            saver.save_if_due(progress)
        record = epoch_record(job, progress, saver)
        note_if_stuck(job, progress.history, record, reporter)
        times = progress.end_epoch(record)
        folder.add_epoch(record, times)
        reporter.epoch(record, times)
        if job.held_out == "val" and is_best(progress.errors()):
            save_current(job, best_scores(progress.history), folder)
        saver.save_if_due(progress)
    saver.save(progress)
    if len(progress.history) < job.recipe.epochs:
        reporter.note(f"ended after epoch {len(progress.history)}: --stop-at-train-error")


def train_epoch(
    job: Job, progress: Progress, epoch: int, clock: Clock, saver: Saver, reporter: Reporter
) -> tuple[float, tuple[LayerUpdate, ...]]:
    """The training loop: the steps of one epoch that are not done yet.

    Returns:
        The last step's rate, and how far it moved every weight.
    """
    recipe, steps_per_epoch = job.recipe, job.batches.steps_per_epoch
    errors, last_step = progress.errors(), (epoch + 1) * steps_per_epoch
    rate, before = 0.0, dict[str, Tensor]()
    job.freeze(epoch)
    job.network.train()
    for pixels, labels in clock.timed(job.feed.epoch(epoch, progress.step % steps_per_epoch)):
        rate = rate_at(
            recipe.schedule,
            recipe.optimizer.rate,
            progress.step,
            steps_per_epoch,
            job.total_steps,
            errors,
        )
        if progress.step + 1 == last_step:
            before = snapshot(job.network)
        loss, logits, is_mixed = train_step(job, pixels, labels, progress.step, rate)
        progress.sums = added(progress.sums, loss, logits, labels, is_mixed)
        progress.step += 1
        reporter.step(step_report(job, progress, epoch, len(labels)))
        if progress.step < last_step:
            saver.save_if_due(progress)
    return rate, updates(before, job.network)


def train_step(
    job: Job, pixels: Tensor, labels: Tensor, step: int, rate: float
) -> tuple[Tensor, Tensor, bool]:
    """One update: views -> network -> loss -> backward -> stop if not finite -> step.

    Args:
        job: holds the network and the optimizer, which change.
        pixels: uint8 [B, S, S, 3].
        labels: int64 [B].
        step: counted from 0; decides crops, colours and dropout together with the seed.
        rate: learning rate.

    Returns:
        The loss and the logits [B, classes], both before the update, and whether pictures were
        mixed, so that no label is right alone.

    Raises:
        DivergedError: the loss or a gradient is not finite; nothing has been updated.
    """
    recipe = job.recipe
    generator = torch.Generator(job.device).manual_seed(random_seed(recipe.seed, "views", step))
    torch.manual_seed(random_seed(recipe.seed, "dropout", step))
    views = job.augmenter(pixels, generator, epoch=step // job.batches.steps_per_epoch)
    share, classes = recipe.augment.cut_mix, len(job.info.classes)
    views, targets, is_mixed = cut_mix(views, labels, classes, share, generator)
    set_rate(job.optimizer, rate, job.slow_rate(step // job.batches.steps_per_epoch))
    loss, logits = update(job.network, job.optimizer, views, targets, recipe, step)
    return loss, logits, is_mixed


def update(
    network: Network,
    optimizer: torch.optim.Optimizer,
    views: Tensor,
    targets: Tensor,
    recipe: Recipe,
    step: int = 0,
) -> tuple[Tensor, Tensor]:
    """Forward, backward and one move of the weights, unless something is not finite.

    Args:
        network: changes.
        optimizer: changes.
        views: preprocessed images [B, C, H, W].
        targets: int64 [B], or shares of the classes [B, classes].
        recipe: gives the precision and the smoothing of labels.
        step: named where it fails.

    Returns:
        The loss and the logits [B, classes] before the move.

    Raises:
        DivergedError: the loss or a gradient is not finite; nothing has been updated.
    """
    with autocast(views.device, recipe.precision):
        logits = network(views)
    loss = F.cross_entropy(logits.float(), targets, label_smoothing=recipe.label_smoothing)
    if not torch.isfinite(loss):
        raise DivergedError(
            f"the loss is {loss.item()} at step {step + 1}; no weight was updated: "
            f"try a lower --rate than {recipe.optimizer.rate:g}, or a longer --warmup-epochs"
        )
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    check_gradients(network, step)
    optimizer.step()
    return loss.detach(), logits.detach()


def check_gradients(network: Network, step: int) -> None:
    """Stop before an update that would break the weights; `step` counts from 0.

    Raises:
        DivergedError: a gradient is not finite.
    """
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    if not torch.isfinite(get_total_norm(gradients.values())):
        broken = [name for name, g in gradients.items() if not g.isfinite().all()]
        raise DivergedError(
            f"the gradient of {broken[0] if broken else 'all weights together'} is not finite at "
            f"step {step + 1}; no weight was updated: try a lower --rate, or --precision float32"
        )


def random_seed(seed: int, purpose: str, step: int) -> int:
    """A generator's seed: 63 bits of a hash, so that neighbours share nothing."""
    digest = hashlib.blake2b(f"{seed} {purpose} {step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def step_report(job: Job, progress: Progress, epoch: int, images: int) -> StepReport:
    """What a progress bar shows."""
    sums = progress.sums
    return StepReport(
        step=progress.step,
        total_steps=job.total_steps,
        epoch=epoch + 1,
        loss=sums.mean_loss,
        top1_error=sums.top1_error,
        images=images,
    )


def snapshot(network: Network) -> dict[str, Tensor]:
    """Copies of the weights that learn (biases and batch-norm vectors are left out)."""
    return {
        name: p.detach().clone()
        for name, p in network.named_parameters()
        if p.requires_grad and p.ndim > 1
    }


def updates(before: dict[str, Tensor], network: Network) -> tuple[LayerUpdate, ...]:
    """How far the last update moved every weight."""
    after = dict(network.named_parameters())
    moves = describe_updates(before, {name: after[name].detach() for name in before})
    return tuple(LayerUpdate(name=name, **move) for name, move in moves.items())
