"""The file of an outcome, and the zero-one loss per image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from alexnet.errors import ModelFileError
from alexnet.experiments.outcome import Outcome, read_outcome, write_outcome

OUTCOME = Outcome(value=2 / 3, indices=(3, 5, 8), misclassified=(3, 8))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_outcome(tmp_path / "outcome-1.json", OUTCOME)
    assert read_outcome(tmp_path / "outcome-1.json") == OUTCOME


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "outcome-1.json"
    path.write_text('{"value": 0.5, "pictures": []}')
    with pytest.raises(ModelFileError, match=r"outcome-1\.json is damaged .*remove it"):
        read_outcome(path)


def test_the_zero_one_loss_is_1_on_misclassified_images() -> None:
    assert OUTCOME.zero_one_loss(np.array([3, 5, 8])).tolist() == [1.0, 0.0, 1.0]
    with pytest.raises(ValueError, match="evaluated on 3 images"):
        OUTCOME.zero_one_loss(np.array([3, 5, 9]))


def test_a_diverged_run_is_wrong_on_any_image() -> None:
    diverged = Outcome(value=1.0, has_diverged=True)
    assert diverged.zero_one_loss(np.array([3, 5])).tolist() == [1.0, 1.0]
