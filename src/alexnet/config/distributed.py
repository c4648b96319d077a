"""How several processes train one network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from alexnet.errors import require


@dataclass(frozen=True, kw_only=True, slots=True)
class DistributedOptions:
    """Processes that train together, each on a device of its own."""

    devices: int = 1
    """Number of processes that train together, each with a GPU of its own, or on the CPU with a
    part of its cores; --batch-size is that of all of them."""
    gradient_compression: Literal["none", "bf16"] = "none"
    """Data type in which the processes exchange gradients; bf16 halves the bytes."""
    sync_batch_norm: bool = False
    """Batch norm uses the statistics of the whole batch, not of each process's images."""

    def __post_init__(self) -> None:
        require(self.devices >= 1, f"--devices {self.devices} must be at least 1")


ONE_PROCESS = DistributedOptions()
