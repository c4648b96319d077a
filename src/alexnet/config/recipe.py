"""A recipe: everything that decides a training run, as one frozen value that JSON can hold.

Presets are recipes (`presets.py`).
Order of precedence: defaults < preset < `--config file.json` < flag.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from alexnet.config.preprocessing import MOST_PIXELS, Resize
from alexnet.errors import require, require_finite
from alexnet.io.text import is_file_name
from alexnet.models.architecture import Architecture
from alexnet.models.variants import ActivationOption, InitOption, NormOption, PoolingOption, variant

Precision: TypeAlias = Literal["auto", "float32", "bf16"]
"""Type of the matrix products; `auto` is bf16 where the device multiplies it in hardware."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelOptions:
    """What differs from the published table."""

    activation: ActivationOption = "published"
    """One nonlinearity for the whole net."""
    norm: NormOption = "published"
    """Drop the norms, or put one kind in their place."""
    pooling: PoolingOption = "published"
    """overlapping: 3x3 stride 2; non_overlapping: 2x2 stride 2."""
    dropout: float = -1.0
    """Rate of every dropout layer; 0 drops them; below 0: as published."""
    groups: int = 0
    """Columns of conv2, conv4 and conv5; 0: as published."""
    width: float = 1.0
    """Factor on channels and hidden features."""
    input_size: int = 0
    """Side of the input in pixels; 0: as published."""
    channels: int = 0
    """Colours of the input, 1 or 3; 0: as published."""
    init: InitOption = "published"
    """How every weight begins; he and glorot scale with the layer's inputs."""
    bias: float = -1.0
    """First value of the biases that begin above 0; below 0: as published."""

    def __post_init__(self) -> None:
        require_finite(self)
        require(self.dropout < 1, f"--dropout {self.dropout} must be below 1")
        require(self.groups >= 0, f"--groups {self.groups} must not be negative")
        require(self.width > 0, f"--width {self.width} must be above 0")
        require(self.input_size >= 0, f"--input-size {self.input_size} must not be negative")
        require(self.channels in (0, 1, 3), f"--channels {self.channels} must be 0, 1 or 3")

    def apply(self, table: Architecture, classes: int = 0) -> Architecture:
        """The table with these differences, and another number of classes where given.

        Raises:
            ConfigError: the options do not fit the table.
        """
        return variant(
            table,
            activation=self.activation,
            norm=self.norm,
            pooling=self.pooling,
            dropout=self.dropout,
            groups=self.groups,
            width=self.width,
            input_size=self.input_size,
            channels=self.channels,
            init=self.init,
            bias=self.bias,
            classes=classes,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class DataOptions:
    """How pictures are stored, split and scaled."""

    resize: Resize = "shortest_edge"
    """shortest_edge keeps the aspect ratio and crops the center; stretch changes the ratio."""
    resize_size: int = 256
    """Side of the stored square pictures."""
    crop_size: int = 0
    """Side of the crop before it is resized to the input; 0: the input's side, no resizing."""
    padding: int = 0
    """Zeros around a stored picture before it is cropped."""
    mean: Literal["image", "rgb", "imagenet", "none"] = "rgb"
    """What is subtracted: the mean training picture (paper) or colour, ImageNet's, or nothing."""
    scale: Literal["pixels", "std", "unit", "imagenet", "code2012"] = "std"
    """What is divided by: 1, the training set's deviation, 255, ImageNet's deviation, 1.1."""
    split: Literal["stratified", "random"] = "stratified"
    """How a data set without own splits is split: class by class, or all pictures together."""
    test_fraction: float = -1.0
    """Share held out for the test where the data set has no own split; below 0: the usual."""
    val_fraction: float = 0.0
    """Share of the training pictures held out to choose the best epoch, where none are given."""
    split_seed: int = -1
    """Seed of the split; below 0: the run's seed."""
    train_per_class: int = 0
    """At most this many training pictures a class, drawn by the run's seed; 0: all."""
    test_per_class: int = 0
    """At most this many test pictures a class, the first ones whatever the seed; 0: all."""
    max_rejected_fraction: float = 0.1
    """Stop before training when more than this share of the pictures cannot be used."""

    def __post_init__(self) -> None:
        require_finite(self)
        require(
            1 <= self.resize_size <= MOST_PIXELS,
            f"--resize-size {self.resize_size} must be 1 to {MOST_PIXELS}",
        )
        require(
            0 <= self.padding <= MOST_PIXELS,
            f"--padding {self.padding} must be 0 to {MOST_PIXELS}",
        )
        require(self.test_fraction < 1, f"--test-fraction {self.test_fraction} must be below 1")
        require(
            0 <= self.val_fraction < 1,
            f"--val-fraction {self.val_fraction} must be from 0 to below 1",
        )
        for name in ("train_per_class", "test_per_class"):
            flag = name.replace("_", "-")
            require(
                getattr(self, name) >= 0, f"--{flag} {getattr(self, name)} must not be negative"
            )
        require(
            0 <= self.max_rejected_fraction <= 1,
            f"--max-rejected-fraction {self.max_rejected_fraction} must be 0 to 1",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """How a training picture is changed at each use; validation and test pictures never are."""

    crop: Literal["random", "center"] = "random"
    """random: any place (translation); center: always the middle."""
    min_scale: float = 1.0
    """Smallest share of the picture that a random crop takes before it is scaled; 1: no scaling."""
    max_aspect_ratio: float = 1.0
    """Largest ratio of a scaled crop's sides."""
    flip: bool = True
    """Mirror half of the pictures left to right."""
    color_std: float = 0.1
    """Spread of the shift along the training set's principal colours (paper, 4.1); 0: none."""
    noise_std: float = 0.0
    """Spread of noise added to every value, in grey levels of 0-255; 0: none."""
    contrast_std: float = 0.0
    """Spread of the logarithm of a factor on each picture; 0: none."""
    cutmix: float = 0.0
    """Share of the steps in which a patch of every picture comes from another picture, and the
    target is mixed by area."""
    last_color_epoch: int = 0
    """Colour shift is switched off after this epoch; 0: never."""

    def __post_init__(self) -> None:
        require_finite(self)
        require(
            0 < self.min_scale <= 1, f"--min-scale {self.min_scale} must be above 0 and at most 1"
        )
        require(
            self.max_aspect_ratio >= 1,
            f"--max-aspect-ratio {self.max_aspect_ratio} must be at least 1",
        )
        require(0 <= self.cutmix <= 1, f"--cutmix {self.cutmix} must be from 0 to 1")
        for name in ("color_std", "noise_std", "contrast_std", "last_color_epoch"):
            flag = name.replace("_", "-")
            require(
                getattr(self, name) >= 0, f"--{flag} {getattr(self, name)} must not be negative"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerOptions:
    """The update rule."""

    optimizer: Literal["paper", "sgd", "adam", "adamw", "keras_adam"] = "paper"
    """paper: rate inside the velocity (section 5); sgd: outside; keras_adam: Keras's epsilon."""
    lr: float = 0.01
    """Learning rate of the weights at its highest."""
    bias_lr_multiplier: float = 1.0
    """Biases learn at this multiple of the rate (2 in the 2012 code)."""
    momentum: float = 0.9
    """Momentum, or Adam's first decay."""
    beta2: float = 0.999
    """Adam's second decay."""
    eps: float = 1e-8
    """Adam's epsilon."""
    weight_decay: float = 5e-4
    """Decay of the weights."""
    decay_biases: bool = True
    """Whether biases and batch-norm vectors decay too."""

    def __post_init__(self) -> None:
        require_finite(self)
        require(self.lr >= 0, f"--lr {self.lr} must not be negative")
        require(
            self.bias_lr_multiplier >= 0,
            f"--bias-lr-multiplier {self.bias_lr_multiplier} must not be negative",
        )
        require(0 <= self.momentum < 1, f"--momentum {self.momentum} must be from 0 to below 1")
        require(
            0 <= self.beta2 < 1,
            f"--beta2 {self.beta2} must be from 0 to below 1",
        )
        require(self.eps > 0, f"--eps {self.eps} must be above 0")
        require(self.weight_decay >= 0, f"--weight-decay {self.weight_decay} must not be negative")


@dataclass(frozen=True, kw_only=True, slots=True)
class LRSchedule:
    """How the learning rate moves."""

    schedule: Literal["constant", "step", "plateau", "cosine"] = "constant"
    """step: drops after given epochs; plateau: when validation error stops falling (the paper)."""
    warmup_epochs: float = 0.0
    """The rate climbs linearly from 0 over this many epochs."""
    warmup_steps: int = 0
    """The same in steps; added to warmup_epochs."""
    milestones: tuple[int, ...] = ()
    """step: epochs after which the rate drops."""
    gamma: float = 0.1
    """step and plateau: what the rate is multiplied by."""
    patience: int = 5
    """plateau: epochs without a new lowest error before the rate drops."""
    max_drops: int = 3
    """plateau: drops at most (three in the paper)."""

    def __post_init__(self) -> None:
        require_finite(self)
        require(
            self.warmup_epochs >= 0, f"--warmup-epochs {self.warmup_epochs} must not be negative"
        )
        require(self.warmup_steps >= 0, f"--warmup-steps {self.warmup_steps} must not be negative")
        require(0 < self.gamma < 1, f"--gamma {self.gamma} must be between 0 and 1")
        require(
            self.patience >= 1,
            f"--patience {self.patience} must be at least 1",
        )
        lacks_drops = self.schedule == "step" and not self.milestones
        require(not lacks_drops, "--schedule step needs --milestones, such as 25 51 79")
        in_order = list(self.milestones) == sorted(set(self.milestones))
        require(
            in_order and min(self.milestones, default=1) >= 1,
            f"--milestones {self.milestones} must rise and be at least 1",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A training run."""

    name: str = "custom"
    """Names the run folder: runs/NAME-001 and so on."""
    data: str = "toyflowers"
    """A data set's name, a folder of class folders, or a CSV file of path,label[,split]."""
    arch: str = "alexnet_bn"
    """The architecture's name."""
    model: ModelOptions = ModelOptions()
    data_options: DataOptions = DataOptions()
    augment: Augmentation = Augmentation()
    optimizer: OptimizerOptions = OptimizerOptions()
    schedule: LRSchedule = LRSchedule()
    epochs: int = 90
    """Passes over the training pictures."""
    target_train_error: float = 0.0
    """End after the epoch whose training top-1 error is at most this; 0: after the last epoch."""
    batch_size: int = 128
    """Pictures a step."""
    label_smoothing: float = 0.0
    """Share of the target spread over all classes."""
    freeze_up_to: str = ""
    """Layers up to and with this one keep their weights and statistics."""
    freeze_after_epoch: int = 0
    """The freezing begins after this epoch; 0: from the start."""
    low_lr_after_epoch: int = 0
    """Layers that will be frozen learn at --low-lr after this epoch; 0: as fast as the rest."""
    low_lr: float = 1e-5
    """Learning rate of layers that are soon frozen."""
    precision: Precision = "auto"
    """auto: bf16 where the processor multiplies it in hardware."""
    init_from: str = ""
    """Weights to begin from: a model file or a torchvision-style state dict; what fits is taken."""
    data_root: str = ""
    """Folder searched for data sets before $ALEXNET_DATA and the cache."""
    device: str = "auto"
    """auto: the first GPU, else the processor."""
    compile: bool = False
    """Compile the network with torch.compile; meant for GPUs, where a step becomes a few graphs."""
    save_every_minutes: float = 1.0
    """A killed run loses at most about this much (and the step it was in)."""
    save_every_steps: int = 0
    """Save after every so many steps as well; 0: by time alone."""
    keep_checkpoints: int = 2
    """Saved states that are kept, the newest ones; should one be damaged, there is another."""
    seed: int = 0
    """Order, crops, colours, dropout, first weights and split all follow from it."""

    def __post_init__(self) -> None:
        require_finite(self)
        require(is_file_name(self.name), f"name {self.name!r} must be that of a folder")
        require(self.epochs >= 1, f"--epochs {self.epochs} must be at least 1")
        stop = self.target_train_error
        require(0 <= stop < 1, f"--target-train-error {stop} must be from 0 to below 1")
        require(self.batch_size >= 1, f"--batch-size {self.batch_size} must be at least 1")
        require(
            0 <= self.label_smoothing < 1,
            f"--label-smoothing {self.label_smoothing} must be from 0 to below 1",
        )
        require(
            self.freeze_after_epoch >= 0,
            f"--freeze-after-epoch {self.freeze_after_epoch} must not be negative",
        )
        require(
            self.save_every_minutes >= 0,
            f"--save-every-minutes {self.save_every_minutes} must not be negative",
        )
        every = self.save_every_steps
        require(every >= 0, f"--save-every-steps {every} must not be negative")
        require(
            self.keep_checkpoints >= 1,
            f"--keep-checkpoints {self.keep_checkpoints} must be at least 1",
        )
        slow = self.low_lr_after_epoch
        require(slow >= 0, f"--low-lr-after-epoch {slow} must not be negative")
        require(self.low_lr >= 0, f"--low-lr {self.low_lr} must not be negative")
        is_fair = self.freeze_up_to and slow <= self.freeze_after_epoch
        message = (
            f"--low-lr-after-epoch {slow} needs --freeze-up-to and a later --freeze-after-epoch"
        )
        require(not slow or bool(is_fair), message)
        require(0 <= self.seed < 2**31, f"--seed {self.seed} must be from 0 to 2147483647")
