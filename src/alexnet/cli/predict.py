"""`alexnet predict`: the most probable classes of images."""

from __future__ import annotations

import csv
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from alexnet.cli.console import note, percent, print_json, table
from alexnet.cli.flags import parse
from alexnet.cli.models import with_model
from alexnet.cli.outputs.predict import predict_output
from alexnet.data.images.find import describe_skipped, match_paths, no_image_text
from alexnet.data.images.kinds import kind_of_file
from alexnet.errors import UsageError
from alexnet.io.text import printable
from alexnet.io.url import is_address
from alexnet.parallel.world import World, current_world
from alexnet.progress import ProgressReporter

if TYPE_CHECKING:
    from alexnet.inference.inputs import ImageInput
    from alexnet.inference.predictions import Prediction

UNSURE = "unsure"
"""Printed in place of a class whose probability is below --min-probability."""


@dataclass(frozen=True, kw_only=True)
class PredictFlags:
    """The most probable classes of images."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A model file or a run folder."""
    paths: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE ...")]
    """Images, folders of images, patterns such as 'photos/*.jpg', https addresses, or - for an
    image on stdin."""
    top: int = 5
    """Number of classes per image."""
    crops: Literal["1", "10"] = "1"
    """10 averages the center and the corners, each also flipped (paper, section 4.1)."""
    min_probability: float = 0.0
    """Answer "unsure" where the most probable class has a lower probability than this, 0 to 1."""
    exact: bool = False
    """Answer with the network in float32 as it was trained. Unless given, it is optimized for
    inference (int8 or bf16 where the CPU has it), several times as fast; a run that was trained
    with --precision float32 always answers in float32."""
    device: str = "auto"
    """auto: the first GPU, else the CPU."""
    json: bool = False
    """Print JSON."""
    csv: bool = False
    """Print CSV: image,rank,label,probability. An unsure image has one row, labelled unsure;
    one that cannot be read has one with empty cells."""


def run(arguments: Sequence[str]) -> int:
    """Predict and print; 1 if an image could not be read."""
    flags = with_model(parse(PredictFlags, arguments, "predict"), "model")
    check_values(flags)
    check_order(flags.model, flags.paths)
    skipped: Counter[str] = Counter()
    inputs = find_inputs(flags.paths, skipped)
    from alexnet.evaluation.advice import crops_advice
    from alexnet.inference.answering import load_answering

    classifier = load_answering(flags.model, flags.device, exact=flags.exact)
    crops: Literal[1, 10] = 10 if flags.crops == "10" else 1
    if text := crops_advice(classifier, crops):
        note(text)
    world = current_world()
    check_shared(inputs, world)
    batches = partial(
        classifier.predict_batches,
        inputs[world.rows(len(inputs))],
        flags.top,
        crops,
        min_probability=flags.min_probability,
    )
    write_now = flags.csv and world.size == 1 and not sys.stdout.isatty()
    with ProgressReporter() as reporter:
        own = list(_written(batches(reporter.on_predict), write_now))
    predictions = list(chain.from_iterable(world.gather_objects(own)))
    if flags.json:
        print_json(predict_output(classifier.answering_network, predictions, skipped))
    elif flags.csv and not write_now:
        list(_written([predictions], write_now=True))
    elif not flags.csv and any(prediction.top_classes for prediction in predictions):
        print(_text(predictions))
    errors = [(one.image, one.error) for one in predictions if one.error]
    note_unused(errors, len(predictions), skipped)
    return int(bool(errors))


def note_unused(errors: Sequence[tuple[str, str]], num_images: int, skipped: Counter[str]) -> None:
    """Say which images could not be read and how many, and which files are none.

    Args:
        errors: the name of each such image, and the reason.
        num_images: with those.
        skipped: number of files that are no images, by reason.
    """
    for name, error in errors:
        note(printable(f"alexnet: cannot read {name}: {error}"))
    if len(errors) > 1:
        note(f"{len(errors):,} of {num_images:,} images could not be read")
    if names := describe_skipped(skipped):
        note(f"files skipped: {names}")


def check_values(flags: PredictFlags) -> None:
    """Check the flags' values.

    Raises:
        UsageError: one is out of range, two exclude each other, or no image is named.
    """
    if flags.top < 1:
        raise UsageError(f"--top {flags.top} must be at least 1")
    if not 0 <= flags.min_probability <= 1:
        raise UsageError(f"--min-probability {flags.min_probability:g} must be from 0 to 1")
    if flags.json and flags.csv:
        raise UsageError("choose one of --json and --csv")
    if not flags.paths or "" in flags.paths:
        raise UsageError("name at least one image, folder, pattern or https address")


def check_shared(inputs: Sequence[ImageInput], world: World) -> None:
    """Check that several processes can share the images.

    Raises:
        UsageError: one of them is stdin, which a single process reads.
    """
    if world.size > 1 and not all(isinstance(one, str | Path) for one in inputs):
        raise UsageError("- reads stdin, which processes cannot share; name files instead")


def check_order(
    model: str, images: Sequence[str], verb: str = "predict", words: str = "IMAGE ..."
) -> None:
    """Check that the model comes first, and the words for images after it.

    Raises:
        UsageError: it is an image or a folder without a model, or one of the images is a model.
    """
    usage = f"the model comes first: alexnet {verb} MODEL {words}"
    path = Path(model)
    if path.is_file() and (kind := kind_of_file(path)).is_image:
        raise UsageError(f"{model} is {kind.words}, not a model; {usage}")
    for image in map(Path, images):
        if image.suffix == ".safetensors" or (image / "model.safetensors").exists():
            raise UsageError(f"{image} is a model, not an image; {usage}")
    if path.is_dir() and not (path / "model.safetensors").exists():
        from alexnet.checkpoints.missing_model import known_folder_text

        if not known_folder_text(path):  # of others, loading says what they are
            raise UsageError(f"{model} is a folder without a model (model.safetensors); {usage}")


def find_inputs(words: Sequence[str], skipped: Counter[str]) -> list[ImageInput]:
    """The images that the words of the command line mean; `-` is stdin.

    A word without an image stays, as an image that cannot be read.

    Raises:
        UsageError: no word has an image.
    """
    inputs: list[ImageInput] = []
    missing: list[str] = []
    for word in words:
        if word == "-" and sys.stdin:
            inputs.append(sys.stdin.buffer)
        elif is_address(word):
            inputs.append(word)
        else:
            paths = match_paths(word, skipped)
            if not paths or not os.path.lexists(paths[0]):
                missing.append(word)
            inputs += paths or [word]
    if len(missing) == len(words):
        raise UsageError(no_image_text(missing[0]))
    return inputs


def _written(batches: Iterable[Sequence[Prediction]], write_now: bool) -> Iterator[Prediction]:
    """All predictions; each batch is written as CSV before the next one is computed, if wanted."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for number, batch in enumerate(batches):
        if write_now and not number:
            writer.writerow(("image", "rank", "label", "probability"))
        if write_now:
            writer.writerows(chain.from_iterable(map(_csv_rows, batch)))
            sys.stdout.flush()
        yield from batch


def _csv_rows(prediction: Prediction) -> Iterator[tuple[object, ...]]:
    """The rows of one image."""
    answers = prediction.top_classes
    if prediction.error:
        yield prediction.image, "", "", ""
    if prediction.is_unsure:
        answers = (replace(answers[0], label=UNSURE),)
    for rank, top in enumerate(answers, 1):
        yield prediction.image, rank, top.label, f"{top.probability:.6f}"


def _text(predictions: Sequence[Prediction]) -> str:
    rows = [_row(prediction) for prediction in predictions if prediction.top_classes]
    return table(("image", "prediction", "probability", "next"), rows, left=4)


def _row(prediction: Prediction) -> tuple[str, str, str, str]:
    """One image: what it is, how probable that is, and the other classes; of an unsure one, all."""
    top, label = prediction.top_classes, prediction.label
    others = top if label is None else top[1:]
    return (
        prediction.image,
        UNSURE if label is None else label,
        "" if label is None else percent(top[0].probability),
        ", ".join(f"{other.label} {percent(other.probability)}" for other in others),
    )
