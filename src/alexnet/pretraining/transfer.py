"""How a machine's weights become those of a feed-forward layer.

A unit of the machine is on with probability sigmoid(x), x = W * v + b. The classifier's layer
computes f(W' * u + b') of another input u: pictures that are not divided, or rectified, pooled and
normalised maps in place of probabilities. Every map keeps its filter's direction, W' = g W; its
gain g and bias b' are measured on training pictures, by what f is:

- sigmoid, or none: W' * u + b' has the mean and the deviation that x has in the machine. In the
  first layer, where v = u / s, that is exactly W' = W / s and b' = b.
- tanh: half of both, since tanh(x / 2) = 2 sigmoid(x) - 1.
- ReLU: max(0, x) stands for a stack of binary units that share W and have shifted biases (Nair and
  Hinton 2010, "Rectified linear units improve restricted Boltzmann machines", section 2). Its scale
  is free, since max(0, g x) = g max(0, x), so W' * u has deviation 1; and it is above 0 at as many
  places as the binary unit is on in the mean. So a layer is as sparse as it learnt to be and none
  of its maps is dead, which b' = b would not promise where x stays below 0.

A batch norm right after the convolution is set to add what the convolution lacks of b' and else to
give back what it takes; any other gets the mean and variance that it will see.

Source: Hinton et al. 2006 (weights of a sigmoid layer), Nair and Hinton 2010; the rest is ours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from alexnet.models.layers import BatchNorm
from alexnet.models.network import Network
from alexnet.pretraining.decoding import convolved
from alexnet.pretraining.moments import LEAST, Moments, moments
from alexnet.pretraining.rbm_layer import RbmLayer
from alexnet.pretraining.stages import Stage


@torch.no_grad()
def transfer(
    layer: RbmLayer, below: Sequence[RbmLayer], network: Network, views: Sequence[Tensor]
) -> None:
    """Put a machine's weights into the network, whose lower stages have theirs already.

    Args:
        layer: the trained machine.
        below: those under it.
        network: changes.
        views: batches of inputs [N, C, H, W] of training pictures, to measure on.
    """
    stage, weight = layer.stage, layer.rbm.weight
    visible = [layer.visible_input(up(below, view)) for view in views]
    given = [
        convolved(before(network, stage.name, view), weight, None, stage.conv) for view in views
    ]
    here = moments(given)
    wanted = target_stats(layer, visible, given, here)
    gain = torch.where(here.deviations > LEAST, wanted.deviations / here.deviations, 1.0)
    conv = network.get_submodule(stage.name)
    assert isinstance(conv, nn.Conv2d)
    conv.weight.copy_(weight * gain[:, None, None, None])
    if conv.bias is not None:
        conv.bias.copy_(wanted.mean - gain * here.mean)
    calibrate_batch_norm(network, stage, wanted, views)


def target_stats(
    layer: RbmLayer, visible: Sequence[Tensor], given: Sequence[Tensor], here: Moments
) -> Moments:
    """Mean and deviation that every map of the classifier's layer should have before f.

    Args:
        layer: the machine.
        visible: its visible maps, in batches.
        given: W * u of the classifier's own inputs u, in the same batches.
        here: the moments of `given`.
    """
    if layer.stage.activation == "relu":
        on = moments(layer.rbm.hidden(v) for v in visible).mean
        edges = upper_quantile(given, on)
        spread = here.deviations.clamp(min=LEAST)
        return Moments((here.mean - edges) / spread, torch.ones_like(spread))
    x = moments(layer.rbm.hidden_input(v) for v in visible)
    half = 0.5 if layer.stage.activation == "tanh" else 1.0
    return Moments(half * x.mean, half * x.deviations)


def upper_quantile(batches: Sequence[Tensor], shares: Tensor) -> Tensor:
    """The value that each map of all [N, K, h, w] exceeds at its share of the places: [K]."""
    values = []
    for k, share in enumerate(shares.tolist()):
        places = torch.cat([maps[:, k].flatten() for maps in batches])
        rank = math.floor((1 - share) * len(places))
        values.append(places.kthvalue(min(max(rank, 1), len(places))).values)
    return torch.stack(values)


def calibrate_batch_norm(
    network: Network, stage: Stage, wanted: Moments, views: Sequence[Tensor]
) -> None:
    """Give every batch norm of a stage its statistics; the inner one gives out what is `wanted`."""
    for row in stage.rows:
        if isinstance(row.layer, BatchNorm):
            taken = moments(before(network, row.layer.name, view) for view in views)
            norm = network.get_submodule(row.layer.name)
            assert isinstance(norm, nn.BatchNorm2d)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.copy_(taken.mean)
            norm.running_var.copy_(taken.deviations.square())
            if row.layer is stage.inner_norm:
                norm.weight.copy_((wanted.deviations.square() + norm.eps).sqrt())
                norm.bias.copy_(wanted.mean)


def up(layers: Sequence[RbmLayer], inputs: Tensor) -> Tensor:
    """What the machines make of inputs, one after the other."""
    for layer in layers:
        inputs = layer.encode(inputs).maps
    return inputs


def before(network: Network, name: str, inputs: Tensor) -> Tensor:
    """What the network's layer `name` gets for inputs, with batch norms as in evaluation."""
    network.eval()
    for own, layer in network.named_children():
        if own == name:
            break
        inputs = layer(inputs)
    return inputs
