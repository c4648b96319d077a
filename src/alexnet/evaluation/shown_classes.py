"""Which classes a plot of a confusion matrix shows, since a page has room for a few dozen."""

from __future__ import annotations

import numpy as np

MAX_NAMED_CLASSES = 30
"""Number of classes up to which a confusion matrix is shown whole."""
BLOCK_SIZE = 20
"""Number of classes that are shown of a larger matrix."""


def choose_classes(counts: np.ndarray) -> tuple[np.ndarray, str]:
    """The ascending indices of the classes to show, and a note on which these are; "" if all.

    Args:
        counts: [num_classes, num_classes], as `confusion_matrix` has them.
    """
    total = len(counts)
    occurring = np.flatnonzero(counts.any(0) | counts.any(1))
    if total <= MAX_NAMED_CLASSES:
        return np.arange(total), ""
    if len(occurring) <= MAX_NAMED_CLASSES:
        return occurring, f"shown: the {len(occurring)} of {total:,} classes that occur"
    errors = counts - np.diag(np.diag(counts))
    if not errors.any():
        return occurring[:BLOCK_SIZE], f"no errors; shown: the first {BLOCK_SIZE} of {total:,}"
    block = most_confused_block(counts, BLOCK_SIZE)
    inside, every = int(errors[np.ix_(block, block)].sum()), int(errors.sum())
    which = f"shown: the {len(block)} of {total:,} classes that are confused most with each other"
    return block, f"{which} ({inside:,} of {every:,} errors)"


def most_confused_block(confusion: np.ndarray, size: int) -> np.ndarray:
    """Indices of at most `size` classes with many errors among themselves, in ascending order.

    Begins with the pair that is confused most often, and adds the class with the most errors
    shared with those chosen; where no class shares any, the next pair.
    """
    shared = confusion + confusion.T
    np.fill_diagonal(shared, 0)
    chosen: list[int] = []
    while len(chosen) < size:
        is_free = np.ones(len(shared), dtype=bool)
        is_free[chosen] = False
        with_chosen = shared[:, chosen].sum(1) * is_free
        if with_chosen.any():
            chosen.append(int(with_chosen.argmax()))
            continue
        between_free = shared * np.outer(is_free, is_free)
        if not between_free.any() or len(chosen) + 2 > size:
            break
        chosen += divmod(int(between_free.argmax()), len(shared))
    return np.array(sorted(chosen))
