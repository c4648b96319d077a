"""Files of Hugging Face's hub, over https: `hf:OWNER/NAME[@REVISION][/FILE]`.

$HF_ENDPOINT names another server, and $HF_TOKEN is sent to it, for private repositories.
"""

from __future__ import annotations

import http.client
import os
import re
import urllib.error
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alexnet.errors import MissingDataError, UsageError
from alexnet.io.downloads import download_unverified
from alexnet.io.http import is_offline
from alexnet.io.in_use import mark_used
from alexnet.io.paths import cache_folder
from alexnet.io.text import is_file_name
from alexnet.reporter import ProgressCallback, ignore_progress

PREFIX = "hf:"
ENDPOINT = "https://huggingface.co"
DEFAULT_FILES = ("model.safetensors", "pytorch_model.bin")
"""Tried one after the other where no file is named; of any program."""
ADDRESS = re.compile(
    r"hf:(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)(@(?P<revision>[\w.-]+))?(/(?P<file>.+))?", re.ASCII
)


MODEL_FILE, HEAD_FILE = "model.safetensors", "head.safetensors"
"""Of this program: a whole model, and one without the weights that it shares with another."""
WEIGHT_FILES = (*DEFAULT_FILES, HEAD_FILE)
"""Those from which a training can start, and one that says why it cannot."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HubAddress:
    """A repository of models, or a file in it."""

    owner: str
    name: str
    revision: str = "main"
    """A branch, a tag, or the hash of a commit."""
    file: str = ""
    """Its path in the repository; "" for one of DEFAULT_FILES."""

    def url(self, file: str) -> str:
        """The address of a file."""
        base = os.environ.get("HF_ENDPOINT", "").rstrip("/") or ENDPOINT
        return f"{base}/{self.owner}/{self.name}/resolve/{self.revision}/{urllib.parse.quote(file)}"

    @property
    def folder(self) -> Path:
        """Where all that was downloaded of the repository is in the cache."""
        return cache_folder() / "hub" / f"{self.owner}--{self.name}"

    def path(self, file: str) -> Path:
        """Where a file is in the cache."""
        return self.folder / self.revision / file


def parse_address(text: str) -> HubAddress:
    """The parts of an address.

    Raises:
        UsageError: it has another form.
    """
    found = ADDRESS.fullmatch(text)
    parts = {name: part for name, part in found.groupdict().items() if part} if found else {}
    names = [name for part in parts.values() for name in part.split("/")]
    if not found or not all(map(is_file_name, names)):
        raise UsageError(f"{text!r} is not of the form hf:OWNER/NAME[@REVISION][/FILE]")
    return HubAddress(**parts)


def is_head(path: Path) -> bool:
    """Whether a path is a model without its trunk: the file, or a folder that has it alone."""
    if path.is_dir():
        return (path / HEAD_FILE).is_file() and not (path / MODEL_FILE).exists()
    return path.name == HEAD_FILE and path.is_file()


def short_name(place: str) -> str:
    """What a model is called: the last name of a folder or a repository, of a file its stem.

    A model file or a head file has the name of its folder.

    Raises:
        UsageError: an address has another form.
    """
    if place.startswith(PREFIX):
        address = parse_address(place)
        path, is_folder = Path(address.name, address.file), not address.file
    else:
        path = Path(place).absolute()
        is_folder = path.is_dir()
    if path.name in (MODEL_FILE, HEAD_FILE):
        return path.parent.name
    return path.name if is_folder else path.stem


def hub_file(
    text: str,
    on_progress: ProgressCallback = ignore_progress,
    default_files: Sequence[str] = DEFAULT_FILES,
) -> Path:
    """The file at an address, downloaded once; the cache then counts it as used.

    Args:
        text: an address.
        on_progress: called with the bytes received and the bytes in all.
        default_files: tried one after the other where no file is named.

    Raises:
        UsageError: the address has another form.
        MissingDataError: it cannot be downloaded, or `$ALEXNET_OFFLINE` is set.
    """
    if found := cached_file(text, default_files):
        return found
    address = parse_address(text)
    files = (address.file,) if address.file else tuple(default_files)
    if is_offline():
        raise MissingDataError(
            f"{text} is not here and $ALEXNET_OFFLINE is set; fetch {address.url(files[0])} on "
            "another machine, and name the file by --from FILE"
        )
    for file in files:
        try:
            return download_unverified(
                address.url(file),
                address.path(file),
                token=os.environ.get("HF_TOKEN", ""),
                on_progress=on_progress,
            )
        except MissingDataError as error:
            if _error_code(error) == "RevisionNotFound":
                raise MissingDataError(
                    f"{address.owner}/{address.name} has no revision {address.revision}; name a "
                    "branch, a tag or a commit that is there, or leave it out"
                ) from error
            if _status(error) != http.client.NOT_FOUND:
                raise MissingDataError(_failure(text, error)) from error
    raise MissingDataError(
        f"{text}: there is no {' or '.join(files)} at {address.url(files[0])}; "
        f"name a file that is there: hf:{address.owner}/{address.name}/FILE"
    )


def cached_file(text: str, default_files: Sequence[str] = DEFAULT_FILES) -> Path | None:
    """The file at an address if it was downloaded before; the cache then counts it as used.

    Args:
        text: an address.
        default_files: looked for one after the other where no file is named.

    Raises:
        UsageError: the address has another form.
    """
    address = parse_address(text)
    mark_used(address.folder)
    files = (address.file,) if address.file else tuple(default_files)
    return next((path for path in map(address.path, files) if path.exists()), None)


def _status(error: MissingDataError) -> int:
    """The status with which the server refused a file; 0 if it did not."""
    cause = error.__cause__
    return cause.code if isinstance(cause, urllib.error.HTTPError) else 0


def _error_code(error: MissingDataError) -> str:
    """What the hub says that is missing: "RevisionNotFound", "EntryNotFound", ..; else ""."""
    cause = error.__cause__
    if not isinstance(cause, urllib.error.HTTPError):
        return ""
    return str(cause.headers.get("X-Error-Code", ""))


def _failure(text: str, error: MissingDataError) -> str:
    if _status(error) in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        return (
            f"{text} cannot be downloaded: the server answers {_status(error)}; check the name, "
            "and set $HF_TOKEN to a token that may read it if it is private"
        )
    return f"{text} cannot be downloaded: {error}"
