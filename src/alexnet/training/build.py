"""The parts of a training: device, architecture, batches, network, augmenter, class weights."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor

from alexnet.checkpoints.model_file import ModelInfo
from alexnet.config.recipe import BaseRecipe, Recipe
from alexnet.config.recipe_values import flat_values
from alexnet.data.advice import left_out_images
from alexnet.data.batches import Batches
from alexnet.data.splits import Splits
from alexnet.data.store.store import Store
from alexnet.errors import ConfigError, UnknownNameError
from alexnet.models.architecture import Architecture
from alexnet.models.layers import BatchNorm
from alexnet.models.limits import check_limits
from alexnet.models.network import Network, channels_last, check_compiler, compile_network
from alexnet.models.variants import variant
from alexnet.models.zoo import architecture
from alexnet.parallel.device import device_in_world
from alexnet.parallel.same_start import NONE
from alexnet.parallel.world import ALONE, World
from alexnet.reporter import Reporter
from alexnet.runtime.device import slow_type_note
from alexnet.training.initial_weights import load_initial_weights
from alexnet.training.micro_batches import own_rows, smallest_share
from alexnet.training.output_rows import InitialWeights
from alexnet.transforms.augment import Augmenter
from alexnet.transforms.statistics import color_principal_axes, fit_preprocessing, preprocessing_for

OF_A_HOST = ("name", "data", "data_root", "init_from", "device")
"""Fields of the recipe that may differ between the hosts that train together."""


def device_to_train_on(recipe: Recipe, world: World, reporter: Reporter) -> torch.device:
    """The device of this process, on which `torch.compile` works if the recipe asks for it.

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
    """The values that must be equal in all processes, by the name that messages give them.

    Paths may differ between hosts; `checkpoint` names what was done before, "" nothing.
    """
    values = flat_values(recipe).items()
    return {
        "checkpoint": checkpoint or NONE,
        "images (hash of their list)": store.manifest_hash(recipe.data_options.split),
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
    """Reject a `freeze_up_to` layer that is unknown, has random weights, or leaves none to learn.

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
    """Reject a patience without validation images, since it could never end the run.

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
    """The training batches, with a note if an epoch leaves many images out.

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
    """The recipe's class weights for the training loss, on a device; None if all are 1."""
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
    """Build the network on its device: initialized from the seed, weights loaded, layers frozen.

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
    """The augmenter, with preprocessing and color statistics of the training images."""
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
    """The parameters that learn at `low_lr` in some epochs, and are frozen in others."""
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
        manifest_hash=store.manifest_hash(recipe.data_options.split),
    )
