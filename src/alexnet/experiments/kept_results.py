"""The results that are kept with the program: `measured/NAME-PROTOCOL.json`.

`docs/claims.md` is made of them, and `alexnet experiment plan` computes from them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from alexnet.config.serialization import json_rows, to_dict
from alexnet.errors import UnknownNameError, UsageError
from alexnet.experiments.catalogue import EXPERIMENTS
from alexnet.experiments.experiment import ProtocolName
from alexnet.experiments.results import ExperimentResult, has_result, read_result, read_result_file
from alexnet.io.files import write_text

KEPT = Path(__file__).with_name("measured")
"""Folder of the results that docs/claims.md shows."""
PROTOCOLS: tuple[ProtocolName, ...] = ("imagenet", "full", "quick")
"""The protocols from the largest to the smallest."""
DIGITS = 6
"""Significant digits of a kept number."""


def kept_path(experiment: str, protocol: ProtocolName, folder: Path | None = None) -> Path:
    """Where the result of a protocol is kept, or would be: in `folder`, or in `KEPT`."""
    return (folder or KEPT) / f"{experiment}-{protocol}.json"


def kept_results(folder: Path | None = None) -> list[ExperimentResult]:
    """The kept results in the order of the catalogue, larger protocols first.

    Raises:
        ModelFileError: a file is damaged or of another format.
    """
    paths = [kept_path(name, protocol, folder) for name in EXPERIMENTS for protocol in PROTOCOLS]
    return [read_result_file(path) for path in paths if path.is_file()]


def kept_result(experiment: str) -> ExperimentResult:
    """The kept result of an experiment's largest protocol: `kept_result("dropout").verdict`.

    It is kept with the program; `alexnet experiment run` measures it again.

    Raises:
        UnknownNameError: there is no such experiment.
        UsageError: the experiment has no result yet.
        ModelFileError: the file is damaged or of another format.
    """
    if experiment not in EXPERIMENTS:
        raise UnknownNameError("experiment", experiment, EXPERIMENTS)
    paths = [kept_path(experiment, protocol) for protocol in PROTOCOLS]
    found = [path for path in paths if path.is_file()]
    if not found:
        raise UsageError(
            f"{experiment} has no kept result; measure it: alexnet experiment run {experiment}"
        )
    return read_result_file(found[0])


def results_at(path: Path) -> list[ExperimentResult]:
    """The result in a finished experiment's folder, or all results in a folder of kept ones.

    Raises:
        ModelFileError: the folder holds neither, or a file is damaged.
    """
    if path.is_dir() and not has_result(path):
        known = "|".join(map(re.escape, PROTOCOLS))
        kept = [file for file in path.glob("*.json") if re.fullmatch(rf".+-({known})", file.stem)]
        if kept:
            return [read_result_file(file) for file in sorted(kept)]
    return [read_result(path)]


def keep_result(result: ExperimentResult, folder: Path) -> None:
    """Keep a result, with its numbers rounded, instead of an earlier one of its protocol."""
    plain = _rounded(to_dict(result))
    write_text(kept_path(result.experiment, result.protocol, folder), json_rows(plain) + "\n")


def _rounded(plain: Any) -> Any:
    if isinstance(plain, dict):
        return {key: _rounded(item) for key, item in plain.items()}
    if isinstance(plain, list):
        return [_rounded(item) for item in plain]
    return float(f"{plain:.{DIGITS}g}") if isinstance(plain, float) else plain
