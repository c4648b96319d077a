"""Images whose labels are probably wrong, the most suspicious first."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from alexnet.data.duplicates import duplicate_groups
from alexnet.data.load import prepare_dataset, report_rejected
from alexnet.data.store.store import Store
from alexnet.errors import DataError, UsageError
from alexnet.evaluation.training_images import is_training_data
from alexnet.features.build import build_index
from alexnet.features.index import source_layer
from alexnet.inference.classifier import Classifier
from alexnet.io.text import count_text, printable
from alexnet.label_errors.confident import (
    confident_classes,
    confident_pairs,
    ranked_suspects,
)
from alexnet.label_errors.decisions import COLUMNS
from alexnet.label_errors.frozen import FIRST_DENSE, torchvision_features
from alexnet.label_errors.heads import fold_of_images, out_of_fold, reduced_features
from alexnet.reporter import NullReporter, Reporter, progress_callback

Reason: TypeAlias = Literal["prediction", "duplicate", "duplicate_across_splits"]
REASONS: tuple[Reason, ...] = ("duplicate", "prediction", "duplicate_across_splits")
"""Reasons, in the order in which suspects are listed."""
MIN_IMAGES = 2
"""Images that a class needs, so that a head can learn it without the image that it predicts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspect:
    """An image whose label is probably wrong, or that is there twice."""

    rank: int
    """Rank from 1, the most suspicious first."""
    index: int
    """Index of the image in the image store."""
    image: str
    """The image's name in the data set."""
    label: str
    """The image's class in the data set."""
    suggested: str
    """The most probable other class. For an image that is in two classes, the other one, unless
    the label is more probable; "" if there is no suggestion."""
    label_probability: float
    """Probability of the label by a head not trained on the image (self-confidence), 0 to 1."""
    suggested_probability: float | None
    """Probability of the suggested class; None if there is none."""
    reason: Reason
    duplicate_of: str
    """Name of the image of which this one is a duplicate, else ""."""
    is_likely: bool
    """Whether the image is among the `num_errors` most suspicious, or is in two classes."""


@dataclass(frozen=True, eq=False)
class LabelErrors:
    """The label errors found in a data set."""

    store: Store
    features: str
    """Name of the network that gave the features."""
    num_folds: int
    seed: int
    num_images: int
    """Number of usable images."""
    out_of_fold_accuracy: float
    """Fraction of images whose most probable class is their label, 0 to 1."""
    num_errors: int
    """Number of label errors by confident learning."""
    pairs: tuple[tuple[str, str, int], ...]
    """(label, probable class, label errors), the most frequent first."""
    suspects: tuple[Suspect, ...]
    rows: np.ndarray
    """int64 [n]: indices of usable images, ascending."""
    probabilities: np.ndarray
    """float32 [n, C]: out-of-fold probabilities of these images."""

    @property
    def summary(self) -> str:
        """A sentence on how many images are suspicious, how many are likely wrong, and why."""
        images = count_text(len(self.suspects), "image")
        likely = sum(one.is_likely for one in self.suspects)
        copies = sum(one.reason == "duplicate" for one in self.suspects)
        if not likely:
            return f"{images} {'is' if len(self.suspects) == 1 else 'are'} suspicious"
        counted = f"{count_text(self.num_errors, 'label error')} that confident learning counts"
        of_these = "" if likely - copies == self.num_errors else f"{likely - copies:,} of "
        why = [f"{copies:,} that are in two classes at once"] if copies else []
        if likely > copies:
            why.append(f"{of_these}the {counted}")
        return (
            f"{images} {'is' if len(self.suspects) == 1 else 'are'} suspicious; {likely:,} of them "
            f"{'is' if likely == 1 else 'are'} likely wrong: {' and '.join(why)}"
        )

    def as_csv(self) -> str:
        """CSV with a line per suspect, in which `decision` and `new_label` are to be filled in."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow((*COLUMNS, "probability", "suggested_probability", "reason"))
        for one in self.suspects:
            own, other = (
                "" if value is None else f"{value:.4f}"
                for value in (one.label_probability, one.suggested_probability)
            )
            cells = (one.image, one.label, "", one.suggested)
            writer.writerow((*map(printable, cells), own, other, one.reason))
        return text.getvalue()


TRAINED_ON_THESE = (
    "the model was trained on these labels, so its features have learnt the wrong ones, too; "
    "without --model, torchvision's convolutions are used"
)


def find_label_errors(
    data: str,
    model: Classifier | None = None,
    *,
    data_root: str = "",
    label_from: str = "",
    num_folds: int = 5,
    seed: int = 0,
    device: str = "auto",
    reporter: Reporter | None = None,
) -> LabelErrors:
    """Find images whose labels are probably wrong, by confident learning.

    The probabilities are out of fold: by heads that were not trained on the image.

    Args:
        data: a data set's name, a folder or a list.
        model: the classifier whose last hidden layer gives the features; torchvision's convolutions
            unless given.
        data_root: folder searched for data sets and for torchvision's file first.
        label_from: see `DataOptions.label_from`.
        num_folds: number of folds, and of heads, each of which is trained on all folds but one.
        seed: seed of the folds.
        device: device on which features of torchvision's convolutions are computed.
        reporter: receives notes, and the progress of decoding, features and folds.

    Raises:
        UsageError: `num_folds` is less than two.
        DataError: the data cannot be used, or has only one class.
        MissingDataError: torchvision's convolutions are not here and cannot be downloaded.
    """
    if num_folds < 2:
        raise UsageError(f"folds must be at least 2, not {num_folds}")
    reporter = reporter or NullReporter()
    classifier = model or torchvision_features(
        data_root, device, progress_callback(reporter, "on_download")
    )
    store = _open_store(classifier, data, data_root, label_from, reporter)
    if model and is_training_data(model, store, data):
        reporter.note(TRAINED_ON_THESE)
    rows = _labelled_rows(store)
    layer = "" if model else FIRST_DENSE
    index = build_index(
        classifier, store, layer, on_progress=progress_callback(reporter, "on_features")
    )
    groups = duplicate_groups(store, rows)
    labels = store.labels[rows]
    folds = fold_of_images(labels, num_folds, seed, [np.searchsorted(rows, g) for g in groups])
    probabilities = out_of_fold(
        reduced_features(index.features, rows),
        labels,
        folds,
        len(store.info.class_names),
        progress_callback(reporter, "on_folds"),
    )
    source = source_layer(classifier.info.architecture, index.info.layer)
    features = "torchvision's convolutions" if model is None else f"the output of {source}"
    return label_errors(
        store, rows, probabilities, groups, features=features, num_folds=num_folds, seed=seed
    )


def _labelled_rows(store: Store) -> np.ndarray:
    """The indices of the usable images, int64.

    Raises:
        DataError: the images are of one class.
    """
    rows = np.flatnonzero(store.usable)
    if len(np.unique(store.labels[rows])) < 2:
        raise DataError(f"{store.info.name} has one class only, so no label can be wrong")
    return rows


def _open_store(
    classifier: Classifier, data: str, data_root: str, label_from: str, reporter: Reporter
) -> Store:
    store = prepare_dataset(
        data,
        data_root,
        classifier.info.stored_form,
        label_from=label_from,
        reporter=reporter,
    )
    report_rejected(store, 1.0, reporter)
    return store


def label_errors(
    store: Store,
    rows: np.ndarray,
    probabilities: np.ndarray,
    groups: Sequence[np.ndarray] = (),
    *,
    features: str = "",
    num_folds: int = 5,
    seed: int = 0,
) -> LabelErrors:
    """Find the suspects among images from their probabilities.

    Args:
        store: the images.
        rows: int64 [n], ascending: indices of usable images.
        probabilities: float32 [n, C] by heads that were not trained on the image.
        groups: indices into the store of images that are the same.
        features: name of the network that gave the features.
        num_folds: number of folds.
        seed: seed of the folds.
    """
    labels, names = store.labels[rows], store.info.class_names
    counts = np.bincount(labels, minlength=len(names))
    is_known = counts[labels] >= MIN_IMAGES
    confident = confident_classes(probabilities, labels)
    pairs = confident_pairs(np.where(is_known, confident, -1), labels)
    ranked = ranked_suspects(probabilities, labels)
    ranked = ranked[is_known[ranked]]
    num_errors = sum(pairs.values())
    predicted = probabilities.argmax(1)
    doubted = [
        _Candidate(int(rows[i]), int(predicted[i]), "prediction", -1, place < num_errors)
        for place, i in enumerate(ranked.tolist())
    ]
    ordered = _ordered(_copies(store, groups), doubted)
    return LabelErrors(
        store=store,
        features=features,
        num_folds=num_folds,
        seed=seed,
        num_images=len(rows),
        out_of_fold_accuracy=float((predicted == labels).mean()),
        num_errors=num_errors,
        pairs=tuple((names[a], names[b], count) for (a, b), count in pairs.most_common()),
        suspects=tuple(
            _suspect(rank, one, store, rows, probabilities) for rank, one in enumerate(ordered, 1)
        ),
        rows=rows,
        probabilities=probabilities,
    )


class _Candidate(NamedTuple):
    """An image that may be a suspect."""

    row: int
    suggested: int
    """Index of the suggested class; -1 for none."""
    reason: Reason
    other: int
    """Index of the image of which it is a duplicate; -1 for none."""
    is_likely: bool


def _copies(store: Store, groups: Sequence[np.ndarray]) -> Iterator[_Candidate]:
    """Images that are the same as one in another class, or as an earlier one in another split."""
    labels, splits = store.labels, store.info.splits
    for group in groups:
        first = int(group[0])
        for index in group.tolist():
            others = [other for other in group.tolist() if labels[other] != labels[index]]
            if others:
                suggested = int(labels[others[0]])
                yield _Candidate(index, suggested, "duplicate", others[0], True)
            elif splits[index] != splits[first]:
                yield _Candidate(index, -1, "duplicate_across_splits", first, False)


def _ordered(copies: Iterable[_Candidate], doubted: Iterable[_Candidate]) -> list[_Candidate]:
    """Candidates by their reasons, each image once; a copy in another class comes first."""
    found = {one.row: one for one in copies}
    for one in doubted:
        if one.row not in found or found[one.row].reason == "duplicate_across_splits":
            found[one.row] = one
    return sorted(found.values(), key=lambda one: REASONS.index(one.reason))


def _suspect(
    rank: int, found: _Candidate, store: Store, rows: np.ndarray, probabilities: np.ndarray
) -> Suspect:
    """The suspect of a candidate, with names and probabilities."""
    info, label = store.info, int(store.labels[found.row])
    own = probabilities[np.searchsorted(rows, found.row)]
    is_right = found.reason == "duplicate" and own[label] > own[found.suggested]
    is_named = found.suggested >= 0 and not is_right
    return Suspect(
        rank=rank,
        index=found.row,
        image=info.names[found.row],
        label=info.class_names[label],
        suggested=info.class_names[found.suggested] if is_named else "",
        label_probability=float(own[label]),
        suggested_probability=float(own[found.suggested]) if is_named else None,
        reason=found.reason,
        duplicate_of=info.names[found.other] if found.other >= 0 else "",
        is_likely=found.is_likely,
    )
