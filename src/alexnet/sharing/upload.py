"""Upload a folder to a repository of Hugging Face's hub."""

from __future__ import annotations

import os
import re
from pathlib import Path

from alexnet.errors import DataError, UsageError
from alexnet.io.http import is_offline
from alexnet.io.hub import ENDPOINT, HEAD_FILE, MODEL_FILE
from alexnet.io.text import error_text, printable
from alexnet.runtime.extras import require_extra
from alexnet.sharing.folder import PLOTS

OWN_FILES = (
    MODEL_FILE, HEAD_FILE, *(f"plots/{name}.png" for name in PLOTS), "examples/[0-9][0-9].png",
)  # fmt: skip
"""Files that are removed from the repository unless the folder has them, since `find_model` would
find a model of an earlier push."""
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
UNAUTHORIZED = (401, 403)
MAIN = "main"
"""The branch that every repository has."""


def check_repository(repository: str) -> None:
    """Check that the name of a repository has the form "OWNER/NAME".

    Raises:
        UsageError: the name has another form.
    """
    if not REPOSITORY.fullmatch(repository):
        raise UsageError(f"{repository!r} is not of the form OWNER/NAME")


def check_upload() -> None:
    """Check that uploads are possible.

    Raises:
        UsageError: a package is missing, or `$ALEXNET_OFFLINE` is set.
    """
    require_extra("huggingface_hub", "hub", "alexnet push")
    if is_offline():
        raise UsageError("$ALEXNET_OFFLINE is set; --dry-run writes the folder alone")


def upload_folder(
    folder: Path, repository: str, *, private: bool = False, revision: str = MAIN
) -> str:
    """Upload a folder as one commit of a repository, which is created if it is not there.

    An upload that is cut off leaves the repository as it was, and can be repeated. Models, plots
    and example images of an earlier upload are removed; files that others added stay.

    Args:
        folder: the folder, all of whose files are uploaded.
        repository: "OWNER/NAME".
        private: whether only the owner can see a new repository; if False, the owner's settings
            decide.
        revision: the branch, which is created if it does not exist.

    Returns:
        The URL of the commit.

    Raises:
        UsageError: as `check_repository` and `check_upload`; or `private` is true, and the
            repository exists and is public.
        DataError: the folder cannot be uploaded.
    """
    check_repository(repository)
    check_upload()
    from huggingface_hub import HfApi

    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or ENDPOINT
    api = HfApi(endpoint=endpoint, library_name="alexnet")
    try:
        api.create_repo(repository, private=private or None, exist_ok=True)
        if private and not api.repo_info(repository).private:
            raise UsageError(
                f"{repository} is there already, and public: nothing is uploaded; make it private "
                "in its settings, name another one, or leave --private out"
            )
        if revision != MAIN:
            api.create_branch(repository, branch=revision, exist_ok=True)
        commit = api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            revision=revision,
            commit_message="Model of alexnet",
            delete_patterns=list(OWN_FILES),
        )
    except UsageError:
        raise
    except Exception as error:  # of the hub, of its HTTP client, or of the system
        raise DataError(_failure(repository, endpoint, error)) from error
    return str(commit.commit_url)


def _failure(repository: str, endpoint: str, error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", 0)
    if status in UNAUTHORIZED:
        return (
            f"{endpoint} refuses the upload to {repository} ({status}): log in by hf auth login, "
            "or set $HF_TOKEN to a token that may write there"
        )
    return (
        f"the upload to {repository} failed: {printable(error_text(error))}; the repository is as "
        "it was, and the same command tries again"
    )
