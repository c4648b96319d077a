"""The weights that a run starts from: torchvision's, those of a file, or random ones."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from torch import Tensor

from alexnet.checkpoints.file_format import file_format
from alexnet.checkpoints.file_header import read_header
from alexnet.checkpoints.model_file import ModelInfo
from alexnet.checkpoints.pretrained_layers import compatibility_warnings, read_pretrained
from alexnet.checkpoints.weights import (
    LoadReport,
    load_matching_weights,
    read_weights,
    weights_file,
)
from alexnet.config.recipe import SCRATCH, WEIGHT_WORDS, BaseRecipe, Recipe
from alexnet.config.serialization import from_dict
from alexnet.data.datasets.catalogue import DATASETS
from alexnet.data.store.store import Store
from alexnet.data.trained_on import EarlierTraining, trained_on_warning
from alexnet.errors import ConfigError, MissingDataError, UnknownNameError, UsageError
from alexnet.interop.class_names import default_class_names
from alexnet.interop.torchvision import (
    IMPATIENT,
    fits_a_convolution,
    is_torchvision_file,
    torchvision_convolutions,
    unfit_convolution,
)
from alexnet.io import hub
from alexnet.io.paths import path_text
from alexnet.models.architecture import Architecture
from alexnet.models.network import Network
from alexnet.models.variants import variant
from alexnet.models.zoo import architecture
from alexnet.reporter import ProgressCallback, Reporter, ignore_progress, progress_callback
from alexnet.training.output_rows import NO_WEIGHTS, InitialWeights, rows_by_name

R = TypeVar("R", bound=BaseRecipe)

NUM_IMAGENET_CLASSES = 1000
"""Outputs of torchvision's network."""
OTHER_PROGRAMS = ("onnx", "keras", "hdf5", "caffemodel")
"""Formats of files that hold a network with its weights."""


def resolve(recipe: Recipe, reporter: Reporter) -> Recipe:
    """The recipe with absolute paths, and with the file of its initial weights.

    `init_from` is then a path or "scratch". Files that are not here are downloaded.

    Raises:
        MissingDataError: the weights cannot be had; the message says how to get them.
        UnknownNameError: `init_from` is neither a source of weights nor a file.
    """
    recipe = resolve_paths(recipe)
    if recipe.is_from_scratch:
        return replace(recipe, init_from=SCRATCH)
    on_progress = progress_callback(reporter, "on_download")
    if recipe.init_from == "torchvision":
        check_fits_torchvision(recipe)
    if recipe.init_from != "auto":
        file = find_source(recipe.init_from, recipe.data_root, on_progress)
        return replace(recipe, init_from=str(file.resolve()))
    found, reason = find_pretrained(recipe, on_progress)
    if found:
        return replace(recipe, init_from=str(found.resolve()))
    reporter.note(from_scratch_text(reason))
    return replace(recipe, init_from=SCRATCH)


def check_fits_torchvision(recipe: Recipe) -> None:
    """Reject a network of which no convolution fits, before a download.

    Raises:
        ConfigError: names the first misfit.
    """
    arch = variant(architecture(recipe.arch), recipe.model)
    if not fits_a_convolution(arch):
        raise ConfigError(
            f"torchvision's weights fit no convolution of {arch.name}: {unfit_convolution(arch)}; "
            "use --arch alexnet_owt, or --from scratch"
        )


def find_source(
    source: str, data_root: str = "", on_progress: ProgressCallback = ignore_progress
) -> Path:
    """The file or run folder of a source of weights, downloaded if need be.

    Args:
        source: "torchvision", "hf:OWNER/NAME" or a path.
        data_root: folder that is searched first for torchvision's file.
        on_progress: called with the bytes received and the bytes in all.

    Raises:
        MissingDataError: it cannot be had; the message says how to get it.
        UnknownNameError: there is no such file or run.
        UsageError: it is a model without its trunk, or an address of another form.
    """
    if source == "torchvision":
        return torchvision_convolutions(data_root, on_progress=on_progress)
    is_on_hub = source.startswith(hub.PREFIX)
    path = Path(path_text(source))
    if is_on_hub:
        path = hub.hub_file(source, on_progress, hub.WEIGHT_FILES)
    if hub.is_head(path):
        raise UsageError(
            f"{source} is a model without its trunk (--head-only); make a whole one in Python and "
            f"name that: alexnet.load({source!r}).save('model.safetensors')"
        )
    if is_on_hub:
        return path
    if not path.exists() and "." not in path.name:  # it may be a misspelt word
        raise UnknownNameError(
            "source of weights (nor is it a file or a run)", path.name, WEIGHT_WORDS
        )
    if not path.exists() and is_torchvision_file(str(path)):
        raise MissingDataError(f"there is no file {path}; --from torchvision finds or downloads it")
    return path


def resolve_paths(recipe: R) -> R:
    """The recipe with absolute paths; names of data sets and of sources of weights stay names."""
    data = Path(path_text(recipe.data))
    is_path = recipe.data and recipe.data not in DATASETS and data.exists()
    if isinstance(recipe, Recipe) and is_weights_path(recipe.init_from):
        recipe = replace(recipe, init_from=_absolute(recipe.init_from))
    return replace(
        recipe,
        data=str(data.resolve()) if is_path else recipe.data,
        data_root=_absolute(recipe.data_root),
    )


def is_weights_path(source: str) -> bool:
    """Whether a source of weights is a path, and not a word or an address."""
    return source not in WEIGHT_WORDS and not source.startswith(hub.PREFIX)


def _absolute(path: str) -> str:
    return str(Path(path_text(path)).resolve()) if path else ""


def find_pretrained(
    recipe: Recipe, on_progress: ProgressCallback = ignore_progress
) -> tuple[Path | None, str]:
    """The file of torchvision's weights, downloaded if need be; or None, and why there is none."""
    arch = variant(architecture(recipe.arch), recipe.model)
    if misfit := unfit_convolution(arch):
        return None, (
            f"torchvision's weights do not fit {arch.name}: {misfit}; "
            "--arch alexnet_owt without --width and --groups fine-tunes them"
        )
    try:
        file = torchvision_convolutions(recipe.data_root, policy=IMPATIENT, on_progress=on_progress)
    except MissingDataError as error:
        return None, f"{error}; or name another file by --from FILE"
    return file, ""


def from_scratch_text(reason: str) -> str:
    """The note on training from scratch a network that could have been fine-tuned."""
    return (
        "trains from scratch, which takes longer and makes more errors than fine-tuning: " + reason
    )


def read_initial_weights(recipe: Recipe, arch: Architecture, reporter: Reporter) -> InitialWeights:
    """Read the weights of the recipe's `init_from`; empty for "scratch".

    Raises:
        ModelFileError: missing, damaged, or without weights.
    """
    if recipe.is_from_scratch:
        return NO_WEIGHTS
    return _read(Path(recipe.init_from), arch, reporter)


def read_source(path: Path, arch: Architecture, reporter: Reporter) -> dict[str, Tensor]:
    """Read the weights in a run or in a file of any program, under the architecture's names.

    Raises:
        ModelFileError: missing, damaged, of another format, or without weights.
    """
    return _read(path, arch, reporter).tensors


def _read(path: Path, arch: Architecture, reporter: Reporter) -> InitialWeights:
    path = weights_file(path)
    read_pretrained(path)  # rejects layers of another format
    if path.is_file() and file_format(path) in OTHER_PROGRAMS:
        from alexnet.interop.importer import read_network

        matched, _ = read_network(path, arch)
        notes, tensors, names = matched.notes, matched.weights, [matched.class_names]
    else:
        weights = read_weights(path, arch)
        notes, tensors = weights.notes, weights.tensors
        names = [_names_in_header(path), *(names for _, names in weights.class_names)]
    for text in notes:
        reporter.note(text)
    if is_torchvision_file(str(path)):
        names = [default_class_names(NUM_IMAGENET_CLASSES)]
    output = tensors.get(f"{arch.output_layer}.weight", ())
    return InitialWeights(tensors, next((n for n in names if len(n) == len(output)), ()))


def _names_in_header(path: Path) -> tuple[str, ...]:
    """The class names in a model file of this program; empty for other files."""
    names = read_header(path).get("class_names")
    return tuple(map(str, names)) if isinstance(names, list) else ()


def load_initial_weights(
    network: Network,
    recipe: Recipe,
    weights: InitialWeights,
    class_names: tuple[str, ...],
    reporter: Reporter,
) -> None:
    """Load the weights that fit, those of outputs by `class_names`, and note which layers they are.

    Raises:
        ConfigError: a layer that stays random is to be frozen from the start.
        ModelFileError: none fits.
    """
    rows = rows_by_name(network, weights, class_names)
    report = load_matching_weights(network, rows.tensors)
    report = replace(report, missing=(*report.missing, *rows.new))
    if recipe.is_frozen(0):
        check_frozen_are_loaded(network, recipe, report)
    reporter.note(loaded_text(recipe.init_from, report) + frozen_text(recipe))
    if rows.note:
        reporter.note(rows.note)
    if report.unused:
        reporter.note(f"unused: {', '.join(report.unused)}")


def check_frozen_are_loaded(network: Network, recipe: Recipe, report: LoadReport) -> None:
    """Reject frozen layers whose weights were not loaded; biases and norms are not random.

    Raises:
        ConfigError: names the first, and why it was not loaded.
    """
    frozen = {id(p) for p in network.parameters_up_to(recipe.freeze_up_to) if p.ndim > 1}
    names = [name for name, p in network.named_parameters() if id(p) in frozen]
    if lost := next((name for name in names if name in report.missing), ""):
        misfit = next((text for text in report.unused if text.startswith(f"{lost} ")), f"no {lost}")
        raise ConfigError(
            f"--freeze-up-to {recipe.freeze_up_to} would freeze the randomly initialized {lost}: "
            f"{recipe.init_from} has {misfit}; freeze only layers that it has, or use "
            "--freeze-up-to '' to train all of them"
        )


def loaded_text(path: str, report: LoadReport) -> str:
    """The sentence on where the weights come from, and which layers have them or are random."""
    whose = "fine-tunes torchvision's weights" if is_torchvision_file(path) else "starts from"
    in_part = {*report.loaded} & {*report.missing}
    loaded = by_layer([n for n in report.loaded if n not in in_part], report.missing)
    missing = by_layer([n for n in report.missing if n not in in_part], report.loaded)
    missing += [f"{layer} in part" for layer in by_layer(sorted(in_part), ())]
    return (
        f"{whose} {path}: {', '.join(loaded)}; randomly initialized: {', '.join(missing) or 'none'}"
    )


def frozen_text(recipe: Recipe) -> str:
    """The sentence on which layers are frozen, and until when; "" if none is."""
    if not recipe.freeze_up_to:
        return ""
    after, until = recipe.freeze_after_epoch, recipe.unfreeze_after_epoch
    if until == 0:
        return ""
    when = f" after epoch {after}" if after else f" until epoch {until}" if until else ""
    return f"; the layers up to {recipe.freeze_up_to} are frozen{when} (--freeze-up-to)"


def by_layer(names: Collection[str], others: Collection[str]) -> list[str]:
    """Names of tensors, shortened to the layer's unless `others` has tensors of the same layer."""
    split = {name.rpartition(".")[0] for name in others}
    layers = (name.rpartition(".")[0] for name in names)
    short = [n if layer in split else layer for n, layer in zip(names, layers, strict=True)]
    return list(dict.fromkeys(short))


def warn_of_earlier_training(
    info: ModelInfo, store: Store, test: np.ndarray, reporter: Reporter
) -> None:
    """Note if the initial weights saw images that are now test images, or other preprocessing."""
    path = weights_file(Path(info.recipe.init_from))
    if layers := read_pretrained(path):
        for warning in compatibility_warnings(layers, info.preprocessing, store, test):
            reporter.note(warning)
    elif earlier := training_of_model(path):
        what = "the initial weights were trained"
        if warning := trained_on_warning(earlier, what, store, test):
            reporter.note(warning)


def training_of_model(path: Path) -> EarlierTraining | None:
    """The training of a model file of this program; None for other files and imported models."""
    header = read_header(path)
    manifest_hash = header.get("manifest_hash")
    if not isinstance(manifest_hash, str) or not manifest_hash:
        return None
    try:
        recipe = from_dict(Recipe, header.get("recipe"))
    except ConfigError:
        return None  # of another version, whose weights may fit
    return EarlierTraining(
        manifest_hash=manifest_hash, data_options=recipe.data_options, seed=recipe.seed
    )
