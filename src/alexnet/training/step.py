"""One training step: augment, forward, loss, backward, update."""

from __future__ import annotations

import hashlib

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from alexnet.config.recipe import Recipe
from alexnet.errors import DivergedError
from alexnet.models.network import Network
from alexnet.runtime.device import autocast, seed_device
from alexnet.training.micro_batches import dropout_of_rows, micro_batches
from alexnet.training.setup import TrainingSetup
from alexnet.transforms.mixing import mix


def train_step(
    setup: TrainingSetup, pixels: Tensor, labels: Tensor, step: int, lr: float
) -> tuple[Tensor, Tensor, Tensor | None]:
    """One step: augment -> forward -> loss -> backward -> check -> update.

    Args:
        setup: its network and optimizer change.
        pixels: uint8 [B, S, S, 3].
        labels: int64 [B].
        step: counted from 0; with the seed it decides crops, colors and dropout.
        lr: learning rate.

    Returns:
        The loss and the logits [B, num_classes], both before the update, and the targets
        [B, num_classes] if CutMix or mixup mixed the images.

    Raises:
        DivergedError: the loss or a gradient is not finite; nothing has been updated.
    """
    recipe, epoch = setup.recipe, step // setup.steps_per_epoch
    generator = torch.Generator(setup.device).manual_seed(derive_seed(recipe.seed, "views", step))
    images = setup.augmenter(pixels, generator, epoch=epoch)
    num_classes = len(setup.info.class_names)
    images, targets, is_mixed = mix(images, labels, num_classes, recipe.augment, generator)
    setup.scheduler.set_lr(setup.optimizer, step, lr)
    weights = setup.class_weights
    loss, logits = update(setup.network, setup.optimizer, images, targets, recipe, step, weights)
    if setup.average:
        setup.average.update(setup.network, step)
    return loss, logits, targets if is_mixed else None


def update(
    network: Network,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    targets: Tensor,
    recipe: Recipe,
    step: int = 0,
    class_weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Forward, backward and one update of the weights, unless something is not finite.

    Args:
        network: changes.
        optimizer: changes.
        images: augmented and normalized [B, C, H, W].
        targets: int64 [B], or class probabilities [B, num_classes].
        recipe: gives the precision, the label smoothing, and the number of micro-batches.
        step: counted from 0; with the seed it decides dropout.
        class_weights: factors on the loss [num_classes]; they need class probabilities.

    Returns:
        The loss and the logits [B, num_classes] before the update.

    Raises:
        DivergedError: the loss or a gradient is not finite; nothing has been updated.
    """
    optimizer.zero_grad(set_to_none=True)
    loss, logits = add_gradients(network, images, targets, recipe, step, class_weights)
    norm = check_gradients(network, step)
    if recipe.optimizer.clip_norm is not None:
        clip_grads_with_norm_(network.parameters(), recipe.optimizer.clip_norm, norm)
    optimizer.step()
    return loss, logits


def add_gradients(
    network: Network,
    images: Tensor,
    targets: Tensor,
    recipe: Recipe,
    step: int,
    class_weights: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Forward and backward, in the recipe's micro-batches; arguments and result as of `update`.

    Every loss is weighted by its part of the images, so that the gradients are the batch's. Batch
    norm alone uses the statistics of each micro-batch.
    """
    total, logits = torch.zeros((), device=images.device), []
    for rows, x, y in micro_batches(images, targets, recipe):
        seed_device(images.device, derive_seed(recipe.seed, "dropout", step))
        with dropout_of_rows(network, rows, len(images)), autocast(images.device, recipe.precision):
            logits.append(network(x))
        mean = F.cross_entropy(logits[-1], y, class_weights, label_smoothing=recipe.label_smoothing)
        check_loss(mean, recipe, step)
        loss = mean * (len(x) / len(images))
        loss.backward()  # type: ignore[no-untyped-call]
        total += loss.detach()
    return total, torch.cat(logits).detach()


def check_loss(loss: Tensor, recipe: Recipe, step: int) -> None:
    """Stop before an update by a loss that is not finite; `step` counts from 0.

    Raises:
        DivergedError: it is not; says what to try.
    """
    if not torch.isfinite(loss):
        raise DivergedError(
            f"the loss is {loss.item()} at step {step + 1}; no weight was updated: "
            f"try a lower --lr than {recipe.optimizer.lr:g}, or a longer --warmup-epochs"
        )


def check_gradients(network: Network, step: int) -> Tensor:
    """The norm of all gradients together; stops before an update with one that is not finite.

    Args:
        network: after the backward pass.
        step: counted from 0.

    Raises:
        DivergedError: names the first such gradient.
    """
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    norm = get_total_norm(gradients.values())
    if not torch.isfinite(norm):
        broken = [name for name, g in gradients.items() if not g.isfinite().all()]
        raise DivergedError(
            f"the gradient of {broken[0] if broken else 'all weights together'} is not finite at "
            f"step {step + 1}; no weight was updated: try a lower --lr, or --precision float32"
        )
    return norm


def derive_seed(seed: int, purpose: str, step: int) -> int:
    """The seed of a generator: 63 bits of a hash, so that those of neighboring steps differ."""
    digest = hashlib.blake2b(f"{seed} {purpose} {step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
