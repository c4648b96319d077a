"""Training: `train` a recipe into a run folder, `resume` a stopped run.

The path of a batch, which `loop` has on one screen: `device_loader`, `schedule` (learning rate),
`step` (augment, forward, backward, update), `state` (metrics), `checkpointing`.

- `trainer`: `train`, `resume`, and what a run does before and after the loop
- `setup`: everything a loop needs, from a recipe: data, network, augmentation, optimizer
- `loop`, `step`, `epoch`: the loop; one update; the evaluation and record after an epoch
- `schedule`, `optimizers`: the learning rate of a step; the optimizers and their parameter groups
- `device_loader`: training batches on the device, preloaded or streamed
- `state`, `timer`, `update_stats`: metrics so far; how long it takes; how far weights move
- `checkpointing`, `run_folder`, `results`: checkpoints; a run's files; plots and `result.json`
- `preview`: augmented images to look at
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.training.run_folder import RunFolder
    from alexnet.training.trainer import Run, resume, train

__all__ = ["Run", "RunFolder", "resume", "train"]
__getattr__, __dir__ = attach(
    __name__, {"Run": "trainer", "RunFolder": "run_folder", "resume": "trainer", "train": "trainer"}
)
