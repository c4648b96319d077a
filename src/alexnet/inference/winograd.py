"""Convolutions with small kernels by Winograd's minimal filtering, for inference."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from alexnet.inference.quantization import bias_of
from alexnet.ops.library import KernelLibrary
from alexnet.ops.tensors import check_float32, check_inputs

TILE = 6
"""Side of an input tile, in pixels."""
CHUNK_BYTES = 16 * 2**20
"""Size of the transformed tiles computed at a time, which stay in the CPU's cache."""
MIN_CHANNELS = 32
"""Input channels of a group below which the transforms cost more than they save."""


def can_use_winograd(layer: nn.Conv2d) -> bool:
    """Whether a convolution can be computed by Winograd's filtering, and is faster that way."""
    is_square = layer.kernel_size in ((3, 3), (5, 5)) and len({*layer.padding}) == 1
    is_plain = layer.stride == layer.dilation == (1, 1) and not getattr(layer, "extra_padding", 0)
    return is_square and is_plain and layer.in_channels // layer.groups >= MIN_CHANNELS


@dataclass(frozen=True, slots=True)
class Tiling:
    """How the activations of a convolution are cut into overlapping tiles of 6 x 6 pixels."""

    kernel: int
    """Side of the kernel: 3 or 5."""
    padding: int
    groups: int

    @property
    def output_side(self) -> int:
        """Side of a tile's output, in pixels."""
        return TILE + 1 - self.kernel

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of the convolution's output."""
        border = 2 * self.padding - self.kernel + 1
        return height + border, width + border

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of tiles for an output of this size."""
        return -(-height // self.output_side), -(-width // self.output_side)


class WinogradConv2d(nn.Module):
    """A convolution of 3 x 3 or 5 x 5 with stride 1 by Winograd's minimal filtering.

    Input tiles of 6 x 6 pixels are transformed, multiplied by the transformed weights at each of 36
    points, and transformed back: 36 multiplications per channel for 16 outputs (3 x 3) instead of
    144, or for 4 outputs (5 x 5) instead of 100.

    Source: Lavin and Gray 2016, "Fast algorithms for convolutional neural networks".
    """

    def __init__(
        self, layer: nn.Conv2d, kernels: KernelLibrary, chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        """`chunk_bytes`: largest size of the transformed tiles that are computed at a time."""
        super().__init__()
        assert not isinstance(layer.padding, str)
        self.tiling = Tiling(layer.kernel_size[0], layer.padding[0], layer.groups)
        self.inputs, self.kernels, self.chunk_bytes = layer.in_channels, kernels, chunk_bytes
        self.register_buffer("weights", transform_weights(layer.weight.detach(), layer.groups))
        self.register_buffer("bias", bias_of(layer))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve activations [N, C, H, W] to float32 [N, K, H', W'], channels last.

        Raises:
            ValueError: the activations have another number of channels than C.
        """
        check_inputs(x, self.inputs, ndim=4)
        x = x.float().contiguous(memory_format=torch.channels_last)
        height, width = self.tiling.output_size(*x.shape[2:])
        channels = len(self.get_buffer("bias"))
        y = x.new_empty(len(x), height, width, channels).permute(0, 3, 1, 2)
        chunk = self._images_at_a_time(x)
        for first in range(0, len(x), chunk):
            self._convolve(x[first : first + chunk], y[first : first + chunk])
        return y

    def _images_at_a_time(self, x: Tensor) -> int:
        rows, columns = self.tiling.grid(*self.tiling.output_size(*x.shape[2:]))
        floats = TILE**2 * rows * columns * (x.shape[1] + len(self.get_buffer("bias")))
        return max(1, self.chunk_bytes // (4 * floats))

    def _convolve(self, x: Tensor, y: Tensor) -> None:
        """Fill y [N, K, H', W'] from x [N, C, H, W], both channels last."""
        weights, bias, tiling = self.get_buffer("weights"), self.get_buffer("bias"), self.tiling
        check_float32(weights, bias)
        (n, c, h, w), (channels, out_h, out_w) = x.shape, y.shape[1:]
        rows, columns = tiling.grid(out_h, out_w)
        groups, tiles = tiling.groups, (tiling.output_side, rows, columns)
        v = x.new_empty(len(weights), n * rows * columns, weights.shape[1])
        self.kernels.call(
            "winograd_input", x, v, n, h, w, groups, c // groups, tiling.padding, *tiles
        )
        with torch.autocast("cpu", enabled=False):
            products = v @ weights
        sizes = n, out_h, out_w, groups, channels // groups, *tiles
        self.kernels.call("winograd_output", products, bias, y, *sizes)


def transform_weights(weight: Tensor, groups: int) -> Tensor:
    """Weights [K, C / groups, r, r] as 36 matrices a group: [36 * groups, C / groups, K / groups].

    Computed in float64: G w G^T, where row i of G holds the powers of the point a_i (0, 1, -1, 2,
    -2 and infinity) over the product of its distances to the other points.
    """
    outputs, inputs, side, _ = weight.shape
    points = {0.0: 1 / 4, 1.0: -1 / 6, -1.0: -1 / 6, 2.0: 1 / 24, -2.0: 1 / 24}
    rows = [[scale * a**power for power in range(side)] for a, scale in points.items()]
    g = torch.tensor([*rows, [0.0] * (side - 1) + [1.0]], dtype=torch.float64, device="cpu")
    tiles = torch.einsum("ay,kcyx,bx->abck", g, weight.double().cpu(), g)
    matrices = tiles.reshape(TILE**2, inputs, groups, outputs // groups).transpose(1, 2)
    return matrices.flatten(0, 1).float().contiguous()
