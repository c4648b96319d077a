"""Several processes that train or evaluate one network together.

- `world`: the processes that torchrun started, and what they exchange.
- `connect`: how they find each other; `watch`: notices when one has ended or hangs;
  `launch`: starts them on this machine.
- `device`: the device of each.
- `data_parallel`: every process has the whole network and some rows of each batch.
- `batch_norm`: batch norm with the statistics of the whole batch.
- `plan`, `traffic`, `summary`: what each has of a network and sends in a step, without torch.
- `prediction`: how long a step takes, from the speed of a device and of its link.
- `columns`, `hybrid`: a part of a network in each process; `network`, `parts`: what they share.
- `exchange`, `rounds`: exchanges of activations, through which gradients flow back.
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.parallel.world import World, current_world, join_world

__all__ = ["World", "current_world", "join_world"]
__getattr__, __dir__ = attach(
    __name__,
    {
        "World": "world",
        "current_world": "world",
        "join_world": "world",
    },
)
