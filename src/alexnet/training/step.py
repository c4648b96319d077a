"""One training step: augment, forward, loss, backward, update."""

from __future__ import annotations

import hashlib

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils import get_total_norm

from alexnet.config.recipe import Recipe
from alexnet.errors import DivergedError
from alexnet.models.network import Network
from alexnet.runtime.device import autocast
from alexnet.training.setup import TrainingSetup
from alexnet.transforms.mixing import cutmix


def train_step(
    setup: TrainingSetup, pixels: Tensor, labels: Tensor, step: int, lr: float
) -> tuple[Tensor, Tensor, bool]:
    """One step: augment -> forward -> loss -> backward -> check -> update.

    Args:
        setup: its network and optimizer change.
        pixels: uint8 [B, S, S, 3].
        labels: int64 [B].
        step: counted from 0; with the seed it decides crops, colors and dropout.
        lr: learning rate.

    Returns:
        The loss and the logits [B, num_classes], both before the update, and whether CutMix mixed
        the images.

    Raises:
        DivergedError: the loss or a gradient is not finite; nothing has been updated.
    """
    recipe, epoch = setup.recipe, step // setup.steps_per_epoch
    generator = torch.Generator(setup.device).manual_seed(derive_seed(recipe.seed, "views", step))
    torch.manual_seed(derive_seed(recipe.seed, "dropout", step))
    images = setup.augmenter(pixels, generator, epoch=epoch)
    num_classes, p = len(setup.info.class_names), recipe.augment.cutmix
    images, targets, is_mixed = cutmix(images, labels, num_classes, p, generator)
    setup.scheduler.set_lr(setup.optimizer, step, lr)
    loss, logits = update(setup.network, setup.optimizer, images, targets, recipe, step)
    return loss, logits, is_mixed


def update(
    network: Network,
    optimizer: torch.optim.Optimizer,
    images: Tensor,
    targets: Tensor,
    recipe: Recipe,
    step: int = 0,
) -> tuple[Tensor, Tensor]:
    """Forward, backward and one update of the weights, unless something is not finite.

    Args:
        network: changes.
        optimizer: changes.
        images: augmented and normalized [B, C, H, W].
        targets: int64 [B], or class probabilities [B, num_classes].
        recipe: gives the precision and the label smoothing.
        step: counted from 0; named in errors.

    Returns:
        The loss and the logits [B, num_classes] before the update.

    Raises:
        DivergedError: the loss or a gradient is not finite; nothing has been updated.
    """
    with autocast(images.device, recipe.precision):
        logits = network(images)
    loss = F.cross_entropy(logits, targets, label_smoothing=recipe.label_smoothing)
    if not torch.isfinite(loss):
        raise DivergedError(
            f"the loss is {loss.item()} at step {step + 1}; no weight was updated: "
            f"try a lower --lr than {recipe.optimizer.lr:g}, or a longer --warmup-epochs"
        )
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    check_gradients(network, step)
    optimizer.step()
    return loss.detach(), logits.detach()


def check_gradients(network: Network, step: int) -> None:
    """Stop before an update with a gradient that is not finite; `step` counts from 0.

    Raises:
        DivergedError: names the first such gradient.
    """
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    if not torch.isfinite(get_total_norm(gradients.values())):
        broken = [name for name, g in gradients.items() if not g.isfinite().all()]
        raise DivergedError(
            f"the gradient of {broken[0] if broken else 'all weights together'} is not finite at "
            f"step {step + 1}; no weight was updated: try a lower --lr, or --precision float32"
        )


def derive_seed(seed: int, purpose: str, step: int) -> int:
    """The seed of a generator: 63 bits of a hash, so that those of neighboring steps differ."""
    digest = hashlib.blake2b(f"{seed} {purpose} {step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
