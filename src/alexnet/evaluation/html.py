"""An evaluation as HTML for notebooks."""

from __future__ import annotations

from alexnet.evaluation.intervals import percent_with_interval
from alexnet.evaluation.plots import confusion
from alexnet.evaluation.results import Evaluation
from alexnet.io.html import escape, facts, panel, picture
from alexnet.io.text import count_text
from alexnet.plots import figure_bytes

DPI = 72
"""Resolution of the confusion matrix."""
MAX_PAIRS = 5
"""Number of the most confused pairs of classes that are listed."""


def evaluation_html(evaluation: Evaluation) -> str:
    """Errors with their 95 % intervals, the most confused classes, the confusion matrix."""
    crops = "" if evaluation.crops == 1 else f", {evaluation.crops} crops"
    images = count_text(evaluation.num_images, "image")
    title = f"{evaluation.data}, {evaluation.split}: {images}{crops}"
    matrix = picture(figure_bytes(confusion(evaluation), dpi=DPI), "confusion matrix")
    return panel(title, [facts(error_facts(evaluation)), *_confused(evaluation), matrix])


def error_facts(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Names and values of the errors and the loss."""
    n = evaluation.num_images
    found = [("top-1 error", percent_with_interval(evaluation.top1_error, n))]
    if len(evaluation.class_names) > 5:
        found.append(("top-5 error", percent_with_interval(evaluation.top5_error, n)))
    return [*found, ("loss", f"{evaluation.loss:.4f}")]


def _confused(evaluation: Evaluation) -> list[str]:
    pairs = evaluation.most_confused[:MAX_PAIRS]
    text = "; ".join(f"{count} x {label} as {predicted}" for label, predicted, count in pairs)
    return [escape(f"most confused: {text}")] if pairs else []
