"""The RBM of one stage: scaling of its input, training, and pooling for the next stage.

The first stage has Gaussian visible units. Its input is divided by (standard deviation of the
input) x `visible_std`, so that the noise of a visible unit has standard deviation 1; the visible
biases model the mean. Images are not whitened, because the classifier's are not. The higher stages
receive probabilities from 0 to 1 and have binary visible units.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from alexnet.models.layers import Pool
from alexnet.pretraining.batch_random import BatchRandom
from alexnet.pretraining.channel_stats import ChannelStats, mean_squared_error
from alexnet.pretraining.decoding import (
    Code,
    crop_to_coverage,
    pool_with_indices,
    spatial_size,
    unpool,
)
from alexnet.pretraining.rbm import (
    INIT_STD,
    Rbm,
    contrastive_divergence,
    gibbs,
    merge_blocks,
    pooling_probs,
    sparsity_loss,
    split_blocks,
)
from alexnet.pretraining.recipe import RbmRecipe
from alexnet.pretraining.stages import Stage

EPS = 1e-30
"""Smallest divisor. A block that is on with a lower probability is practically never on, so how its
probability is divided among its units does not matter; the bound only prevents 0 / 0."""


class RbmLayer(nn.Module):
    """An RBM with the scaling of its inputs and the pooling of its hidden probabilities.

    Initial weights have standard deviation 0.01. The visible biases begin at the mean input
    (Gaussian) or its log-odds (binary), the hidden ones at the log-odds of the sparsity target
    (Hinton 2010, section 8).
    """

    scale: Tensor
    """[1], inputs are divided by it."""
    variance: Tensor
    """[1], the variance of the divided inputs."""

    def __init__(
        self,
        stage: Stage,
        stats: ChannelStats,
        recipe: RbmRecipe,
        generator: torch.Generator,
        *,
        first: bool,
    ) -> None:
        """A randomly initialized layer.

        Args:
            stage: the layers to pretrain.
            stats: of the inputs.
            recipe: the options of RBMs.
            generator: draws the weights.
            first: the inputs are images, not the probabilities of another RBM.
        """
        super().__init__()
        self.stage, self.recipe, self.pool = stage, recipe, stage.pool
        is_blocked = recipe.hidden_pooling == "probabilistic" and is_max_pool(stage.pool)
        block = stage.pool.stride if stage.pool and is_blocked else 1
        scale = stats.overall_std * recipe.visible_std if first else 1.0
        self.register_buffer("scale", torch.tensor([scale]))
        self.register_buffer("variance", torch.tensor([(stats.overall_std / scale) ** 2]))
        self.rbm = Rbm(stage.conv, stage.in_channels, gaussian=first, block=block)
        mean = stats.mean / scale
        with torch.no_grad():
            self.rbm.weight.normal_(0, INIT_STD, generator=generator)
            self.rbm.visible_bias.copy_(mean if first else mean.clamp(0.01, 0.99).logit())
            if recipe.sparsity_cost:
                target = recipe.sparsity_target
                self.rbm.hidden_bias.fill_(math.log(target / (1 - target)))

    def encode(self, inputs: Tensor) -> Code:
        """The input of the next stage: hidden probabilities, pooled.

        With probabilistic max pooling: the probabilities of the pooling units. Otherwise the
        hidden probabilities, pooled as in the architecture where it has a pooling layer.
        """
        v = self.visible_input(inputs)
        p = self.rbm.hidden_probs(v)
        hidden_size, input_size, side = spatial_size(p), spatial_size(v), self.rbm.block
        if side > 1:
            pooled = pooling_probs(p, side)
            fractions = split_blocks(p, side, 0.0) / pooled[..., None].clamp(min=EPS)
            return Code(pooled, fractions, hidden_size, input_size)
        pooled, indices = pool_with_indices(p, self.pool) if self.pool else (p, p.new_empty(0))
        return Code(pooled, indices, hidden_size, input_size)

    def decode(self, code: Code) -> Tensor:
        """The expected inputs, scaled as `encode`'s inputs and cropped to the coverage.

        A block's probability is divided among its units in the same proportions as in `encode`.
        """
        p, side = code.activations, self.rbm.block
        if side > 1:
            p = merge_blocks(p[..., None] * code.pool_indices, side, code.hidden_size)
        elif self.pool:
            p = unpool(p, code.pool_indices, self.pool, code.hidden_size)
        return self.rbm.visible_mean(p, code.input_size) * self.scale

    def reconstruct(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and reconstructions, both divided by the input's standard deviation.

        The reconstruction is the expected input given the hidden probabilities, before pooling.
        """
        v = self.visible_input(inputs)
        reconstruction = self.rbm.visible_mean(self.rbm.hidden_probs(v), spatial_size(v))
        std = self.variance.sqrt()
        return v / std, reconstruction / std

    def loss(self, inputs: Tensor, random: BatchRandom) -> tuple[Tensor, Tensor]:
        """A scalar with the gradient of a step, and the reconstruction error of its Gibbs chain."""
        recipe, v = self.recipe, self.visible_input(inputs)
        with torch.no_grad():
            p = self.rbm.hidden_probs(v)
        chain = gibbs(
            self.rbm,
            p,
            spatial_size(v),
            random,
            steps=recipe.cd_steps,
            sample_visible=recipe.sample_visible,
        )
        loss = contrastive_divergence(self.rbm, v, chain)
        if recipe.sparsity_cost:
            loss = loss + recipe.sparsity_cost * sparsity_loss(self.rbm, p, recipe.sparsity_target)
        return loss, mean_squared_error(v, chain) / self.variance

    @property
    def lr(self) -> float:
        """Initial learning rate."""
        return self.recipe.gaussian_lr if self.rbm.is_gaussian else self.recipe.binary_lr

    def build_optimizer(self) -> torch.optim.Optimizer:
        """SGD with momentum; only the weights decay (Hinton 2010, sections 9 and 10)."""
        biases = [self.rbm.hidden_bias, self.rbm.visible_bias]
        groups = [
            {"params": [self.rbm.weight], "weight_decay": self.recipe.weight_decay},
            {"params": biases, "weight_decay": 0.0},
        ]
        return torch.optim.SGD(groups, self.lr, self.recipe.momentum)

    def activation_rate(self, inputs: Tensor) -> Tensor:
        """Mean hidden probability."""
        return self.rbm.hidden_probs(self.visible_input(inputs)).mean()

    def free_energy(self, inputs: Tensor) -> Tensor:
        """Mean free energy per value of the input."""
        v = self.visible_input(inputs)
        return self.rbm.free_energy(v).mean() / v[0].numel()

    def visible_input(self, inputs: Tensor) -> Tensor:
        """The visible units for inputs [N, C, H, W]: cropped to the coverage, and scaled."""
        return crop_to_coverage(inputs, self.stage.conv) / self.scale


def is_max_pool(pool: Pool | None) -> bool:
    """Whether the stage has a max pooling."""
    return pool is not None and pool.reduce == "max"
