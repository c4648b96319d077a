"""What `data prepare`, `check`, `split` and `show` print with `--json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alexnet.data.check import Finding
from alexnet.data.source import Source
from alexnet.data.store.store import Rejected, Store
from alexnet.data.summary import DataSummary, summarize_source


@dataclass(frozen=True, kw_only=True, slots=True)
class PrepareOutput:
    """An image store."""

    store: str
    """The folder of the image store."""
    size_bytes: int
    """Size of the stored images on the disk."""
    num_images: int
    num_classes: int
    class_names: tuple[str, ...]
    splits: dict[str, int]
    """Number of images by split; "not split" where the recipe decides."""
    rejected: tuple[Rejected, ...]
    """Images that could not be used."""
    skipped: dict[str, int]
    """Number of files that were skipped, by reason."""
    notes: tuple[str, ...]
    """Sentences on unusual properties of the data."""


def prepare_output(store: Store, splits: Mapping[str, int]) -> PrepareOutput:
    """Make the output of an image store."""
    info = store.info
    return PrepareOutput(
        store=str(store.folder),
        size_bytes=store.num_bytes,
        num_images=len(store),
        num_classes=len(info.class_names),
        class_names=info.class_names,
        splits=dict(splits),
        rejected=info.rejected,
        skipped={one.reason: one.files for one in info.skipped},
        notes=tuple(store.notes),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class FindingOutput:
    """One issue of one image, of a group of copies or of one class."""

    issue: str
    """The kind of issue, such as unreadable, small or duplicate_across_splits."""
    name: str
    """The name of the image, of the first copy or of the class."""
    detail: str
    images: tuple[str, ...]
    """The names of all images of a group of copies; empty for other issues."""
    is_fault: bool
    """Whether the issue makes results wrong, not just worse. With a fault, the exit code is 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckOutput:
    """The contents of a data set, and its issues."""

    name: str
    num_images: int
    class_names: tuple[str, ...]
    splits: dict[str, int]
    """Number of images by split, without empty ones; "all" where there are no splits."""
    classes_without_images: dict[str, tuple[str, ...]]
    """Names of classes by split; without splits in which no class is missing. A class without any
    image is only here, not in `class_names`."""
    skipped: dict[str, int]
    """Number of files that were skipped, by reason."""
    notes: tuple[str, ...]
    findings: tuple[FindingOutput, ...]


def check_output(source: Source, findings: Sequence[Finding]) -> CheckOutput:
    """Make the output of a check."""
    summary = summarize_source(source)
    missing = {
        split: (*summary.classes_without_images.get(split, ()), *source.empty_classes)
        for split in summary.num_images
    }
    return CheckOutput(
        name=source.name,
        num_images=len(source),
        class_names=source.class_names,
        splits=summary.num_images,
        classes_without_images={split: tuple(sorted(n)) for split, n in missing.items() if n},
        skipped=dict(source.skipped),
        notes=tuple(source.notes),
        findings=tuple(
            FindingOutput(
                issue=f.issue,
                name=f.name,
                detail=f.detail,
                images=f.images,
                is_fault=f.is_fault,
            )
            for f in findings
        ),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitOutput:
    """A split that was written."""

    out: str
    """The new folder or CSV file."""
    splits: dict[str, int]
    """Number of images by split, without empty ones."""
    classes_without_images: dict[str, tuple[str, ...]]
    """Names of classes by split; without splits in which no class is missing."""


def split_output(out: str, counts: Mapping[str, int], summary: DataSummary) -> SplitOutput:
    """Make the output of a split."""
    return SplitOutput(
        out=out,
        splits=dict(counts),
        classes_without_images=summary.classes_without_images,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class ShowOutput:
    """A sheet of images, before and after augmentation."""

    plot: str
    """The file of the figure."""
    data: str
    """The data set's name."""
    class_names: tuple[str, ...]
    """The classes of the rows."""
