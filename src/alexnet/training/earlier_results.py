"""Results in a run folder that are older than its newest epochs: evaluations, exports, .."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from alexnet.config.serialization import parse_json
from alexnet.io.files import read_regular
from alexnet.io.limits import MAX_RESULT_BYTES
from alexnet.io.text import printable, shell_command
from alexnet.training.run_folder import RunFolder

MAX_NAMES = 8


def earlier_results_note(run: RunFolder) -> str:
    """The note on results that more epochs make outdated, with commands to renew them; else "".

    A training writes its own plots, evaluation and page anew.
    """
    found = {
        "evaluate": list(_evaluations(run)),
        "explain": ["explain/"] * (run.path / "explain").is_dir(),
        "export": list(_exported_files(run.path)),
    }
    names = [printable(name) for some in found.values() for name in some]
    if not names:
        return ""
    shown = ", ".join([*names[:MAX_NAMES], *[".."] * (len(names) > MAX_NAMES)])
    verbs = [verb for verb, some in found.items() if some]
    again = ", ".join(shell_command(["alexnet", verb, str(run.path)]) for verb in verbs)
    removed = "; remove exported files before" if found["export"] else ""
    return f"of the model before these epochs: {shown}; made anew by: {again}{removed}"


def _evaluations(run: RunFolder) -> Iterator[str]:
    """The folders of `alexnet evaluate`, and its plots in the folder shared with training."""
    if any(run.evaluation.glob("*.png")):
        yield f"{run.evaluation.name}/*.png"
    for path in sorted(run.path.glob(f"{run.evaluation.name}-*/")):
        yield f"{path.name}/"


def _exported_files(folder: Path) -> Iterator[str]:
    """The files of `alexnet export`, by its reports."""
    for report in sorted(folder.glob("*.*.json")):
        try:
            plain = parse_json(read_regular(report, MAX_RESULT_BYTES))
        except (OSError, ValueError):
            continue
        files = plain.get("files") if isinstance(plain, dict) else None
        for name in files if isinstance(files, list) else ():
            if name != report.name and isinstance(name, str) and (folder / name).is_file():
                yield name
