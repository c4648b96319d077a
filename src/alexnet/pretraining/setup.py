"""Prepares a pretraining: image store, splits, stages, augmentation, and new layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alexnet.config.preprocessing import Preprocessing
from alexnet.data.batches import Batches
from alexnet.data.load import prepare_dataset, report_rejected
from alexnet.data.splits import Splits, require_training_images, split_indices
from alexnet.data.store.store import Store
from alexnet.models.network import Network
from alexnet.models.variants import variant
from alexnet.models.zoo import architecture
from alexnet.parallel.batch_norm import synchronize_batch_norm
from alexnet.parallel.device import device_in_world
from alexnet.parallel.world import ALONE, World, current_world
from alexnet.pretraining.autoencoder import Autoencoder
from alexnet.pretraining.batch_random import BatchRandom
from alexnet.pretraining.channel_stats import ChannelStats, measure_stats
from alexnet.pretraining.rbm_layer import RbmLayer
from alexnet.pretraining.recipe import AutoencoderRecipe, PretrainRecipe, RbmRecipe
from alexnet.pretraining.records import PretrainReporter
from alexnet.pretraining.stack import PretrainedLayer, encode_through
from alexnet.pretraining.stages import Stage, check_hidden_biases, find_stages, truncate
from alexnet.training.build import build_augmenter, check_batch
from alexnet.training.micro_batches import too_small_batch
from alexnet.training.step import derive_seed
from alexnet.transforms.augment import Augmenter
from alexnet.transforms.crops import center_crop
from alexnet.transforms.statistics import preprocessing_for

PROBE_BATCH_SIZE = 64
"""Images per batch of probe images."""


@dataclass(frozen=True, eq=False)
class PretrainingSetup:
    """Everything that a pretraining needs; only the network changes."""

    recipe: PretrainRecipe
    store: Store
    splits: Splits
    stages: tuple[Stage, ...]
    network: Network
    """The architecture up to the last stage; finished layers are loaded into it."""
    augmenter: Augmenter
    batches: Batches
    device: torch.device
    world: World = ALONE
    """The processes that pretrain together."""

    @property
    def preprocessing(self) -> Preprocessing:
        """How an image becomes a network input, the same as for the classifier."""
        return self.augmenter.preprocessing

    @property
    def split_seed(self) -> int:
        """The seed of the split, used where the data set has no split of its own."""
        own = self.recipe.data_options.split_seed
        return self.recipe.seed if own is None else own

    @property
    def total_steps(self) -> int:
        """Number of steps of all layers together."""
        return len(self.stages) * self.recipe.epochs * self.batches.steps_per_epoch

    def augment(self, pixels: np.ndarray, layer: str, step: int, count: int) -> Tensor:
        """Augmented network inputs for the stored images that this process has of a batch.

        They depend on (seed, layer, step, place in the batch of `count` images) alone.
        """
        generator = self.generator("views", layer, step)
        applied = self.augmenter.choose(count, pixels.shape[1], generator)
        if self.world.size > 1:
            own = np.arange(count)[self.world.rows(count)]
            applied = applied.of(torch.from_numpy(own).to(self.device))
        return self.augmenter.run(torch.from_numpy(pixels).to(self.device), applied)

    def generator(self, purpose: str, layer: str, step: int) -> torch.Generator:
        """A random number generator whose seed depends on the arguments and the recipe's seed."""
        seed = derive_seed(self.recipe.seed, f"{purpose} of {layer}", step)
        return torch.Generator(self.device).manual_seed(seed)

    def noise(self, layer: str, step: int, count: int) -> BatchRandom:
        """The random numbers of a layer's training step, for a batch of `count` images."""
        generator = self.generator("noise", layer, step)
        return BatchRandom(generator, count, self.world.rows(count))

    def probe_batches(self, indices: np.ndarray) -> list[Tensor]:
        """Center crops of `probe_images` evenly spaced images, in batches [n, C, side, side].

        The processes share them. If there are fewer images than processes each has all of them:
        what is measured is a mean over the images of all processes, and stays the same.
        """
        count = min(len(indices), self.recipe.probe_images)
        positions = np.linspace(0, len(indices) - 1, count).round().astype(int)
        picked = indices[positions] if count else indices
        if count >= self.world.size:
            picked = picked[self.world.rows(count)]
        return [
            self.center_crops(self.store.images(picked[i : i + PROBE_BATCH_SIZE]))
            for i in range(0, len(picked), PROBE_BATCH_SIZE)
        ]

    def center_crops(self, pixels: np.ndarray) -> Tensor:
        """Network inputs for stored images, as in evaluation: [n, C, side, side]."""
        images = torch.from_numpy(pixels).to(self.device)
        return center_crop(images, self.preprocessing, self.augmenter.mean_image)

    def new_layer(self, below: Sequence[PretrainedLayer]) -> PretrainedLayer:
        """The next layer, randomly initialized for the outputs of the finished layers `below`."""
        images = self.probe_batches(self.splits.train)
        stats = measure_stats(encode_through(below, x) for x in images)
        return self.build_layer(len(below), stats)

    def build_layer(self, index: int, stats: ChannelStats) -> PretrainedLayer:
        """A randomly initialized layer for inputs with these statistics."""
        stage = self.stages[index]
        seed = derive_seed(self.recipe.seed, f"weights of {stage.name}", 0)
        generator = torch.Generator().manual_seed(seed)
        stats = ChannelStats(stats.mean.cpu(), stats.std.cpu())
        layer: PretrainedLayer
        match self.recipe:
            case RbmRecipe():
                layer = RbmLayer(stage, stats, self.recipe, generator, first=index == 0)
            case AutoencoderRecipe():
                layer = Autoencoder(stage, stats, self.recipe, generator)
            case _:
                raise TypeError("use AutoencoderRecipe or RbmRecipe")
        if self.world.size > 1:
            synchronize_batch_norm(layer)
        return layer.to(self.device)


def set_up_pretraining(recipe: PretrainRecipe, reporter: PretrainReporter) -> PretrainingSetup:
    """Check the recipe, build the image store, split it, and create the network.

    Raises:
        AlexNetError: the recipe or the data cannot work; nothing but the store has been written.
    """
    world, options = current_world(), recipe.data_options
    device = device_in_world(recipe.device, "float32", world)
    arch = variant(architecture(recipe.arch), recipe.model)
    stages = find_stages(arch, recipe.up_to)
    if isinstance(recipe, RbmRecipe):
        check_hidden_biases(arch, stages)
    preprocessing_for(arch, options)  # rejects impossible options before any image is decoded
    store = prepare_dataset(
        recipe.data,
        recipe.data_root,
        options.stored_form,
        label_from=options.label_from,
        allow_unlabelled=True,
        hash_images=options.split == "hash",
        reporter=reporter,
    )
    report_rejected(store, options.max_rejected_fraction, reporter)
    splits = split_indices(store, options, recipe.seed)
    require_training_images(store.info.name, splits)
    count = min(recipe.batch_size, len(splits.train))
    if count < world.size:
        raise too_small_batch(count, world.size)
    if isinstance(recipe, AutoencoderRecipe):
        check_batch(arch, count)
    return PretrainingSetup(
        recipe=recipe,
        store=store,
        splits=splits,
        stages=stages,
        network=Network(truncate(arch, stages)).to(device),
        augmenter=build_augmenter(arch, recipe, store, splits, device),
        batches=Batches(store, splits.train, recipe.batch_size, recipe.seed, rows=own_rows(world)),
        device=device,
        world=world,
    )


def own_rows(world: World) -> Callable[[int], np.ndarray] | None:
    """The function from a batch's size to the positions this process reads; None if it is alone."""
    return (lambda count: np.arange(count)[world.rows(count)]) if world.size > 1 else None
