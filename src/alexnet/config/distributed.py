"""How several processes train one network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from alexnet.errors import require, require_at_least


@dataclass(frozen=True, kw_only=True, slots=True)
class DistributedOptions:
    """Processes that train together, each on a device of its own."""

    devices: int = 1
    """Number of processes that train together, each with a GPU of its own, or on the CPU with a
    part of its cores; --batch-size is that of all of them."""
    parallel: Literal["data", "columns", "hybrid"] = "data"
    """data: every process has the whole network and some images of a batch; columns: each has a
    column of a network with two, as in the paper; hybrid: convolutions as in data, and a part of
    each fully connected layer."""
    exchange: Literal["all", "turns", "slices"] = "all"
    """hybrid: when the fully connected layers get the activations of the convolutions: those of all
    images at once; in rounds, each with the images of one process, or with a slice of every
    process's, while the next round is on its way."""
    gradient_compression: Literal["none", "bf16"] = "none"
    """Data type in which the processes exchange gradients; bf16 halves the bytes."""
    sync_batch_norm: bool = False
    """Batch norm uses the statistics of the whole batch, not of each process's images."""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "devices")
        require(
            self.exchange == "all" or self.parallel == "hybrid",
            f"--exchange {self.exchange} is for --parallel hybrid",
        )
        require(
            self.gradient_compression == "none" or self.parallel != "columns",
            "--parallel columns sends no gradients of weights: leave --gradient-compression out",
        )


ONE_PROCESS = DistributedOptions()
