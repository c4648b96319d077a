"""A pretraining made ready: data, splits, stages, and the inputs of every layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from alexnet.config.preprocessing import Preprocessing
from alexnet.data.batches import Batches
from alexnet.data.datasets.unlabelled import open_pictures
from alexnet.data.load import report_rejected
from alexnet.data.splits import Splits, split_indices
from alexnet.data.store.build import prepare
from alexnet.data.store.store import Store
from alexnet.models.network import Network
from alexnet.models.variants import variant
from alexnet.models.zoo import architecture
from alexnet.pretraining.autoencoder import Autoencoder
from alexnet.pretraining.moments import Moments, moments
from alexnet.pretraining.rbm_layer import RbmLayer
from alexnet.pretraining.recipe import AutoencoderRecipe, PretrainRecipe, RbmRecipe
from alexnet.pretraining.records import PretrainReporter
from alexnet.pretraining.stages import Stage, check_hidden_biases, find_stages, truncated
from alexnet.runtime.device import choose_device
from alexnet.training.setup import check_batch
from alexnet.training.step import derive_seed
from alexnet.transforms.augment import Augmenter
from alexnet.transforms.crops import center_crop
from alexnet.transforms.statistics import color_principal_axes, fit_preprocessing, preprocessing_for

MEASURED_AT_ONCE = 64
"""Pictures that are measured together."""

PretrainedLayer = Autoencoder | RbmLayer


@dataclass(frozen=True, eq=False)
class PretrainJob:
    """Everything that the layers learn from; only the network changes."""

    recipe: PretrainRecipe
    store: Store
    splits: Splits
    stages: tuple[Stage, ...]
    network: Network
    """The table up to the last stage; finished layers are put into it."""
    augmenter: Augmenter
    batches: Batches
    device: torch.device

    @property
    def preprocessing(self) -> Preprocessing:
        """How a picture becomes the first layer's input, as the classifier will have it."""
        return self.augmenter.preprocessing

    @property
    def split_seed(self) -> int:
        """What decided which pictures are the test's, where the data set left it open."""
        own = self.recipe.data_options.split_seed
        return self.recipe.seed if own is None else own

    @property
    def total_steps(self) -> int:
        """Steps of all layers."""
        return len(self.stages) * self.recipe.epochs * self.batches.steps_per_epoch

    def views(self, pixels: np.ndarray, layer: str, step: int) -> Tensor:
        """Training views of stored pictures; a function of (seed, layer, step)."""
        generator = self.generator("views", layer, step)
        return self.augmenter(torch.from_numpy(pixels).to(self.device), generator)

    def generator(self, purpose: str, layer: str, step: int) -> torch.Generator:
        """A source of random numbers of its own for everything that is drawn."""
        seed = derive_seed(self.recipe.seed, f"{purpose} of {layer}", step)
        return torch.Generator(self.device).manual_seed(seed)

    def watched(self, rows: np.ndarray) -> list[Tensor]:
        """Centre views of some pictures, evenly picked, in batches."""
        count = min(len(rows), self.recipe.watched_pictures)
        picked = rows[np.linspace(0, len(rows) - 1, count).round().astype(int)] if count else rows
        return [
            self.centre(self.store.images(picked[i : i + MEASURED_AT_ONCE]))
            for i in range(0, count, MEASURED_AT_ONCE)
        ]

    def centre(self, pixels: np.ndarray) -> Tensor:
        """The centre views of stored pictures, as evaluation has them."""
        images = torch.from_numpy(pixels).to(self.device)
        return center_crop(images, self.preprocessing, self.augmenter.mean_image)

    def begin(self, index: int, below: Sequence[PretrainedLayer]) -> PretrainedLayer:
        """A new layer with first weights, on top of the finished ones."""
        measured = moments(encode_through(below, view) for view in self.watched(self.splits.train))
        return self.layer(index, measured)

    def layer(self, index: int, measured: Moments) -> PretrainedLayer:
        """A layer with first weights for an input of these moments."""
        stage = self.stages[index]
        generator = torch.Generator().manual_seed(
            derive_seed(self.recipe.seed, f"weights of {stage.name}", 0)
        )
        here = Moments(measured.mean.cpu(), measured.deviations.cpu())
        layer: PretrainedLayer
        match self.recipe:
            case RbmRecipe():
                layer = RbmLayer(stage, here, self.recipe, generator, is_first=index == 0)
            case AutoencoderRecipe():
                layer = Autoencoder(stage, here, self.recipe, generator)
            case _:
                raise TypeError("use AutoencoderRecipe or RbmRecipe")
        return layer.to(self.device)


@torch.no_grad()
def encode_through(layers: Sequence[PretrainedLayer], inputs: Tensor) -> Tensor:
    """What finished layers make of inputs [N, C, H, W], one after the other."""
    for layer in layers:
        inputs = layer.eval().encode(inputs).maps
    return inputs


def make_pretraining_ready(recipe: PretrainRecipe, reporter: PretrainReporter) -> PretrainJob:
    """Find and prepare the data, find the stages.

    Raises:
        AlexNetError: anything in the recipe or the data that cannot work; nothing has been written
            then but the store.
    """
    device, pictures = choose_device(recipe.device), recipe.data_options
    table = variant(architecture(recipe.arch), recipe.model)
    stages = find_stages(table, recipe.up_to)
    if isinstance(recipe, RbmRecipe):
        check_hidden_biases(table, stages)
    preprocessing_for(table, pictures)  # refuses before any picture is decoded
    source = open_pictures(recipe.data, recipe.data_root)
    store = prepare(
        source,
        resize=pictures.resize,
        side=pictures.resize_size,
        progress=reporter.on_prepare,
    )
    report_rejected(store, pictures.max_rejected_fraction, reporter)
    splits = split_indices(store, pictures, recipe.seed)
    if isinstance(recipe, AutoencoderRecipe):
        check_batch(table, min(recipe.batch_size, len(splits.train)))
    rule, mean_image = fit_preprocessing(table, pictures, store, splits.train, device)
    axes = color_principal_axes(store.color_covariance(splits.train)).to(device)
    augmenter = Augmenter(
        options=recipe.augment, preprocessing=rule, color_principal_axes=axes, mean_image=mean_image
    )
    batches = Batches(store, splits.train, recipe.batch_size, recipe.seed)
    network = Network(truncated(table, stages)).to(device)
    return PretrainJob(recipe, store, splits, stages, network, augmenter, batches, device)
