"""What the store of a source is, where it is, and how much space it takes."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from alexnet.config.preprocessing import StoredForm
from alexnet.data.images.open import lacked_decoder, optional_formats
from alexnet.data.source import Source
from alexnet.data.store.formats import planned_bytes, store_files, store_fingerprint
from alexnet.data.store.store import (
    Rejected,
    Skipped,
    Store,
    StoreInfo,
    open_store,
    store_ending,
)
from alexnet.io.paths import cache_folder, existing_parent
from alexnet.io.resumable import ResumableFolder
from alexnet.io.text import folder_name

LARGE_STORE_BYTES = 1e9
"""Size from which on a store is announced before it is built."""


@dataclass(frozen=True, kw_only=True)
class StorePlan:
    """What a store of a source is, and where."""

    source: Source
    source_fingerprint: str
    """The source's fingerprint when the build began."""
    form: StoredForm
    cache: Path
    decoders: tuple[str, ...] = ()
    """The optional formats that are read now, if an earlier store lacked one of them."""

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the store."""
        return store_fingerprint(self.source_fingerprint, self.form.store_format, self.decoders)

    @property
    def num_bytes(self) -> int:
        """Bytes that the images take on the disk; an estimate for JPEGs."""
        return planned_bytes(self.form.store_format, len(self.source), self.form.resize_size)

    @property
    def target(self) -> ResumableFolder:
        """The folder of the store."""
        name = f"{folder_name(self.source.name)}-{self.fingerprint}"
        return ResumableFolder(
            what="store",
            folder=self.cache / "stores" / f"{name}{store_ending(self.form)}",
            files=store_files(self.form.store_format),
            way_out=f"free some space there{self.other_ways}",
        )

    @property
    def other_ways(self) -> str:
        """What else to do where there is too little space."""
        if self.form.store_format == "jpeg" or self.num_bytes < LARGE_STORE_BYTES:
            return " or set ALEXNET_CACHE to another folder"
        size = planned_bytes("jpeg", len(self.source), self.form.resize_size)
        return (
            ", set ALEXNET_CACHE to another folder, or add --store-format jpeg, which takes about "
            f"{size / 1e9:.1f} GB"
        )

    def info(self, rejected: tuple[Rejected, ...]) -> StoreInfo:
        """The description of the store."""
        source = self.source
        return StoreInfo(
            name=source.name,
            fingerprint=self.fingerprint,
            resize=self.form.resize,
            side=self.form.resize_size,
            store_format=self.form.store_format,
            test_fraction=source.test_fraction,
            class_names=source.class_names,
            rejected=rejected,
            names=source.names,
            splits=source.splits,
            skipped=_skipped(source),
            decoders=self.decoders,
        )


def _skipped(source: Source) -> tuple[Skipped, ...]:
    return tuple(Skipped(reason=reason, files=n) for reason, n in source.skipped.items())


def plan_store(source: Source, form: StoredForm, cache: Path | None = None) -> StorePlan:
    """The plan of a source's store, in the user's cache unless a folder of stores is given."""
    return StorePlan(
        source=source,
        source_fingerprint=source.fingerprint(),
        form=form,
        cache=cache or cache_folder(),
    )


def find_planned(plan: StorePlan) -> tuple[StorePlan, Store | None]:
    """The plan of the store to use, and that store if it is finished.

    A store that lacks images which can be decoded now stays for the runs that were trained on it,
    and another one takes its place.
    """
    store = open_planned(plan) if plan.target.is_finished else None
    if store is None or not any(lacked_decoder(image.reason) for image in store.info.rejected):
        return plan, store
    plan = replace(plan, decoders=optional_formats())
    return plan, open_planned(plan) if plan.target.is_finished else None


def open_planned(plan: StorePlan) -> Store:
    """Open the finished store, with its source's notes and skipped files as they are now."""
    store, source = open_store(plan.target.folder), plan.source
    return replace(store, info=replace(store.info, skipped=_skipped(source)), notes=source.notes)


def size_note(plan: StorePlan) -> str:
    """How much space a large store takes, and how much there is; "" for a small one."""
    if plan.num_bytes < LARGE_STORE_BYTES:
        return ""
    folder, source = plan.target.folder, plan.source
    free = shutil.disk_usage(existing_parent(folder)).free
    about = "about " if plan.form.store_format == "jpeg" else ""
    text = (
        f"the {len(source):,} images of {source.name} take {about}{plan.num_bytes / 1e9:.1f} GB in "
        f"{folder.parent}, where {free / 1e9:.1f} GB are free; $ALEXNET_CACHE is another place"
    )
    if plan.form.store_format == "jpeg":
        return text
    size = planned_bytes("jpeg", len(source), plan.form.resize_size)
    return f"{text}, and --store-format jpeg takes about {size / 1e9:.1f} GB"
