"""`alexnet evaluate`: metrics of a model on a split of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from alexnet.cli.console import note, note_next, percent, print_json, table
from alexnet.cli.flags import parse
from alexnet.cli.models import local_path, results_folder, with_place
from alexnet.cli.slow_cpu import note_slow_cpu
from alexnet.data.datasets.split_names import split_of
from alexnet.data.summary import missing_text
from alexnet.evaluation.intervals import percent_with_interval
from alexnet.io.paths import path_text
from alexnet.io.text import printable
from alexnet.parallel.world import on_main
from alexnet.progress import ProgressReporter

if TYPE_CHECKING:
    from alexnet.evaluation.calibration import Calibration
    from alexnet.evaluation.results import Evaluation
    from alexnet.inference.classifier import Classifier


MAX_EMPTY_ROWS = 20
"""If more classes than this have no images, a line below the table names them instead."""


@dataclass(frozen=True, kw_only=True)
class EvaluateFlags:
    """Errors, loss, per-class metrics, confusion and top losses of a model."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A model file or a run folder."""
    data: str = ""
    """A data set, folder or list of images; unless given, the one the model was trained on."""
    data_root: str = ""
    """Folder searched for data sets first."""
    label_from: str = ""
    """Regular expression with one group that finds the class in the file name of an image, or in
    its path if the expression has a slash."""
    split: Literal["auto", "test", "val", "train", "all"] = "auto"
    """auto: the test split if there is one, else val. Of data that the model was not trained on:
    train if there is no other split, all images if there are no splits."""
    crops: Literal["1", "10"] = "1"
    """10 averages the center and the corners, each also flipped (paper, section 4.1)."""
    optimized: bool = False
    """Evaluate the network optimized for inference, with which `alexnet predict` answers (int8 or
    bf16 where the CPU has it); unless given, the network as it was trained."""
    device: str = "auto"
    """auto: the first GPU, else the CPU."""
    out: Annotated[str, tyro.conf.arg(metavar="FOLDER")] = ""
    """Folder for evaluation.json, confusion.png, top_losses.png (the images with the highest
    losses, right or wrong) and top_losses.csv (all images by their loss); unless given,
    evaluation in the run, or evaluation-DATA, evaluation-val, evaluation-10-crops,
    evaluation-optimized and so on."""
    json: bool = False
    """Print JSON."""


def run(arguments: Sequence[str]) -> int:
    """Evaluate, write the plots, print the metrics."""
    flags = with_place(parse(EvaluateFlags, arguments, "evaluate"), "model")
    from alexnet.evaluation.report import write_evaluation
    from alexnet.evaluation.summary import summarize_evaluation
    from alexnet.evaluation.training_images import is_training_path
    from alexnet.inference.answering import prepared_to_answer
    from alexnet.inference.classifier import load
    from alexnet.plots import font_note

    note_slow_cpu(flags.device)
    classifier = load(local_path(flags.model), flags.device)
    if flags.optimized:
        classifier = prepared_to_answer(classifier)
        if not classifier.answering_network.is_optimized:
            note("note: trained with --precision float32, in which predict answers, too")
    result = _evaluate(classifier, flags)
    folder, name = results_folder(flags.model, "evaluation")
    ending = suffix(flags, is_training_path(classifier, flags.data))
    out = Path(flags.out) if flags.out else folder.with_name(folder.name + ending)
    try:
        on_main(write_evaluation)(result, out, run=name, net=classifier.info.architecture.name)
    finally:  # also where nothing can be written
        if flags.json:
            print_json(summarize_evaluation(result))
        else:
            print(f"{printable(result.data)}, {result.split}: {_text(result)}")
    if glyphs := font_note(result.class_names):
        note(glyphs)
    note(f"plots     {out}")
    if not flags.json:
        note_next(
            ["alexnet", "predict", flags.model, "IMAGE"],
            ["alexnet", "export", flags.model, "--format", "onnx"],
        )
    return 0


def _evaluate(classifier: Classifier, flags: EvaluateFlags) -> Evaluation:
    """Evaluate as the flags say, and show the progress."""
    from alexnet.evaluation.evaluator import evaluate

    with ProgressReporter() as reporter:
        return evaluate(
            classifier,
            flags.data,
            data_root=flags.data_root,
            label_from=flags.label_from,
            split=flags.split,
            crops=10 if flags.crops == "10" else 1,
            reporter=reporter,
            on_progress=reporter.on_evaluate,
        )


def suffix(flags: EvaluateFlags, is_training_data: bool) -> str:
    """The suffix of the evaluation's folder, such as "-photos" or "-val"; "" by default."""
    parts = [] if is_training_data else [_data_name(flags.data)]
    parts += [flags.split] if flags.split != "auto" else []
    parts += ["10-crops"] if flags.crops == "10" else []
    parts += ["optimized"] if flags.optimized else []
    return "".join(f"-{part}" for part in parts)


def _data_name(data: str) -> str:
    """The name of a data set or path; for a folder of a split, such as shop/test, "shop-test"."""
    path = Path(path_text(data)).resolve()
    name = f"{path.parent.name}-{path.stem}" if split_of(path.stem) else path.stem
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)


def _text(result: Evaluation) -> str:
    """The metrics as text."""
    from alexnet.evaluation.advice import evaluation_advice

    parts = [_header(result), _class_table(result)]
    if result.classes_without_images:
        where = f"images in {printable(result.data)}, {result.split}"
        parts.append(printable(missing_text(result.classes_without_images, where)))
    if result.most_confused:
        parts.append("\n".join(["most confused", *map(_pair_text, result.most_confused)]))
    if advice := evaluation_advice(result):
        parts.append("\n".join(printable(f"note: {sentence}") for sentence in advice))
    return "\n\n".join(parts)


def _pair_text(pair: tuple[str, str, int]) -> str:
    label, predicted, count = pair
    return printable(f"  {count} x {label} predicted as {predicted}")


def _header(result: Evaluation) -> str:
    """The metrics over all images, as text."""
    n, has_top5 = result.num_images, len(result.class_names) > 5
    top5 = f"top-5 error {percent_with_interval(result.top5_error, n)}   " if has_top5 else ""
    network = ""
    if result.network and result.network.is_optimized:
        network = f", optimized for inference ({result.network.number_type})"
    return (
        f"{_count(n, 'image')}, {_count(result.crops, 'crop')}{network} "
        "(in brackets: 95 % confidence intervals)\n"
        f"top-1 error {percent_with_interval(result.top1_error, n)}   "
        f"accuracy {percent(result.accuracy)}\n"
        f"{top5}loss {result.loss:.4f}\n{_calibration_text(result.calibration)}"
    )


def _calibration_text(calibration: Calibration) -> str:
    """A text on the calibration error, and on how the temperature has changed it."""
    from alexnet.evaluation.calibration import chance_calibration_error

    temperature = calibration.temperature
    chance = percent(chance_calibration_error(calibration.bins))
    text = f"calibration error {percent(calibration.error)} (of a calibrated network {chance})"
    if temperature == 1:
        return (
            f"{text}; no temperature is fitted, which takes validation images "
            "that are not all classified correctly (alexnet train --val-fraction 0.1)"
        )
    if calibration.error_before is None:
        return f"{text} with temperature {temperature:.3g}, then averaged over the crops"
    return f"{text} with temperature {temperature:.3g}, {percent(calibration.error_before)} without"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _class_table(result: Evaluation) -> str:
    """The table of the scores of every class."""
    rows = [
        (
            c.name,
            percent(c.precision),
            percent_with_interval(c.recall, c.num_images),
            percent(c.f1),
            f"{c.num_images}",
        )
        for c in result.per_class
        if c.num_images or len(result.classes_without_images) <= MAX_EMPTY_ROWS
    ]
    return table(("class", "precision", "recall", "F1", "images"), rows)
