"""Small layers trained on smooth random images, and small pretrainings that a reporter observes."""

from __future__ import annotations

from dataclasses import replace

from torch import Generator, Tensor, no_grad, randn
from torch.nn.functional import interpolate

from alexnet.config.recipe import Recipe
from alexnet.models.architecture import Architecture, smallest_input
from alexnet.models.variants import ModelOptions, variant
from alexnet.models.zoo import architecture
from alexnet.pretraining.autoencoder import Autoencoder
from alexnet.pretraining.batch_random import BatchRandom
from alexnet.pretraining.channel_stats import measure_stats
from alexnet.pretraining.rbm_layer import RbmLayer
from alexnet.pretraining.recipe import KINDS, AutoencoderRecipe, PretrainRecipe, RbmRecipe
from alexnet.pretraining.records import LayerRecord, LayerStep
from alexnet.pretraining.stack import PretrainedLayer, encode_through
from alexnet.pretraining.stages import find_stages
from support.runs import Witness

RBM, AUTOENCODER = RbmRecipe(), AutoencoderRecipe()


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def noise(count: int, seed: int = 0) -> BatchRandom:
    """What is random in a step on `count` images, all of which this process has."""
    return BatchRandom(seeded(seed), count, slice(0, count))


def tiny_arch(name: str) -> Architecture:
    """An architecture of the zoo with few channels and the smallest input that it takes."""
    arch = variant(architecture(name), ModelOptions(width=0.05))
    side = max(32, smallest_input(arch.layers, arch.input[0]))
    return variant(arch, ModelOptions(input_size=side))


def smooth_images(arch: Architecture, count: int = 8) -> Tensor:
    """Smooth random inputs with standard deviation 1: [count, C, H, W]."""
    c, h, w = arch.input
    coarse = randn(count, c, h // 8 + 1, w // 8 + 1, generator=seeded(7))
    x = interpolate(coarse, size=(h, w), mode="bilinear")
    return x / x.std()


def fit(layer: PretrainedLayer, x: Tensor, steps: int) -> list[float]:
    """Train on one batch; the errors before each step."""
    optimizer, errors = layer.train().build_optimizer(), []
    for step in range(steps):
        loss, error = layer.loss(x, noise(len(x), step))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        errors.append(error.item())
    layer.eval()
    return errors


def first_autoencoder(arch: Architecture, x: Tensor) -> Autoencoder:
    return Autoencoder(find_stages(arch, "")[0], measure_stats([x]), AUTOENCODER, seeded())


def first_rbm(arch: Architecture, x: Tensor, recipe: RbmRecipe = RBM) -> RbmLayer:
    stage = find_stages(arch, "")[0]
    return RbmLayer(stage, measure_stats([x]), recipe, seeded(), first=True)


def train_rbms(arch: Architecture, x: Tensor, steps: int, up_to: str = "") -> list[RbmLayer]:
    """The RBMs of an architecture, each trained for some steps on the codes of those below it."""
    layers: list[RbmLayer] = []
    for index, stage in enumerate(find_stages(arch, up_to)):
        with no_grad():
            inputs = encode_through(layers, x)
        layer = RbmLayer(stage, measure_stats([inputs]), RBM, seeded(index), first=not index)
        fit(layer, inputs, steps)
        layers.append(layer)
    return layers


def small_recipe(kind: str, training: Recipe) -> PretrainRecipe:
    """Two layers for two epochs of three steps of 12 images."""
    return replace(KINDS[kind].from_recipe(training), up_to="conv2", epochs=2, batch_size=12)


class LayerWitness(Witness):
    """Remembers the steps and epochs of layers, too; may interrupt the pretraining at a step."""

    def __init__(self, stop_at: int = 0) -> None:
        super().__init__()
        self.layer_steps: list[LayerStep] = []
        self.layer_epochs: list[LayerRecord] = []
        self.stop_at = stop_at

    def on_layer_step(self, report: LayerStep) -> None:
        self.layer_steps.append(report)
        if report.step == self.stop_at:
            raise KeyboardInterrupt

    def on_layer_epoch(self, record: LayerRecord) -> None:
        self.layer_epochs.append(record)
