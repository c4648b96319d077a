"""A page to keep, relabel or drop each suspect; it is one file, and writes a CSV by a download."""

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
"""On a page; the CSV has all."""
SIDE, EXAMPLE_SIDE = 224, 96
"""Of the image of a suspect and of an example, in pixels."""
MAX_IMAGE_BYTES, MAX_EXAMPLE_BYTES = 2_000_000, 600_000
"""Of all images of the page; later ones are left out."""


def mistakes_page(
    found: LabelErrors, data: str, *, data_root: str = "", label_from: str = ""
) -> str:
    """The page of the suspects.

    Args:
        found: from `find_label_errors`.
        data: what the command took as the data set, for the command that applies the decisions.
        data_root: as the flag of the command.
        label_from: as the flag of the command.
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
    """Under which the browser keeps decisions: another list of suspects has another key."""
    digest = hashlib.blake2b(digest_size=8)
    for one in found.suspects:
        digest.update(f"{one.image}\0{one.label}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _suspects(found: LabelErrors, shown: tuple[Suspect, ...]) -> list[dict[str, Any]]:
    """The suspects as the page's script needs them; its budget decides which have an image."""
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
    """The image of each class that its label is most probable for, for the classes shown."""
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
