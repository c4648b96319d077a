"""ReLU, response norm and max pooling as one layer, for inference on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alexnet.inference.int8_kernels import relu_norm_pool
from alexnet.models.modules import ResponseNorm
from alexnet.ops.library import KernelLibrary
from alexnet.ops.tensors import supported_type


class FusedReluNormPool(nn.Module):
    """A layer of ReLU, response norm if there is one, and max pooling, in one pass over memory."""

    def __init__(
        self, norm: ResponseNorm | None, pool: nn.MaxPool2d, kernels: KernelLibrary
    ) -> None:
        super().__init__()
        self.norm = norm.layer if norm else None
        self.window, self.stride = _side(pool.kernel_size), _side(pool.stride)
        self.kernels = kernels

    def forward(self, x: Tensor) -> Tensor:
        """Pool activations [N, C, H, W] to channels last, bf16 if `x` is bf16, else float32.

        Raises:
            ValueError: the feature maps are smaller than the pooling window.
            MemoryError: there is no memory for the buffered lines.
        """
        x = supported_type(x).contiguous(memory_format=torch.channels_last).permute(0, 2, 3, 1)
        y = relu_norm_pool(x, self.norm, self.window, self.stride, self.kernels)
        return y.permute(0, 3, 1, 2)


def _side(value: int | tuple[int, int]) -> int:
    """Side of a square window."""
    return value if isinstance(value, int) else value[0]
