"""A recipe made ready: data, splits, network, optimizer, everything that a training loop needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from alexnet.checkpoints.model_file import ModelInfo
from alexnet.checkpoints.pretrained_layers import compatibility_warnings, read_pretrained
from alexnet.checkpoints.weights import load_matching_weights, read_weights
from alexnet.config.recipe import BaseRecipe, Recipe
from alexnet.data.batches import Batches
from alexnet.data.datasets.catalogue import DATASETS
from alexnet.data.load import open_data, report_rejected
from alexnet.data.splits import Splits, split_indices
from alexnet.data.store.store import Store
from alexnet.errors import ConfigError, DataError, UnknownNameError
from alexnet.inference.classifier import Classifier
from alexnet.models.architecture import Architecture
from alexnet.models.layers import BatchNorm
from alexnet.models.limits import check_limits
from alexnet.models.network import Network, channels_last, compile_network
from alexnet.models.variants import variant
from alexnet.models.zoo import architecture
from alexnet.reporter import Reporter
from alexnet.runtime.device import choose_device
from alexnet.runtime.malloc import disable_malloc_trim
from alexnet.training.device_loader import DeviceLoader, feed
from alexnet.training.optimizers import build_optimizer
from alexnet.transforms.augment import Augmenter
from alexnet.transforms.statistics import color_principal_axes, fit_preprocessing, preprocessing_for

R = TypeVar("R", bound=BaseRecipe)


@dataclass(frozen=True, eq=False)
class TrainingSetup:
    """Everything that a training loop needs; only the network and the optimizer change."""

    recipe: Recipe
    store: Store
    splits: Splits
    info: ModelInfo
    augmenter: Augmenter
    batches: Batches
    feed: DeviceLoader
    """The same batches on the training device."""
    network: Network
    optimizer: torch.optim.Optimizer
    device: torch.device

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.recipe.epochs * self.batches.steps_per_epoch

    @property
    def eval_split(self) -> str:
        """The split that is watched during training: val where there is one, else test, else ""."""
        return "val" if len(self.splits.val) else "test" if len(self.splits.test) else ""

    def classifier(self) -> Classifier:
        """The network as it is now, ready to predict."""
        return Classifier(self.network, self.info, self.augmenter.mean_image, self.recipe.precision)

    def low_lr(self, epoch: int) -> float | None:
        """The rate of layers that are soon frozen, at an epoch from 0; None: as the rest."""
        after = self.recipe.low_lr_after_epoch
        return self.recipe.low_lr if after is not None and epoch >= after else None

    def freeze(self, epoch: int) -> None:
        """Freeze what the recipe freezes at this epoch, which counts from 0."""
        if self.recipe.freeze_up_to and epoch >= self.recipe.freeze_after_epoch:
            self.network.freeze_up_to(self.recipe.freeze_up_to)
            for parameter in self.network.parameters():
                if not parameter.requires_grad:
                    parameter.grad = None


def set_up_training(recipe: Recipe, reporter: Reporter, is_begun: bool = False) -> TrainingSetup:
    """Find and prepare the data, build the network, take over weights.

    From here on the process keeps the memory that it frees.

    Raises:
        AlexNetError: anything in the recipe, the data or the weights that cannot work; nothing
            has been written then but the store.
    """
    disable_malloc_trim()
    device = choose_device(recipe.device)
    table = table_for(recipe)
    check_limits(table)
    preprocessing_for(table, recipe.data_options)  # refuses before any picture is decoded
    has_weights = recipe.init_from and not is_begun  # a begun run has its own
    weights = read_weights(Path(recipe.init_from)) if has_weights else {}
    pictures = recipe.data_options
    store = open_data(
        recipe.data, recipe.data_root, pictures.resize, pictures.resize_size, reporter
    )
    report_rejected(store, pictures.max_rejected_fraction, reporter)
    splits = split_indices(store, pictures, recipe.seed)
    check_every_class_has_images(store, splits.train)
    batches = Batches(store, splits.train, recipe.batch_size, recipe.seed)
    check_batch(table, min(recipe.batch_size, len(splits.train)))
    table = variant(table, num_classes=len(store.info.class_names))
    check_limits(table)
    network = build_network(table, recipe, weights, reporter).to(device)
    if recipe.compile:
        compile_network(network, device)
    slowed = (
        network.parameters_up_to(recipe.freeze_up_to)
        if recipe.low_lr_after_epoch is not None
        else []
    )
    optimizer = build_optimizer(network, recipe.optimizer, slowed)
    rule, mean_image = fit_preprocessing(table, pictures, store, splits.train, device)
    if has_weights and (layers := read_pretrained(Path(recipe.init_from))):
        for caution in compatibility_warnings(layers, rule, store, splits.test):
            reporter.note(caution)
    info = ModelInfo(
        architecture=table,
        class_names=store.info.class_names,
        preprocessing=rule,
        recipe=recipe,
        manifest_hash=store.manifest_hash(),
    )
    axes = color_principal_axes(store.color_covariance(splits.train)).to(device)
    augmenter = Augmenter(
        options=recipe.augment, preprocessing=rule, color_principal_axes=axes, mean_image=mean_image
    )
    return TrainingSetup(
        recipe,
        store,
        splits,
        info,
        augmenter,
        batches,
        feed(batches, device),
        network,
        optimizer,
        device,
    )


def resolve_paths(recipe: R) -> R:
    """The recipe with absolute paths; the name of a data set stays as it is."""
    data = Path(recipe.data).expanduser()
    is_path = recipe.data and recipe.data not in DATASETS and data.exists()
    if isinstance(recipe, Recipe):
        recipe = replace(recipe, init_from=_absolute(recipe.init_from))
    return replace(
        recipe,
        data=str(data.resolve()) if is_path else recipe.data,
        data_root=_absolute(recipe.data_root),
    )


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().resolve()) if path else ""


def table_for(recipe: Recipe) -> Architecture:
    """The recipe's table, still with the published number of classes.

    Raises:
        UnknownNameError: no such architecture, or no such layer to freeze up to.
        ConfigError: the options do not fit the table, or nothing is left to learn.
    """
    table = variant(architecture(recipe.arch), recipe.model)
    if recipe.freeze_up_to:
        names = [layer.name for layer in table.layers]
        if recipe.freeze_up_to not in names:
            raise UnknownNameError(f"layer of {table.name}", recipe.freeze_up_to, names)
        after = table.rows()[names.index(recipe.freeze_up_to) + 1 :]
        if not any(row.parameters for row in after):
            raise ConfigError(f"--freeze-up-to {recipe.freeze_up_to} leaves nothing to learn")
        has_weights = recipe.init_from or recipe.freeze_after_epoch
        if not has_weights:
            raise ConfigError(
                f"--freeze-up-to {recipe.freeze_up_to} keeps layers as they came; nothing came: "
                "add --init-from FILE, or --freeze-up-to '' to train all of them"
            )
    return table


def check_batch(table: Architecture, batch_size: int) -> None:
    """Refuse batches that a batch norm over a vector cannot take.

    Raises:
        ConfigError: one picture a step has no deviation.
    """
    if batch_size < 2 and any(isinstance(layer, BatchNorm) for layer in table.layers):
        raise ConfigError(
            f"{table.name} has batch norm, which needs at least 2 pictures a step; "
            "use a larger --batch-size, more pictures, or --norm none"
        )


def check_every_class_has_images(store: Store, train: np.ndarray) -> None:
    """Refuse to train where a class has no picture to learn from.

    Raises:
        DataError: names the class, and why its first picture was refused if that is the cause.
    """
    learnt = set(store.labels[train].tolist())
    for label, name in enumerate(store.info.class_names):
        if label in learnt:
            continue
        bad = [r for r in store.info.rejected if store.labels[r.index] == label]
        cause = f"; {bad[0].name} was refused ({bad[0].reason})" if bad else ""
        way_out = "mend or add pictures, remove the class, or hold out less with --test-fraction"
        raise DataError(f"class {name!r} has no usable picture to learn from{cause}; {way_out}")


def build_network(
    table: Architecture, recipe: Recipe, weights: dict[str, Tensor], reporter: Reporter
) -> Network:
    """The network: first weights drawn from the seed, given ones taken over, layers frozen."""
    torch.manual_seed(recipe.seed)
    network = channels_last(Network(table))
    if weights:
        taken = load_matching_weights(network, weights)
        reporter.note(f"from {recipe.init_from}: took {', '.join(taken.taken)}")
        reporter.note(
            f"left: {', '.join(taken.left) or 'nothing'}; "
            f"fresh here: {', '.join(taken.fresh) or 'nothing'}"
        )
    if recipe.freeze_up_to and not recipe.freeze_after_epoch:
        network.freeze_up_to(recipe.freeze_up_to)
    return network
