"""What `data mistakes` prints with `--json`."""

from __future__ import annotations

from dataclasses import dataclass

from alexnet.label_errors.suspects import LabelErrors, Suspect


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfusedPair:
    """Two classes that are confused."""

    label: str
    """The class in the data set."""
    suggested: str
    """The class that the images probably have."""
    num_errors: int


@dataclass(frozen=True, kw_only=True, slots=True)
class MistakesOutput:
    """Images whose labels are probably wrong."""

    data: str
    """The data set's name."""
    num_images: int
    num_classes: int
    features: str
    """The network that the features are of, in words."""
    num_folds: int
    seed: int
    out_of_fold_accuracy: float
    """Fraction of images whose most probable class is their label, 0 to 1."""
    num_errors: int
    """Number of label errors that confident learning estimates."""
    num_suspects: int
    """Number of suspects, all of which are in the CSV file."""
    pairs: tuple[ConfusedPair, ...]
    """The confused pairs, most frequent first."""
    suspects: tuple[Suspect, ...]
    """The most suspicious images, as many as --top, most suspicious first."""
    page: str
    """The page of HTML."""
    csv: str
    """The CSV file."""


def mistakes_output(found: LabelErrors, top: int, page: str, csv: str) -> MistakesOutput:
    """Make the output of probable label errors."""
    return MistakesOutput(
        data=found.store.info.name,
        num_images=found.num_images,
        num_classes=len(found.store.info.class_names),
        features=found.features,
        num_folds=found.num_folds,
        seed=found.seed,
        out_of_fold_accuracy=found.out_of_fold_accuracy,
        num_errors=found.num_errors,
        num_suspects=len(found.suspects),
        pairs=tuple(
            ConfusedPair(label=label, suggested=other, num_errors=count)
            for label, other, count in found.pairs
        ),
        suspects=found.suspects[:top],
        page=page,
        csv=csv,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class AppliedOutput:
    """A corrected data set."""

    out: str
    """The new folder or CSV file."""
    num_images: int
    """Number of images in the corrected data set."""
    num_relabelled: int
    num_dropped: int
