"""`alexnet predict`: the most probable classes of images."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from alexnet.cli.console import note
from alexnet.cli.flags import parse
from alexnet.cli.models import with_model
from alexnet.cli.predict_rows import csv_rows, json_rows, text_rows, text_widths
from alexnet.data.images.find import describe_skipped, match_paths, no_image_text
from alexnet.data.images.kinds import kind_of_file
from alexnet.errors import UsageError
from alexnet.io.url import is_address
from alexnet.parallel.world import World, current_world
from alexnet.progress import ProgressReporter

if TYPE_CHECKING:
    from alexnet.inference.inputs import ImageInput
    from alexnet.inference.predictions import Prediction
    from alexnet.inference.predictor import Predictor


@dataclass(frozen=True, kw_only=True)
class PredictFlags:
    """The most probable classes of images, written after every 64 of them."""

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
    """Answer with the network as it was trained, in float32, which is not TF32. Unless given, it is
    optimized for inference (int8 or bf16 where the CPU has it), several times as fast; a run that
    was trained with --precision float32 always answers in float32."""
    device: str = "auto"
    """auto: the first GPU, else the CPU."""
    json: bool = False
    """Print JSON."""
    csv: bool = False
    """Print CSV: image,rank,label,probability. An unsure image has one row, labelled unsure;
    one that cannot be read has one with empty cells."""


def run(arguments: Sequence[str]) -> int:
    """Predict and print; the exit code is 1 if an image could not be read."""
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
    check_shared(inputs, current_world())
    batches = _shared_batches(
        partial(
            classifier.predict_batches,
            top=flags.top,
            crops=crops,
            min_probability=flags.min_probability,
        ),
        inputs,
    )
    num_errors = 0
    with ProgressReporter() as reporter:

        def reported() -> Iterator[Sequence[Prediction]]:
            """Yield the batches, and print the errors of each after its rows are written."""
            nonlocal num_errors
            done = 0
            for batch in batches:
                done += len(batch)
                reporter.on_predict(done, len(inputs))
                yield batch
                num_errors += note_errors((one.image, one.error) for one in batch)

        for text in _rows(flags, reported(), classifier, inputs, skipped):
            reporter.write(text)
    note_unused(num_errors, len(inputs), skipped)
    return int(bool(num_errors))


def _shared_batches(
    predict: Callable[[Iterator[ImageInput]], Iterator[Sequence[Prediction]]],
    inputs: Sequence[ImageInput],
) -> Iterator[Sequence[Prediction]]:
    """Yield the predictions of all images in order, in batches.

    Several processes share the images of every batch; each gets all predictions.
    """
    world, size = current_world(), _batch_size()
    parts = (inputs[start : start + size] for start in range(0, len(inputs), size))
    own = chain.from_iterable(images[world.rows(len(images))] for images in parts)
    batches = predict(own)
    while batch := list(chain.from_iterable(world.gather_objects(next(batches, [])))):
        yield batch


def _batch_size() -> int:
    """Images that all processes predict together."""
    from alexnet.inference.decoding import DECODE_BATCH

    return DECODE_BATCH * current_world().size


def _rows(
    flags: PredictFlags,
    batches: Iterable[Sequence[Prediction]],
    classifier: Predictor,
    inputs: Sequence[ImageInput],
    skipped: Counter[str],
) -> Iterator[str]:
    """Yield the output in parts, as the batches arrive."""
    if flags.json:
        return json_rows(batches, classifier.answering_network, skipped)
    if flags.csv:
        return csv_rows(batches)
    has_more = len(inputs) > _batch_size()
    widths = text_widths(inputs, classifier.class_names) if has_more else ()
    return text_rows(batches, widths)


def note_errors(images: Iterable[tuple[str, str | None]]) -> int:
    """Print which images (name, error or None) could not be read, and return their number."""
    errors = [(name, error) for name, error in images if error]
    for name, error in errors:
        note(f"alexnet: cannot read {name}: {error}")
    return len(errors)


def note_unused(num_errors: int, num_images: int, skipped: Counter[str]) -> None:
    """Print how many images could not be read, and which files were skipped.

    Args:
        num_errors: number of images that could not be read.
        num_images: number of all images.
        skipped: number of files that are no images, by reason.
    """
    if num_errors > 1:
        note(f"{num_errors:,} of {num_images:,} images could not be read")
    if names := describe_skipped(skipped):
        note(f"files skipped: {names}")


def check_values(flags: PredictFlags) -> None:
    """Check the flags' values.

    Raises:
        UsageError: a value is out of range, two flags exclude each other, or no image is named.
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
        UsageError: one of the images is stdin, which only one process can read.
    """
    if world.size > 1 and not all(isinstance(one, str | Path) for one in inputs):
        raise UsageError("- reads stdin, which processes cannot share; name files instead")


def check_order(
    model: str, images: Sequence[str], verb: str = "predict", words: str = "IMAGE ..."
) -> None:
    """Check that the model comes first, and the words for images after it.

    Raises:
        UsageError: the model is an image or a folder without a model, or an image is a model.
    """
    usage = f"the model comes first: alexnet {verb} MODEL {words}"
    path = Path(model)
    if path.is_file() and (kind := kind_of_file(path)).is_image:
        raise UsageError(f"{model} is {kind.words}, not a model; {usage}")
    for image in images:
        if not is_address(image) and is_model(image):
            raise UsageError(f"{image} is a model, not an image; {usage}")
    if path.is_dir() and not (path / "model.safetensors").exists():
        from alexnet.checkpoints.missing_model import known_folder_text

        if not known_folder_text(path):  # of others, loading says what they are
            raise UsageError(f"{model} is a folder without a model (model.safetensors); {usage}")


def is_model(word: str) -> bool:
    """Whether a path is that of a model file or of a run with one."""
    if Path(word).suffix == ".safetensors":
        return True
    return os.path.exists(os.path.join(word, "model.safetensors"))  # noqa: PTH110, PTH118 - long


def find_inputs(words: Sequence[str], skipped: Counter[str]) -> list[ImageInput]:
    """Find the images that the words of the command line name; `-` is stdin.

    A word that names no image is returned as one that cannot be read.

    Raises:
        UsageError: no word has an image, or an address may not be read.
    """
    from alexnet.inference.inputs import check_address

    inputs: list[ImageInput] = []
    missing: list[str] = []
    for word in words:
        if word == "-" and sys.stdin:
            inputs.append(sys.stdin.buffer)
        elif is_address(word):
            check_address(word)
            inputs.append(word)
        else:
            paths = match_paths(word, skipped)
            if not paths or not os.path.lexists(paths[0]):
                missing.append(word)
            inputs += paths or [word]
    if len(missing) == len(words):
        raise UsageError(no_image_text(missing[0]))
    return inputs
