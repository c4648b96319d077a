"""Random numbers of a batch whose images are spread over processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BatchRandom:
    """Random numbers of a whole batch, of which a process gets those of its images.

    So an image gets the same numbers however many processes the batch is spread over.
    """

    generator: torch.Generator
    count: int
    """Number of images in the batch."""
    rows: slice
    """The images of the batch that this process has."""

    @property
    def share(self) -> float:
        """The fraction of the batch's images that this process has."""
        return len(range(self.count)[self.rows]) / self.count

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Uniform numbers in [0, 1) of this shape [n, ...], for the n images of this process."""
        whole = (self.count, *shape[1:])
        return torch.rand(whole, generator=self.generator, device=self.generator.device)[self.rows]

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers of this shape [n, ...], for the n images of this process."""
        whole = (self.count, *shape[1:])
        return torch.randn(whole, generator=self.generator, device=self.generator.device)[self.rows]
