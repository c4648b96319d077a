"""Convolutions of small kernels by Winograd's minimal filtering, for inference."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alexnet.inference.int8 import bias_of
from alexnet.ops.library import TILE, Kernels, Tiling

CHUNK_BYTES = 16 * 2**20
"""Of transformed tiles at a time, so that they stay in the processor's cache."""
MIN_MAPS = 32
"""Input maps a group below which the transforms cost more than they save."""


def can_use_winograd(layer: nn.Conv2d) -> bool:
    """Whether a convolution can be cut into tiles, and gains by it."""
    is_square = layer.kernel_size in ((3, 3), (5, 5)) and len({*layer.padding}) == 1
    is_plain = layer.stride == layer.dilation == (1, 1) and not getattr(layer, "extra_padding", 0)
    return is_square and is_plain and layer.in_channels // layer.groups >= MIN_MAPS


class WinogradConv(nn.Module):
    """A convolution of 3 x 3 or 5 x 5 with stride 1 by Winograd's minimal filtering.

    Tiles of 6 x 6 pixels are transformed, multiplied map by map at 36 places, and transformed back:
    36 products for 16 outputs (3 x 3) instead of 144, or for 4 outputs (5 x 5) instead of 100.

    Source: Lavin and Gray 2016, "Fast algorithms for convolutional neural networks".
    """

    def __init__(self, layer: nn.Conv2d, built: Kernels) -> None:
        super().__init__()
        assert not isinstance(layer.padding, str)
        self.tiling = Tiling(layer.kernel_size[0], layer.padding[0], layer.groups)
        self.built = built
        self.register_buffer("weights", transform_weights(layer.weight.detach(), layer.groups))
        self.register_buffer("bias", bias_of(layer))

    def forward(self, x: Tensor) -> Tensor:
        """Maps [N, C, H, W] to maps, channels last, float32."""
        x = x.float().contiguous(memory_format=torch.channels_last)
        height, width = (
            side + 2 * self.tiling.padding - self.tiling.kernel + 1 for side in x.shape[2:]
        )
        maps = len(self.get_buffer("bias"))
        y = x.new_empty(len(x), height, width, maps).permute(0, 3, 1, 2)
        chunk = self._images_at_a_time(x)
        for first in range(0, len(x), chunk):
            self._convolve(x[first : first + chunk], y[first : first + chunk])
        return y

    def _images_at_a_time(self, x: Tensor) -> int:
        _, rows, columns = self.tiling.tiles(*x.shape[2:])
        floats = TILE**2 * rows * columns * (x.shape[1] + len(self.get_buffer("bias")))
        return max(1, CHUNK_BYTES // (4 * floats))

    def _convolve(self, x: Tensor, y: Tensor) -> None:
        weights = self.get_buffer("weights")
        _, rows, columns = self.tiling.tiles(*x.shape[2:])
        v = x.new_empty(len(weights), len(x) * rows * columns, weights.shape[1])
        self.built.winograd_input(x, v, self.tiling)
        with torch.autocast("cpu", enabled=False):
            products = v @ weights
        self.built.winograd_output(products, self.get_buffer("bias"), y, self.tiling)


def transform_weights(weight: Tensor, groups: int) -> Tensor:
    """Weights [K, C / groups, r, r] as 36 matrices a group: [36 * groups, C / groups, K / groups].

    Computed in float64: G w G transposed, where row i of G holds the powers of the point a_i (0, 1,
    -1, 2, -2 and infinity) over the product of its distances to the others.
    """
    outputs, inputs, side, _ = weight.shape
    points = {0.0: 1 / 4, 1.0: -1 / 6, -1.0: -1 / 6, 2.0: 1 / 24, -2.0: 1 / 24}
    rows = [[scale * a**power for power in range(side)] for a, scale in points.items()]
    g = torch.tensor([*rows, [0.0] * (side - 1) + [1.0]], dtype=torch.float64)
    tiles = torch.einsum("ay,kcyx,bx->abck", g, weight.double().cpu(), g)
    matrices = tiles.reshape(TILE**2, inputs, groups, outputs // groups).transpose(1, 2)
    return matrices.flatten(0, 1).float().contiguous()
