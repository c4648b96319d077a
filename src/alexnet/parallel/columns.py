"""The paper's two columns: every process has half of each layer and sees the whole batch.

The columns exchange their activations where every channel is needed: before a convolution without
groups (conv3), before the fully connected layers, and next to their common border where a response
norm reaches across it.

Source: Paper, sections 3.1, 3.3 and 3.5.
"""

from __future__ import annotations

from torch import Tensor

from alexnet.models.network import Network
from alexnet.parallel.network import BatchRows, ParallelNetwork
from alexnet.parallel.plan import plan_for
from alexnet.parallel.world import World


class ColumnsNetwork(ParallelNetwork):
    """One column of a network; every process calls it with the same images.

    Args:
        network: the whole one, the same in all processes.
        world: the processes, one for each column.

    Raises:
        ConfigError: the network has no columns, or another number of them.
    """

    def __init__(self, network: Network, world: World) -> None:
        super().__init__(network, plan_for(network.architecture, "columns", world.size), world)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, num_classes] for images [B, C, H, W]; the same in every process.

        Gradients are those of a loss that every process computes of the same logits.

        Raises:
            ArchitectureError: the images do not have the architecture's input shape.
        """
        self._check(images)
        self.forget_masks()
        rows, size = self.batch or (slice(0, len(images)), len(images))
        return self.run_layers(
            self.plan.layers, images, BatchRows(size, (range(rows.start, rows.stop),))
        )
