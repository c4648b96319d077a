"""`alexnet explain`: what the predictions of images depend on, as sheets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from alexnet.cli import explain_filters, explain_neighbors
from alexnet.cli.console import note, percent, print_json
from alexnet.cli.explain_filters import FiltersFlags
from alexnet.cli.explain_neighbors import NeighborsFlags
from alexnet.cli.flags import parse
from alexnet.cli.models import local_path, results_folder, with_place
from alexnet.cli.outputs.explain import ExplainedImage, ExplainOutput, explanation_output
from alexnet.cli.predict import check_order, find_inputs, note_errors, note_unused
from alexnet.data.images.rejection import IMAGE_ERRORS, rejection_reason
from alexnet.errors import AlexNetError, UsageError
from alexnet.io.text import printable
from alexnet.progress import ProgressReporter

if TYPE_CHECKING:
    from alexnet.explain.explanation import Explanation
    from alexnet.features.neighbors import NearestImages
    from alexnet.inference.classifier import Classifier
    from alexnet.inference.inputs import Input

SUFFIXES = (".png", ".svg", ".pdf", ".jpg", ".jpeg")
MAX_NEAREST = 50_000
"""Maximum number of training images in which the nearest are searched by default."""
Method = Literal["all", "grad_cam", "occlusion", "integrated_gradients", "guided_backprop"]


@dataclass(frozen=True, kw_only=True)
class ExplainFlags:
    """What the predictions of images depend on, as a sheet for each image.

    It has Grad-CAM, occlusion, integrated gradients, guided backpropagation, and the strongest
    channels of every convolution.
    """

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A model file or a run folder."""
    paths: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE ...")] = ()
    """Images, folders of images, patterns such as 'photos/*.jpg', or https addresses."""
    class_name: Annotated[str, tyro.conf.arg(name="class", metavar="NAME")] = ""
    """The class that is explained; unless given, the most probable one of each image."""
    layer: str = ""
    """The layer whose map Grad-CAM shows; unless given, the last convolution."""
    method: Method = "all"
    """Compute and show one map alone."""
    nearest: bool = True
    """Show the five nearest training images by the last hidden layer, where the training data is
    here; its features are computed once and kept in the cache."""
    device: str = "auto"
    """auto: the first GPU, else the CPU."""
    out: Annotated[str, tyro.conf.arg(metavar="FOLDER|FILE")] = ""
    """Folder for the sheets, or of a single sheet the FILE.png, .jpg, .pdf or .svg; unless given,
    explain in the run."""
    json: bool = False
    """Print JSON."""


def run(arguments: Sequence[str]) -> int:
    """Explain images or filters, or find neighbors."""
    actions = {NeighborsFlags: explain_neighbors.run, FiltersFlags: explain_filters.run}
    return actions.get(flags_class(arguments), explain_images)(arguments)


def flags_class(arguments: Sequence[str]) -> type:
    """The dataclass of the flags, which depends on what is explained."""
    words = {word.partition("=")[0] for word in arguments}
    if explain_filters.WORD in words:
        return FiltersFlags
    return ExplainFlags if words.isdisjoint(explain_neighbors.WORDS) else NeighborsFlags


def explain_images(arguments: Sequence[str]) -> int:
    """Write a sheet for every image; the exit code is 1 if one could not be read."""
    flags = with_place(parse(ExplainFlags, arguments, "explain"), "model")
    if not flags.paths or "" in flags.paths:
        raise UsageError("name at least one image: alexnet explain MODEL IMAGE ...")
    check_order(flags.model, flags.paths, "explain")
    skipped: Counter[str] = Counter()
    words = find_inputs(flags.paths, skipped)
    from alexnet.explain.explainer import check_explainable
    from alexnet.inference.classifier import load
    from alexnet.inference.inputs import read_inputs

    classifier = load(local_path(flags.model), flags.device)
    check_explainable(classifier, flags.class_name, flags.layer, _methods(flags))
    inputs = list(read_inputs(words))
    results = _explain_all(classifier, flags, inputs, _sheet_paths(flags, inputs))
    if flags.json:
        print_json(ExplainOutput(model=flags.model, images=tuple(results)))
    num_errors = note_errors((result.image, result.error) for result in results)
    note_unused(num_errors, len(results), skipped)
    return int(bool(num_errors))


def _methods(flags: ExplainFlags) -> tuple[str, ...]:
    from alexnet.explain.explanation import METHODS

    return METHODS if flags.method == "all" else (flags.method,)


def _explain_all(
    classifier: Classifier, flags: ExplainFlags, inputs: Sequence[Input], sheets: Iterable[Path]
) -> list[ExplainedImage]:
    """Explain every image, draw its sheet and print its class; unreadable images have an error."""
    results = []
    per_image = len(_methods(flags))
    with ProgressReporter() as reporter:
        nearest = _nearest_images(classifier, flags, reporter)
        for number, (image, path) in enumerate(zip(inputs, sheets, strict=True)):
            reporter.on_explain(number * per_image, len(inputs) * per_image)
            try:
                found = _explain_one(classifier, flags, image, nearest)
            except IMAGE_ERRORS as error:
                reason = rejection_reason(error, image.name)
                results.append(
                    ExplainedImage(image=image.name, sheet=None, explanation=None, error=reason)
                )
                continue
            results.append(_drawn(found, flags, image, path, reporter))
        reporter.on_explain(len(inputs) * per_image, len(inputs) * per_image)
    return results


def _nearest_images(
    classifier: Classifier, flags: ExplainFlags, reporter: ProgressReporter
) -> NearestImages | None:
    """A search for the nearest training images; None if not wanted, or if the data is not here."""
    from alexnet.evaluation.evaluator import open_evaluation_data
    from alexnet.features.neighbors import nearest_images

    if not flags.nearest:
        return None
    try:
        count = len(open_evaluation_data(classifier, "", "", reporter))
        if count <= MAX_NEAREST:
            return nearest_images(classifier, reporter=reporter)
        reason = f"{count:,} are many; they are searched by --neighbors"
    except AlexNetError as error:
        reason = str(error) if classifier.info.recipe.data else "the model names no data set"
    reporter.note(f"the nearest training images are left out: {reason}")
    return None


def _explain_one(
    classifier: Classifier,
    flags: ExplainFlags,
    image: Input,
    nearest: NearestImages | None,
) -> Explanation:
    from alexnet.explain.explainer import explain_input

    return explain_input(
        classifier,
        image,
        class_name=flags.class_name,
        layer=flags.layer,
        methods=_methods(flags),
        nearest=nearest,
    )


def _drawn(
    found: Explanation,
    flags: ExplainFlags,
    image: Input,
    path: Path,
    reporter: ProgressReporter,
) -> ExplainedImage:
    """Write the sheet of an explanation and print its class; return it for the JSON output."""
    from alexnet import plots
    from alexnet.explain.image_sheet import sheet

    plots.save(sheet(found, Path(flags.model).resolve().name), path)
    if "grad_cam" in found.left_out and "grad_cam" in _methods(flags):
        note(f"grad_cam is left out: {found.left_out['grad_cam']}")
    if not flags.json:
        answer = f"{found.class_name} {percent(found.probability)}"
        reporter.write(printable(f"{found.image}: {answer}: {path}") + "\n")
    return ExplainedImage(
        image=image.name, sheet=str(path), explanation=explanation_output(found), error=None
    )


def _sheet_paths(flags: ExplainFlags, inputs: Sequence[Input]) -> list[Path]:
    """The files of the sheets, named after the images, with a number after a repeated name.

    Names that differ only in case count as equal, as on Windows and macOS.

    Raises:
        UsageError: --out is a file, and there are several images.
    """
    out = Path(flags.out) if flags.out else results_folder(flags.model, "explain")[0]
    if out.suffix.lower() in SUFFIXES and not out.is_dir():
        if len(inputs) > 1:
            raise UsageError(f"--out {out} is one file for {len(inputs):,} images; name a folder")
        return [out]
    names: dict[str, str] = {}
    for image in inputs:
        stem = Path(image.name.partition("?")[0]).stem or "image"
        endings = chain([""], (f"-{number}" for number in count(2)))
        name = next(f"{stem}{e}" for e in endings if f"{stem}{e}".casefold() not in names)
        names[name.casefold()] = name
    return [out / f"{name}.png" for name in names.values()]
