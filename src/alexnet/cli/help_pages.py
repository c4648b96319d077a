"""The basic flags of every verb that `--help` shows, the most used first, and its examples.

`--help-all` shows every flag. `--help` of a verb with few flags shows all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_BASIC_FLAGS = 12
"""Maximum number of flags that `--help` shows of a verb with basic flags."""


@dataclass(frozen=True, kw_only=True)
class HelpPage:
    """The parts of a verb's help that do not come from its dataclass."""

    words: str = ""
    """Positional arguments that the dataclass of the flags does not have."""
    basic: tuple[str, ...] = ()
    """The fields that `--help` shows; all if this is empty."""
    modes: tuple[tuple[str, str], ...] = ()
    """Flags that select another mode of the verb, with other flags; and what it does."""
    examples: tuple[tuple[str, str], ...] = ()
    """Example commands, without `alexnet`, and what they do."""
    examples_of: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    """The examples of each mode, by the flag that selects it."""


PRETRAIN_FLAGS = (
    "data", "arch", "up_to", "epochs", "batch_size", "device", "seed",
    "config", "out", "resume",
)  # fmt: skip
PAGES: dict[str, HelpPage] = {
    "train": HelpPage(
        words="[PRESET | DATA]",
        basic=(
            "data", "arch", "init_from", "epochs", "batch_size", "lr", "val_fraction", "patience",
            "device", "config", "out", "resume",
        ),
        examples=(
            ("train", "generated flowers, in minutes"),
            ("train photos/", "fine-tune on your own images, a folder per class"),
            ("train --resume runs/photos-001", "continue a run that was stopped"),
        ),
    ),
    "tune": HelpPage(
        words="[PRESET | DATA]",
        basic=(
            "data", "trials", "minutes", "jobs", "space", "confirm", "epochs", "study", "device",
            "out", "dry_run", "json",
        ),
        examples=(
            ("tune photos/ --dry-run", "what would be varied, and how long it takes"),
            ("tune photos/", "40 trials in an hour, then the confirmation"),
            ("tune flowers17 --trials 100 --minutes 600", "a preset, over a night"),
        ),
    ),
    "pretrain autoencoder": HelpPage(
        words="[PRESET]",
        basic=(*PRETRAIN_FLAGS, "lr", "masking_fraction"),
        examples=(
            ("pretrain autoencoder", "the layers of the preset quickstart"),
            ("pretrain autoencoder --data photos/", "on your own images"),
            ("pretrain autoencoder flowers17 --up-to conv3", "the first three layers"),
        ),
    ),
    "pretrain rbm": HelpPage(
        words="[PRESET]",
        basic=(*PRETRAIN_FLAGS, "cd_steps", "sparsity_target"),
        examples=(
            ("pretrain rbm", "the layers of the preset quickstart"),
            ("pretrain rbm --data photos/", "on your own images"),
            ("pretrain rbm flowers17 --up-to conv3", "the first three layers"),
        ),
    ),
    "evaluate": HelpPage(
        examples=(
            ("evaluate runs/photos-001", "on the test split that the run has kept aside"),
            ("evaluate runs/photos-001 --crops 10", "averaged over ten crops, as in the paper"),
            ("evaluate model.safetensors --data new/", "on other images"),
        ),
    ),
    "predict": HelpPage(
        examples=(
            ("predict runs/photos-001 a.jpg", "the five most probable classes"),
            ("predict runs/photos-001 new/ --csv", "all images of a folder, as CSV"),
            ("predict model.safetensors a.jpg --min-probability 0.8", "or else unsure"),
        ),
    ),
    "explain": HelpPage(
        modes=(
            ("--filters [LAYER]", "What the channels of a layer respond to."),
            ("--neighbors IMAGE ...", "The images of a data set that are nearest to an image."),
            ("--map", "A two-dimensional map of a split."),
        ),
        examples=(
            ("explain runs/photos-001 a.jpg", "a sheet of all maps of an image"),
            ("explain runs/photos-001 a.jpg --class rose", "why it might be a rose"),
            ("explain runs/photos-001 --filters conv3", "the patches that its channels respond to"),
        ),
        examples_of={
            "--filters": (
                ("explain runs/photos-001 --filters", "the filters of the first convolution"),
                ("explain runs/photos-001 --filters conv3", "the patches that channels respond to"),
                ("explain runs/photos-001 --filters conv5 --channels 3 17 --synthesize",
                 "two channels, and images made for them"),
            ),
            "--neighbors": (
                ("explain runs/photos-001 --neighbors a.jpg", "the five nearest training images"),
                ("explain runs/photos-001 --neighbors new/ --data photos/ --split all",
                 "in all images of a folder"),
                ("explain runs/photos-001 --map", "a map of the test images"),
            ),
        },
    ),
    "serve": HelpPage(
        basic=(
            "host", "port", "token", "allow_host", "device", "exact", "max_batch", "max_queue",
            "max_files", "max_body_mb", "max_megapixels", "json",
        ),
        examples=(
            ("serve runs/photos-001", "a run, for programs on this machine"),
            ("serve runs/a new=runs/b", "two models, the second one called new"),
            ("serve runs/a --host 0.0.0.0 --port 80", "for other machines; set $ALEXNET_TOKEN"),
        ),
    ),
    "compare": HelpPage(
        examples=(
            ("compare runs/a runs/b", "on the images that both have kept aside"),
            ("compare runs/a runs/b runs/c --crops 10", "each with the first one"),
            ("compare a.safetensors b.safetensors --data new/", "model files"),
        ),
    ),
    "report": HelpPage(
        examples=(
            ("report runs/photos-001 --open", "look at a run in the browser"),
            ("report runs/a runs/b", "two runs side by side"),
            ("report runs/photos-001 --watch", "while it is trained"),
        ),
    ),
    "info": HelpPage(
        examples=(
            ("info runs/photos-001", "a run"),
            ("info model.safetensors", "a model file"),
            ("info runs/photos-001 --json", "for a program"),
        ),
    ),
    "runs": HelpPage(
        examples=(
            ("runs", "the runs in runs/, the newest first"),
            ("runs --sort error", "the best one first"),
            ("runs clean --yes", "remove what failed and finished runs left behind"),
        ),
    ),
    "log": HelpPage(
        examples=(
            ("log runs/photos-001", "for TensorBoard, which tensorboard --logdir runs shows"),
            ("log runs/photos-001 --to mlflow", "into the store of $MLFLOW_TRACKING_URI"),
            ("log runs/a runs/b --to tensorboard,csv", "two runs, each in two forms"),
        ),
    ),
    "summary": HelpPage(
        basic=(
            "num_classes", "input_size", "channels", "width", "activation", "norm", "format",
            "draw", "json",
        ),
        examples=(
            ("summary", "the names of all networks"),
            ("summary alexnet --num-classes 17", "one network"),
            ("summary alexnet alexnet_owt", "what differs between two"),
        ),
    ),
    "import": HelpPage(
        examples=(
            ("import model.pth --arch alexnet_owt", "a checkpoint of torch"),
            ("import model.keras --class-names names.txt", "a model of Keras"),
            ("import --weights torchvision", "torchvision's published weights"),
        ),
    ),
    "export": HelpPage(
        examples=(
            ("export runs/photos-001 --format onnx", "for ONNX runtimes"),
            ("export runs/photos-001 --format onnx --with-preprocessing", "takes any image"),
            ("export runs/photos-001 --format onnx --int8", "smaller, with its agreement"),
        ),
    ),
    "push": HelpPage(
        examples=(
            ("push runs/photos-001 me/photos --license mit --dry-run", "look at the folder first"),
            ("push runs/photos-001 me/photos --license mit --private", "for yourself alone"),
            ("push runs/photos-001 me/photos --license mit --head-only torchvision --half",
             "a small file: what was trained"),
        ),
    ),
    "data show": HelpPage(
        basic=(
            "preset", "out", "num_classes", "num_samples", "seed",
            "min_scale", "rotation", "rand_augment", "random_erasing", "cutmix", "mixup",
        ),
        examples=(
            ("data show photos/", "as `alexnet train photos/` changes them"),
            ("data show photos/ --preset flowers17", "as a preset does"),
            ("data show photos/ --rand-augment 2 9 --mixup 0.2", "with more augmentation"),
        ),
    ),
    "data mistakes": HelpPage(
        examples=(
            ("data mistakes photos/", "a page and a CSV of probable label errors"),
            ("data mistakes photos/ --model runs/other-001", "by another model's features"),
            ("data mistakes photos/ --apply photos-decisions.csv --out clean/", "correct them"),
        ),
    ),
    "completion": HelpPage(
        examples=(
            ("completion bash", "add its output to ~/.bashrc"),
            ("completion zsh", "to ~/.zshrc, after compinit"),
            ("completion powershell", "to the file $PROFILE"),
        ),
    ),
    "doctor": HelpPage(
        examples=(
            ("doctor", "versions, device and folders"),
            ("doctor --device cpu", "as if there were no GPU"),
            ("doctor --json", "for a bug report"),
        ),
    ),
}  # fmt: skip
