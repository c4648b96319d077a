"""`alexnet explain MODEL --neighbors IMAGE` and `--map`: images by the last hidden layer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from alexnet.cli.console import note_next, percent, print_json, table
from alexnet.cli.flags import parse
from alexnet.cli.models import with_model
from alexnet.cli.predict import check_order, check_shared, find_inputs, note_errors, note_unused
from alexnet.errors import UsageError
from alexnet.io.files import write_text
from alexnet.io.text import LONE_SURROGATE, count_text, printable
from alexnet.parallel.world import current_world
from alexnet.progress import ProgressReporter

if TYPE_CHECKING:
    from alexnet.features.neighbors import Neighbors
    from alexnet.features.split import SplitFeatures

WORDS = ("--neighbors", "--map")
"""The flags that select this mode of `alexnet explain`."""


@dataclass(frozen=True, kw_only=True)
class NeighborsFlags:
    """The images of a data set that are nearest to an image by the last hidden layer, or its map.

    The features of the data set are computed once per model and kept in the cache; under torchrun
    the processes share the images.
    """

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A model file or a run folder."""
    neighbors: Annotated[tuple[str, ...], tyro.conf.arg(metavar="IMAGE ...")] = ()
    """Images, folders, patterns or https addresses: a sheet of the nearest images to each."""
    map: bool = False
    """A two-dimensional map of the split, as a figure and as CSV."""
    data: str = ""
    """A data set's name, a folder or archive of images, or a list; what the model was trained on
    unless given."""
    data_root: str = ""
    """Folder searched for data sets first."""
    label_from: str = ""
    """As for alexnet train, for other data than that of the training."""
    split: Literal["auto", "train", "val", "test", "all"] = "auto"
    """Where neighbors are searched, and what is mapped; auto: train for neighbors, or all images of
    data without splits that the model was not trained on; for a map as alexnet evaluate."""
    top: int = 5
    """Number of neighbors."""
    cosine: bool = False
    """Compare by the angle (1 - cosine); unless given, by the Euclidean distance, as the paper."""
    exclude_same: bool = False
    """Leave out images with just the pixels of the query."""
    map_method: Literal["pca", "umap"] = "pca"
    """umap keeps neighborhoods together and needs alexnet[umap]."""
    seed: int = 0
    """Seed of umap."""
    device: str = "auto"
    """auto: the first GPU, else the CPU."""
    out: Annotated[str, tyro.conf.arg(metavar="FILE")] = ""
    """The sheet or the map: .png, .jpg, .pdf or .svg; unless given, in the folder explain of the
    run, or here for a model file. A map's CSV has the same name."""
    json: bool = False
    """Print JSON."""


def run(arguments: Sequence[str]) -> int:
    """Write a sheet of neighbors, or a map; the exit code is 1 if an image could not be read."""
    flags = with_model(parse(NeighborsFlags, arguments, "explain"), "model")
    _check(flags)
    from alexnet.plots.saving import figure_format

    out = Path(flags.out) if flags.out else _default_out(flags)
    figure_format(out)
    return _map(flags, out) if flags.map else _neighbors(flags, out)


def _check(flags: NeighborsFlags) -> None:
    """Check the flags' values.

    Raises:
        UsageError: a value is out of range, or two flags exclude each other.
    """
    if bool(flags.neighbors) == flags.map:
        raise UsageError("choose one of --neighbors IMAGE and --map")
    if flags.top < 1:
        raise UsageError(f"--top {flags.top} must be at least 1")
    if "" in flags.neighbors:
        raise UsageError("--neighbors '' names no image")
    check_order(flags.model, flags.neighbors, "explain", "--neighbors IMAGE ...")


def _default_out(flags: NeighborsFlags) -> Path:
    name = f"map-{flags.map_method}.png" if flags.map else "neighbors.png"
    return Path(flags.model, "explain", name) if Path(flags.model).is_dir() else Path(name)


def _open(flags: NeighborsFlags, reporter: ProgressReporter) -> SplitFeatures:
    from alexnet.features.split import open_split
    from alexnet.inference.classifier import load

    return open_split(
        load(flags.model, flags.device),
        flags.data,
        data_root=flags.data_root,
        label_from=flags.label_from,
        split=flags.split,
        is_searched=not flags.map,
        reporter=reporter,
    )


def _neighbors(flags: NeighborsFlags, out: Path) -> int:
    from alexnet import plots
    from alexnet.cli.outputs.neighbors import neighbors_output
    from alexnet.features.neighbors import NearestImages
    from alexnet.features.plots import MAX_QUERIES, neighbors_sheet

    skipped: Counter[str] = Counter()
    inputs = find_inputs(flags.neighbors, skipped)
    check_shared(inputs, current_world())
    with ProgressReporter() as reporter:
        nearest = NearestImages(_open(flags, reporter), flags.cosine)
    if not current_world().is_main:
        return 0
    found = nearest.find(inputs, flags.top, exclude_same=flags.exclude_same, num_pixels=MAX_QUERIES)
    readable = [one for one in found if not one.error]
    if readable:
        plots.save(neighbors_sheet(readable[:MAX_QUERIES], nearest), out)
    if flags.json:
        print_json(neighbors_output(nearest, found, str(out) if readable else None))
    elif readable:
        print(_table(readable, flags.cosine))
        print(f"\n{_searched_text(nearest.searched)}\n{printable(str(out))}{_shown_text(readable)}")
    num_errors = note_errors((one.image, one.error) for one in found)
    note_unused(num_errors, len(found), skipped)
    return int(bool(num_errors))


def _searched_text(searched: SplitFeatures) -> str:
    from alexnet.features.index import source_layer

    info = searched.index.info
    layer = source_layer(searched.classifier.info.architecture, info.layer)
    count = count_text(len(searched.rows), "image")
    return printable(
        f"searched: {info.data}, {searched.split}, {count}; {info.num_features:,} features: "
        f"the output of {layer}"
    )


def _shown_text(found: Sequence[Neighbors]) -> str:
    """A text on how many queries and neighbors the sheet shows; "" if it shows all."""
    from alexnet.features.plots import MAX_COLUMNS, MAX_QUERIES

    queries = f"the first {MAX_QUERIES} of {len(found):,} images"
    most = max(len(one.neighbors) for one in found)
    neighbors = f"the {MAX_COLUMNS} nearest of {most:,} neighbors"
    parts = [queries] * (len(found) > MAX_QUERIES) + [neighbors] * (most > MAX_COLUMNS)
    return f": {', '.join(parts)}" if parts else ""


def _table(found: Sequence[Neighbors], cosine: bool) -> str:
    rows = []
    for one in found:
        for rank, near in enumerate(one.neighbors, 1):
            first = (one.image, one.label or _predicted(one)) if rank == 1 else ("", "")
            distance = f"{near.distance:.4f}" if cosine else f"{near.distance:.2f}"
            mark = {True: "", False: "other class", None: ""}[near.is_match]
            note = "same image" if near.is_same else mark
            rows.append((*first, near.image, near.label, distance, note))
    header = ("image", "class", "neighbor", "its class", "distance", "")
    text = table(header, rows, left=4)
    return "\n".join(line.rstrip() for line in text.splitlines())


def _predicted(found: Neighbors) -> str:
    top = found.prediction
    return f"predicted {top.label} {percent(top.probability)}" if top else ""


def _map(flags: NeighborsFlags, out: Path) -> int:
    from alexnet import plots
    from alexnet.cli.outputs.neighbors import map_output
    from alexnet.features.map import map_split
    from alexnet.features.plots import map_figure

    with ProgressReporter() as reporter:
        split = _open(flags, reporter)
    if not current_world().is_main:
        return 0
    found = map_split(split, flags.map_method, flags.seed)
    csv = out.with_suffix(".csv")
    plots.save(map_figure(found), out)
    write_text(csv, LONE_SURROGATE.sub("�", found.as_csv()))
    result = map_output(found, str(out), str(csv))
    if flags.json:
        print_json(result)
        return 0
    right = ""
    if result.num_right is not None:
        right = f", {percent(result.num_right / result.num_images)} predicted right"
    print(
        printable(f"{found.data}, {found.split}: {count_text(result.num_images, 'image')}{right}")
    )
    print(f"{printable(str(out))}\n{printable(str(csv))}")
    if _is_map_of_report(out, flags.model):
        note_next(["alexnet", "report", flags.model])
    return 0


def _is_map_of_report(out: Path, model: str) -> bool:
    """Whether the page of the model's run shows the map of this file."""
    return Path(model).is_dir() and out.parent == Path(model, "explain")
