"""`alexnet data mistakes`: images whose labels are probably wrong, and the corrected data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from alexnet.cli.console import note, note_next, percent, print_json, table
from alexnet.cli.flags import parse
from alexnet.cli.models import with_model
from alexnet.cli.run_options import train_command
from alexnet.data.datasets.catalogue import open_source
from alexnet.errors import UsageError
from alexnet.io.files import write_text
from alexnet.io.text import count_text, folder_name, printable
from alexnet.progress import ProgressReporter

if TYPE_CHECKING:
    from alexnet.label_errors.suspects import LabelErrors, Suspect


@dataclass(frozen=True, kw_only=True)
class MistakesFlags:
    """List images whose labels are probably wrong, and write the data set with corrected labels.

    Every image is judged by a softmax regression that was not trained on it, on the features of a
    network. A page and a CSV file are written, to keep, relabel or drop each image.
    """

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """A data set's name, a folder or archive of images, or a list: CSV (path,label[,split]), JSON
    or Parquet."""
    model: str = ""
    """A model file or run folder whose last hidden layer gives the features; unless given,
    torchvision's convolutions, which have not learnt these labels."""
    folds: int = 5
    """Number of parts; each is judged by a regression on the others."""
    seed: int = 0
    """Seed of the folds."""
    top: int = 20
    """Images in the table; the page has up to 300, the CSV all."""
    data_root: str = ""
    """Folder searched for data sets first."""
    label_from: str = ""
    """Regular expression with one group that finds the class in the file name of an image, or in
    its path if the expression has a slash; unless given, classes are folders."""
    device: str = "auto"
    """auto: the first GPU, else the CPU."""
    apply: Annotated[str, tyro.conf.arg(metavar="FILE")] = ""
    """CSV of decisions (image,label,decision,new_label): write the corrected data set to --out. The
    images and lists of DATA are not changed."""
    out: str = ""
    """The page, a file that ends in .html, beside which the CSV is written (NAME-mistakes.html
    unless given). With --apply a new folder, or a new file that ends in .csv."""
    json: bool = False
    """Print JSON."""


def mistakes_action(arguments: Sequence[str]) -> int:
    """Find probable label errors, or apply decisions."""
    flags = parse(MistakesFlags, arguments, "data mistakes")
    if flags.folds < 2:
        raise UsageError(f"--folds {flags.folds} must be at least 2")
    if flags.top < 1:
        raise UsageError(f"--top {flags.top} must be at least 1")
    return _apply(flags) if flags.apply else _find(flags)


def _apply(flags: MistakesFlags) -> int:
    from alexnet.cli.outputs.mistakes import AppliedOutput
    from alexnet.label_errors.decisions import corrected, read_decisions, write_corrected

    if not flags.out:
        raise UsageError("--apply needs --out: a new folder, or a new file that ends in .csv")
    decisions = read_decisions(Path(flags.apply))
    with ProgressReporter() as reporter:
        source = open_source(
            flags.data,
            flags.data_root,
            label_from=flags.label_from,
            reporter=reporter,
        )
    found = corrected(source, decisions)
    write_corrected(source, found, Path(flags.out))
    result = AppliedOutput(
        out=flags.out,
        num_images=int(found.kept.sum()),
        num_relabelled=found.num_relabelled,
        num_dropped=found.num_dropped,
    )
    if flags.json:
        print_json(result)
        return 0
    print(
        f"{printable(flags.out)}: {count_text(result.num_images, 'image')}, "
        f"{result.num_relabelled:,} relabelled, {result.num_dropped:,} dropped"
    )
    note_next(train_command(flags.out))
    return 0


def _find(flags: MistakesFlags) -> int:
    from alexnet.label_errors.page import mistakes_page

    page = _page_path(flags) if flags.out else None
    if page:  # before the work of minutes
        _check_no_decisions(page.with_suffix(".csv"))
    found = _label_errors(flags)
    page = page or Path(f"{folder_name(found.store.info.name)}-mistakes.html")
    csv = page.with_suffix(".csv")
    _check_no_decisions(csv)
    text = mistakes_page(found, flags.data, data_root=flags.data_root, label_from=flags.label_from)
    write_text(page, text)
    write_text(csv, found.as_csv())
    if flags.json:
        from alexnet.cli.outputs.mistakes import mistakes_output

        print_json(mistakes_output(found, flags.top, str(page), str(csv)))
        return 0
    print(_text(found, flags.top))
    print(f"\n{printable(str(page))}\n{printable(str(csv))}")
    return 0


def _page_path(flags: MistakesFlags) -> Path:
    path = Path(flags.out)
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(
            f"--out {flags.out} must end in .html; with --apply it is the new data set"
        )
    return path


def _check_no_decisions(path: Path) -> None:
    """Check that a file to be written does not have decisions that a user made.

    Raises:
        UsageError: the file has decisions, or is not a CSV file of this command.
    """
    from alexnet.errors import DataError
    from alexnet.label_errors.decisions import read_decisions

    if not path.exists():
        return
    try:
        decisions = read_decisions(path)
    except DataError as error:
        raise UsageError(f"{path} exists and is no list of suspects; choose another --out") from (
            error
        )
    if decisions:
        raise UsageError(
            f"{path} has {count_text(len(decisions), 'decision')}; apply them with --apply {path}, "
            "or choose another --out"
        )


def _label_errors(flags: MistakesFlags) -> LabelErrors:
    from alexnet.inference.classifier import load
    from alexnet.label_errors.suspects import find_label_errors

    model = load(with_model(flags, "model").model, flags.device) if flags.model else None
    with ProgressReporter() as reporter:
        return find_label_errors(
            flags.data,
            model,
            data_root=flags.data_root,
            label_from=flags.label_from,
            num_folds=flags.folds,
            seed=flags.seed,
            device=flags.device,
            reporter=reporter,
        )


def _text(found: LabelErrors, top: int) -> str:
    store = found.store
    lines = [
        f"{printable(store.info.name)}: {count_text(found.num_images, 'image')}, "
        f"{len(store.info.class_names):,} classes; {found.num_folds} heads on {found.features}: "
        f"{percent(found.out_of_fold_accuracy)} as labelled",
        found.summary,
    ]
    if found.suspects:
        rows = [_row(one) for one in found.suspects[:top]]
        header = ("", "image", "label", "suggested", "why", "label's", "suggested's")
        lines += ["", table(header, rows, left=5)]
    if (more := len(found.suspects) - top) > 0:
        note(f"{more:,} more are in the CSV")
    return "\n".join(lines)


def _row(one: Suspect) -> tuple[str, ...]:
    why = {
        "prediction": "likely" if one.is_likely else "perhaps",
        "duplicate": f"same as {one.duplicate_of}",
        "duplicate_across_splits": f"other split: {one.duplicate_of}",
    }
    other = "" if one.suggested_probability is None else percent(one.suggested_probability)
    own = percent(one.label_probability)
    return str(one.rank), one.image, one.label, one.suggested or "-", why[one.reason], own, other
