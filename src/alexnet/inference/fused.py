"""ReLU, response norm and max pooling as one layer, for inference on the CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from alexnet.models.modules import ResponseNorm
from alexnet.ops.library import SUFFIX, KernelLibrary


class FusedReluNormPool(nn.Module):
    """ReLU, response norm where there is one, and max pooling in one pass over memory."""

    def __init__(
        self, norm: ResponseNorm | None, pool: nn.MaxPool2d, kernels: KernelLibrary
    ) -> None:
        super().__init__()
        self.norm = norm.layer if norm else None
        self.window, self.stride = _side(pool.kernel_size), _side(pool.stride)
        self.kernels = kernels

    def forward(self, x: Tensor) -> Tensor:
        """Activations [N, C, H, W], float32 or bf16, to pooled ones of that type, channels last.

        Raises:
            ValueError: the feature maps are smaller than the pooling window.
            MemoryError: there is no memory for the buffered lines.
        """
        x = x.contiguous(memory_format=torch.channels_last)
        n, c, h, w = x.shape
        if min(h, w) < self.window:
            raise ValueError(f"feature maps of {h} x {w}, smaller than the window, {self.window}")
        out_h, out_w = ((side - self.window) // self.stride + 1 for side in (h, w))
        y = x.new_empty(n, out_h, out_w, c).permute(0, 3, 1, 2)
        groups, norm = self._norm_constants()
        has_failed = self.kernels.call(
            f"relu_norm_pool_{SUFFIX[x.dtype]}",
            *(x, y, n, h, w, groups, c // groups),
            *norm,
            *(self.window, self.stride, out_h, out_w),
        )
        if has_failed:
            raise MemoryError(f"no memory for the lines of activations {c} x {h} x {w}")
        return y

    def _norm_constants(self) -> tuple[int, tuple[float, ...]]:
        """Groups; then size, alpha, beta and k. Size 0 stands for no norm."""
        norm = self.norm
        if norm is None:
            return 1, (0, 0.0, 1.0, 1.0)
        return norm.groups, (norm.size, float(norm.alpha), float(norm.beta), float(norm.k))


def _side(value: int | tuple[int, int]) -> int:
    """Side of a square window."""
    return value if isinstance(value, int) else value[0]
