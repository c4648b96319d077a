"""`alexnet evaluate`: how good a model is on a split of a data set."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from alexnet import plots
from alexnet.classifier import Classifier, load
from alexnet.cli.flags import parse
from alexnet.cli.show import Reporter, note, percent, table
from alexnet.data.splits import split_rows
from alexnet.data.store import Store
from alexnet.errors import DataError
from alexnet.evaluation import Evaluation, evaluate
from alexnet.job import open_data
from alexnet.results import evaluation_summary


@dataclass(frozen=True, kw_only=True)
class EvaluateFlags:
    """Errors, loss, per-class figures, confusion and worst pictures of a model."""

    model: Annotated[str, tyro.conf.Positional]
    """A model file or a run folder."""
    data: str = ""
    """A data set, folder or CSV; the one the model was trained on unless given."""
    data_root: str = ""
    """Folder searched for data sets first."""
    split: Literal["test", "val", "train", "all"] = "test"
    """Which pictures; of a folder without splits that the model was not trained on, all are used."""
    views: Literal["1", "10"] = "1"
    """10 averages the centre and the corners, each also mirrored (paper, section 4.1)."""
    device: str = "auto"
    """auto: the first GPU, else the processor."""
    out: str = ""
    """Folder for evaluation.json, confusion.png and worst.png; MODEL's folder/evaluation unless given."""
    json: bool = False
    """Print JSON."""


def run(arguments: Sequence[str]) -> int:
    """Evaluate, write the pictures, print the figures."""
    flags = parse(EvaluateFlags, arguments, "evaluate")
    classifier = load(flags.model, flags.device)
    with Reporter() as reporter:
        trained = classifier.info.recipe
        rule = classifier.info.preprocessing
        root = flags.data_root or trained.data_root
        store = open_data(
            flags.data or trained.data, root, rule.resize, rule.store_pixels, reporter
        )
    labels = labels_for(classifier, store)
    rows = _rows(classifier, store, flags)
    views: Literal[1, 10] = 10 if flags.views == "10" else 1
    result = evaluate(
        classifier, store, rows, views=views, labels=labels, progress=_progress(len(rows))
    )
    out = (
        Path(flags.out)
        if flags.out
        else Path(flags.model).with_name(Path(flags.model).name + "-evaluation")
    )
    if not flags.out and Path(flags.model).is_dir():
        out = Path(flags.model) / "evaluation"
    write(result, store, out)
    print(
        json.dumps(evaluation_summary(result), indent=2, ensure_ascii=False)
        if flags.json
        else text(result)
    )
    note(f"pictures  {out}")
    return 0


def labels_for(classifier: Classifier, store: Store) -> np.ndarray:
    """The store's labels as indices of the model's classes, matched by name: int64 [N].

    Raises:
        DataError: the data has a class that the model does not know.
    """
    known = {name: i for i, name in enumerate(classifier.classes)}
    if strange := [name for name in store.info.classes if name not in known]:
        raise DataError(
            f"the model does not know the class {strange[0]!r} of {store.info.name}; "
            f"its {len(known)} classes are {', '.join(classifier.classes[:5])}{' ..' if len(known) > 5 else ''}"
        )
    own: np.ndarray = np.array([known[name] for name in store.info.classes], dtype=np.int64)
    return np.asarray(own[store.labels])


def _rows(classifier: Classifier, store: Store, flags: EvaluateFlags) -> np.ndarray:
    trained = classifier.info.recipe
    is_own = (
        not flags.data
        or flags.data == trained.data
        or str(Path(flags.data).resolve()) == trained.data
    )
    has_splits = any(store.info.splits)
    if flags.split == "all" or not (is_own or has_splits):
        return np.flatnonzero(store.usable)
    return split_rows(store, trained.pictures, trained.seed).rows(flags.split)


def _progress(total: int) -> Callable[[int], None]:
    def report(done: int) -> None:
        if total > 2000:
            note(f"{done:,} of {total:,} pictures")

    return report


def write(result: Evaluation, store: Store, out: Path) -> None:
    """Write evaluation.json, confusion.png and, where there are mistakes, worst.png."""
    from alexnet.data.files import write_text

    write_text(
        out / "evaluation.json",
        json.dumps(evaluation_summary(result), indent=2, ensure_ascii=False) + "\n",
    )
    plots.save(plots.confusion(result), out / "confusion.png")
    if result.worst:
        plots.save(plots.worst(result, store.images), out / "worst.png")


def text(result: Evaluation) -> str:
    """The figures as text."""
    head = (
        f"{result.pictures:,} pictures, {result.views} view{'s' if result.views > 1 else ''}\n"
        f"top-1 error {percent(result.top1_error)}   accuracy {percent(result.accuracy)}\n"
        f"top-5 error {percent(result.top5_error)}   loss {result.loss:.4f}\n"
    )
    rows = [
        (c.name, percent(c.precision), percent(c.recall), percent(c.f1), f"{c.pictures}")
        for c in result.per_class
    ]
    pairs = "\n".join(
        f"  {count} x {label} taken for {guess}" for label, guess, count in result.most_confused
    )
    per_class = table(("class", "precision", "recall", "F1", "pictures"), rows)
    return f"{head}\n{per_class}" + (f"\n\nmost confused\n{pairs}" if pairs else "")
