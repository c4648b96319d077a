"""The convolutional auto-encoder of one stage.

    code           h = pool(norm(f(W * x + b)))        the stage's own rows, in the table's order
    reconstruction y = W^T * unpool(h) + c             the same filters, laid down

The filters are tied (Masci et al. 2011 tie them too): half as many numbers to learn from few
pictures, and a filter must draw what it detects. The input is divided by its own deviation, so that
one learning rate serves every scale; `export_weights` takes that number back into the filters.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from alexnet.models.modules import Conv2d, build_module
from alexnet.pretraining.decoding import Code, hidden_and_input, pooled, seen, transposed, unpooled
from alexnet.pretraining.moments import Moments, squared_error
from alexnet.pretraining.recipe import AutoencoderRecipe
from alexnet.pretraining.stages import Stage

FIRST_WEIGHT_SHARE = 0.02
"""Deviation of the first weights, as a share of 1 / sqrt(inputs of a unit). From 0.1 on, noise that
no picture contains stays in many filters for long."""


class Autoencoder(nn.Module):
    """A stage of the table and its way back.

    Weights begin random and small; biases at 0, since the table's biases of 1 are meant for
    learning with labels; the decoder at the mean input.
    """

    scale: Tensor
    """What the input is divided by: [1]."""

    def __init__(
        self,
        stage: Stage,
        moments: Moments,
        recipe: AutoencoderRecipe,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.stage, self.recipe = stage, recipe
        self.layers = nn.ModuleDict(
            {row.layer.name: build_module(row) for row in stage.rows if row.layer is not stage.pool}
        )
        self.register_buffer("scale", torch.tensor([moments.deviation]))
        self.decoder_bias = nn.Parameter(moments.mean / moments.deviation)
        sd = FIRST_WEIGHT_SHARE / math.sqrt(self.conv.weight[0].numel())
        with torch.no_grad():
            self.conv.weight.normal_(0, sd, generator=generator)
            if self.conv.bias is not None:
                self.conv.bias.zero_()

    @property
    def conv(self) -> Conv2d:
        """The convolution, whose filters decode too."""
        conv = self.layers[self.stage.name]
        assert isinstance(conv, Conv2d)
        return conv

    def encode(self, inputs: Tensor) -> Code:
        """The code of inputs [N, C, H, W] on the classifier's own scale."""
        return self._encode(self._scaled(inputs))

    def decode(self, code: Code) -> Tensor:
        """Inputs, on the classifier's own scale, as far as the windows see them."""
        return self._decode(code) * self.scale

    def reconstruct(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs and their reconstruction, both in deviations and as far as they are seen."""
        x = self._scaled(inputs)
        return x, self._decode(self._encode(x))

    def loss(self, inputs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """What a step makes smaller, and the reconstruction error: here the same.

        The code of the spoilt input must give the whole one back.

        Source: Vincent et al. 2008, section 2.3; Masci et al. 2011, section 2.2.
        """
        x = self._scaled(inputs)
        error = squared_error(
            x, self._decode(self._encode(corrupt(x, self.recipe.noise, generator)))
        )
        return error, error.detach()

    @property
    def rate(self) -> float:
        """Learning rate at the beginning."""
        return self.recipe.lr

    def optimizer(self) -> torch.optim.Optimizer:
        """Adam over filters, biases, norms and the decoder's bias."""
        return torch.optim.Adam(self.parameters(), self.rate)

    def activity(self, inputs: Tensor) -> Tensor:
        """Share of the code that is not zero."""
        return (self.encode(inputs).maps != 0).float().mean()

    def export_weights(self) -> dict[str, Tensor]:
        """The stage's tensors for the classifier, by the network's names.

        Its inputs are not divided there, so the filters are: W * (x / s) = (W / s) * x. Everything
        after the convolution is as it was learnt.
        """
        tensors = {name: t.detach().clone() for name, t in self.layers.state_dict().items()}
        tensors[f"{self.stage.name}.weight"] /= self.scale
        return tensors

    def _scaled(self, inputs: Tensor) -> Tensor:
        return seen(inputs, self.stage.conv) / self.scale

    def _encode(self, x: Tensor) -> Code:
        outer = inner = hidden_and_input(x)
        guide = x.new_empty(0)
        for row in self.stage.rows:
            if row.layer is self.stage.pool:
                inner = hidden_and_input(x)
                x, guide = pooled(x, self.stage.pool)
            else:
                x = self.layers[row.layer.name](x)
        return Code(x, guide, inner if self.stage.pool else hidden_and_input(x), outer)

    def _decode(self, code: Code) -> Tensor:
        maps, pool = code.maps, self.stage.pool
        if pool:
            maps = unpooled(maps, code.guide, pool, code.inner)
        laid = transposed(maps, self.conv.weight, self.stage.conv, code.outer)
        return laid + self.decoder_bias[:, None, None]


def corrupt(x: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """The input with a share of its values at zero, each drawn on its own (masking noise).

    The others grow by 1 / (1 - share), as in dropout, so that a layer's sums keep their size when
    it sees whole inputs later.

    Source: Vincent et al. 2008, section 2.3, without the growth.
    """
    if not share:
        return x
    draw = torch.rand(x.shape, generator=generator, device=x.device)
    return x * (draw >= share) / (1 - share)
