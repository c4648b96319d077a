"""Sizes of updates, relative to the weights."""

from __future__ import annotations

from torch import Tensor

from alexnet.models.network import Network
from alexnet.records import LayerUpdate


def copy_weights(network: Network) -> dict[str, Tensor]:
    """Copies of the weights that are not frozen (biases and batch-norm vectors are left out)."""
    return {
        name: p.detach().clone()
        for name, p in network.named_parameters()
        if p.requires_grad and p.ndim > 1
    }


def update_ratios(before: dict[str, Tensor], network: Network) -> tuple[LayerUpdate, ...]:
    """The relative change of each weight since `copy_weights` returned `before`."""
    after = dict(network.named_parameters())
    updates = describe_updates(before, {name: after[name].detach() for name in before})
    return tuple(LayerUpdate(name=name, **update) for name, update in updates.items())


def rms(weights: dict[str, Tensor]) -> dict[str, float]:
    """Root mean square of every tensor."""
    return {name: float(w.float().pow(2).mean().sqrt()) for name, w in weights.items()}


def describe_updates(
    before: dict[str, Tensor], after: dict[str, Tensor]
) -> dict[str, dict[str, float]]:
    """Per weight: its root mean square, the update's, and their ratio (about 1e-3 is healthy)."""
    weights = rms(after)
    updates = rms({name: after[name] - before[name] for name in after})
    return {
        name: {"weight": w, "update": updates[name], "ratio": updates[name] / w if w else 0.0}
        for name, w in weights.items()
    }
