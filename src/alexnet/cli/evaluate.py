"""`alexnet evaluate`: how good a model is on a split of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from alexnet.cli.console import ProgressReporter, note, percent, table
from alexnet.cli.flags import parse
from alexnet.config.serialization import json_text
from alexnet.io.text import printable

if TYPE_CHECKING:
    from alexnet.evaluation.results import Evaluation


@dataclass(frozen=True, kw_only=True)
class EvaluateFlags:
    """Errors, loss, per-class figures, confusion and worst pictures of a model."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A model file or a run folder."""
    data: str = ""
    """A data set, folder or CSV; the one the model was trained on unless given."""
    data_root: str = ""
    """Folder searched for data sets first."""
    split: Literal["auto", "test", "val", "train", "all"] = "auto"
    """auto: test where there is one, else val; of a folder without splits that the model was not
    trained on, all pictures."""
    crops: Literal["1", "10"] = "1"
    """10 averages the centre and the corners, each also mirrored (paper, section 4.1)."""
    device: str = "auto"
    """auto: the first GPU, else the processor."""
    out: str = ""
    """Folder for evaluation.json, confusion.png and worst.png; beside MODEL unless given."""
    json: bool = False
    """Print JSON."""


def run(arguments: Sequence[str]) -> int:
    """Evaluate, print the figures, write the pictures."""
    flags = parse(EvaluateFlags, arguments, "evaluate")
    from alexnet.evaluation.evaluator import judge
    from alexnet.evaluation.report import evaluation_summary, write_evaluation
    from alexnet.inference.classifier import load

    classifier = load(flags.model, flags.device)
    crops: Literal[1, 10] = 10 if flags.crops == "10" else 1
    with ProgressReporter() as reporter:
        found = judge(
            classifier, flags.data, flags.data_root, flags.split, crops, reporter, _progress
        )
    result, name = found.evaluation, found.store.info.name
    facts = {"data": name, "split": found.split, **evaluation_summary(result)}
    text = f"{printable(name)}, {found.split}: {_text(result)}"
    print(json_text(facts) if flags.json else text)
    out = Path(flags.out) if flags.out else _beside(Path(flags.model))
    write_evaluation(result, found.store, out)
    note(f"pictures  {out}")
    return 0


def _beside(model: Path) -> Path:
    """Where the pictures go unless told otherwise: into a run folder, else beside the model."""
    is_run = model.is_dir() or (model.parent / "config.json").exists()
    folder = model if model.is_dir() else model.parent
    return folder / "evaluation" if is_run else folder / f"{model.stem}-evaluation"


def _progress(done: int, total: int) -> None:
    if total > 2000:
        note(f"{done:,} of {total:,} pictures")


def _text(result: Evaluation) -> str:
    """The figures as text."""
    few = len(result.class_names) <= 5
    top5 = "" if few else f"top-5 error {percent(result.top5_error)}   "
    head = (
        f"{result.num_images:,} pictures, {result.crops} view{'s' if result.crops > 1 else ''}\n"
        f"top-1 error {percent(result.top1_error)}   accuracy {percent(result.accuracy)}\n"
        f"{top5}loss {result.loss:.4f}\n"
    )
    rows = [
        (c.name, percent(c.precision), percent(c.recall), percent(c.f1), f"{c.num_images}")
        for c in result.per_class
    ]
    pairs = "\n".join(
        printable(f"  {count} x {label} taken for {guess}")
        for label, guess, count in result.most_confused
    )
    per_class = table(("class", "precision", "recall", "F1", "pictures"), rows)
    return f"{head}\n{per_class}" + (f"\n\nmost confused\n{pairs}" if pairs else "")
