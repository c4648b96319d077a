"""A convolutional restricted Boltzmann machine (RBM), and contrastive divergence.

With visible units v [C, H, W], binary hidden units h [K, h, w], filters W, hidden biases b [K] and
visible biases c [C], * the stage's convolution, and x = W * v + b, the energy is

    binary v     E(v, h) = - sum h x - sum c v
    Gaussian v   E(v, h) = - sum h x + 1/2 sum (v - c)^2        with standard deviation 1

and p(v, h) ~ exp(-E). With probabilistic max pooling at most one hidden unit of a block is on: in a
block with the inputs x_1 .. x_n, unit i is on with probability exp(x_i) / (1 + sum_j exp(x_j)).
Blocks of one unit are ordinary units with probability sigmoid(x).

Source: Lee et al. 2009, sections 3.2 and 3.3; Hinton 2010.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.models.layers import Conv
from alexnet.pretraining.batch_random import BatchRandom
from alexnet.pretraining.decoding import Size2d, conv2d, conv_transpose2d, spatial_size

INIT_STD = 0.01
"""Standard deviation of the initial weights (Hinton 2010, section 8)."""


class Rbm(nn.Module):
    """Filters and biases of an RBM, with the distributions they define."""

    def __init__(self, conv: Conv, in_channels: int, *, gaussian: bool, block: int = 1) -> None:
        """Zero weights and biases.

        Args:
            conv: the layer's number of filters, kernel, stride, padding and groups.
            in_channels: channels of the visible units.
            gaussian: visible units are Gaussian with standard deviation 1, else binary.
            block: side of the square block of hidden units of which at most one is on.
        """
        super().__init__()
        self.conv, self.is_gaussian, self.block = conv, gaussian, block
        shape = conv.channels, in_channels // conv.groups, conv.kernel, conv.kernel
        self.weight = nn.Parameter(torch.zeros(shape))
        self.hidden_bias = nn.Parameter(torch.zeros(conv.channels))
        self.visible_bias = nn.Parameter(torch.zeros(in_channels))

    def hidden_input(self, v: Tensor) -> Tensor:
        """Input of the hidden units, x = W * v + b: [N, K, h, w] for v [N, C, H, W]."""
        return conv2d(v, self.weight, self.hidden_bias, self.conv)

    def hidden_probs(self, v: Tensor) -> Tensor:
        """p(h = 1 | v) of every hidden unit: [N, K, h, w]."""
        return block_softmax(self.hidden_input(v), self.block)

    def visible_mean(self, h: Tensor, size: Size2d) -> Tensor:
        """E[v | h]: W^T * h + c, with a sigmoid for binary visible units: [N, C, *size]."""
        x = conv_transpose2d(h, self.weight, self.conv, size) + self.visible_bias[:, None, None]
        return x if self.is_gaussian else x.sigmoid()

    def free_energy(self, v: Tensor) -> Tensor:
        """F(v) = -log sum_h exp(-E(v, h)): [N].

        The sum over h factorises into blocks, each of which adds -log(1 + sum_j exp(x_j)).
        """
        c = self.visible_bias[:, None, None]
        visible = 0.5 * (v - c).square() if self.is_gaussian else -c * v
        hidden = block_log_partition(self.hidden_input(v), self.block)
        return visible.flatten(1).sum(1) - hidden.flatten(1).sum(1)

    def sample_visible(self, h: Tensor, size: Size2d, random: BatchRandom) -> Tensor:
        """A sample from p(v | h): [N, C, *size]."""
        mean = self.visible_mean(h, size)
        if self.is_gaussian:
            return mean + random.normal(mean.shape)
        return (random.uniform(mean.shape) < mean).to(mean)


@torch.no_grad()
def gibbs(
    rbm: Rbm,
    p: Tensor,
    size: Size2d,
    random: BatchRandom,
    *,
    steps: int = 1,
    sample_visible: bool = False,
) -> Tensor:
    """The visible units at the end of a Gibbs chain that begins at the data: [N, C, *size].

    Args:
        rbm: the RBM.
        p: hidden probabilities given the data.
        size: of the visible units.
        random: draws all samples.
        steps: updates of h and v; the k of CD-k.
        sample_visible: sample the visible units, too, in place of their expected values, which are
            less noisy (Hinton 2010, section 3.2).
    """
    for step in range(steps):
        h = sample_blocks(p, rbm.block, random)
        v = rbm.sample_visible(h, size, random) if sample_visible else rbm.visible_mean(h, size)
        if step + 1 < steps:
            p = rbm.hidden_probs(v)
    return v


def contrastive_divergence(rbm: Rbm, data: Tensor, chain: Tensor) -> Tensor:
    """A scalar whose gradient is that of contrastive divergence, per position of a hidden channel.

    -d log p(v) / dW is the mean of dF/dW over the data minus its mean over the model; the end of a
    Gibbs chain approximates the model. As dF/dW = - sum p(h|v) v, these are the usual positive and
    negative statistics, with probabilities for the hidden units in both.

    Args:
        rbm: receives the gradient.
        data: visible units [N, C, H, W].
        chain: the same after `gibbs`; no gradient flows through it.

    Source: Hinton 2010, sections 2 and 3; divided by the number of positions as in Lee et al. 2009.
    """
    positions = rbm.hidden_input(data[:1]).shape[2:].numel()
    return (rbm.free_energy(data).mean() - rbm.free_energy(chain).mean()) / positions


def sparsity_loss(rbm: Rbm, p: Tensor, target: float) -> Tensor:
    """A scalar whose gradient w.r.t. every hidden bias is q - target, and 0 w.r.t. all else.

    q is the mean of the channel's probabilities `p`. q - target is the gradient of the
    cross-entropy between target and q with respect to a unit's input; only the biases receive it.

    Source: Hinton 2010, section 11; Lee et al. 2009, section 3.3, who update only the biases, too.
    """
    return (rbm.hidden_bias * (p.mean((0, 2, 3)) - target)).sum()


def split_blocks(x: Tensor, side: int, fill_value: float) -> Tensor:
    """Square blocks of x [N, K, h, w]: [N, K, block rows, block columns, side * side].

    Blocks that extend past the edge are padded with `fill_value`.
    """
    n, k, h, w = x.shape
    padded = F.pad(x, (0, -w % side, 0, -h % side), value=fill_value)
    rows, columns = -(-h // side), -(-w // side)
    return padded.view(n, k, rows, side, columns, side).transpose(3, 4).flatten(4)


def merge_blocks(blocks: Tensor, side: int, size: Size2d) -> Tensor:
    """The inverse of `split_blocks`, without the padding: [N, K, *size]."""
    n, k, rows, columns, _ = blocks.shape
    squares = blocks.view(n, k, rows, columns, side, side).transpose(3, 4)
    padded = squares.reshape(n, k, rows * side, columns * side)
    return padded[:, :, : size[0], : size[1]]


def block_log_partition(x: Tensor, side: int) -> Tensor:
    """log(1 + sum_j exp(x_j)) of every block: [N, K, block rows, block columns]."""
    if side == 1:
        return F.softplus(x)
    return F.softplus(split_blocks(x, side, -torch.inf).logsumexp(-1))


def block_softmax(x: Tensor, side: int) -> Tensor:
    """exp(x_i) / (1 + sum_j exp(x_j)) of every unit, j over its block: shaped as `x`."""
    if side == 1:
        return x.sigmoid()
    blocks = split_blocks(x, side, -torch.inf)
    p = (blocks - F.softplus(blocks.logsumexp(-1, keepdim=True))).exp()
    return merge_blocks(p, side, spatial_size(x))


def pooling_probs(p: Tensor, side: int) -> Tensor:
    """Probability that a block's pooling unit is on: the sum, since at most one unit is on."""
    return split_blocks(p, side, 0.0).sum(-1).clamp(max=1.0)  # the sum may round to above 1


def sample_blocks(p: Tensor, side: int, random: BatchRandom) -> Tensor:
    """Sample a 0/1 tensor in which each block has unit i on with probability p_i, or no unit.

    Inverse transform sampling with one uniform number u per block: unit i is on where
    p_1 + .. + p_(i-1) <= u < p_1 + .. + p_i.
    """
    cumulative = split_blocks(p, side, 0.0).cumsum(-1)
    u = random.uniform(cumulative.shape[:4])[..., None]
    is_below = (u < cumulative).to(p)  # 0 .. 0 1 .. 1, whose difference is 1 at most once
    return merge_blocks(is_below.diff(dim=-1, prepend=0 * u), side, spatial_size(p))
