"""The machine of one stage at its place in the stack: scaled input, training, pooling to the next.

The first layer's visible units are Gaussian. Its input has its mean removed by the visible biases
and is divided by (deviation of the input) x `visible_sd`, so that a unit's own noise has deviation
1; pictures are not whitened, since a classifier's are not. The layers above see probabilities from
0 to 1 and have binary visible units.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from alexnet.models.layers import Pool
from alexnet.pretraining.decoding import Code, hidden_and_input, pooled, seen, unpooled
from alexnet.pretraining.moments import Moments, squared_error
from alexnet.pretraining.rbm import (
    FIRST_WEIGHT_SD,
    Rbm,
    block_probabilities,
    contrastive_divergence,
    gibbs,
    in_blocks,
    out_of_blocks,
    sparsity_loss,
)
from alexnet.pretraining.recipe import RbmRecipe
from alexnet.pretraining.stages import Stage

TINY = 1e-30
"""Below this a block is off, and how it is shared out does not matter."""


class RbmLayer(nn.Module):
    """A machine with what it needs to stand on the one below.

    First weights are drawn with deviation 0.01. The visible biases begin at the mean input or its
    log-odds, the hidden ones at the log-odds of the sparsity target (Hinton 2010, section 8).
    """

    scale: Tensor
    """What the input is divided by: [1]."""
    variance: Tensor
    """Of the divided input: [1]."""

    def __init__(
        self,
        stage: Stage,
        moments: Moments,
        recipe: RbmRecipe,
        generator: torch.Generator,
        *,
        is_first: bool,
    ) -> None:
        super().__init__()
        self.stage, self.recipe, self.pool = stage, recipe, stage.pool
        is_blocked = recipe.hidden_pooling == "probabilistic" and is_max(stage.pool)
        block = stage.pool.stride if stage.pool and is_blocked else 1
        scale = moments.deviation * recipe.visible_sd if is_first else 1.0
        self.register_buffer("scale", torch.tensor([scale]))
        self.register_buffer("variance", torch.tensor([(moments.deviation / scale) ** 2]))
        self.rbm = Rbm(stage.conv, stage.in_channels, is_gaussian=is_first, block=block)
        mean = moments.mean / scale
        with torch.no_grad():
            self.rbm.weight.normal_(0, FIRST_WEIGHT_SD, generator=generator)
            self.rbm.visible_bias.copy_(mean if is_first else mean.clamp(0.01, 0.99).logit())
            if recipe.sparsity_cost:
                target = recipe.sparsity_target
                self.rbm.hidden_bias.fill_(math.log(target / (1 - target)))

    def encode(self, inputs: Tensor) -> Code:
        """What the layer above sees: hidden probabilities, pooled.

        In blocks: the probability that a block is on. Otherwise the table's own pooling of the
        probabilities, or the probabilities themselves where it has none.
        """
        v = self.visible_input(inputs)
        p = self.rbm.hidden(v)
        inner, outer, size = hidden_and_input(p), hidden_and_input(v), self.rbm.block
        if size > 1:
            on = block_probabilities(p, size)
            shares = in_blocks(p, size, 0.0) / on[..., None].clamp(min=TINY)
            return Code(on, shares, inner, outer)
        maps, guide = pooled(p, self.pool) if self.pool else (p, p.new_empty(0))
        return Code(maps, guide, inner, outer)

    def decode(self, code: Code) -> Tensor:
        """The expected inputs, on the classifier's or the lower layer's scale, as far as seen.

        A block's probability is shared out among its units as on the way up.
        """
        p, size = code.maps, self.rbm.block
        if size > 1:
            p = out_of_blocks(p[..., None] * code.guide, size, code.inner)
        elif self.pool:
            p = unpooled(p, code.guide, self.pool, code.inner)
        return self.rbm.visible(p, code.outer) * self.scale

    def reconstruct(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and their expectation given the hidden probabilities, both in deviations."""
        v = self.visible_input(inputs)
        again = self.rbm.visible(self.rbm.hidden(v), hidden_and_input(v))
        root = self.variance.sqrt()
        return v / root, again / root

    def loss(self, inputs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A number with the gradient of a step, and the reconstruction error of its chain."""
        recipe, v = self.recipe, self.visible_input(inputs)
        with torch.no_grad():
            p = self.rbm.hidden(v)
        chain = gibbs(
            self.rbm,
            p,
            hidden_and_input(v),
            generator,
            steps=recipe.cd_steps,
            sample_visible=recipe.sample_visible,
        )
        loss = contrastive_divergence(self.rbm, v, chain)
        if recipe.sparsity_cost:
            loss = loss + recipe.sparsity_cost * sparsity_loss(self.rbm, p, recipe.sparsity_target)
        return loss, squared_error(v, chain) / self.variance

    @property
    def rate(self) -> float:
        """Learning rate at the beginning."""
        return self.recipe.gaussian_rate if self.rbm.is_gaussian else self.recipe.binary_rate

    def optimizer(self) -> torch.optim.Optimizer:
        """Steps with momentum; the weights decay, the biases do not (Hinton 2010, 9 and 10)."""
        biases = [self.rbm.hidden_bias, self.rbm.visible_bias]
        groups = [
            {"params": [self.rbm.weight], "weight_decay": self.recipe.weight_decay},
            {"params": biases, "weight_decay": 0.0},
        ]
        return torch.optim.SGD(groups, self.rate, self.recipe.momentum)

    def activity(self, inputs: Tensor) -> Tensor:
        """Mean hidden probability."""
        return self.rbm.hidden(self.visible_input(inputs)).mean()

    def free_energy(self, inputs: Tensor) -> Tensor:
        """Mean free energy per value of the input."""
        v = self.visible_input(inputs)
        return self.rbm.free_energy(v).mean() / v[0].numel()

    def visible_input(self, inputs: Tensor) -> Tensor:
        """The visible maps of inputs [N, C, H, W]."""
        return seen(inputs, self.stage.conv) / self.scale


def is_max(pool: Pool | None) -> bool:
    """Whether a stage takes maxima."""
    return pool is not None and pool.reduce == "max"
