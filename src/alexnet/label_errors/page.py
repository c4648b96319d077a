"""A page to keep, relabel or drop each suspect: one HTML file that downloads decisions as CSV."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from alexnet.data.duplicates import data_flags
from alexnet.io.text import folder_name, printable, shell_command
from alexnet.label_errors.suspects import LabelErrors, Suspect
from alexnet.pages import ByteBudget, jpeg_url, render_page

MAX_SUSPECTS = 300
"""Suspects on a page; the CSV file has all."""
SIDE, EXAMPLE_SIDE = 224, 96
"""Side in pixels of the image of a suspect, and of an example of a class."""
MAX_IMAGE_BYTES, MAX_EXAMPLE_BYTES = 2_000_000, 600_000
"""Bytes of all images of suspects, and of all examples, on a page; later ones are left out."""


def mistakes_page(
    found: LabelErrors, data: str, *, data_root: str = "", label_from: str = ""
) -> str:
    """The HTML of the page of the suspects.

    Args:
        found: the result of `find_label_errors`.
        data: the data set as given to the command, for the command that applies the decisions.
        data_root: the command's flag of that name.
        label_from: the command's flag of that name.
    """
    shown = found.suspects[:MAX_SUSPECTS]
    flags = data_flags(data_root, label_from)
    file = f"{folder_name(found.store.info.name)}-decisions.csv"
    content = {
        "key": _key(found),
        "classes": [printable(name) for name in found.store.info.class_names],
        "examples": _examples(found, shown),
        "suspects": _suspects(found, shown),
    }
    return render_page(
        Path(__file__).parent,
        "mistakes",
        {
            "content": content,
            "found": found,
            "num_shown": len(shown),
            "num_likely": sum(one.is_likely for one in found.suspects),
            "file": file,
            "command": shell_command(
                ["alexnet", "data", "mistakes", data, *flags, "--apply", file]
            ),
        },
    )


def _key(found: LabelErrors) -> str:
    """The key under which the browser stores decisions, a hash of the list of suspects."""
    digest = hashlib.blake2b(digest_size=8)
    for one in found.suspects:
        digest.update(f"{one.image}\0{one.label}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _suspects(found: LabelErrors, shown: tuple[Suspect, ...]) -> list[dict[str, Any]]:
    """The suspects as values for the page's script; those beyond the budget have no image."""
    budget = ByteBudget(MAX_IMAGE_BYTES)
    values = []
    for one in shown:
        url = jpeg_url(found.store.image(one.index), SIDE)
        values.append(
            {
                "image": printable(one.image),
                "label": printable(one.label),
                "suggested": printable(one.suggested),
                "p": one.label_probability,
                "q": one.suggested_probability,
                "copy": printable(one.duplicate_of),
                "reason": one.reason,
                "likely": one.is_likely,
                "url": url if budget.take(url) else "",
            }
        )
    return values


def _examples(found: LabelErrors, shown: tuple[Suspect, ...]) -> dict[str, str]:
    """For each class shown, the image with that label for which the class is most probable."""
    budget = ByteBudget(MAX_EXAMPLE_BYTES)
    labels, names = found.store.labels[found.rows], found.store.info.class_names
    wanted = {name for one in shown for name in (one.label, one.suggested)}
    examples = {}
    for label, name in enumerate(names):
        members = np.flatnonzero(labels == label)
        if name not in wanted or not len(members):
            continue
        best = members[found.probabilities[members, label].argmax()]
        url = jpeg_url(found.store.image(int(found.rows[best])), EXAMPLE_SIDE)
        if budget.take(url):
            examples[printable(name)] = url
    return examples
