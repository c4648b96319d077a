"""The folders of a data set, each read once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from alexnet.data.images.find import classify_entry, list_images, scan_folder


class Entries(NamedTuple):
    """What is directly in a folder."""

    folders: tuple[str, ...]
    """Names of the visible folders, sorted."""
    num_images: int
    others: Counter[str]
    """Other files, by the reason why they are skipped."""


def join(*parts: str) -> str:
    """Join the parts of a relative path; empty parts are left out."""
    return "/".join(part for part in parts if part)


class FolderTree:
    """The folders below `root`, by their path relative to it; "" is `root` itself."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._entries: dict[str, Entries] = {}

    def __getitem__(self, path: str) -> Entries:
        """What is directly in a folder."""
        if path not in self._entries:
            kinds = [(classify_entry(e), e.name) for e in scan_folder(self.root / path)]
            folders = tuple(name for kind, name in kinds if kind == "folder")
            counts = Counter(kind for kind, _ in kinds if kind != "folder")
            self._entries[path] = Entries(folders, counts.pop("image", 0), counts)
        return self._entries[path]

    def folders_with_images(self, path: str) -> list[str]:
        """The names of the folders in `path` that hold images at any depth."""
        return [name for name in self[path].folders if self._holds_images(join(path, name))]

    def _holds_images(self, path: str) -> bool:
        seen: set[Path] = set()  # links may lead back
        pending = [path]
        while pending:
            folder = pending.pop()
            if self[folder].num_images:
                return True
            target = (self.root / folder).resolve()
            if target not in seen:
                pending += [join(folder, name) for name in self[folder].folders]
            seen.add(target)
        return False

    def is_nested(self, path: str) -> bool:
        """Whether a folder holds more folders than images: its images are in those."""
        return len(self[path].folders) > self[path].num_images

    def count_images(self, path: str) -> int:
        """Number of images in a folder, at any depth."""
        return len(list_images(self.root / path, Counter()))

    def count_files(self, path: str, skipped: Counter[str]) -> None:
        """Count the files directly in a folder as skipped: they are in no class folder."""
        skipped.update(self[path].others)
        skipped["not in a class folder"] += self[path].num_images

    def shown(self, path: str) -> str:
        """A folder's whole path for messages."""
        return str(self.root / path)
