"""A data set, from its name or path to its image store."""

from __future__ import annotations

from alexnet.config.preprocessing import Resize, StoredForm, StoreFormat
from alexnet.data.datasets.catalogue import open_source
from alexnet.data.images.find import describe_skipped
from alexnet.data.store.build import prepare
from alexnet.data.store.store import Store
from alexnet.errors import DataError
from alexnet.reporter import SILENT, Reporter, progress_callback


def load_dataset(
    data: str,
    data_root: str = "",
    *,
    resize: Resize = "shortest_edge",
    resize_size: int = 256,
    store_format: StoreFormat = "pixels",
    allow_unlabelled: bool = False,
    label_from: str = "",
    hash_images: bool = False,
    reporter: Reporter = SILENT,
) -> Store:
    """The image store of a data set; its images are decoded now unless they have been before.

    Args:
        data: a data set's name, a folder of class folders, or a list of images.
        data_root: folder searched first for a named data set.
        resize: how an image becomes square.
        resize_size: side of the stored images, in pixels.
        store_format: whether they are kept as pixels or as JPEGs.
        allow_unlabelled: accept a folder of images without class folders, too.
        label_from: as `DataOptions.label_from`.
        hash_images: also compute `Store.image_hashes`, which `DataOptions(split="hash")` needs.
        reporter: is told of the images that are decoded, of the size of a large store before it is
            built, if another process builds it, and of what `open_source` tells.

    Raises:
        ConfigError: `resize_size` is no whole number, or out of range.
        UnknownNameError: `data` is neither a known name nor looks like a path; or there is no such
            `resize` or `store_format`.
        DataError: the data set is not there or cannot be used, or the store cannot be written.
    """
    return prepare_dataset(
        data,
        data_root,
        StoredForm(resize=resize, resize_size=resize_size, store_format=store_format),
        allow_unlabelled=allow_unlabelled,
        label_from=label_from,
        hash_images=hash_images,
        reporter=reporter,
    )


def prepare_dataset(
    data: str,
    data_root: str,
    form: StoredForm,
    *,
    allow_unlabelled: bool = False,
    label_from: str = "",
    hash_images: bool = False,
    reporter: Reporter = SILENT,
) -> Store:
    """Do what `load_dataset` does, with a `StoredForm` in place of its options.

    Raises:
        UnknownNameError, DataError: as `load_dataset`.
    """
    source = open_source(
        data,
        data_root,
        allow_unlabelled=allow_unlabelled,
        label_from=label_from,
        reporter=reporter,
    )
    return prepare(
        source,
        form,
        on_progress=reporter.on_prepare,
        on_note=reporter.note,
        hash_images=hash_images,
        on_hash=progress_callback(reporter, "on_hash"),
    )


def report_rejected(store: Store, max_fraction: float, reporter: Reporter) -> None:
    """Report the notes of the source, the files that were skipped, and images that cannot be used.

    Raises:
        DataError: more than `max_fraction` (0 to 1) of all images cannot be used.
    """
    for note in store.notes:
        reporter.note(note)
    if skipped := describe_skipped({s.reason: s.files for s in store.info.skipped}):
        reporter.note(f"files skipped: {skipped}")
    rejected = store.info.rejected
    if not rejected:
        return
    first = ", ".join(f"{image.name} ({image.reason})" for image in rejected[:3])
    more = f" and {len(rejected) - 3} more" if len(rejected) > 3 else ""
    sentence = f"{len(rejected)} of {len(store)} images cannot be used: {first}{more}"
    if len(rejected) > max_fraction * len(store):
        raise DataError(f"{sentence}; repair them, or allow it with --max-rejected-fraction")
    reporter.note(f"{sentence}; they are left out")
