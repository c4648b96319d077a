"""The convolutional auto-encoder of one stage.

    code           h = pool(norm(f(W * x + b)))        the stage's own layers, in their order
    reconstruction y = W^T * unpool(h) + c             transposed convolution with the same filters

The weights are tied, as in Masci et al. 2011: half as many parameters to learn from few images, and
a filter has to reconstruct the pattern that it detects. The input is divided by its standard
deviation, so that one learning rate suits every layer; `export_weights` divides the filters by it
instead.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from alexnet.models.modules import Conv2d, build_module
from alexnet.pretraining.batch_random import BatchRandom
from alexnet.pretraining.channel_stats import ChannelStats, mean_squared_error
from alexnet.pretraining.decoding import (
    Code,
    conv_transpose2d,
    crop_to_coverage,
    pool_with_indices,
    spatial_size,
    unpool,
)
from alexnet.pretraining.recipe import AutoencoderRecipe
from alexnet.pretraining.stages import Stage

INIT_GAIN = 0.02
"""Initial weights have a standard deviation of INIT_GAIN / sqrt(fan_in). From 0.1 on, many filters
stay noisy for long."""


class Autoencoder(nn.Module):
    """A stage of the architecture and its decoder.

    Weights are small random numbers. Biases are 0, because the biases of 1 of some architectures
    are meant for supervised training. The decoder's bias is the mean input.
    """

    scale: Tensor
    """[1], the input's standard deviation; inputs are divided by it."""

    def __init__(
        self,
        stage: Stage,
        stats: ChannelStats,
        recipe: AutoencoderRecipe,
        generator: torch.Generator,
    ) -> None:
        """A randomly initialized auto-encoder.

        Args:
            stage: the layers to pretrain.
            stats: of the inputs.
            recipe: learning rate and masking fraction.
            generator: draws the weights.
        """
        super().__init__()
        self.stage, self.recipe = stage, recipe
        self.layers = nn.ModuleDict(
            {
                info.layer.name: build_module(info)
                for info in stage.layers
                if info.layer is not stage.pool
            }
        )
        self.register_buffer("scale", torch.tensor([stats.overall_std]))
        self.decoder_bias = nn.Parameter(stats.mean / stats.overall_std)
        std = INIT_GAIN / math.sqrt(self.conv.weight[0].numel())
        with torch.no_grad():
            self.conv.weight.normal_(0, std, generator=generator)
            if self.conv.bias is not None:
                self.conv.bias.zero_()

    @property
    def conv(self) -> Conv2d:
        """The convolution, whose filters the decoder uses as well."""
        conv = self.layers[self.stage.name]
        assert isinstance(conv, Conv2d)
        return conv

    def encode(self, inputs: Tensor) -> Code:
        """The code of inputs [N, C, H, W], which are scaled as in the classifier."""
        return self._encode(self._scaled(inputs))

    def decode(self, code: Code) -> Tensor:
        """The reconstructed inputs, scaled as in the classifier and cropped to the coverage."""
        return self._decode(code) * self.scale

    def reconstruct(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and reconstructions, both divided by the input's standard deviation."""
        x = self._scaled(inputs)
        return x, self._decode(self._encode(x))

    def loss(self, inputs: Tensor, random: BatchRandom) -> tuple[Tensor, Tensor]:
        """The loss of a step and its reconstruction error, which here are the same number.

        The clean input must be reconstructed from the corrupted one.

        Source: Vincent et al. 2008, section 2.3; Masci et al. 2011, section 2.2.
        """
        x = self._scaled(inputs)
        corrupted = corrupt(x, self.recipe.masking_fraction, random)
        error = mean_squared_error(x, self._decode(self._encode(corrupted)))
        return error, error.detach()

    @property
    def lr(self) -> float:
        """Initial learning rate."""
        return self.recipe.lr

    def build_optimizer(self) -> torch.optim.Optimizer:
        """Adam over all parameters, the decoder's bias included."""
        return torch.optim.Adam(self.parameters(), self.lr)

    def activation_rate(self, inputs: Tensor) -> Tensor:
        """Fraction of the code that is not zero."""
        return (self.encode(inputs).activations != 0).float().mean()

    def export_weights(self) -> dict[str, Tensor]:
        """The stage's tensors for the classifier, under the network's names.

        The classifier does not divide its inputs by the scale s, so the filters are divided:
        W * (x / s) = (W / s) * x. All other tensors stay as they are.
        """
        tensors = {name: t.detach().clone() for name, t in self.layers.state_dict().items()}
        tensors[f"{self.stage.name}.weight"] /= self.scale
        return tensors

    def _scaled(self, inputs: Tensor) -> Tensor:
        return crop_to_coverage(inputs, self.stage.conv) / self.scale

    def _encode(self, x: Tensor) -> Code:
        input_size = hidden_size = spatial_size(x)
        pool_indices, pool = x.new_empty(0), self.stage.pool
        for info in self.stage.layers:
            if info.layer is pool:
                hidden_size = spatial_size(x)
                x, pool_indices = pool_with_indices(x, pool)
            else:
                x = self.layers[info.layer.name](x)
        return Code(x, pool_indices, hidden_size if pool else spatial_size(x), input_size)

    def _decode(self, code: Code) -> Tensor:
        hidden, pool = code.activations, self.stage.pool
        if pool:
            hidden = unpool(hidden, code.pool_indices, pool, code.hidden_size)
        x = conv_transpose2d(hidden, self.conv.weight, self.stage.conv, code.input_size)
        return x + self.decoder_bias[:, None, None]


def corrupt(x: Tensor, fraction: float, random: BatchRandom) -> Tensor:
    """Masking noise: every value is set to zero with probability `fraction`.

    The others are multiplied by 1 / (1 - fraction), as in dropout, so that the expected sum stays
    the same when the layer sees clean inputs later.

    Source: Vincent et al. 2008, section 2.3, which does not rescale.
    """
    if not fraction:
        return x
    return x * (random.uniform(x.shape) >= fraction) / (1 - fraction)
