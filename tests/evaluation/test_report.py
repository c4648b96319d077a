"""evaluation.json: every metric, also where a whole confusion matrix would be too large."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from alexnet.config.serialization import json_document, to_dict
from alexnet.evaluation.report import write_evaluation
from alexnet.evaluation.results import TopLoss, compute_metrics
from alexnet.evaluation.summary import MAX_CLASSES, summarize_evaluation

IMAGE = np.zeros((2, 2, 3), np.uint8)


@pytest.mark.parametrize("num_classes", [3, MAX_CLASSES + 1])
def test_the_summary_has_pairs_and_a_small_matrix(num_classes: int) -> None:
    names = tuple(map(str, range(num_classes)))
    probabilities = np.eye(num_classes, dtype=np.float32)[[0, 1, 1]]
    result = compute_metrics(
        probabilities, np.array([0, 1, 2]), names, data="trees", split="val", crops=10
    )
    summary = to_dict(summarize_evaluation(result))
    assert (summary["data"], summary["split"], summary["crops"]) == ("trees", "val", 10)
    assert summary["top1_error"] == pytest.approx(1 / 3)
    ends = {"low": 0.0615, "high": 0.7923}
    assert summary["top1_error_interval"] == pytest.approx(ends, abs=1e-4)
    assert summary["top5_error_interval"]["high"] > 0.5
    recalls = [score["recall_interval"] for score in summary["per_class"][:3]]
    assert recalls[1] == pytest.approx({"low": 0.2065, "high": 1.0}, abs=1e-4)
    assert summary["confusion_pairs"] == [[0, 0, 1], [1, 1, 1], [2, 1, 1]]
    assert summary["most_confused"] == [{"label": "2", "predicted": "1", "count": 1}]
    expected = [[1, 0, 0], [0, 1, 0], [0, 1, 0]] if num_classes <= MAX_CLASSES else []
    assert summary["confusion"] == expected


def test_a_class_without_images_has_no_interval() -> None:
    result = compute_metrics(np.eye(2, dtype=np.float32)[:1], np.array([0]), ("a", "b"))
    absent = summarize_evaluation(result).per_class[1]
    assert (absent.recall, absent.recall_interval) == (None, None)


@pytest.mark.slow
def test_top_losses_are_written_and_plotted(tmp_path: Path) -> None:
    """The CSV has every image, the others those that have pixels."""
    losses = (
        TopLoss(7, 'say "7", b.jpg', "a", "b", 0.25, 0.75, False, IMAGE),
        TopLoss(8, "\udce98.jpg", "b", "b", 1.0, 1.0, True),
    )
    probabilities = np.array([[0.25, 0.75]], np.float32)
    result = compute_metrics(probabilities, np.array([0]), ("a", "b"), top_losses=losses)
    write_evaluation(result, tmp_path, run="run", net="net")
    assert json.loads((tmp_path / "evaluation.json").read_text())["top_losses"] == [
        {
            "index": 7,
            "name": 'say "7", b.jpg',
            "label": "a",
            "predicted": "b",
            "probability": 0.25,
            "predicted_probability": 0.75,
        }
    ]
    with (tmp_path / "top_losses.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [
            [
                "index", "name", "label", "predicted", "probability", "predicted_probability",
                "loss", "is_correct",
            ],
            ["7", 'say "7", b.jpg', "a", "b", "0.25", "0.75", str(math.log(4)), "False"],
            ["8", "\\xe98.jpg", "b", "b", "1.0", "1.0", "0.0", "True"],
        ]  # fmt: skip
    assert {path.name for path in tmp_path.iterdir()} == {
        "evaluation.json", "confusion.png", "confusion.svg",
        "reliability.png", "reliability.svg", "top_losses.png", "top_losses.csv",
    }  # fmt: skip


@pytest.mark.slow
def test_a_matrix_has_a_row_a_line(tmp_path: Path) -> None:
    """A file of 1,000 classes had a million lines."""
    names = ("a", "b\udce9", "c")
    result = compute_metrics(np.eye(3, dtype=np.float32), np.array([0, 1, 2]), names)
    write_evaluation(result, tmp_path)
    lines = (tmp_path / "evaluation.json").read_text().splitlines()
    assert "    [1, 0, 0]," in lines
    assert '  "class_names": ["a", "b\\udce9", "c"],' in lines
    assert "\n".join(lines) == json_document(summarize_evaluation(result))


@pytest.mark.slow
def test_without_top_losses_there_is_no_plot_of_them(tmp_path: Path) -> None:
    result = compute_metrics(np.eye(2, dtype=np.float32), np.array([0, 1]), ("a", "b"))
    write_evaluation(result, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "evaluation.json", "confusion.png", "confusion.svg",
        "reliability.png", "reliability.svg",
    }  # fmt: skip
