"""`alexnet data prepare|check|split|show|mistakes`: a data set before training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from alexnet.api.recipes import read_call
from alexnet.cli.console import note_next, print_json, size_text, table
from alexnet.cli.flags import dispatch, parse, parse_known
from alexnet.cli.mistakes import mistakes_action
from alexnet.cli.outputs.data import ShowOutput, check_output, prepare_output, split_output
from alexnet.cli.run_options import train_command
from alexnet.config.augmentation import Augmentation
from alexnet.config.options import flag_name
from alexnet.config.preprocessing import Resize, StoreFormat
from alexnet.config.presets import FINETUNE, QUICKSTART, preset
from alexnet.config.published_inputs import with_architecture
from alexnet.config.recipe import SCRATCH, DataOptions, Recipe, SplitMethod
from alexnet.data.check import Finding, check, equal_groups
from alexnet.data.datasets.catalogue import open_source
from alexnet.data.duplicates import check_command, duplicate_advice
from alexnet.data.export_split import files_to_split, write_split
from alexnet.data.images.find import describe_skipped
from alexnet.data.source import Source
from alexnet.data.splits import require_training_images, split
from alexnet.data.store.build import prepare
from alexnet.data.store.image_hashes import hash_images
from alexnet.data.store.store import Store
from alexnet.data.summary import (
    classes_text,
    missing_text,
    summarize,
    summarize_source,
    summary_notes,
)
from alexnet.errors import UsageError
from alexnet.io.text import count_text, printable
from alexnet.models.architecture import Architecture
from alexnet.progress import ProgressReporter

HELP = """usage: alexnet data ACTION DATA ...

DATA is a data set's name, a folder of class folders, a .zip or .tar of one, a
list: CSV (path,label[,split]), JSON or Parquet, or tar shards (WebDataset).

  prepare  decode every image once into an image store, as training would
  check    list unreadable, skipped, misnamed, small and duplicate images, and
           rare classes; exit 1 for a fault
  split    write a train/val/test split, as folders or as a CSV file
  show     plot a sheet of images, before and after augmentation
  mistakes list images whose labels are probably wrong, and correct them

  alexnet data check photos/                 what is wrong with the images
  alexnet data split photos/ split.csv       one split for all programs
  alexnet data mistakes photos/              which labels are probably wrong

alexnet data ACTION --help lists an action's flags."""


def run(arguments: Sequence[str]) -> int:
    """Run the action that the first word names."""
    return dispatch(arguments, ACTIONS, HELP, "action of alexnet data")


@dataclass(frozen=True, kw_only=True)
class PrepareFlags:
    """Decode every image once into an image store, as training would."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """A data set's name, a folder or archive of images, a list: CSV (path,label[,split]), JSON or
    Parquet, or tar shards (WebDataset)."""
    data_root: str = ""
    """Folder searched for data sets first."""
    label_from: str = ""
    """Regular expression with one group that finds the class in the file name of an image, or in
    its path if the expression has a slash; unless given, classes are folders."""
    resize: Resize | None = None
    """shortest_edge keeps the aspect ratio and crops the center; stretch changes the ratio; unless
    given, as `alexnet train DATA` would."""
    resize_size: int | None = None
    """Side of the stored square images, in pixels; unless given, as `alexnet train DATA` would."""
    store_format: StoreFormat = "pixels"
    """How they are kept: as pixels, or as JPEGs, which take a tenth of the space."""
    json: bool = False
    """Print JSON."""


def prepare_action(arguments: Sequence[str]) -> int:
    """Build an image store and print what it contains."""
    flags = parse(PrepareFlags, arguments, "data prepare")
    chosen = {
        name: value
        for name in ("resize", "resize_size", "store_format")
        if (value := getattr(flags, name)) is not None
    }
    DataOptions(**chosen)
    source = _open(flags)
    recipe = _training_recipe(flags.data)
    options = replace(recipe.data_options, **chosen)
    with ProgressReporter() as reporter:
        store = prepare(
            source,
            options.stored_form,
            on_progress=reporter.on_prepare,
            on_note=reporter.note,
        )
    store = replace(store, notes=(*store.notes, *_duplicate_notes(store, flags)))
    splits = Counter(name or "not split" for name in store.info.splits)
    if flags.json:
        print_json(prepare_output(store, splits))
        return 0
    parts = ", ".join(f"{count:,} {name}" for name, count in splits.items())
    print(
        f"{count_text(len(store), 'image')} ({parts}) "
        f"of {printable(classes_text(store.info.class_names))}\n"
        f"store {store.folder} ({size_text(store.num_bytes)})"
    )
    for image in store.info.rejected:
        print(printable(f"rejected {image.name}: {image.reason}"))
    for note in store.notes:
        print(printable(f"note: {note}"))
    if skipped := describe_skipped({s.reason: s.files for s in store.info.skipped}):
        print(f"files skipped: {skipped}")
    command = train_command(flags.data, flags.data_root, flags.label_from)
    note_next([*command, *_changes(recipe, chosen)])
    return 0


def _training_recipe(data: str, arch: str | Architecture = "") -> Recipe:
    """The recipe that the command of `train_command` trains, with --arch if that is given.

    Images of one's own are fine-tuned where the network fits torchvision's weights.
    """
    chosen: dict[str, Any] = {"arch": arch} if arch else {}
    is_start = train_command(data)[2:] == [data]
    call = read_call(data if is_start else "", "", chosen if is_start else {**chosen, "data": data})
    recipe = call.recipe()
    if recipe.init_from != "auto" or not arch:
        return recipe
    from alexnet.interop.torchvision import unfit_convolution
    from alexnet.training.build import build_architecture

    is_unfit = unfit_convolution(build_architecture(recipe))
    return call.recipe(init_from=SCRATCH) if is_unfit else recipe


def _changes(recipe: Recipe, chosen: Mapping[str, Any]) -> Iterator[str]:
    """Yield the flags with which a recipe uses an image store with the chosen options."""
    from alexnet.training.build import build_architecture

    options = recipe.data_options
    changed = {name: value for name, value in chosen.items() if value != getattr(options, name)}
    room = replace(options, **changed).resize_size + 2 * options.padding
    crop_size = options.crop_size or build_architecture(recipe).input[1]
    if crop_size > room:
        changed["crop_size"] = room
    for name, value in changed.items():
        yield from (flag_name(name), str(value))


def _duplicate_notes(store: Store, flags: PrepareFlags) -> list[str]:
    """Sentences on duplicate images that are in several splits or classes."""
    splits = np.array(store.info.splits)
    indices = {name: np.flatnonzero((splits == name) & store.usable) for name in set(splits)}
    command = check_command(flags.data, flags.data_root, flags.label_from)
    return duplicate_advice(store, indices, command)


def _open(flags: PrepareFlags | CheckFlags | SplitFlags, *, allow_empty: bool = False) -> Source:
    """Open the data set; an archive is unpacked unless it was before."""
    with ProgressReporter() as reporter:
        return open_source(
            flags.data,
            flags.data_root,
            allow_empty=allow_empty,
            label_from=flags.label_from,
            reporter=reporter,
        )


@dataclass(frozen=True, kw_only=True)
class CheckFlags:
    """List unreadable, skipped, misnamed, small and duplicate images, and rare or empty classes.

    JPEG, PNG, GIF, BMP, WebP, TIFF and PPM are read; AVIF and JPEG 2000 where Pillow has them; HEIC
    with alexnet[heic].
    """

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """A data set's name, a folder or archive of images, a list: CSV (path,label[,split]), JSON or
    Parquet, or tar shards (WebDataset)."""
    data_root: str = ""
    """Folder searched for data sets first."""
    label_from: str = ""
    """Regular expression with one group that finds the class in the file name of an image, or in
    its path if the expression has a slash; unless given, classes are folders."""
    json: bool = False
    """Print JSON."""


def check_action(arguments: Sequence[str]) -> int:
    """Print every finding; the exit code is 1 if one of them is a fault."""
    flags = parse(CheckFlags, arguments, "data check")
    source = _open(flags, allow_empty=True)
    with ProgressReporter() as reporter:
        findings = check(source, reporter.on_prepare)
    faults = sum(finding.is_fault for finding in findings)
    if flags.json:
        print_json(check_output(source, findings))
    else:
        print(_check_text(source, findings, faults))
        if not faults:
            note_next(train_command(flags.data, flags.data_root, flags.label_from))
    return int(faults > 0)


def _check_text(source: Source, findings: list[Finding], faults: int) -> str:
    counts = np.bincount(source.labels)
    fewest, most = f"{counts.min():,}", f"{counts.max():,}"
    each = most if fewest == most else f"{fewest} to {most}"
    lines = [f"{printable(source.name)}: {count_text(len(source), 'image')}, {each} of each class"]
    lines += map(printable, summary_notes(summarize_source(source))[:2])  # others are findings
    if skipped := describe_skipped(source.skipped):
        lines.append(f"files skipped: {skipped}")
    lines += [printable(f"note: {note}") for note in source.notes]
    if findings:
        lines += [
            "",
            table(
                ("issue", "image", "detail"),
                [(f.issue, f.name, f.detail) for f in findings],
                left=3,
            ),
            "",
        ]
    lines.append(f"faults: {faults}, warnings: {len(findings) - faults}")
    return "\n".join(lines)


@dataclass(frozen=True, kw_only=True)
class SplitFlags:
    """Write a train/val/test split, as folders of copies or as a CSV file of path,label,split.

    Images that are equal are never parted. With --split hash, images that are there already stay in
    their split when a changed folder is split again.
    """

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """A data set's name, a folder or archive of images, a list: CSV (path,label[,split]), JSON or
    Parquet, or tar shards (WebDataset)."""
    out: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OUT")]
    """A new folder, or a new file that ends in .csv, which names the images where they are."""
    data_root: str = ""
    """Folder searched for data sets first."""
    label_from: str = ""
    """Regular expression with one group that finds the class in the file name of an image, or in
    its path if the expression has a slash; unless given, classes are folders."""
    test_fraction: float = 0.2
    """Fraction of every class, or of all images, for the test split."""
    val_fraction: float = 0.1
    """Fraction of the rest for the validation split."""
    split: SplitMethod = "stratified"
    """How images are held out: per class, over all images, or each image by a hash of its file."""
    seed: int = 0
    """Seed of the split."""
    json: bool = False
    """Print JSON."""


def split_action(arguments: Sequence[str]) -> int:
    """Write a split and print how many images are in each part."""
    flags = parse(SplitFlags, arguments, "data split")
    options = DataOptions(
        split=flags.split, test_fraction=flags.test_fraction, val_fraction=flags.val_fraction
    )
    source = _open(flags)
    if any(source.splits):
        raise UsageError(f"{source.name} has its own split; use it as it is")
    files_to_split(source, Path(flags.out))
    with ProgressReporter() as reporter:
        copies = equal_groups(source, reporter.on_prepare)
        is_by_hash = flags.split == "hash"
        hashes = hash_images(source.images, source.names, reporter.on_hash) if is_by_hash else None
    parts = split(
        np.arange(len(source)),
        source.labels,
        np.array(source.splits),
        source.test_fraction,
        options,
        flags.seed,
        copies,
        hashes,
    )
    require_training_images(source.name, parts)
    write_split(source, {name: parts.by_name[name] for name in parts.counts}, Path(flags.out))
    summary = summarize(source.class_names, source.labels, parts.by_name)
    if flags.json:
        print_json(split_output(flags.out, parts.counts, summary))
        return 0
    counts = ", ".join(f"{len(part):,} {name}" for name, part in parts.by_name.items())
    print(f"{flags.out}: {counts}")
    for name, classes in summary.classes_without_images.items():
        print(printable(missing_text(classes, f"{name} images")))
    if copies:
        kept = count_text(sum(map(len, copies)), "image")
        command = check_command(flags.data, flags.data_root, flags.label_from)
        print(f"note: {kept} have copies, which are in the same part; {command} lists them")
    note_next(train_command(flags.out))
    return 0


@dataclass(frozen=True, kw_only=True)
class ShowFlags:
    """Plot a sheet: one row per class, with a stored image and augmented samples of it."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """A data set's name, a folder or archive of images, a list: CSV (path,label[,split]), JSON or
    Parquet, or tar shards (WebDataset)."""
    preset: str = ""
    """The preset whose preprocessing and augmentation are shown, which flags change; unless given,
    those of `alexnet train DATA`."""
    arch: str | Architecture = ""
    """Another network, whose own input is shown: an architecture's name, or a table of your own:
    nets.py:NAME, or a JSON file of one."""
    augment: Augmentation = QUICKSTART.augment
    data_root: str = ""
    """Folder searched for data sets first."""
    label_from: str = ""
    """Regular expression with one group that finds the class in the file name of an image, or in
    its path if the expression has a slash; unless given, classes are folders."""
    out: str = ""
    """File to write; NAME.png unless given."""
    num_classes: int = 12
    """Maximum number of classes, one row each."""
    num_samples: int = 5
    """Augmented samples of each image."""
    seed: int = 0
    """Seed of the choice of images and of their augmentation."""
    json: bool = False
    """Print JSON."""


def show_action(arguments: Sequence[str]) -> int:
    """Plot the sheet and print its path."""
    own = ShowFlags(data="", augment=FINETUNE.augment)
    flags = parse(ShowFlags, arguments, "data show", own=own)
    from alexnet import plots
    from alexnet.training.preview import augmentation_preview

    if flags.num_classes < 1 or flags.num_samples < 0:
        raise UsageError(
            f"--num-classes {flags.num_classes} must be at least 1 "
            f"and --num-samples {flags.num_samples} not negative"
        )
    if flags.preset:
        start = preset(flags.preset)
        start = with_architecture(start, flags.arch) if flags.arch else start
    else:
        start = _training_recipe(flags.data, flags.arch)
    augment, _ = parse_known(Augmentation, arguments, "data show", start.augment)
    recipe = replace(
        start,
        augment=augment,
        data=flags.data,
        data_root=flags.data_root,
        data_options=replace(start.data_options, label_from=flags.label_from),
        seed=flags.seed,
    )
    with ProgressReporter() as reporter:
        shown = augmentation_preview(recipe, flags.num_classes, flags.num_samples, reporter)
    out = Path(flags.out or f"{Path(flags.data).resolve().name}.png")
    heads = ("stored", *[f"sample {i + 1}" for i in range(flags.num_samples)])
    kind = f"preset {flags.preset}" if flags.preset else "as alexnet train"
    title = plots.run_title("Augmentation", (shown.data, kind))
    sheet = plots.contact_sheet(
        shown.images, shown.class_names, heads, captions=shown.captions, title=title
    )
    plots.save(sheet, out)
    if flags.json:
        print_json(ShowOutput(plot=str(out), data=shown.data, class_names=tuple(shown.class_names)))
    else:
        print(out)
    return 0


ACTIONS = {
    "prepare": prepare_action,
    "check": check_action,
    "split": split_action,
    "show": show_action,
    "mistakes": mistakes_action,
}
