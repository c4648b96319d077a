"""Everything a training loop needs, built from a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from alexnet.checkpoints.model_file import ModelInfo
from alexnet.config.recipe import BaseRecipe, Recipe
from alexnet.config.recipe_values import flat_values
from alexnet.data.advice import left_out_images
from alexnet.data.batches import Batches
from alexnet.data.splits import Splits
from alexnet.data.store.store import Store
from alexnet.errors import ConfigError, UnknownNameError
from alexnet.inference.classifier import Classifier
from alexnet.models.architecture import Architecture
from alexnet.models.layers import BatchNorm
from alexnet.models.limits import check_limits
from alexnet.models.network import Network, channels_last, check_compiler, compile_network
from alexnet.models.variants import variant
from alexnet.models.zoo import architecture
from alexnet.parallel.data_parallel import meter_of
from alexnet.parallel.device import device_in_world
from alexnet.parallel.network import ParallelNetwork
from alexnet.parallel.same_start import NONE, check_same_start
from alexnet.parallel.world import ALONE, World, current_world
from alexnet.reporter import Reporter
from alexnet.runtime.device import slow_type_note
from alexnet.runtime.malloc import disable_malloc_trim
from alexnet.training.data import prepare_data
from alexnet.training.device_loader import DeviceLoader, to_device
from alexnet.training.initial_weights import (
    load_initial_weights,
    read_initial_weights,
    resolve,
    warn_of_earlier_training,
)
from alexnet.training.loss_scaling import LossScaler, build_loss_scaler
from alexnet.training.memory import bytes_beside_weights
from alexnet.training.micro_batches import own_rows, smallest_share
from alexnet.training.optimizers import build_optimizer
from alexnet.training.output_rows import NO_WEIGHTS, InitialWeights
from alexnet.training.replica import (
    build_replica,
    check_parallel,
    note_batch_norm,
    note_parallel,
    num_learning,
    rows_world,
)
from alexnet.training.schedule import LRScheduler, build_scheduler
from alexnet.training.weight_average import WeightAverage
from alexnet.transforms.augment import Augmenter
from alexnet.transforms.statistics import color_principal_axes, fit_preprocessing, preprocessing_for

OF_A_HOST = ("name", "data", "data_root", "init_from", "device")
"""Fields of the recipe that may differ between the hosts that train together."""


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
    """For fp16; None in other types."""
    world: World = ALONE
    """The processes that train together."""

    @property
    def rows_world(self) -> World:
        """The processes that the images of a batch are spread over; each has all in columns."""
        return rows_world(self.recipe, self.world)

    @property
    def learner(self) -> Network:
        """What the optimizer updates: the network, or this process's part of it."""
        return self.replica if isinstance(self.replica, ParallelNetwork) else self.network

    def own(self, rows: Tensor) -> Tensor:
        """Of the rows of a batch [B, ...], those of the images that this process computes."""
        if self.rows_world.size == 1:
            return rows
        places = own_rows(len(rows), self.recipe, self.rows_world)
        return rows[torch.from_numpy(places).to(rows.device)]

    def gather(self) -> None:
        """Bring the network and its average up to date with the parts that processes train.

        All processes call it together.
        """
        if not isinstance(self.replica, ParallelNetwork):
            return
        self.network.load_state_dict(self.replica.whole_state())
        if self.average:
            whole = self.replica.gather_state(self.average.values)
            self.average.network.load_state_dict(whole)

    def scatter(self) -> None:
        """Give every process its part of the network and of its average, as they are now."""
        if not isinstance(self.replica, ParallelNetwork):
            return
        self.replica.load_whole_state(self.network.state_dict())
        if self.average:
            self.average.values = self.replica.own_state(self.average.network.state_dict())

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
        """The model as it is now, ready to predict."""
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
    check_same_start(start_facts(recipe, store, checkpoint))
    check_stopping(recipe, splits)
    batches = build_batches(recipe, arch, store, splits, reporter, rows_world(recipe, world))
    class_names = store.info.class_names
    arch = variant(arch, num_classes=len(class_names))
    network = build_network(arch, recipe, weights, class_names, device, reporter)
    note_batch_norm(arch, recipe, rows_world(recipe, world), reporter)
    note_parallel(arch, recipe, world, reporter)
    replica = build_replica(network, recipe, world)
    learner = replica if isinstance(replica, ParallelNetwork) else network
    augmenter = build_augmenter(arch, recipe, store, splits, device)
    info = model_info(arch, recipe, store, augmenter)
    if weights.tensors:
        warn_of_earlier_training(info, store, splits.test, reporter)
    ema = recipe.optimizer.ema
    average = WeightAverage(network, ema, learner) if ema is not None else None
    needed_bytes = bytes_beside_weights(recipe, network, learner, batches, world, device)
    return TrainingSetup(
        recipe=recipe,
        store=store,
        splits=splits,
        info=info,
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


def device_to_train_on(recipe: Recipe, world: World, reporter: Reporter) -> torch.device:
    """The device of this process, on which the recipe can be compiled if it asks for that.

    Args:
        recipe: gives device and precision.
        world: the processes that train together.
        reporter: told if the device is slow in this precision.

    Raises:
        ConfigError: there is no compiler.
        UsageError: there is no such device, or not for each process.
    """
    device = device_in_world(recipe.device, recipe.precision, world)
    if slow := slow_type_note(device, recipe.precision):
        reporter.note(slow)
    if recipe.compile:
        check_compiler(device)
    return device


def start_facts(recipe: BaseRecipe, store: Store, checkpoint: str) -> dict[str, object]:
    """What all processes that train together have in common, by what messages call it.

    Paths may differ between hosts; `checkpoint` names what was done before, "" nothing.
    """
    values = flat_values(recipe).items()
    return {
        "checkpoint": checkpoint or NONE,
        "images (hash of their list)": store.manifest_hash(),
        **{f"{name} in the recipe": v for name, v in values if name not in OF_A_HOST},
    }


def build_architecture(recipe: Recipe) -> Architecture:
    """The recipe's architecture, with the published number of classes.

    Raises:
        UnknownNameError: no such architecture, or no such layer to freeze up to.
        ConfigError: the options do not fit the architecture, or every layer would be frozen.
    """
    arch = variant(architecture(recipe.arch), recipe.model)
    if recipe.freeze_up_to:
        check_freezing(arch, recipe)
    check_limits(arch)
    preprocessing_for(arch, recipe.data_options)  # raises where the crop does not fit
    return arch


def check_freezing(arch: Architecture, recipe: Recipe) -> None:
    """Reject a layer to freeze up to that is unknown, leaves nothing to learn, or has no weights.

    Raises:
        UnknownNameError: no such layer.
        ConfigError: no later layer has parameters, or the frozen layers would keep random weights.
    """
    names = [layer.name for layer in arch.layers]
    if recipe.freeze_up_to not in names:
        raise UnknownNameError(f"layer of {arch.name}", recipe.freeze_up_to, names)
    after = arch.layer_infos()[names.index(recipe.freeze_up_to) + 1 :]
    if not any(info.parameters for info in after):
        raise ConfigError(f"--freeze-up-to {recipe.freeze_up_to} leaves nothing to learn")
    if recipe.is_from_scratch and recipe.is_frozen(0):
        raise ConfigError(
            f"--freeze-up-to {recipe.freeze_up_to} would freeze randomly initialized layers: "
            "add --from torchvision or --from FILE, or --freeze-up-to '' to train all of them"
        )


def check_stopping(recipe: Recipe, splits: Splits) -> None:
    """Reject a patience that nothing could end, since there are no validation images.

    Raises:
        ConfigError: says how to get some.
    """
    patience = recipe.stopping.patience
    if patience is not None and not len(splits.val):
        raise ConfigError(
            f"--patience {patience} needs validation images, because test images never decide "
            "anything: add --val-fraction 0.1, or a folder val beside train"
        )


def build_batches(
    recipe: Recipe,
    arch: Architecture,
    store: Store,
    splits: Splits,
    reporter: Reporter,
    world: World = ALONE,
) -> Batches:
    """The training batches; notes if an epoch leaves many images out.

    In a world of several processes each reads its own rows of a batch, or all rows if the recipe
    mixes images, which may be with those of others.

    Raises:
        ConfigError: they are too small for batch norm, or for so many processes.
    """
    accumulate, is_balanced = recipe.optimizer.accumulate, recipe.balance.balanced_sampling
    batch_size = recipe.batch_size * accumulate
    check_batch(arch, smallest_share(min(batch_size, len(splits.train)), recipe, world))
    left_out = left_out_images(len(splits.train), recipe.batch_size, accumulate)
    if left_out and not is_balanced:  # an epoch of equal classes repeats images of small ones
        reporter.note(left_out)
    reads_all = world.size == 1 or recipe.augment.mixed_fraction > 0
    rows = None if reads_all else partial(own_rows, recipe=recipe, world=world)
    return Batches(store, splits.train, batch_size, recipe.seed, is_balanced, rows)


def class_weights(recipe: Recipe, labels: np.ndarray, device: torch.device) -> Tensor | None:
    """The recipe's factors on the training loss, on a device; None for 1."""
    is_balanced = recipe.balance.class_weights == "balanced"
    return balanced_class_weights(labels).to(device) if is_balanced else None


def balanced_class_weights(labels: np.ndarray) -> Tensor:
    """Factors on the loss, float32 [num_classes], in inverse proportion to the number of images.

    Their mean over the images is 1: n / (k * m) for n images of k classes and m of this class.

    Args:
        labels: of the training images; every class has one.

    Source: King and Zeng 2001, as scikit-learn's `class_weight="balanced"`.
    """
    counts = np.bincount(labels)
    return torch.from_numpy(len(labels) / (len(counts) * counts)).float()


def check_batch(arch: Architecture, batch_size: int) -> None:
    """Reject batches that are too small for batch norm after a fully connected layer.

    Raises:
        ConfigError: a single value per channel has no standard deviation.
    """
    if batch_size < 2 and any(isinstance(layer, BatchNorm) for layer in arch.layers):
        raise ConfigError(
            f"{arch.name} has batch norm, which needs at least 2 images a step and process; "
            "use a larger --batch-size, more images, or --norm none"
        )


def build_network(
    arch: Architecture,
    recipe: Recipe,
    weights: InitialWeights,
    class_names: tuple[str, ...],
    device: torch.device,
    reporter: Reporter,
) -> Network:
    """The network on its device: initialized from the seed, given weights loaded, layers frozen.

    `class_names` are those of the outputs. Layers that will be unfrozen are not frozen yet: the
    optimizer is to have their parameters.

    Raises:
        ConfigError: a layer that the weights do not fit would be frozen.
        ModelFileError: no weight fits.
    """
    check_limits(arch)
    torch.manual_seed(recipe.seed)
    network = channels_last(Network(arch))
    if weights.tensors:
        load_initial_weights(network, recipe, weights, class_names, reporter)
    if recipe.is_frozen(0) and recipe.unfreeze_after_epoch is None:
        network.freeze_up_to(recipe.freeze_up_to)
    network = network.to(device)
    if recipe.compile:
        compile_network(network, device)
    return network


def build_augmenter(
    arch: Architecture, recipe: BaseRecipe, store: Store, splits: Splits, device: torch.device
) -> Augmenter:
    """The augmentation, with preprocessing and color statistics of the training images."""
    preprocessing, mean_image = fit_preprocessing(
        arch, recipe.data_options, store, splits.train, device
    )
    axes = color_principal_axes(store.color_covariance(splits.train)).to(device)
    return Augmenter(
        options=recipe.augment,
        preprocessing=preprocessing,
        color_principal_axes=axes,
        mean_image=mean_image,
    )


def low_lr_parameters(network: Network, recipe: Recipe) -> list[Tensor]:
    """The parameters that learn at the recipe's `low_lr` at a time, and are frozen at another."""
    if recipe.low_lr_after_epoch is None:
        return []
    return list(network.parameters_up_to(recipe.freeze_up_to))


def model_info(arch: Architecture, recipe: Recipe, store: Store, augmenter: Augmenter) -> ModelInfo:
    """The header of the model files that the run will write."""
    return ModelInfo(
        architecture=arch,
        class_names=store.info.class_names,
        preprocessing=augmenter.preprocessing,
        recipe=recipe,
        manifest_hash=store.manifest_hash(),
    )
