"""A network prepared for inference: constants folded, fewer products, smaller weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from alexnet.kernels import BLOCK, TILE, Kernels, Tiling, kernels
from alexnet.layers import ConvModule
from alexnet.network import Network, channels_last
from alexnet.precision import computing_type
from alexnet.recipe import Precision

LARGEST_INT8_BATCH = 8
"""Above it the products cost more than reading the weights (docs/performance.md)."""
CHUNK_BYTES = 16 * 2**20
"""Of transformed tiles at a time, so that they stay in the processor's cache."""
MIN_MAPS = 32
"""Input maps a group below which the transforms cost more than they save."""


def optimized_network(
    network: Network, precision: Precision = "auto", *, has_int8: bool = True
) -> Network:
    """The same network for inference alone; the given one stays as it is.

    Batch norms are folded into the layer before them. On a processor without bf16, convolutions of
    3 x 3 and 5 x 5 take Winograd's way (float32, about 1e-5 of the largest output away from the
    direct sum); where bf16 is in hardware, weights are stored in it. Fully connected layers read
    weights of one byte for small batches.

    Args:
        network: a trained network.
        precision: type of the matrix products.
        has_int8: whether small batches may use weights of one byte.
    """
    device = next(network.parameters()).device
    dtype = computing_type(device, precision)
    with torch.device("meta"):
        result = Network(network.architecture)
    for name, layer in folded(network).items():
        setattr(result, name, _prepared(layer, device, dtype, has_int8))
    result.requires_grad_(False)
    return channels_last(result).eval()


def folded(network: Network) -> dict[str, nn.Module]:
    """The layers by name, every batch norm folded into the weights before it."""
    layers: dict[str, nn.Module] = {}
    last = ""
    for name, layer in network.named_children():
        before = layers.get(last)
        layers[name] = layer
        if isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            layers[last], layers[name] = fuse_conv_bn_eval(before, layer), nn.Identity()
        elif isinstance(layer, nn.BatchNorm1d) and isinstance(before, nn.Linear):
            layers[last], layers[name] = fuse_linear_bn_eval(before, layer), nn.Identity()
        last = name
    return layers


def _prepared(
    layer: nn.Module, device: torch.device, dtype: torch.dtype, has_int8: bool
) -> nn.Module:
    built = kernels() if device.type == "cpu" else None
    if isinstance(layer, ConvModule):
        if built and dtype == torch.float32 and takes_winograd(layer):
            return WinogradConv(layer, built)
        return _Typed(layer, dtype)
    if isinstance(layer, nn.Linear):
        if built and has_int8 and layer.in_features % BLOCK == 0:
            return SmallLinear(layer, dtype, built)
        return _Typed(layer, dtype)
    return layer


def takes_winograd(layer: nn.Conv2d) -> bool:
    """Whether a convolution can be cut into tiles, and gains by it."""
    is_square = layer.kernel_size in ((3, 3), (5, 5)) and len({*layer.padding}) == 1
    is_plain = layer.stride == layer.dilation == (1, 1) and not getattr(layer, "end_padding", 0)
    return is_square and is_plain and layer.in_channels // layer.groups >= MIN_MAPS


class _Typed(nn.Module):
    """A layer with its weights in the type of its products; float32 comes in and goes out."""

    def __init__(self, layer: nn.Conv2d | nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.layer = layer if dtype == torch.float32 else _converted(layer, dtype)
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        """What the layer gives."""
        with torch.autocast(x.device.type, enabled=False):
            y: Tensor = self.layer(x.to(self.dtype))
        return y


def _converted(layer: nn.Conv2d | nn.Linear, dtype: torch.dtype) -> nn.Module:
    return copy.deepcopy(layer).to(dtype)


class SmallLinear(nn.Module):
    """A fully connected layer that reads weights of one byte for small batches.

    Each 64 weights of an output share a scale, their largest / 127. The sums are float32.
    """

    def __init__(self, layer: nn.Linear, dtype: torch.dtype, built: Kernels) -> None:
        super().__init__()
        outputs = layer.out_features
        blocks = layer.weight.detach().float().reshape(outputs, -1, BLOCK)
        scales = (blocks.abs().amax(2) / 127).clamp(min=torch.finfo(torch.float32).tiny)
        self.register_buffer("scales", scales.contiguous())
        self.register_buffer(
            "bytes", (blocks / scales[:, :, None]).round().to(torch.int8).flatten(1)
        )
        self.register_buffer("bias", _bias(layer.bias, len(scales)))
        self.large = _Typed(layer, dtype)
        self.built = built

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs] to [B, outputs]."""
        if len(x) > LARGEST_INT8_BATCH:
            y: Tensor = self.large(x)
            return y
        weights, scales, bias = map(self.get_buffer, ("bytes", "scales", "bias"))
        return self.built.linear_int8(x.float().contiguous(), weights, scales, bias)


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
        self.register_buffer("weights", transformed(layer.weight.detach(), layer.groups))
        self.register_buffer("bias", _bias(layer.bias, layer.out_channels))

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
        self.built.winograd_output(v @ weights, self.get_buffer("bias"), y, self.tiling)


def transformed(weight: Tensor, groups: int) -> Tensor:
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


def _bias(bias: Tensor | None, length: int) -> Tensor:
    return torch.zeros(length) if bias is None else bias.detach().float().clone()
