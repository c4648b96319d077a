"""Training: one loop that reads as the algorithm, and what it needs to be stopped and to go on.

Everything random is a function of (seed, step), so a run that was stopped and resumed ends in the
same bits.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from alexnet.augment import cut_mix
from alexnet.checkpoint import load_model
from alexnet.data.batches import Batch
from alexnet.environment import Environment, describe_environment
from alexnet.errors import DivergedError, ModelFileError, TrainingError, UsageError
from alexnet.evaluation import Evaluation, evaluate
from alexnet.job import Job, make_ready, with_whole_paths
from alexnet.metrics import describe_updates
from alexnet.network import Network
from alexnet.optim import rate_at, set_rate
from alexnet.precision import autocast
from alexnet.recipe import Recipe
from alexnet.records import EpochRecord, LayerUpdate, Reporter, Silent, StepReport
from alexnet.results import write_results
from alexnet.runs import RunFolder, create_run, free_run_path, read_recipe
from alexnet.state import Progress, Saver, Sums, added, load_state, save_current, save_last
from alexnet.values import to_plain

BITS = ("alexnet", "torch", "processor", "threads", "device")
"""What of the environment decides the bits of a result."""


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run."""

    folder: RunFolder
    history: tuple[EpochRecord, ...]
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
    """
    reporter = reporter or Silent()
    recipe = with_whole_paths(recipe)
    path = Path(out) if out else free_run_path(Path("runs"), recipe.name)
    if path.exists():
        raise UsageError(
            f"{path} exists; choose another --out, or go on with it by --resume {path}"
        )
    job = make_ready(recipe, reporter)
    folder = create_run(path, recipe, describe_environment(job.device))
    return _finish(job, Progress(), folder, reporter)


def resume(path: str | Path, *, reporter: Reporter | None = None) -> Run:
    """Go on with a stopped run; it ends in the same bits as one that was never stopped.

    Raises:
        ModelFileError: not a run folder, or a damaged one.
        TrainingError: the run has ended already.
    """
    reporter = reporter or Silent()
    folder = RunFolder(Path(path))
    if not folder.config.is_file():
        raise ModelFileError(f"{path} is not a run folder: it has no config.json")
    if folder.result.exists():
        raise TrainingError(f"{path} has ended already; its model is {folder.model}")
    has_state = folder.state.exists()
    job = make_ready(read_recipe(folder.config), reporter, is_begun=has_state)
    note_other_environment(folder, describe_environment(job.device), reporter)
    progress = load_state(job, folder) if has_state else Progress()
    folder.clear_leftovers()
    folder.write_metrics(progress.history)
    reporter.note(f"going on after step {progress.step} of {job.total_steps}")
    return _finish(job, progress, folder, reporter)


def note_other_environment(folder: RunFolder, now: Environment, reporter: Reporter) -> None:
    """Say what is not as it was when the run began, since other bits may follow."""
    then, here = folder.read_environment(), to_plain(now)
    changed = [f"{k} {then[k]} -> {here[k]}" for k in BITS if k in then and then[k] != here[k]]
    if changed:
        reporter.note(f"the result may differ in its last bits: {', '.join(changed)}")


def _finish(job: Job, progress: Progress, folder: RunFolder, reporter: Reporter) -> Run:
    reporter.note(f"run folder {folder.path}")
    try:
        fit(job, progress, folder, reporter)
    except KeyboardInterrupt:
        reporter.note(f"stopped; go on with: alexnet train --resume {folder.path}")
        raise
    if job.held_out == "val":
        save_last(job, progress, folder)
        weights, _, _ = load_model(folder.model)
        job.network.load_state_dict(weights)
    test = job.splits.test
    evaluation = evaluate(job.classifier(), job.store, test) if len(test) else None
    save_current(job, progress, folder, evaluation)
    write_results(job, progress.history, evaluation, folder)
    folder.state.unlink(missing_ok=True)
    return Run(folder, tuple(progress.history), evaluation)


def fit(job: Job, progress: Progress, folder: RunFolder, reporter: Reporter) -> None:
    """Train from where `progress` is to the last step; after each epoch evaluate, record, save.

    Raises:
        DivergedError: a loss is not finite.
    """
    saver = Saver(job, folder)
    while progress.step < job.total_steps and not has_arrived(job.recipe, progress.history):
        epoch = progress.step // job.batches.steps_per_epoch
        clock = Clock()
        rate, moves = train_epoch(job, progress, epoch, clock, saver, reporter)
        record = epoch_record(job, progress, epoch, rate, clock, moves)
        check_finite(record)
        note_if_stuck(job, progress.history, record, reporter)
        progress.history.append(record)
        progress.sums = Sums()
        folder.add_metrics(record)
        reporter.epoch(record)
        if job.held_out == "val" and is_best(progress.errors()):
            save_current(job, progress, folder)
        saver.save_if_due(progress)
    if has_arrived(job.recipe, progress.history):
        reporter.note(f"ended after epoch {len(progress.history)}: --stop-at-train-error")


def has_arrived(recipe: Recipe, history: Sequence[EpochRecord]) -> bool:
    """Whether the last epoch's training error is low enough for the run to end there."""
    return bool(history) and history[-1].train_top1_error <= recipe.stop_at_train_error > 0


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
    for pixels, labels in clock.timed(job.batches.epoch(epoch, progress.step % steps_per_epoch)):
        images = torch.from_numpy(pixels).to(job.device)
        targets = torch.from_numpy(labels).to(job.device)
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
        loss, logits, is_mixed = train_step(job, images, targets, progress.step, rate)
        progress.sums = added(progress.sums, loss, logits, targets, is_mixed)
        progress.step += 1
        reporter.step(step_report(job, progress, epoch, len(labels)))
        if progress.step < last_step:
            saver.save_if_due(progress)
    return rate, updates(before, job.network)


def train_step(
    job: Job, pixels: Tensor, labels: Tensor, step: int, rate: float
) -> tuple[Tensor, Tensor, bool]:
    """One update: views -> network -> loss -> stop if it is not finite -> backward -> step.

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
        DivergedError: the loss is not finite; nothing has been updated.
    """
    recipe = job.recipe
    generator = torch.Generator(job.device).manual_seed(random_seed(recipe.seed, "views", step))
    torch.manual_seed(random_seed(recipe.seed, "dropout", step))
    views = job.augmenter(pixels, generator, epoch=step // job.batches.steps_per_epoch)
    share, classes = recipe.augment.cut_mix, len(job.info.classes)
    views, targets, is_mixed = cut_mix(views, labels, classes, share, generator)
    with autocast(job.device, recipe.precision):
        logits = job.network(views)
    loss = F.cross_entropy(logits.float(), targets, label_smoothing=recipe.label_smoothing)
    if not torch.isfinite(loss):
        raise DivergedError(
            f"the loss is {loss.item()} at step {step + 1}; no weight was updated: "
            f"try a lower --rate than {recipe.optimizer.rate:g}, or a longer --warmup-epochs"
        )
    job.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    set_rate(job.optimizer, rate, job.slow_rate(step // job.batches.steps_per_epoch))
    job.optimizer.step()
    return loss.detach(), logits.detach(), is_mixed


def random_seed(seed: int, purpose: str, step: int) -> int:
    """A generator's seed: 63 bits of a hash, so that neighbours share nothing."""
    digest = hashlib.blake2b(f"{seed} {purpose} {step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


class Clock:
    """Splits an epoch's time into waiting for data and the rest."""

    def __init__(self) -> None:
        self.waiting_seconds = 0.0
        self.training_seconds = 0.0
        self.images = 0
        self.began = time.perf_counter()

    def timed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches, with the time taken to get each added up."""
        while True:
            asked = time.perf_counter()
            batch = next(batches, None)
            self.waiting_seconds += time.perf_counter() - asked
            if batch is None:
                break
            self.images += len(batch[1])
            yield batch
        self.training_seconds = time.perf_counter() - self.began


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


def epoch_record(
    job: Job,
    progress: Progress,
    epoch: int,
    rate: float,
    clock: Clock,
    layers: tuple[LayerUpdate, ...],
) -> EpochRecord:
    """The epoch's figures, with the held-out pictures evaluated now."""
    sums = progress.sums
    held = (
        evaluate(job.classifier(), job.store, job.splits.rows(job.held_out))
        if job.held_out
        else None
    )
    return EpochRecord(
        epoch=epoch + 1,
        step=progress.step,
        rate=rate,
        layers=layers,
        train_loss=sums.mean_loss,
        train_top1_error=sums.top1_error,
        train_top5_error=sums.top5_error,
        held_out=job.held_out,
        held_out_loss=held.loss if held else -1.0,
        held_out_top1_error=held.top1_error if held else -1.0,
        held_out_top5_error=held.top5_error if held else -1.0,
        images_per_second=clock.images / clock.training_seconds,
        waiting_share=clock.waiting_seconds / clock.training_seconds,
        elapsed_seconds=time.perf_counter() - clock.began,
    )


def check_finite(record: EpochRecord) -> None:
    """Stop where the last update broke the weights, which no training loss has seen yet.

    Raises:
        DivergedError: a weight or the held-out loss is not finite.
    """
    broken = [layer.name for layer in record.layers if not math.isfinite(layer.weight)]
    if broken or not math.isfinite(record.held_out_loss):
        what = broken[0] if broken else f"the {record.held_out} loss"
        raise DivergedError(f"{what} is not finite after step {record.step}; try a lower --rate")


def is_best(errors: list[float]) -> bool:
    """Whether the last error is below all before it."""
    return errors[-1] < min(errors[:-1], default=math.inf)


def note_if_stuck(
    job: Job, history: list[EpochRecord], record: EpochRecord, reporter: Reporter
) -> None:
    """Say so when the loss stays at ln(classes), that of knowing nothing, for three epochs."""
    chance = math.log(len(job.info.classes))
    recent = [*history, record]
    if len(recent) == 3 and all(abs(r.train_loss - chance) < 0.01 * chance for r in recent):
        reporter.note(
            f"the loss has stayed at {record.train_loss:.3f}, "
            f"about ln({len(job.info.classes)}) = {chance:.3f}, which is chance; the usual causes "
            "are a learning rate that is too high or too low "
            f"(--rate {job.recipe.optimizer.rate:g}), first weights that are too small for this "
            "depth (--norm batch, or another --arch), or shuffled labels"
        )
