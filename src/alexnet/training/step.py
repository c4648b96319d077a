"""One training step: augment, forward, loss, backward, update."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_

from alexnet.config.recipe import Recipe
from alexnet.errors import DivergedError
from alexnet.models.network import Network
from alexnet.ops.bf16_gradients import gradient_norm
from alexnet.parallel.data_parallel import (
    average_running_statistics,
    exchanging,
)
from alexnet.parallel.hybrid import HybridNetwork
from alexnet.parallel.network import ParallelNetwork
from alexnet.parallel.world import ALONE, World, current_world
from alexnet.runtime.device import autocast, seed_device
from alexnet.training.loss_scaling import MIN_SCALE, LossScaler, build_loss_scaler
from alexnet.training.micro_batches import dropout_of_rows, micro_batches
from alexnet.training.optimizers import build_optimizer
from alexnet.training.setup import TrainingSetup
from alexnet.transforms.applied import Applied
from alexnet.transforms.augment import Augmenter
from alexnet.transforms.mixing import choose_mixing

if TYPE_CHECKING:
    from alexnet.training.late_check import LateCheck


@dataclass(frozen=True, kw_only=True, eq=False)
class UpdateSetup:
    """What an update changes, and how it is computed: the part of a `TrainingSetup` for `update`.

    Network, optimizer and loss scaler change.
    """

    network: nn.Module
    """A replica (`parallel/data_parallel.py`) in a world of several processes."""
    optimizer: torch.optim.Optimizer
    recipe: Recipe
    """Gives the precision, the label smoothing, and the number of micro-batches."""
    class_weights: Tensor | None = None
    """Factors on the loss [num_classes]; they need class probabilities."""
    world: World = ALONE
    """The processes that the batch is spread over."""
    scaler: LossScaler | None = None
    """Scales the loss in fp16; None in other types."""

    @classmethod
    def of(cls, setup: TrainingSetup) -> UpdateSetup:
        """What `update` needs of a training."""
        return cls(
            network=setup.replica,
            optimizer=setup.optimizer,
            recipe=setup.recipe,
            class_weights=setup.class_weights,
            world=setup.rows_world,
            scaler=setup.loss_scaler,
        )


def set_up_update(network: Network, recipe: Recipe) -> UpdateSetup:
    """What `update` needs of a network that one process trains by itself; a new optimizer."""
    device = next(network.parameters()).device
    return UpdateSetup(
        network=network,
        optimizer=build_optimizer(network, recipe.optimizer),
        recipe=recipe,
        scaler=build_loss_scaler(device, recipe.precision),
    )


def train_step(
    setup: TrainingSetup,
    pixels: Tensor,
    labels: Tensor,
    step: int,
    lr: float,
    late: LateCheck | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """One step: augment -> forward -> loss -> backward -> check -> update.

    Args:
        setup: its network, optimizer and loss scaler change.
        pixels: uint8 [B, S, S, 3]; in a world of several processes as `network_inputs` takes them.
        labels: int64 [B].
        step: counted from 0; with the seed it decides crops, colors and dropout.
        lr: learning rate.
        late: leaves the check to the device, and changes; then nothing is raised here.

    Returns:
        The loss of the batch; the logits of the images that this process computes,
        [n, num_classes]; both before the update. And the targets of these images,
        [n, num_classes], if CutMix or mixup mixed the images.

    Raises:
        DivergedError: the loss or a gradient is not finite; nothing has been updated. In fp16 a
            step with such a gradient is skipped first, as `loss_scaling.py` says.
    """
    images, targets, is_mixed = network_inputs(setup, pixels, labels, step)
    setup.scheduler.set_lr(setup.optimizer, step, lr)
    loss, logits = update(UpdateSetup.of(setup), images, targets, step, late)
    if setup.average:
        setup.average.update(setup.learner, step)
    return loss, logits, setup.own(targets) if is_mixed else None


def network_inputs(
    setup: TrainingSetup, pixels: Tensor, labels: Tensor, step: int
) -> tuple[Tensor, Tensor, bool]:
    """Augment this process's images, and make the targets of the whole batch.

    Everything random is drawn for the whole batch, so an image gets the same in any process.

    Args:
        setup: has the augmentation and the seed.
        pixels: uint8 [n, S, S, 3]: of `own_rows`, or of the whole batch if the recipe mixes images.
        labels: int64 [B], of the whole batch.
        step: counted from 0.

    Returns:
        Images [n, C, H, W]; class probabilities [B, num_classes]; whether images were mixed.
    """
    recipe, augmenter, count = setup.recipe, setup.augmenter, len(labels)
    generator = torch.Generator(setup.device).manual_seed(derive_seed(recipe.seed, "views", step))
    epoch, side = step // setup.steps_per_epoch, augmenter.preprocessing.input_side
    applied = augmenter.choose(count, pixels.shape[1], generator, epoch)
    mixing = choose_mixing(count, side, side, recipe.augment, generator)
    targets = F.one_hot(labels, len(setup.info.class_names)).float()
    world = setup.rows_world
    if world.size == 1:
        images = augmenter.run(pixels, applied)
        others = images[mixing.others] if mixing else images
    else:
        own = setup.own(torch.arange(count, device=labels.device))
        others = mixing.others[own] if mixing else own
        images, others = _run_on_rows(augmenter, pixels, applied, own, others)
    if mixing is None:
        return images, targets, False
    return mixing.images(images, others), mixing.targets(targets), True


def _run_on_rows(
    augmenter: Augmenter, pixels: Tensor, applied: Applied, own: Tensor, others: Tensor
) -> tuple[Tensor, Tensor]:
    """The augmented images of two lists of places in the batch; no image is augmented twice."""
    needed, places = torch.unique(torch.cat([own, others]), return_inverse=True)
    if len(pixels) == len(applied.boxes):
        pixels = pixels[needed]
    images = augmenter.run(pixels, applied.of(needed))
    return images[places[: len(own)]], images[places[len(own) :]]


def update(
    setup: UpdateSetup,
    images: Tensor,
    targets: Tensor,
    step: int = 0,
    late: LateCheck | None = None,
) -> tuple[Tensor, Tensor]:
    """Run forward and backward, and update the weights unless something is not finite.

    Args:
        setup: its network, optimizer and loss scaler change.
        images: augmented and normalized [B, C, H, W]; the rows of this process.
        targets: int64 [B], or class probabilities [B, num_classes], of the whole batch.
        step: counted from 0; with the seed it decides dropout.
        late: leaves the check to the device, and changes; then nothing is raised here.

    Returns:
        The loss of the batch, and the logits of this process's rows, before the update.

    Raises:
        DivergedError: the loss or a gradient is not finite; nothing has been updated. In fp16 a
            step with such a gradient is skipped first, as `loss_scaling.py` says.
    """
    network, optimizer, scaler = setup.network, setup.optimizer, setup.scaler
    optimizer.zero_grad(set_to_none=True)
    loss, logits = add_gradients(setup, images, targets, step)
    if scaler:
        scaler.unscale(network)
    norm = total_norm(network)
    if late:
        late.watch(loss, norm, optimizer)
    is_finite = late is not None or check_finite(setup, loss, norm, step)
    if is_finite:
        clip_norm = setup.recipe.optimizer.clip_norm
        if clip_norm is not None:
            clip_grads_with_norm_(network.parameters(), clip_norm, norm)
        optimizer.step()
    if scaler:
        scaler.end_step(is_skipped=not is_finite)
    average_running_statistics(network, setup.world)
    return loss, logits


def add_gradients(
    setup: UpdateSetup, images: Tensor, targets: Tensor, step: int
) -> tuple[Tensor, Tensor]:
    """Forward and backward, in the recipe's micro-batches; arguments and result as of `update`.

    Every loss is weighted by its part of the images, so that the gradients, which the processes add
    up, are the batch's, times the scale of the loss scaler. Batch norm alone uses the statistics of
    each micro-batch, and of each process.
    """
    network, recipe = setup.network, setup.recipe
    scale = setup.scaler.scale if setup.scaler else 1.0
    count, device = len(targets), images.device
    total, logits = torch.zeros((), device=device), []
    parts = micro_batches(count, recipe, setup.world)
    inputs = torch.split(images, [part.own.stop - part.own.start for part in parts])
    for part, x in zip(parts, inputs, strict=True):
        y = targets[part.own]
        seed_device(device, derive_seed(recipe.seed, "dropout", step))
        with (
            exchanging(network, is_last=part is parts[-1]),
            dropout_of_rows(network, part.own, count),
            autocast(device, recipe.precision),
        ):
            logits.append(network(x))
        mean = mean_loss(logits[-1], y, recipe.label_smoothing, setup.class_weights)
        loss = mean * (len(y) / count)
        (loss * scale).backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    if isinstance(network, HybridNetwork):
        network.sum_gradients()
    (total,) = setup.world.sum_over_ranks(total)
    return total, torch.cat(logits).detach()


def mean_loss(
    logits: Tensor, targets: Tensor, label_smoothing: float, class_weights: Tensor | None
) -> Tensor:
    """Mean cross-entropy of images, of which each has the weight of its class.

    `F.cross_entropy` would weight the smoothed target instead, class by class: a small class's
    share of the smoothing would outweigh an image of a large class.

    Args:
        logits: [n, num_classes].
        targets: int64 [n], or class probabilities [n, num_classes].
        label_smoothing: share of the target that all classes have in equal parts.
        class_weights: [num_classes]; they need class probabilities.
    """
    if class_weights is None or not label_smoothing:
        return F.cross_entropy(logits, targets, class_weights, label_smoothing=label_smoothing)
    weighted = targets * class_weights
    even = weighted.sum(1, keepdim=True) / weighted.shape[1]
    return F.cross_entropy(logits, (1 - label_smoothing) * weighted + label_smoothing * even)


def total_norm(network: nn.Module) -> Tensor:
    """The norm of all gradients together, after the backward pass."""
    if isinstance(network, ParallelNetwork):
        return network.gradient_norm()
    return gradient_norm(p.grad for p in network.parameters() if p.grad is not None)


def check_finite(setup: UpdateSetup, loss: Tensor, norm: Tensor, step: int) -> bool:
    """Raise DivergedError before an update by a loss or a gradient that is not finite.

    Both are asked for at once, since a GPU has nothing to do until the host knows the answer.

    Args:
        setup: its network is as after the backward pass.
        loss: of the batch.
        norm: of all gradients together.
        step: counted from 0.

    Returns:
        Whether to update; False for a step in fp16 that is to be skipped. The same in all
        processes, which have the same loss and norm.

    Raises:
        DivergedError: says what to try, and names the first such gradient.
    """
    if torch.isfinite(loss) & torch.isfinite(norm):
        return True
    recipe, scaler = setup.recipe, setup.scaler
    if not torch.isfinite(loss):
        raise nonfinite_error(loss.item(), recipe, step, scaler=scaler)
    if scaler and scaler.scale > MIN_SCALE:
        return False
    gradients = {name: p.grad for name, p in setup.network.named_parameters() if p.grad is not None}
    broken = [
        name.removeprefix("module.") for name, g in gradients.items() if not g.isfinite().all()
    ]
    broken = list(chain(*current_world().gather_objects(broken)))
    gradient = f"the gradient of {broken[0] if broken else 'all weights together'}"
    raise nonfinite_error(loss.item(), recipe, step, gradient, scaler)


def nonfinite_error(
    loss: float,
    recipe: Recipe,
    step: int,
    gradient: str = "a gradient",
    scaler: LossScaler | None = None,
) -> DivergedError:
    """The error for a step whose loss or gradient is not finite.

    Args:
        loss: of the batch.
        recipe: has the learning rate.
        step: counted from 0.
        gradient: what the message calls it.
        scaler: has the scale of the loss in fp16.
    """
    if not math.isfinite(loss):
        more = "; or --precision float32, since fp16 ends at 65,504" if scaler else ""
        return DivergedError(
            f"the loss is {loss} at step {step + 1}; no weight was updated: "
            f"try a lower --lr than {recipe.optimizer.lr:g}, or a longer --warmup-epochs{more}"
        )
    scaled = f", even with a loss scale of {scaler.scale:g} in fp16" if scaler else ""
    return DivergedError(
        f"{gradient} is not finite at step {step + 1}{scaled}; no weight was updated: "
        "try a lower --lr, or --precision float32"
    )


def derive_seed(seed: int, purpose: str, step: int) -> int:
    """The seed of a generator: 63 bits of a hash, so that those of neighboring steps differ."""
    digest = hashlib.blake2b(f"{seed} {purpose} {step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
