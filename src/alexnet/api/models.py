"""Use a trained model: load, predict, evaluate, export, import."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import torch

from alexnet.api.python_words import in_python
from alexnet.api.reporting import Reporting, reporting
from alexnet.errors import ModelFileError, UnknownNameError, UsageError
from alexnet.evaluation import evaluator
from alexnet.evaluation.evaluator import SplitName
from alexnet.evaluation.report import write_evaluation
from alexnet.evaluation.results import Evaluation
from alexnet.inference import classifier as classifiers
from alexnet.inference.classifier import Classifier
from alexnet.inference.inputs import ImageInput
from alexnet.inference.predictions import Predictions
from alexnet.inference.predictor import Crops
from alexnet.interop import importer
from alexnet.interop.defaults import chosen_architecture
from alexnet.interop.export_report import ExportReport, Format
from alexnet.interop.exporter import SUFFIXES, check_format, export_model
from alexnet.interop.importer import ChannelOrderOption, PreprocessingOption
from alexnet.interop.torchvision import torchvision_weights
from alexnet.io.hub import PREFIX, is_head
from alexnet.io.paths import FilePath, path_text
from alexnet.keywords import check_keywords
from alexnet.models.architecture import Architecture
from alexnet.reporter import progress_callback
from alexnet.training.trainer import Run

Device: TypeAlias = "str | torch.device"
Model: TypeAlias = "FilePath | Run | Classifier"
"""A run folder or a model file, the `Run` that `train` returned, or a classifier."""


@in_python
@check_keywords
def load(model: Model, device: Device = "auto") -> Classifier:
    """Load a classifier from a run folder (its best model), a model file, or a finished `Run`.

    Args:
        model: where it is; "hf:OWNER/NAME[@REVISION]" downloads it from Hugging Face's hub.
        device: "cpu", "cuda" and so on; "auto" is the first GPU, else the CPU.

    Raises:
        ModelFileError: the file is missing, damaged, or not a model of this program.
        MissingDataError: it cannot be downloaded.
        UsageError: there is no such device.
    """
    if isinstance(model, Classifier):
        return model
    if isinstance(model, Run):
        return classifiers.load(model.folder.path, str(device))
    if not isinstance(model, str | os.PathLike):
        raise UsageError(
            "a model is a run folder, a model file, a Run or a Classifier; "
            f"not a {type(model).__name__}"
        )
    path = path_text(model)
    if path.startswith(PREFIX) or is_head(Path(path)):
        from alexnet.sharing.fetch import find_model

        path = find_model(path)
    return classifiers.load(Path(path), str(device))


@in_python
@check_keywords
def predict(
    model: Model,
    images: ImageInput | Iterable[ImageInput],
    top: int = 5,
    crops: Crops = 1,
    *,
    min_probability: float = 0.0,
    device: Device = "auto",
    reporter: Reporting = "auto",
) -> Predictions:
    """Predict the most probable classes of images: `alexnet.predict("runs/x", "a.jpg")`.

    To predict more than once, `alexnet.load(model)` gives a classifier with the same method.

    Args:
        model: a run folder, a model file, a `Run` or a `Classifier`.
        images: as for `Classifier.predict`.
        top: number of classes per image.
        crops: 10 averages the center and the corners, each also flipped.
        min_probability: a prediction whose most probable class has less is unsure, 0 to 1.
        device: where to compute; a classifier stays where it is.
        reporter: a `Reporter`; "auto" shows progress in this shell, None is silent.

    Raises:
        ModelFileError: the model cannot be read.
        UsageError: a value is no image, or `top` or `crops` cannot be used.
    """
    with reporting(reporter) as reporter:
        on_progress = progress_callback(reporter, "on_predict")
        return load(model, device).predict(
            images, top, crops, on_progress, min_probability=min_probability
        )


@in_python
@check_keywords
def evaluate(
    model: Model,
    data: FilePath = "",
    *,
    data_root: FilePath = "",
    label_from: str = "",
    split: SplitName = "auto",
    crops: Crops = 1,
    device: Device = "auto",
    out: FilePath = "",
    reporter: Reporting = "auto",
) -> Evaluation:
    """Errors, loss, per-class scores, confusion and top losses: `alexnet.evaluate("runs/x")`.

    Args:
        model: a run folder, a model file, a `Run` or a `Classifier`.
        data: a data set's name, a folder or a list of images; what the model was trained on
            unless given.
        data_root: folder searched for data sets first.
        label_from: as the option of `alexnet.train`, for other data than that of the training.
        split: `auto` is the test split if there is one, else val; for other data also train if
            there is no other split, and all images if there are no splits.
        crops: 1, or 10 for the paper's ten crops.
        device: where to compute; a classifier stays where it is.
        out: folder for evaluation.json and plots; nothing is written unless given.
        reporter: a `Reporter`; "auto" shows progress in this shell, None is silent.

    Raises:
        ModelFileError: the model cannot be read.
        UsageError: no data is given, and the model was imported, so it names none.
        DataError: the data cannot be used, or has a class that the model does not know.
    """
    if split not in get_args(SplitName):
        raise UnknownNameError("split", str(split), get_args(SplitName))
    folder = path_text(out, "out")
    with reporting(reporter) as reporter:
        result = evaluator.evaluate(
            load(model, device),
            path_text(data, "data"),
            data_root=path_text(data_root, "data_root"),
            label_from=label_from,
            split=split,
            crops=crops,
            reporter=reporter,
            on_progress=progress_callback(reporter, "on_evaluate"),
        )
    if folder:
        write_evaluation(result, Path(folder))
    return result


@in_python
@check_keywords
def export(
    model: Model,
    out: FilePath = "",
    *,
    format: Format | Literal["auto"] = "auto",
    with_preprocessing: bool = False,
    half: bool = False,
    int8: bool = False,
    data: FilePath = "",
    data_root: FilePath = "",
    opset: int | None = None,
    license: str = "",
    reporter: Reporting = "auto",
) -> ExportReport:
    """Write a model for other programs: `alexnet.export("runs/x", "x.onnx")`.

    The file is run and compared with the model.

    Args:
        model: a run folder, a model file, a `Run` or a `Classifier`, which stays as it is.
        out: the file; next to the model unless given.
        format: "onnx", "torch", "keras" or "torchvision"; auto: by the ending of `out`.
        with_preprocessing: the file takes a uint8 image [H, W, 3] of any size and gives
            probabilities.
        half: weights and computation of an ONNX file in float16.
        int8: weights of an ONNX file in 8 bits.
        data: images on which a file of `half` or `int8` is calibrated and compared with the model;
            what the model was trained on unless given.
        data_root: folder searched for data sets first.
        opset: the opset of an ONNX file; None: 18.
        license: the license of the weights, by its SPDX name, for the file's metadata.
        reporter: a `Reporter` for notes on the data; "auto" shows them in this shell, None is
            silent.

    Raises:
        UsageError: the file exists, its ending tells no format, an optional package is missing,
            the format cannot have what is asked for, or the classifier is optimized or its network
            was edited.
        ModelFileError: the file computes something else than the model; it is not kept.
    """
    path, kind = _export_target(model, out, format)
    with reporting(reporter) as reporter:
        report = export_model(
            load(model, "cpu"),
            path,
            kind,
            with_preprocessing=with_preprocessing,
            half=half,
            int8=int8,
            data=path_text(data, "data"),
            data_root=path_text(data_root, "data_root"),
            reporter=reporter,
            opset=opset,
            weights_license=license,
        )
    if not report.is_close:
        raise ModelFileError(
            f"{path} would compute something else than the model and was not saved: "
            f"{report.parity.summary()}"
        )
    return report


def _export_target(
    model: Model, out: FilePath, format: Format | Literal["auto"]
) -> tuple[Path, Format]:
    """The file to write and its format."""
    if format != "auto":
        check_format(str(format))
    if out := path_text(out, "out"):
        found = [kind for kind, ends in SUFFIXES.items() if out.lower().endswith(ends)]
        if format == "auto" and not found:
            ends = ", ".join(end for ends in SUFFIXES.values() for end in ends)
            raise UsageError(f"the ending of {out} tells no format; it can be {ends}")
        return Path(out), found[0] if format == "auto" else format
    if format == "auto" or isinstance(model, Classifier):
        raise UsageError('name the file to write, such as alexnet.export(model, "model.onnx")')
    folder = model.folder.path if isinstance(model, Run) else Path(path_text(model))
    file = folder / "model.safetensors" if folder.is_dir() else folder
    return file.with_suffix(SUFFIXES[format][0]), format


@in_python
@check_keywords
def import_model(
    file: FilePath = "",
    arch: str | Architecture = "",
    *,
    out: FilePath = "",
    weights: Literal["file", "ema", "torchvision"] = "file",
    class_names: FilePath | Sequence[str] = (),
    channel_order: ChannelOrderOption = "auto",
    preprocessing: PreprocessingOption = "auto",
    input_size: int | None = None,
    data_root: FilePath = "",
    reporter: Reporting = "auto",
) -> Classifier:
    """A classifier from a file of another program: `alexnet.import_model("x.pth", "alexnet_owt")`.

    Args:
        file: a checkpoint of torch, or a Keras, ONNX, Caffe or numpy file.
        arch: the architecture in the file: a name, an `Architecture`, or "nets.py:table"; "" is
            alexnet_notebook for Keras files, else the one that fits the file.
        out: model file to write, too; none unless given. `Classifier.save` writes one later.
        weights: "ema" takes the averaged weights of a checkpoint that has both; "torchvision"
            takes torchvision's published alexnet, downloaded once, instead of a file.
        class_names: names in the order of the outputs, or a file of them.
        channel_order: "rgb" or "bgr"; auto: bgr for Caffe and numpy files, else rgb.
        preprocessing: the program whose preprocessing is used; auto: as the file or the report of
            its export says, else as published.
        input_size: side of the input in pixels, where these do not say.
        data_root: folder searched first for torchvision's file.
        reporter: a `Reporter` for notes; "auto" shows them in this shell, None is silent.

    Raises:
        ModelFileError: the file is damaged, is another network, or computes other logits.
        UsageError: the arguments contradict each other, or an optional package is missing.
        UnknownNameError: there is no such architecture.
    """
    file, out = path_text(file, "file"), path_text(out, "out")
    table, notes = chosen_architecture(arch, file, weights, input_size)
    if out and Path(out).exists():
        raise UsageError(f"{out} exists already; remove it or choose another file")
    path = Path(file) if file else torchvision_weights(path_text(data_root, "data_root"))
    names: Path | tuple[str, ...] = ()
    if isinstance(class_names, str | os.PathLike):
        names = Path(path_text(class_names)) if class_names else ()
    else:
        names = tuple(class_names)
    imported = importer.import_model(
        path,
        table,
        class_names=names,
        channel_order=channel_order,
        preprocessing=preprocessing,
        input_size=input_size,
        average=weights == "ema",
    )
    with reporting(reporter) as reporter:
        for text in (*notes, *imported.notes):
            reporter.note(text)
        if imported.preprocessing_source == "default" and file:
            steps = ", ".join(imported.info.preprocessing.steps())
            reporter.note(f"{path.name} does not say how images are preprocessed; taken: {steps}")
    if out:
        imported.save(Path(out))
    return imported.classifier()
