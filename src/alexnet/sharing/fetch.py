"""Find the model file at an address on the hub or in a folder."""

from __future__ import annotations

from pathlib import Path

from alexnet.io import hub
from alexnet.reporter import ProgressCallback, ignore_progress
from alexnet.sharing.weights import assemble


def find_model(word: str, on_progress: ProgressCallback = ignore_progress) -> str:
    """The path of the model at "hf:OWNER/NAME[@REVISION]"; any other path is returned unchanged.

    A model that was shared without its trunk is assembled in the cache.

    Args:
        word: an address, a model file, a head file, or a folder with one of these.
        on_progress: called with the bytes received and the bytes in all.

    Raises:
        UsageError: the address has another form.
        MissingDataError: the file cannot be downloaded, or there is no such revision.
        ModelFileError: a head file is damaged, or does not belong to its trunk.
    """
    if word.startswith(hub.PREFIX):
        word = str(hub.hub_file(word, on_progress, (hub.MODEL_FILE, hub.HEAD_FILE)))
    path = Path(word)
    if not hub.is_head(path):
        return word
    return str(assemble(path / hub.HEAD_FILE if path.is_dir() else path, on_progress))
