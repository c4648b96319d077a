"""Everything a training loop needs, built from a recipe."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from alexnet.checkpoints.model_file import ModelInfo
from alexnet.config.recipe import Recipe
from alexnet.data.batches import Batches
from alexnet.data.splits import Splits
from alexnet.data.store.store import Store
from alexnet.inference.classifier import Classifier
from alexnet.models.architecture import Architecture
from alexnet.models.network import Network
from alexnet.models.variants import variant
from alexnet.parallel.data_parallel import meter_of
from alexnet.parallel.network import ParallelNetwork
from alexnet.parallel.same_start import check_same_start
from alexnet.parallel.world import ALONE, World, current_world
from alexnet.reporter import Reporter
from alexnet.runtime.malloc import disable_malloc_trim
from alexnet.training.build import (
    build_architecture,
    build_augmenter,
    build_batches,
    build_network,
    check_stopping,
    class_weights,
    device_to_train_on,
    low_lr_parameters,
    model_info,
    start_facts,
)
from alexnet.training.data import prepare_data
from alexnet.training.device_loader import DeviceLoader, to_device
from alexnet.training.initial_weights import (
    read_initial_weights,
    resolve,
    warn_of_earlier_training,
)
from alexnet.training.loss_scaling import LossScaler, build_loss_scaler
from alexnet.training.memory import bytes_beside_weights
from alexnet.training.micro_batches import own_rows
from alexnet.training.optimizers import build_optimizer
from alexnet.training.output_rows import NO_WEIGHTS, InitialWeights
from alexnet.training.replica import (
    build_replica,
    check_parallel,
    note_batch_norm,
    note_parallel,
    num_learning,
    part_of,
    rows_world,
)
from alexnet.training.schedule import LRScheduler, build_scheduler
from alexnet.training.weight_average import WeightAverage, build_average
from alexnet.transforms.augment import Augmenter


@dataclass(kw_only=True, eq=False)
class TrainingSetup:
    """Everything a training loop needs.

    Only network, replica, average, optimizer and loss scaler change.
    """

    recipe: Recipe
    store: Store
    splits: Splits
    info: ModelInfo
    augmenter: Augmenter
    batches: Batches
    loader: DeviceLoader
    """The same batches on the training device."""
    class_weights: Tensor | None
    """Factors on the training loss [num_classes]; None: 1."""
    network: Network
    """The whole network; while processes train parts of it, as it was at the last `gather`."""
    replica: nn.Module
    """What computes the logits of a training step: the network, which in a world of several
    processes adds up the gradients of all; or this process's part of the network."""
    average: WeightAverage | None
    """The moving average of the network's weights; None where it is not wanted."""
    optimizer: torch.optim.Optimizer
    scheduler: LRScheduler
    device: torch.device
    loss_scaler: LossScaler | None = None
    """The loss scaling of fp16; None in other types."""
    world: World = ALONE
    """The processes that train together."""

    @property
    def rows_world(self) -> World:
        """The processes that share a batch's images; under "columns" each has them all."""
        return rows_world(self.recipe, self.world)

    @property
    def part(self) -> ParallelNetwork | None:
        """The part of the network that this process trains; None where it trains all of it."""
        return part_of(self.replica)

    @property
    def learner(self) -> Network:
        """What the optimizer updates: the network, or this process's part of it."""
        return self.part or self.network

    def own(self, rows: Tensor) -> Tensor:
        """The rows of a batch [B, ...] that belong to the images this process computes."""
        if self.rows_world.size == 1:
            return rows
        places = own_rows(len(rows), self.recipe, self.rows_world)
        return rows[torch.from_numpy(places).to(rows.device)]

    def gather(self) -> None:
        """Update the network and its average from the parts that the processes train.

        All processes call it together.
        """
        if not self.part:
            return
        self.network.load_state_dict(self.part.whole_state())
        if self.average:
            whole = self.part.gather_state(self.average.values)
            self.average.network.load_state_dict(whole)

    def scatter(self) -> None:
        """Update every process's part from the network and its average."""
        if not self.part:
            return
        self.part.load_whole_state(self.network.state_dict())
        if self.average:
            self.average.values = self.part.own_state(self.average.network.state_dict())

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return self.batches.steps_per_epoch

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.scheduler.total_steps

    @property
    def eval_split(self) -> str | None:
        """The split evaluated after each epoch: "val" if there is one, else "test", else None."""
        return "val" if len(self.splits.val) else "test" if len(self.splits.test) else None

    @property
    def model(self) -> Network:
        """The network that is evaluated and saved: the average if there is one."""
        return self.average.network if self.average else self.network

    def classifier(self) -> Classifier:
        """The current model as a classifier."""
        return Classifier(self.model, self.info, self.augmenter.mean_image, self.recipe.precision)

    def freeze(self, epoch: int) -> None:
        """Freeze what the recipe freezes in this epoch (counted from 0), and nothing else."""
        if not self.recipe.freeze_up_to:
            return
        before, learner = num_learning(self.network), self.learner
        for network in (self.network, learner):
            for parameter in network.parameters_up_to(self.recipe.freeze_up_to):
                parameter.requires_grad_(not self.recipe.is_frozen(epoch))
        for parameter in learner.parameters():
            if not parameter.requires_grad:
                parameter.grad = None
        if learner is self.network and num_learning(self.network) != before:
            before_freezing = meter_of(self.replica)
            self.replica = build_replica(self.network, self.recipe, self.world)
            if before_freezing and (meter := meter_of(self.replica)):
                meter.sent.update(before_freezing.sent)


def set_up_training(
    recipe: Recipe,
    reporter: Reporter,
    checkpoint: str = "",
    data: tuple[Store, Splits] | None = None,
) -> TrainingSetup:
    """Prepare the data, build the network, load initial weights.

    Everything that does not need the data is checked first. Writes nothing but the image store.
    From here on, malloc keeps freed memory in the process.

    Args:
        recipe: what to train.
        reporter: receives notes on what was skipped, loaded or ignored.
        checkpoint: names the one that gives the weights, so that `recipe.init_from` is not read;
            "" if none does.
        data: None: prepared here.

    Raises:
        AlexNetError: something in the recipe, the data or the weights cannot work, or differs
            between the processes that train together.
    """
    disable_malloc_trim()
    recipe = recipe if checkpoint else resolve(recipe, reporter)
    world = current_world()
    arch = build_architecture(recipe)
    check_parallel(arch, recipe, world)
    device = device_to_train_on(recipe, world, reporter)
    weights = NO_WEIGHTS if checkpoint else read_initial_weights(recipe, arch, reporter)
    store, splits = data or prepare_data(recipe, reporter)
    if world.size > 1:  # a digest of all weights takes a moment
        check_same_start(start_facts(recipe, store, checkpoint) | weights.facts)
    check_stopping(recipe, splits)
    setup = _build(recipe, arch, weights, store, splits, device, reporter)
    note_what_matters(setup, weights, reporter)
    return setup


def _build(
    recipe: Recipe,
    arch: Architecture,
    weights: InitialWeights,
    store: Store,
    splits: Splits,
    device: torch.device,
    reporter: Reporter,
) -> TrainingSetup:
    """Build the network and what trains it, of a recipe that is checked, on data that is ready."""
    world = current_world()
    batches = build_batches(recipe, arch, store, splits, reporter, rows_world(recipe, world))
    class_names = store.info.class_names
    arch = variant(arch, num_classes=len(class_names))
    network = build_network(arch, recipe, weights, class_names, device, reporter)
    replica = build_replica(network, recipe, world)
    learner = part_of(replica) or network
    augmenter = build_augmenter(arch, recipe, store, splits, device)
    average = build_average(recipe, network, learner)
    needed_bytes = bytes_beside_weights(recipe, network, learner, batches, world, device)
    return TrainingSetup(
        recipe=recipe,
        store=store,
        splits=splits,
        info=model_info(arch, recipe, store, augmenter),
        augmenter=augmenter,
        batches=batches,
        loader=to_device(batches, device, needed_bytes, reporter),
        class_weights=class_weights(recipe, store.labels[splits.train], device),
        network=network,
        replica=replica,
        average=average,
        optimizer=build_optimizer(learner, recipe.optimizer, low_lr_parameters(learner, recipe)),
        scheduler=build_scheduler(recipe, batches.steps_per_epoch),
        device=device,
        loss_scaler=build_loss_scaler(device, recipe.precision),
        world=world,
    )


def note_what_matters(setup: TrainingSetup, weights: InitialWeights, reporter: Reporter) -> None:
    """Note how processes share the training, and whether the weights have seen test images."""
    arch, recipe = setup.network.architecture, setup.recipe
    note_batch_norm(arch, recipe, setup.rows_world, reporter)
    note_parallel(arch, recipe, setup.world, reporter)
    if weights.tensors:
        warn_of_earlier_training(setup.info, setup.store, setup.splits.test, reporter)
