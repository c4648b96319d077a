"""A recipe: the whole configuration of a training run, as one frozen value that JSON can hold.

Presets are recipes (`presets.py`). Each later source overrides the earlier ones: defaults, preset,
`--config file.json`, flags. The text under a field is its line in `--help`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from alexnet.config.augmentation import DEFAULT_AUGMENTATION, Augmentation
from alexnet.config.distributed import ONE_PROCESS, DistributedOptions
from alexnet.config.label_pattern import compile_label_pattern
from alexnet.config.preprocessing import Resize, StoredForm, StoreFormat
from alexnet.errors import (
    require,
    require_at_least,
    require_below_1,
    require_finite,
    require_learning_rate,
    require_not_negative,
    require_within,
)
from alexnet.io.limits import MAX_STORED_SIDE
from alexnet.io.text import is_file_name
from alexnet.models.architecture import Architecture
from alexnet.models.variants import AS_PUBLISHED, ModelOptions

SCRATCH = "scratch"
WEIGHT_WORDS = ("auto", "torchvision", SCRATCH)
"""Sources of initial weights that are no files."""
Precision: TypeAlias = Literal["auto", "float32", "bf16", "fp16"]
"""Data type of matrix products; `auto` is bf16 where the hardware supports it, fp16 on GPUs that
have tensor cores for it alone, else float32."""
SplitMethod: TypeAlias = Literal["stratified", "random", "hash"]
"""How images are held out: a fraction of every class, a fraction of all, or each image by a hash of
its file, whatever the others are."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataOptions:
    """How images are labelled, stored, split and scaled."""

    label_from: str = ""
    """Regular expression with one group that finds the class in the file name of an image, or in
    its path if the expression has a slash; unless given, classes are folders."""
    resize: Resize = "shortest_edge"
    """shortest_edge keeps the aspect ratio and crops the center; stretch changes the ratio."""
    resize_size: int = 256
    """Side of the stored square images in pixels."""
    store_format: StoreFormat = "pixels"
    """How prepared images are kept: as pixels, or as JPEGs, which take a tenth of the space, are
    slightly inexact, and are decoded again in every epoch."""
    crop_size: int | None = None
    """Side of the crop, which is then resized to the input size; None: the input size."""
    padding: int = 0
    """Zero padding around a stored image before it is cropped, in pixels."""
    mean: Literal["image", "rgb", "imagenet", "none"] = "rgb"
    """What is subtracted: the mean training image (paper), its mean color, ImageNet's mean color,
    or nothing."""
    scale: Literal["pixels", "std", "unit", "imagenet", "code2012"] = "std"
    """What is divided by: 1, the training set's standard deviation, 255, ImageNet's standard
    deviation, or 1.1."""
    split: SplitMethod = "stratified"
    """How a data set without its own splits is split: per class, over all images, or each image by
    a hash of its file, so that it stays in its split when images are added, removed, renamed or
    relabelled."""
    test_fraction: float | None = None
    """Fraction of the images held out for testing if the data set has no test split: of the
    training images if it has other splits; None: the data set's default, or nothing if it has
    other splits."""
    val_fraction: float = 0.0
    """Fraction of the training images, before --train-per-class limits them, held out to choose the
    best epoch if the data set has no validation split."""
    split_seed: int | None = None
    """Seed of the split; None: the run's seed."""
    train_per_class: int | None = None
    """Maximum number of training images per class, sampled with the run's seed from those that
    --val-fraction leaves; None: all."""
    test_per_class: int | None = None
    """Maximum number of test images per class, the first ones for every seed; None: all; 0:
    none."""
    max_rejected_fraction: float = 0.1
    """Stop before training if more than this fraction of the images cannot be used."""

    @property
    def stored_form(self) -> StoredForm:
        """The form in which the images are stored."""
        return StoredForm(
            resize=self.resize, resize_size=self.resize_size, store_format=self.store_format
        )

    def __post_init__(self) -> None:
        require_finite(self)
        if self.label_from:
            compile_label_pattern(self.label_from)
        require_within(self, 1, MAX_STORED_SIDE, "resize_size")
        require_within(self, 0, MAX_STORED_SIDE, "padding")
        require_at_least(self, 1, "crop_size", "train_per_class")
        require_below_1(self, "test_fraction", "val_fraction")
        require_not_negative(self, "split_seed", "test_per_class")
        require_within(self, 0, 1, "max_rejected_fraction")


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerOptions:
    """The optimizer and its hyperparameters."""

    optimizer: Literal["paper", "sgd", "adam", "adamw", "keras_adam"] = "paper"
    """paper: SGD with the learning rate inside the velocity (section 5); sgd: torch's SGD, outside
    of it; keras_adam: Adam with Keras's use of epsilon."""
    lr: float = 0.01
    """Maximum learning rate of the weights."""
    bias_lr_multiplier: float = 1.0
    """Factor on the learning rate of biases (2 in the 2012 code)."""
    momentum: float = 0.9
    """Momentum of SGD, or Adam's beta1."""
    beta2: float = 0.999
    """Adam's beta2."""
    eps: float = 1e-8
    """Adam's epsilon."""
    weight_decay: float = 5e-4
    """Weight decay."""
    decay_biases: bool = True
    """Apply weight decay to biases and batch-norm parameters, too."""
    clip_norm: float | None = None
    """Maximum norm of all gradients together, which are scaled down to it; None: no maximum."""
    accumulate: int = 1
    """Number of batches whose gradients are added up for one update: as a batch of --batch-size
    times as many images, in less memory."""
    ema: float | None = None
    """Decay, such as 0.999, of an exponential moving average of the weights, which is evaluated and
    saved as the model; None: the weights are."""

    def __post_init__(self) -> None:
        require_finite(self)
        require_learning_rate(self, "lr")
        require_not_negative(self, "bias_lr_multiplier", "weight_decay")
        require_below_1(self, "momentum", "beta2")
        require(self.eps > 0, f"--eps {self.eps} must be above 0")
        clip, ema = self.clip_norm, self.ema
        require(clip is None or clip > 0, f"--clip-norm {clip} must be above 0")
        require_at_least(self, 1, "accumulate")
        require(ema is None or 0 < ema < 1, f"--ema {ema} must be between 0 and 1")


@dataclass(frozen=True, kw_only=True, slots=True)
class LRSchedule:
    """How the learning rate changes during training."""

    schedule: Literal["constant", "step", "plateau", "cosine"] = "constant"
    """step: drops at the milestones; plateau: drops when the validation error stops improving
    (paper, section 5); cosine: falls to 0 along half a cosine."""
    warmup_epochs: float = 0.0
    """Epochs of linear warmup from 0."""
    warmup_steps: int = 0
    """Steps of linear warmup, added to warmup_epochs."""
    milestones: tuple[int, ...] = ()
    """step: epochs after which the learning rate drops."""
    gamma: float = 0.1
    """step and plateau: the factor of a drop."""
    plateau_patience: int = 5
    """plateau: epochs without improvement before the learning rate drops."""
    max_drops: int = 3
    """plateau: maximum number of drops (three in the paper)."""
    replanned: tuple[tuple[int, int], ...] = ()
    """Written by --resume RUN --epochs N: pairs of a step and the number of epochs for which cosine
    was planned before that step."""

    def __post_init__(self) -> None:
        require_finite(self)
        require_not_negative(self, "warmup_epochs", "warmup_steps")
        require(0 < self.gamma < 1, f"--gamma {self.gamma} must be between 0 and 1")
        require_at_least(self, 1, "plateau_patience")
        lacks_milestones = self.schedule == "step" and not self.milestones
        require(not lacks_milestones, "--schedule step needs --milestones, such as 25 51 79")
        in_order = list(self.milestones) == sorted(set(self.milestones))
        require(
            in_order and min(self.milestones, default=1) >= 1,
            f"--milestones {self.milestones} must rise and be at least 1",
        )
        steps = [step for step, _ in self.replanned]
        require(
            steps == sorted(set(steps))
            and min((n for pair in self.replanned for n in pair), default=1) >= 1,
            f"--replanned {self.replanned} must have rising steps and numbers of at least 1",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BalanceOptions:
    """What is done about classes with unequal numbers of training images."""

    class_weights: Literal["none", "balanced"] = "none"
    """balanced: multiply the training loss of an image by n / (k * m), for n images of k classes
    and m images of its class, as scikit-learn does."""
    balanced_sampling: bool = False
    """Use every class equally often in an epoch: images of small classes are repeated, and of large
    ones each epoch takes others."""

    def __post_init__(self) -> None:
        require(
            self.class_weights == "none" or not self.balanced_sampling,
            "--class-weights balanced and --balanced-sampling would both correct the same "
            "imbalance; leave one out",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class StoppingOptions:
    """What ends a run before its last epoch."""

    patience: int | None = None
    """Stop after this many epochs without a lower validation error, which needs a validation split;
    None: never."""
    target_train_error: float | None = None
    """Stop after the epoch whose training top-1 error is at most this; None: never."""
    max_minutes: float | None = None
    """Stop at a checkpoint after so many minutes of training; --resume continues, with as many
    minutes again; None: no limit."""

    def __post_init__(self) -> None:
        require_finite(self)
        require_at_least(self, 1, "patience")
        require_below_1(self, "target_train_error")
        minutes = self.max_minutes
        require(minutes is None or minutes > 0, f"--max-minutes {minutes} must be above 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class BaseRecipe:
    """The options that supervised training and pretraining have in common."""

    name: str = "custom"
    """Name of the run folder: runs/NAME-001 and so on."""
    data: str = "toyflowers"
    """Name of a data set, a folder with one folder per class, a .zip or .tar of one, a list such as
    a CSV file of path,label[,split], or tar or Parquet shards, also at an address such as s3://."""
    arch: str | Architecture = "alexnet_bn"
    """Name of the architecture (`alexnet summary` lists all), or a table of your own: NETS.py:NAME,
    which runs that Python file, or a JSON file of one."""
    model: ModelOptions = AS_PUBLISHED
    data_options: DataOptions = DataOptions()
    augment: Augmentation = DEFAULT_AUGMENTATION
    epochs: int = 90
    """Number of passes over the training images."""
    batch_size: int = 128
    """Images per step, of all processes together."""
    data_root: str = ""
    """Folder searched for data sets before $ALEXNET_DATA and the cache."""
    device: str = "auto"
    """Device such as cpu or cuda:1; auto: the first GPU if there is one, else the CPU."""
    seed: int = 0
    """Seed of the initial weights and of everything that is random in a run."""

    def __post_init__(self) -> None:
        require_finite(self)
        require(is_file_name(self.name), f"--name {self.name!r} must be a valid folder name")
        require_at_least(self, 1, "epochs", "batch_size")
        require_within(self, 0, 2**31 - 1, "seed")

    @property
    def arch_name(self) -> str:
        """The name of the architecture, also of a table of one's own."""
        return self.arch if isinstance(self.arch, str) else self.arch.name


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe(BaseRecipe):
    """A training run."""

    optimizer: OptimizerOptions = OptimizerOptions()
    schedule: LRSchedule = LRSchedule()
    balance: BalanceOptions = BalanceOptions()
    stopping: StoppingOptions = StoppingOptions()
    distributed: DistributedOptions = ONE_PROCESS
    label_smoothing: float = 0.0
    """Label smoothing: probability spread evenly over all classes."""
    freeze_up_to: str = ""
    """Freeze the layers up to and including this one, batch-norm statistics as well."""
    freeze_after_epoch: int = 0
    """Freeze after this epoch; 0: from the start."""
    unfreeze_after_epoch: int | None = None
    """Freeze from the start, and train all layers after this epoch, as fastai's fine_tune does;
    None: they stay frozen."""
    low_lr_after_epoch: int | None = None
    """Train the layers that will be frozen, or were, with --low-lr after this epoch; None: with the
    same learning rate as the others."""
    low_lr: float = 1e-5
    """Learning rate of these layers, which does not follow the schedule."""
    precision: Precision = "auto"
    """Data type of matrix products; auto: bf16 where the hardware supports it, fp16 on GPUs with
    tensor cores for it alone (T4, V100, RTX 20), else float32. Training in fp16 scales the loss.
    With float32, NVIDIA's GPUs since Ampere train convolutions in TF32 (torch's default)."""
    init_from: str = SCRATCH
    """Initial weights: torchvision, scratch (random), a run, a file of any program, or
    hf:OWNER/NAME; auto: torchvision's if they can be had and fit, else scratch."""
    compile: bool = False
    """Compile the network with torch.compile; meant for GPUs."""
    save_every_minutes: float = 1.0
    """Minutes between two checkpoints within an epoch; a killed run loses at most about as much."""
    save_every_steps: int | None = None
    """Also save a checkpoint every so many steps; None: by time only."""
    keep_checkpoints: int = 2
    """Number of checkpoints to keep; an older one is used if the newest is damaged."""
    keep_state: bool = True
    """Keep the last checkpoint of a finished run, which has the size of up to three models, so that
    --resume RUN --epochs N can train it further."""

    def __post_init__(self) -> None:
        super(Recipe, self).__post_init__()
        require_below_1(self, "label_smoothing")
        require_not_negative(
            self,
            *("freeze_after_epoch", "unfreeze_after_epoch", "low_lr_after_epoch", "low_lr"),
            "save_every_minutes",
        )
        require_at_least(self, 1, "save_every_steps", "keep_checkpoints")
        require(
            not (self.compile and self.optimizer.accumulate > 1),
            "--accumulate does not work with --compile; leave one out",
        )
        scheme = self.distributed.parallel
        require(
            not (self.compile and scheme != "data"),
            f"--parallel {scheme} does not work with --compile; leave one out",
        )
        after, unfreeze = self.low_lr_after_epoch, self.unfreeze_after_epoch
        require(
            unfreeze is None or (self.freeze_up_to != "" and not self.freeze_after_epoch),
            f"--unfreeze-after-epoch {unfreeze} needs --freeze-up-to, and no --freeze-after-epoch",
        )
        is_trained = unfreeze is not None or (after or 0) <= self.freeze_after_epoch
        require(
            after is None or (self.freeze_up_to != "" and is_trained),
            f"--low-lr-after-epoch {after} needs --freeze-up-to, and a later --freeze-after-epoch "
            "or --unfreeze-after-epoch",
        )

    def is_frozen(self, epoch: int) -> bool:
        """Whether the layers up to `freeze_up_to` are frozen in an epoch, counted from 0."""
        if not self.freeze_up_to:
            return False
        if self.unfreeze_after_epoch is not None:
            return epoch < self.unfreeze_after_epoch
        return epoch >= self.freeze_after_epoch

    @property
    def is_from_scratch(self) -> bool:
        """Whether all initial weights are random."""
        return self.init_from in ("", SCRATCH)
