"""`alexnet push`: share a finished run as a folder and as a repository on a hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from alexnet.cli.console import note, note_next, print_json, size_text
from alexnet.cli.flags import parse, with_run
from alexnet.cli.outputs.push import PushedFile, PushOutput
from alexnet.io.files import size_bytes
from alexnet.io.text import printable


@dataclass(frozen=True, kw_only=True)
class PushFlags:
    """Share a finished run on Hugging Face's hub: the model, its recipe and a model card.

    The same files are written into a folder first, which alexnet loads as well. Names of classes
    and of the data set are public; images are only if --examples asks for them.
    """

    run: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run folder."""
    repository: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OWNER/NAME")]
    """The repository; it is created if it is not there."""
    license: Annotated[str, tyro.conf.arg(metavar="ID")] = ""
    """Licence of the model, which must be named: mit, apache-2.0, cc-by-4.0, other, .."""
    private: bool = False
    """Only you see a new repository."""
    dry_run: bool = False
    """Write the folder alone; nothing is sent."""
    out: Annotated[str, tyro.conf.arg(metavar="FOLDER")] = ""
    """The folder; share/ in the run, which is replaced, unless given."""
    half: bool = False
    """Weights in float16: half the size."""
    head_only: Annotated[str, tyro.conf.arg(metavar="BACKBONE")] = ""
    """Leave out the weights that are those of torchvision, or of hf:OWNER/NAME; whoever loads the
    model gets them from there."""
    examples: int = 0
    """Number of images of the evaluated split on the card, which everybody sees then."""
    revision: Annotated[str, tyro.conf.arg(metavar="BRANCH")] = "main"
    """The branch."""
    json: bool = False
    """Print JSON."""


def run(arguments: Sequence[str]) -> int:
    """Write the folder, upload it, and print the folder and the address."""
    flags = with_run(parse(PushFlags, arguments, "push"), "run")
    from alexnet.sharing.card import check_license
    from alexnet.sharing.folder import ShareOptions, write_folder
    from alexnet.sharing.upload import check_repository, check_upload, upload_folder

    check_license(flags.license)
    check_repository(flags.repository)
    if not flags.dry_run:
        check_upload()
    options = ShareOptions(
        license=flags.license,
        half=flags.half,
        trunk=flags.head_only,
        examples=flags.examples,
    )
    out = Path(flags.out) if flags.out else None
    folder = write_folder(Path(flags.run), flags.repository, options, out)
    commit = None
    if not flags.dry_run:
        note(f"uploading {size_text(size_bytes(folder))} to {flags.repository}")
        commit = upload_folder(
            folder, flags.repository, private=flags.private, revision=flags.revision
        )
    _print(flags, folder, commit)
    return 0


def _print(flags: PushFlags, folder: Path, commit: str | None) -> None:
    files = tuple(
        PushedFile(path=path.relative_to(folder).as_posix(), size_bytes=path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )
    address = f"hf:{flags.repository}"
    if flags.revision != "main":
        address += f"@{flags.revision}"
    if flags.json:
        print_json(PushOutput(folder=str(folder), files=files, address=address, commit=commit))
        return
    print(printable(str(folder)))
    for file in files:
        print(f"  {file.path}  {size_text(file.size_bytes)}")
    if commit:
        print(printable(f"uploaded  {commit}"))
    else:
        note("nothing was sent; read README.md, and leave out --dry-run to upload the folder")
    note_next(["alexnet", "predict", address if commit else str(folder), "IMAGE"])
