"""How a machine's weights become those of a feed-forward layer.

A unit of the machine is on with probability sigmoid(x), x = W * v + b. A layer of the classifier
computes f(W' * u + b') of another input u: pictures that are not divided, or rectified and
normalised maps in place of probabilities. So

1. every map's W' and b' are such that W' * u + b' has the mean and the deviation over the training
   pictures that x has in the machine. In the first layer, where v = u / s, that is W' = W / s and
   b' = b;
2. f(x) = sigmoid(x) is the machine's own; tanh(x / 2) = 2 sigmoid(x) - 1, so for tanh both are
   halved; and max(0, x) is, nearly, the mean of a stack of units that share W and have their biases
   shifted by -1/2, -3/2 and so on, so for ReLU both are taken as they are;
3. a batch norm right after the convolution is set to give back exactly what it takes, plus b' where
   the convolution has no bias; any other takes the mean and variance that it will see.

Source: 2, Hinton et al. 2006 (sigmoid); Nair and Hinton 2010, "Rectified linear units improve
restricted Boltzmann machines", section 2 (ReLU). 1 and 3 are ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from alexnet.layer_kinds import BatchNorm
from alexnet.network import Network
from alexnet.pretraining.downward import convolved
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
    stage, rbm = layer.stage, layer.rbm
    ours = moments(rbm.hidden_input(layer.visible_input(up(below, view))) for view in views)
    inputs = [before(network, stage.name, view) for view in views]
    theirs = moments(convolved(u, rbm.weight, None, stage.conv) for u in inputs)
    half = 0.5 if stage.activation == "tanh" else 1.0
    is_varied = theirs.deviations > LEAST
    factor = half * torch.where(is_varied, ours.deviations / theirs.deviations, 1.0)
    conv = network.get_submodule(stage.name)
    assert isinstance(conv, nn.Conv2d)
    conv.weight.copy_(rbm.weight * factor[:, None, None, None])
    if conv.bias is not None:
        conv.bias.copy_(half * ours.mean - factor * theirs.mean)
    settle_norms(network, stage, Moments(half * ours.mean, half * ours.deviations), views)


def settle_norms(network: Network, stage: Stage, wanted: Moments, views: Sequence[Tensor]) -> None:
    """Give every batch norm of a stage its statistics, the one after the convolution `wanted`."""
    for row in stage.rows:
        if isinstance(row.layer, BatchNorm):
            seen_here = moments(before(network, row.layer.name, view) for view in views)
            norm = network.get_submodule(row.layer.name)
            assert isinstance(norm, nn.BatchNorm2d)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.copy_(seen_here.mean)
            norm.running_var.copy_(seen_here.deviations.square())
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
