"""A data set from what people type to its store."""

from __future__ import annotations

from alexnet.config.preprocessing import Resize
from alexnet.data.datasets.catalogue import open_source
from alexnet.data.store.build import prepare
from alexnet.data.store.store import Store
from alexnet.errors import DataError
from alexnet.reporter import Reporter


def open_data(data: str, data_root: str, resize: Resize, side: int, reporter: Reporter) -> Store:
    """The store of a data set, prepared now unless it is there already."""
    source = open_source(data, data_root)
    return prepare(source, resize=resize, side=side, progress=reporter.on_prepare)


def report_rejected(store: Store, limit: float, reporter: Reporter) -> None:
    """Name the pictures that cannot be used, and count the files that were passed over.

    Raises:
        DataError: they are more than `limit` (0 to 1) of all.
    """
    passed = [f"{one.files} ({one.reason})" for one in store.info.skipped if one.reason != "hidden"]
    if passed:
        reporter.note(f"files passed over: {', '.join(passed)}")
    refused = store.info.rejected
    if not refused:
        return
    first = ", ".join(f"{r.name} ({r.reason})" for r in refused[:3])
    more = f" and {len(refused) - 3} more" if len(refused) > 3 else ""
    sentence = f"{len(refused)} of {len(store)} pictures cannot be used: {first}{more}"
    if len(refused) > limit * len(store):
        raise DataError(f"{sentence}; repair them, or allow it with --max-rejected-fraction")
    reporter.note(f"{sentence}; they are left out")
