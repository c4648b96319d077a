"""The measured value of one run, and the file that keeps it."""

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
    """The measured value of one run."""

    value: float
    """The value of the experiment's measure; lower is better."""
    is_censored: bool = False
    """Whether the run ended before it reached its target: the true value is at least `value`."""
    has_diverged: bool = False
    """Whether the loss became infinite or NaN; the run is scored as 100 % error."""
    indices: tuple[int, ...] = ()
    """Indices of the evaluated images; empty where the value is not a mean over images."""
    misclassified: tuple[int, ...] = ()
    """Indices of the images among them that were misclassified."""

    def zero_one_loss(self, indices: np.ndarray) -> np.ndarray:
        """1 for each misclassified image, else 0: float64 [N].

        A diverged run misclassifies every image.

        Raises:
            ValueError: these are not the images that were evaluated.
        """
        if self.has_diverged:
            return np.ones(len(indices))
        if not np.array_equal(indices, self.indices):
            raise ValueError(
                f"the run was evaluated on {len(self.indices)} images, "
                f"which are not the {len(indices)} that are compared"
            )
        return np.isin(indices, self.misclassified).astype(np.float64)


def write_outcome(path: Path, outcome: Outcome) -> None:
    """Write an outcome as JSON, atomically."""
    write_text(path, to_json(outcome, indent=None) + "\n")


def read_outcome(path: Path) -> Outcome:
    """Read what `write_outcome` wrote.

    Raises:
        ModelFileError: the file is damaged.
    """
    try:
        return from_dict(Outcome, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ModelFileError(f"{path} is damaged ({error}); remove it to measure again") from error
