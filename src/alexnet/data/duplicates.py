"""Images of a store that are the same, where that makes an error or a label wrong.

The image store keeps exact color moments of every image. Equal images have equal moments, so only
images whose moments are equal are read and compared.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping

import numpy as np

from alexnet.data.advice import SPLIT_WORDS, images_text
from alexnet.data.equal_rows import groups_of_equal_rows
from alexnet.data.images.decode import color_moments
from alexnet.data.store.jpegs import decode_jpeg, encode_jpeg
from alexnet.data.store.store import Store
from alexnet.io.text import shell_command

EVALUATED_SPLITS = ("val", "test")


def duplicate_advice(
    store: Store, indices: Mapping[str, np.ndarray], check_command: str
) -> list[str]:
    """Sentences on evaluated images that are trained on, and on images in several classes.

    Args:
        store: a finished store, not a planned one.
        indices: indices of the images of every split.
        check_command: the command that lists all duplicates.
    """
    splits = np.full(len(store), "", dtype="<U5")
    for split, part in indices.items():
        splits[part] = split
    groups = duplicate_groups(store, np.sort(np.concatenate(list(indices.values()))))
    lines = [_across_splits(store, splits, groups), _across_classes(store, groups)]
    return [f"{line}; all of them are listed by: {check_command}" for line in lines if line]


def check_command(data: str, data_root: str = "", label_from: str = "") -> str:
    """The command that lists all duplicates of some data."""
    return shell_command(["alexnet", "data", "check", data, *data_flags(data_root, label_from)])


def data_flags(data_root: str, label_from: str) -> list[str]:
    """The flags with which a command opens the same data; an option that is "" has no flag."""
    options = (("--data-root", data_root), ("--label-from", label_from))
    return [word for option in options if option[1] for word in option]


def duplicate_groups(store: Store, indices: np.ndarray) -> list[np.ndarray]:
    """Groups of two or more images whose stored pixels are equal to the last bit, in order.

    Args:
        store: a finished store.
        indices: indices of usable images, ascending.
    """
    groups = []
    for candidates in groups_of_equal_rows(store.color_moments[indices]):
        by_pixels: dict[bytes, list[int]] = {}
        for index in np.sort(indices[candidates]).tolist():
            digest = hashlib.blake2b(store.image(index).tobytes()).digest()
            by_pixels.setdefault(digest, []).append(index)
        groups += [np.array(group) for group in by_pixels.values() if len(group) > 1]
    return sorted(groups, key=lambda group: int(group[0]))


def same_images(store: Store, pixels: np.ndarray) -> np.ndarray:
    """Indices, int64 ascending, of the usable images with just these pixels, uint8 [S, S, 3].

    In a store of JPEGs, images that equal these pixels encoded as a JPEG are found, too.
    """
    found: set[int] = set()
    is_jpeg = store.info.store_format == "jpeg"
    for image in (pixels, decode_jpeg(encode_jpeg(pixels))) if is_jpeg else (pixels,):
        has_moments = (store.color_moments == color_moments(image)).all(1) & store.usable
        candidates = np.flatnonzero(has_moments).tolist()
        found.update(one for one in candidates if np.array_equal(store.image(one), image))
    return np.array(sorted(found), np.int64)


def equal_images(
    store: Store, indices: np.ndarray, others: Store, other_indices: np.ndarray
) -> np.ndarray:
    """Which images of a store have the same pixels as an image of another: bool [len(indices)].

    Args:
        store: the store whose images are looked for.
        indices: indices of these images; rejected ones are not found.
        others: the store in which they are looked for.
        other_indices: indices of the images of `others` to compare with.
    """
    found = np.zeros(len(indices), bool)
    if store.image_shape != others.image_shape:
        return found
    known: dict[bytes, list[int]] = {}
    for index in other_indices.tolist():
        known.setdefault(others.color_moments[index].tobytes(), []).append(index)
    for i in np.flatnonzero(store.usable[indices]).tolist():
        if candidates := known.get(store.color_moments[indices[i]].tobytes()):
            pixels = store.image(indices[i])
            found[i] = any(np.array_equal(pixels, others.image(one)) for one in candidates)
    return found


def _across_splits(store: Store, splits: np.ndarray, groups: list[np.ndarray]) -> str:
    """The sentence on validation and test images that are also training images; "" if none is."""
    pairs = [
        (index, group[splits[group] == "train"][0])
        for group in groups
        if "train" in splits[group]
        for index in group[np.isin(splits[group], EVALUATED_SPLITS)]
    ]
    if not pairs:
        return ""
    found, totals = Counter(splits[index] for index, _ in pairs), Counter(splits.tolist())
    parts = [
        f"{found[split]:,} of {images_text(totals[split], f'{SPLIT_WORDS[split]} ')}"
        for split in EVALUATED_SPLITS
        if found[split]
    ]
    evaluated, trained = (store.info.names[index] for index in pairs[0])
    return (
        f"{' and '.join(parts)} {'are' if len(pairs) > 1 else 'is'} also in the training split "
        f"({evaluated} is {trained}), so the measured error is too low"
    )


def _across_classes(store: Store, groups: list[np.ndarray]) -> str:
    """The sentence on images that are in several classes; "" if none is."""
    mixed = [group for group in groups if len(set(store.labels[group].tolist())) > 1]
    if not mixed:
        return ""
    labels = store.labels[mixed[0]]
    first, other = mixed[0][0], mixed[0][labels != labels[0]][0]
    names, classes = store.info.names, store.info.class_names
    return (
        f"{images_text(len(mixed))} {'are' if len(mixed) > 1 else 'is'} in several classes "
        f"({names[first]} of {classes[store.labels[first]]} is {names[other]} of "
        f"{classes[store.labels[other]]}), which cannot all be right"
    )
