"""What one run gave, and what an experiment found, as values that JSON can hold."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from alexnet.config.serialization import from_dict, to_json
from alexnet.errors import ModelFileError
from alexnet.io.files import write_text


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What one run gave."""

    value: float
    """In the experiment's measure."""
    is_bound: bool = False
    """True: the run ended before it got there, and the value is at least this."""
    has_diverged: bool = False
    """True: its loss was not finite; it counts as knowing nothing."""
    pictures: tuple[int, ...] = ()
    """Rows of the pictures that were judged; none where the value is not a mean over pictures."""
    wrong: tuple[int, ...] = ()
    """Rows of those that were judged wrongly."""

    def wrong_on(self, rows: np.ndarray) -> np.ndarray:
        """1 where a picture was judged wrongly, else 0: float64 [N].

        A run that diverged is wrong everywhere.

        Raises:
            ValueError: these are not the pictures that were judged.
        """
        if self.has_diverged:
            return np.ones(len(rows))
        if not np.array_equal(rows, self.pictures):
            raise ValueError(f"{len(self.pictures)} pictures were judged, and {len(rows)} asked of")
        return np.isin(rows, self.wrong).astype(np.float64)


def write_value(path: Path, value: object) -> None:
    """A dataclass as a JSON file, whole or not at all."""
    write_text(path, to_json(value, indent=None) + "\n")


def read_outcome(path: Path) -> Outcome:
    """What `write_value` wrote.

    Raises:
        ModelFileError: the file is damaged.
    """
    try:
        return from_dict(Outcome, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path} is damaged ({error}); remove it to measure again") from error
