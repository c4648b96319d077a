"""Converts the weights of an RBM to weights of the classifier.

A hidden unit of the RBM is on with probability sigmoid(x), x = W * v + b. The classifier's layer
computes f(W' * u + b') of a different input u: images that are not scaled, or activations that are
rectified, pooled and normalised instead of probabilities. W' and b' are fitted on training images,
depending on f. A sigmoid or tanh layer keeps the direction of every filter, W' = g W:

- sigmoid, or none: W' * u + b' gets the mean and standard deviation of x in the RBM. In the first
  layer, where v = u / s, this is exactly W' = W / s and b' = b.
- tanh: half of both, since tanh(x / 2) = 2 sigmoid(x) - 1.

A ReLU layer must learn on, so it differs from the RBM where that keeps it from learning:

- W' * u + b' gets mean 0 and standard deviation 1, so every channel is positive at about half of
  the positions. With the RBM's biases it is positive at about 5 % (`sparsity_target`), and no
  gradient passes where it is off: random filters with these biases learn as badly.
- The filters are decorrelated. Many of an RBM are near-duplicates, so the outputs of 128 filters
  span only about 4 dimensions (effective rank), those of random filters about 38.

A batch norm directly after the convolution gets the running statistics of its input, and a weight
and bias that produce the mean and standard deviation above. Any other batch norm gets the running
statistics of its input alone.

Source: Hinton et al. 2006 (sigmoid layers); Kraehenbuehl et al. 2016, "Data-dependent
initializations of convolutional neural networks", algorithm 1 (mean and standard deviation of ReLU
layers); the rest is our own.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from alexnet.models.layers import BatchNorm
from alexnet.models.network import Network
from alexnet.parallel.world import current_world
from alexnet.pretraining.channel_stats import MIN_STD, ChannelStats, measure_stats
from alexnet.pretraining.decoding import conv2d
from alexnet.pretraining.rbm_layer import RbmLayer
from alexnet.pretraining.stack import encode_through
from alexnet.pretraining.stages import Stage
from alexnet.runtime.device import to_float64

EPS = 0.01
"""Added to the eigenvalues of a correlation matrix, whose mean is 1, so that noise is not amplified
more than tenfold."""


@torch.no_grad()
def transfer(
    layer: RbmLayer, below: Sequence[RbmLayer], network: Network, images: Sequence[Tensor]
) -> None:
    """Convert an RBM into the network's weights, after those of the lower stages.

    Args:
        layer: the trained RBM.
        below: the RBMs of the lower stages.
        network: changed in place; it is in evaluation mode afterwards.
        images: batches of training images as network inputs [N, C, H, W], to measure on; those
            of this process.
    """
    stage, weight = layer.stage, layer.rbm.weight.detach()
    network.eval()
    inputs = [network.input_of(stage.name, x) for x in images]
    if stage.activation == "relu":
        outputs = [conv2d(u, weight, None, stage.conv) for u in inputs]
        weight = decorrelate(weight, outputs, stage.conv.groups)
    stats = measure_stats(conv2d(u, weight, None, stage.conv) for u in inputs)
    target = target_stats(layer, [layer.visible_input(encode_through(below, x)) for x in images])
    gain = torch.where(stats.std > MIN_STD, target.std / stats.std, 1.0)
    conv = network.get_submodule(stage.name)
    assert isinstance(conv, nn.Conv2d)
    conv.weight.copy_(weight * gain[:, None, None, None])
    if conv.bias is not None:
        conv.bias.copy_(target.mean - gain * stats.mean)
    calibrate_batch_norm(network, stage, target, images)


def decorrelate(weight: Tensor, outputs: Sequence[Tensor], groups: int) -> Tensor:
    """Filters with almost uncorrelated outputs, linear combinations of the given ones.

    They are (C + eps)^(-1/2) W, with W scaled to outputs of standard deviation 1 and C their
    correlation matrix: zero-phase whitening (ZCA), which changes the filters least.

    Args:
        weight: [K, C / groups, k, k].
        outputs: batches [N, K, h, w] of the convolution with these filters.
        groups: of the convolution; the filters of different groups see different channels.
    """
    stats = measure_stats(outputs)
    std = stats.std.clamp(min=MIN_STD)
    matrix, size = correlations(outputs, stats.mean, std), len(weight) // groups
    filters = []
    for start in range(0, len(weight), size):
        group = slice(start, start + size)
        values, vectors = torch.linalg.eigh(matrix[group, group])
        whitening = vectors * (values.clamp(min=0) + EPS).rsqrt() @ vectors.T
        whitening = whitening.to(weight.dtype).to(weight.device)
        filters.append(whitening @ (weight[group].flatten(1) / std[group, None]))
    return torch.cat(filters).view_as(weight)


def correlations(batches: Sequence[Tensor], mean: Tensor, std: Tensor) -> Tensor:
    """The correlation matrix [K, K] of the channels of activations [N, K, h, w], in float64.

    N counts the images of all processes.
    """
    total, count = to_float64(mean.new_zeros(len(mean), len(mean))), 0
    for x in batches:
        standardized = ((x - mean[:, None, None]) / std[:, None, None]).transpose(0, 1).flatten(1)
        total += to_float64(standardized @ standardized.T)
        count += standardized.shape[1]
    total, num = current_world().sum_over_ranks(total, total.new_tensor([count]))
    return total / num


def target_stats(layer: RbmLayer, visible: Sequence[Tensor]) -> ChannelStats:
    """Mean and std for each channel of the classifier before its activation function.

    Args:
        layer: the RBM.
        visible: batches of its visible units.
    """
    if layer.stage.activation == "relu":
        zeros = torch.zeros_like(layer.rbm.hidden_bias)
        return ChannelStats(zeros, zeros + 1)
    x = measure_stats(layer.rbm.hidden_input(v) for v in visible)
    factor = 0.5 if layer.stage.activation == "tanh" else 1.0
    return ChannelStats(factor * x.mean, factor * x.std)


def calibrate_batch_norm(
    network: Network, stage: Stage, target: ChannelStats, images: Sequence[Tensor]
) -> None:
    """Set the running statistics of a stage's batch norms.

    The outputs of a batch norm directly after the convolution get the statistics `target`.
    """
    for info in stage.layers:
        if isinstance(info.layer, BatchNorm):
            stats = measure_stats(network.input_of(info.layer.name, x) for x in images)
            norm = network.get_submodule(info.layer.name)
            assert isinstance(norm, nn.BatchNorm2d)
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean.copy_(stats.mean)
            norm.running_var.copy_(stats.std.square())
            if info.layer is stage.conv_norm:
                norm.weight.copy_((target.std.square() + norm.eps).sqrt())
                norm.bias.copy_(target.mean)
