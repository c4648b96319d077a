"""The table of the classes on paper, and what the page says of the data."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from alexnet.data.store.store import Skipped
from alexnet.evaluation.results import compute_metrics
from alexnet.evaluation.summary import EvaluationSummary, summarize_evaluation
from alexnet.reports.confusion import MAX_PRINTED, class_rows
from alexnet.reports.data_facts import describe_data
from alexnet.reports.stored_images import RunData


def evaluation(num_classes: int) -> EvaluationSummary:
    """Two images of each class; every fifth class is mistaken for the first, class 3 has none."""
    labels = np.repeat(np.delete(np.arange(num_classes), 3), 2)
    probabilities = np.eye(num_classes, dtype=np.float32)[np.where(labels % 5 == 4, 0, labels)]
    names = tuple(f"class {i}" for i in range(num_classes))
    return summarize_evaluation(compute_metrics(probabilities, labels, names))


def test_of_many_classes_those_with_the_lowest_recall_are_printed() -> None:
    rows = class_rows(evaluation(300), [])
    printed = [row for row in rows if row.is_printed]
    assert len(printed) == MAX_PRINTED < sum(row.score.recall == 0 for row in rows)
    assert {row.score.recall for row in printed} == {0.0}
    rows = class_rows(evaluation(MAX_PRINTED + 1), [])
    assert sum(row.is_printed for row in rows) == MAX_PRINTED
    assert not rows[3].is_printed, "it has no images"
    assert all(row.is_printed for row in class_rows(evaluation(MAX_PRINTED), []))


@pytest.mark.parametrize(
    ("skipped", "lines"),
    [
        ((), []),
        ((Skipped(reason="hidden", files=2),), []),
        (
            (Skipped(reason="hidden", files=2), Skipped(reason=".txt", files=3)),
            ["Files skipped: .txt 3."],
        ),
    ],
)
def test_skipped_files_are_told_where_there_are_any(skipped: Any, lines: list[str]) -> None:
    info = SimpleNamespace(class_names=("a", "b"), skipped=skipped, rejected=())
    store: Any = SimpleNamespace(info=info)
    run: Any = SimpleNamespace(result=None, recipe=None)
    facts = describe_data(run, RunData(store=store))
    assert facts is not None
    assert facts.findings == lines
