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
from alexnet.training.schedule import set_rate
from alexnet.training.setup import TrainingSetup
from alexnet.transforms.mixing import cutmix


def train_step(
    job: TrainingSetup, pixels: Tensor, labels: Tensor, step: int, rate: float
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
    generator = torch.Generator(job.device).manual_seed(derive_seed(recipe.seed, "views", step))
    torch.manual_seed(derive_seed(recipe.seed, "dropout", step))
    views = job.augmenter(pixels, generator, epoch=step // job.batches.steps_per_epoch)
    share, classes = recipe.augment.cutmix, len(job.info.class_names)
    views, targets, is_mixed = cutmix(views, labels, classes, share, generator)
    set_rate(job.optimizer, rate, job.low_lr(step // job.batches.steps_per_epoch))
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
            f"try a lower --lr than {recipe.optimizer.lr:g}, or a longer --warmup-epochs"
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
            f"step {step + 1}; no weight was updated: try a lower --lr, or --precision float32"
        )


def derive_seed(seed: int, purpose: str, step: int) -> int:
    """A generator's seed: 63 bits of a hash, so that neighbours share nothing."""
    digest = hashlib.blake2b(f"{seed} {purpose} {step}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
