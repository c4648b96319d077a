"""Random numbers of a batch whose images are spread over processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class BatchRandom:
    """Draws the numbers of a whole batch and gives those of some of its images.

    So an image gets the same numbers however many processes the batch is spread over.
    """

    generator: torch.Generator
    count: int
    """Images of the batch."""
    rows: slice
    """Those that this process has."""

    @property
    def share(self) -> float:
        """Of the batch's images, those that this process has."""
        return len(range(self.count)[self.rows]) / self.count

    def uniform(self, shape: Sequence[int]) -> Tensor:
        """Numbers from 0 to below 1, of this shape [n, ...] for the n images of this process."""
        whole = (self.count, *shape[1:])
        return torch.rand(whole, generator=self.generator, device=self.generator.device)[self.rows]

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Numbers with mean 0 and standard deviation 1, as for `uniform`."""
        whole = (self.count, *shape[1:])
        return torch.randn(whole, generator=self.generator, device=self.generator.device)[self.rows]
