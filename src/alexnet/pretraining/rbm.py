"""The convolutional restricted Boltzmann machine of one stage, and contrastive divergence.

With visible maps v, hidden maps h of zeros and ones, filters W, biases b (one a hidden map) and c
(one a visible map), * the stage's convolution, and x = W * v + b:

    binary v     E(v, h) = - sum h x - sum c v
    Gaussian v   E(v, h) = - sum h x + 1/2 sum (v - c)^2        of deviation 1

and p(v, h) ~ exp(-E). Hidden units come in blocks of which at most one is on, so a block with the
inputs x_1 .. x_n is on at i with probability exp(x_i) / (1 + sum_j exp(x_j)); blocks of one are
ordinary units with probability sigmoid(x).

Source: Lee et al. 2009, sections 3.2 and 3.3; Hinton 2010.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from alexnet.models.layers import Conv
from alexnet.pretraining.decoding import Sides, convolved, hidden_and_input, transposed

FIRST_WEIGHT_SD = 0.01
"""Deviation of the first weights (Hinton 2010, section 8)."""


class Rbm(nn.Module):
    """Filters and biases of a machine; all probabilities follow from them."""

    def __init__(self, conv: Conv, in_channels: int, *, is_gaussian: bool, block: int = 1) -> None:
        """Zero weights and biases.

        Args:
            conv: the row of the table.
            in_channels: visible maps.
            is_gaussian: whether the visible units are Gaussian of deviation 1; else binary.
            block: side of the square of hidden units of which at most one is on.
        """
        super().__init__()
        self.row, self.is_gaussian, self.block = conv, is_gaussian, block
        shape = conv.channels, in_channels // conv.groups, conv.kernel, conv.kernel
        self.weight = nn.Parameter(torch.zeros(shape))
        self.hidden_bias = nn.Parameter(torch.zeros(conv.channels))
        self.visible_bias = nn.Parameter(torch.zeros(in_channels))

    def hidden_input(self, v: Tensor) -> Tensor:
        """What hidden units get, x = W * v + b: [N, K, h, w] of visible maps [N, C, H, W]."""
        return convolved(v, self.weight, self.hidden_bias, self.row)

    def hidden(self, v: Tensor) -> Tensor:
        """p(h = 1 | v) of every hidden unit."""
        return block_softmax(self.hidden_input(v), self.block)

    def visible(self, h: Tensor, sides: Sides) -> Tensor:
        """The expected visible maps given hidden ones: W^T * h + c, through a sigmoid if binary."""
        x = transposed(h, self.weight, self.row, sides) + self.visible_bias[:, None, None]
        return x if self.is_gaussian else x.sigmoid()

    def free_energy(self, v: Tensor) -> Tensor:
        """F(v) = -log sum_h exp(-E(v, h)): [N].

        The hidden units are summed out block by block: each gives -log(1 + sum_j exp(x_j)).
        """
        c = self.visible_bias[:, None, None]
        own = 0.5 * (v - c).square() if self.is_gaussian else -c * v
        hidden = log_block_totals(self.hidden_input(v), self.block)
        return own.flatten(1).sum(1) - hidden.flatten(1).sum(1)

    def sample_visible(self, h: Tensor, sides: Sides, generator: torch.Generator) -> Tensor:
        """Visible maps drawn from p(v | h)."""
        mean = self.visible(h, sides)
        if self.is_gaussian:
            return mean + torch.randn(mean.shape, generator=generator, device=mean.device)
        return (torch.rand(mean.shape, generator=generator, device=mean.device) < mean).to(mean)


@torch.no_grad()
def gibbs(
    rbm: Rbm,
    p: Tensor,
    sides: Sides,
    generator: torch.Generator,
    *,
    steps: int = 1,
    sample_visible: bool = False,
) -> Tensor:
    """Visible maps after `steps` times h -> v -> h, the last h left out.

    Args:
        rbm: the machine.
        p: probabilities of the hidden units given the data, where the chain begins.
        sides: of the visible maps.
        generator: decides everything.
        steps: the k of CD-k.
        sample_visible: draw visible units too; their expected values make less noise (Hinton 2010,
            section 3.2).
    """
    for step in range(steps):
        h = sample_blocks(p, rbm.block, generator)
        v = rbm.sample_visible(h, sides, generator) if sample_visible else rbm.visible(h, sides)
        if step + 1 < steps:
            p = rbm.hidden(v)
    return v


def contrastive_divergence(rbm: Rbm, data: Tensor, chain: Tensor) -> Tensor:
    """A number whose gradient is that of contrastive divergence, per hidden place.

    -d log p(v) / dW is the mean of dF/dW over the data less that over the model, and the end of a
    Gibbs chain stands for the model. dF/dW = - sum p(h|v) v, so these are the familiar positive
    and negative statistics, with probabilities for the hidden units on both sides.

    Args:
        rbm: gets the gradient.
        data: visible maps [N, C, H, W].
        chain: the same after `gibbs`; no gradient flows through it.

    Source: Hinton 2010, sections 2 and 3; divided by the places as in Lee et al. 2009.
    """
    places = rbm.hidden_input(data[:1]).shape[2:].numel()
    return (rbm.free_energy(data).mean() - rbm.free_energy(chain).mean()) / places


def sparsity_loss(rbm: Rbm, p: Tensor, target: float) -> Tensor:
    """A number whose gradient in every hidden bias is q - target, and which moves nothing else.

    q is the mean of the map's probabilities `p`. The pull is the gradient of the cross-entropy
    between target and q in the input of a unit; given to the biases alone, no filter follows it.

    Source: Hinton 2010, section 11; Lee et al. 2009, section 3.3, who move only the biases too.
    """
    return (rbm.hidden_bias * (p.mean((0, 2, 3)) - target)).sum()


def in_blocks(maps: Tensor, size: int, filling: float) -> Tensor:
    """Maps [N, K, h, w] cut into squares: [N, K, rows, columns, size * size].

    Where the last squares reach past the end, they get the filling.
    """
    n, k, h, w = maps.shape
    whole = F.pad(maps, (0, -w % size, 0, -h % size), value=filling)
    rows, columns = -(-h // size), -(-w // size)
    return whole.view(n, k, rows, size, columns, size).transpose(3, 4).flatten(4)


def out_of_blocks(parts: Tensor, size: int, sides: Sides) -> Tensor:
    """What `in_blocks` took apart, without the filling."""
    n, k, rows, columns, _ = parts.shape
    squares = parts.view(n, k, rows, columns, size, size).transpose(3, 4)
    whole = squares.reshape(n, k, rows * size, columns * size)
    return whole[:, :, : sides[0], : sides[1]]


def log_block_totals(x: Tensor, size: int) -> Tensor:
    """log(1 + sum of exp(x_j)) of every block: [N, K, rows, columns]."""
    if size == 1:
        return F.softplus(x)
    return F.softplus(in_blocks(x, size, -torch.inf).logsumexp(-1))


def block_softmax(x: Tensor, size: int) -> Tensor:
    """exp(x_i) / (1 + sum of exp(x_j) of the block), for every unit: as `x`."""
    if size == 1:
        return x.sigmoid()
    parts = in_blocks(x, size, -torch.inf)
    shares = (parts - F.softplus(parts.logsumexp(-1, keepdim=True))).exp()
    return out_of_blocks(shares, size, hidden_and_input(x))


def block_probabilities(p: Tensor, size: int) -> Tensor:
    """Probability that some unit of a block is on: the sum over the block, since one is at most."""
    return in_blocks(p, size, 0.0).sum(-1).clamp(max=1.0)  # rounding may reach past 1


def sample_blocks(p: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Units of zeros and ones: in each block unit i with probability p_i, or none.

    One number u from 0 to 1 a block: unit i is on where p_1 + .. + p_(i-1) <= u < p_1 + .. + p_i.
    """
    upper = in_blocks(p, size, 0.0).cumsum(-1)
    u = torch.rand(upper.shape[:4], generator=generator, device=p.device)[..., None]
    is_below = (u < upper).to(p)  # 0 .. 0 1 .. 1: on where it rises, so at most once
    return out_of_blocks(is_below.diff(dim=-1, prepend=0 * u), size, hidden_and_input(p))
