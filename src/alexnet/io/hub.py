"""Download files of Hugging Face's hub over https: `hf:OWNER/NAME[@REVISION][/FILE]`.

$HF_ENDPOINT names another server. $HF_TOKEN is sent to the server, for private repositories.
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
"""Files of any program that are tried in order if an address names no file."""
ADDRESS = re.compile(
    r"hf:(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)(@(?P<revision>[\w.-]+))?(/(?P<file>.+))?", re.ASCII
)


MODEL_FILE, HEAD_FILE = "model.safetensors", "head.safetensors"
"""Files of this program: a whole model, and a model without the weights of its trunk."""
WEIGHT_FILES = (*DEFAULT_FILES, HEAD_FILE)
"""Files from which a training can start; for HEAD_FILE an error says why it cannot."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HubAddress:
    """A repository of models, or a file in it."""

    owner: str
    name: str
    revision: str = "main"
    """A branch, a tag, or the hash of a commit."""
    file: str = ""
    """Path of the file in the repository; "" for one of DEFAULT_FILES."""

    def url(self, file: str) -> str:
        """The URL of a file of the repository."""
        base = os.environ.get("HF_ENDPOINT", "").rstrip("/") or ENDPOINT
        return f"{base}/{self.owner}/{self.name}/resolve/{self.revision}/{urllib.parse.quote(file)}"

    @property
    def folder(self) -> Path:
        """The folder in the cache with the repository's files."""
        return cache_folder() / "hub" / f"{self.owner}--{self.name}"

    def path(self, file: str) -> Path:
        """The path of a file in the cache."""
        return self.folder / self.revision / file


def parse_address(text: str) -> HubAddress:
    """Parse an address of the hub.

    Raises:
        UsageError: the address has another form.
    """
    found = ADDRESS.fullmatch(text)
    parts = {name: part for name, part in found.groupdict().items() if part} if found else {}
    names = [name for part in parts.values() for name in part.split("/")]
    if not found or not all(map(is_file_name, names)):
        raise UsageError(f"{text!r} is not of the form hf:OWNER/NAME[@REVISION][/FILE]")
    return HubAddress(**parts)


def is_head(path: Path) -> bool:
    """Whether a path is HEAD_FILE, a model without its trunk, or a folder with that alone."""
    if path.is_dir():
        return (path / HEAD_FILE).is_file() and not (path / MODEL_FILE).exists()
    return path.name == HEAD_FILE and path.is_file()


def short_name(place: str) -> str:
    """The short name of a model: of a folder or repository its last name, of a file its stem.

    MODEL_FILE and HEAD_FILE get the name of their folder.

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
    """The path of the file at an address, downloaded unless the cache has it.

    The time of its last use is set to now.

    Args:
        text: an address.
        on_progress: called with the bytes received and the bytes in all.
        default_files: files that are tried in order if the address names none.

    Raises:
        UsageError: the address has another form.
        MissingDataError: the file cannot be downloaded, or `$ALEXNET_OFFLINE` is set.
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
    """The path of the file at an address if the cache has it, else None.

    The time of its last use is set to now.

    Args:
        text: an address.
        default_files: files that are looked for in order if the address names none.

    Raises:
        UsageError: the address has another form.
    """
    address = parse_address(text)
    mark_used(address.folder)
    files = (address.file,) if address.file else tuple(default_files)
    return next((path for path in map(address.path, files) if path.exists()), None)


def _status(error: MissingDataError) -> int:
    """The HTTP status with which the server refused a file; 0 if there was no response."""
    cause = error.__cause__
    return cause.code if isinstance(cause, urllib.error.HTTPError) else 0


def _error_code(error: MissingDataError) -> str:
    """The hub's X-Error-Code, such as "RevisionNotFound" or "EntryNotFound"; "" without one."""
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
