"""Find run folders by their path or name."""

from __future__ import annotations

import os
from pathlib import Path

from alexnet.errors import UsageError
from alexnet.io.paths import path_text, similar_path

DEFAULT_FOLDER = Path("runs")
"""Folder of new runs, in which a run is looked for by its name."""
FILES = ("config.json", "metrics.jsonl", "result.json", "model.safetensors", "checkpoints")
"""Names of files and folders; a folder that has one of them is a run."""


def find_run(word: str) -> str:
    """The path that a word of the command line means: itself, else the run of that name in runs/.

    Raises:
        UsageError: nothing has that name, but a file or folder has a similar one.
    """
    word = path_text(word)
    path = Path(word)
    if not word or os.path.lexists(path):
        return word
    is_name = path.name == word
    if is_name and is_run(DEFAULT_FOLDER / word):
        return str(DEFAULT_FOLDER / word)
    similar = similar_path(path) or (similar_path(DEFAULT_FOLDER / word) if is_name else "")
    if similar:
        raise UsageError(f"there is no run or file {word}; did you mean {similar}?")
    return word


def is_run(path: Path) -> bool:
    """Whether a path is a run folder, perhaps a damaged one."""
    return path.is_dir() and any(os.path.lexists(path / name) for name in FILES)
