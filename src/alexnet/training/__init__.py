"""Training: `train` a recipe into a run folder, `resume` a stopped run.

`loop` has the training loop. Per batch it calls `device_loader`, `schedule` (learning rate), `step`
(augment, forward, backward, update), `state` (metrics) and `checkpointing`.

- `trainer`: `train`, `resume`, and what a run does before and after the loop
- `setup`: everything a loop needs, from a recipe; `build`: what it consists of
- `loop`, `step`, `epoch`: the loop; one update; the evaluation and record after an epoch
- `loss_scaling`: the scale of the loss in fp16, and the steps that it skips
- `reporter_calls`: what a reporter raises
- `schedule`, `optimizers`: the learning rate of a step; the optimizers and their parameter groups
- `device_loader`, `prefetch`: training batches on the device, preloaded or streamed
- `memory`: what a step takes
- `state`, `timer`, `update_stats`: the running metrics; the time of an epoch; the size of updates
- `advice`: what a learning curve says, and what to try
- `schedule_advice`: what has no effect in a run of as few epochs
- `calibrate`: the temperature of the model, from the validation images
- `checkpointing`, `run_folder`, `results`: checkpoints; a run's files; `result.json`
- `run_plots`: learning curves, confusion matrix and filters of a finished run
- `preview`: augmented images for `alexnet data show`
"""

from typing import TYPE_CHECKING

from alexnet._lazy import attach

if TYPE_CHECKING:
    from alexnet.training.build import build_augmenter
    from alexnet.training.data import prepare_data
    from alexnet.training.optimizers import KerasAdam, PaperSGD, build_optimizer
    from alexnet.training.run_folder import RunFolder
    from alexnet.training.schedule import LRScheduler, build_scheduler, lr_at
    from alexnet.training.step import derive_seed
    from alexnet.training.trainer import Run, resume, train

__all__ = [
    "KerasAdam",
    "LRScheduler",
    "PaperSGD",
    "Run",
    "RunFolder",
    "build_augmenter",
    "build_optimizer",
    "build_scheduler",
    "derive_seed",
    "lr_at",
    "prepare_data",
    "resume",
    "train",
]
__getattr__, __dir__ = attach(
    __name__,
    {
        "KerasAdam": "optimizers",
        "LRScheduler": "schedule",
        "PaperSGD": "optimizers",
        "Run": "trainer",
        "RunFolder": "run_folder",
        "build_augmenter": "build",
        "build_optimizer": "optimizers",
        "build_scheduler": "schedule",
        "derive_seed": "step",
        "lr_at": "schedule",
        "prepare_data": "data",
        "resume": "trainer",
        "train": "trainer",
    },
)
