"""Learning curves by their data: what is drawn where, and what is said beside it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from alexnet.plots import learning_curves
from alexnet.plots.compared_runs import compared_curves
from alexnet.records import EpochRecord
from support.figures import overlapping_texts


def history(eval_split: str | None, *losses: float) -> list[EpochRecord]:
    """Epochs with these training losses; the evaluated split's are larger by 1."""
    is_evaluated = eval_split is not None
    return [
        EpochRecord(
            epoch=epoch,
            step=epoch,
            lr=0.1,
            train_loss=loss,
            train_top1_error=loss / 4,
            train_top5_error=0.0,
            eval_split=eval_split,
            eval_loss=loss + 1 if is_evaluated else None,
            eval_top1_error=loss / 2 if is_evaluated else None,
            eval_top5_error=0.0 if is_evaluated else None,
            layers=(),
        )
        for epoch, loss in enumerate(losses, 1)
    ]


def lines(axes: Axes) -> dict[str, Line2D]:
    """The lines of a plot by their labels."""
    return {str(line.get_label()): line for line in axes.get_lines()}


@pytest.mark.parametrize(("split", "label"), [("val", "validation"), ("test", "test")])
def test_learning_curves_have_both_splits(split: str, label: str) -> None:
    loss, error, lr = learning_curves(history(split, 2.0, 1.5, 1.0)).axes
    assert lines(loss)["training"].get_xydata().tolist() == [[1, 2.0], [2, 1.5], [3, 1.0]]
    assert lines(loss)[label].get_ydata().tolist() == [3.0, 2.5, 2.0]
    assert lines(error)["training"].get_ydata().tolist() == [0.5, 0.375, 0.25]
    assert lines(error)[label].get_ydata().tolist() == [1.0, 0.75, 0.5]
    assert lines(lr)["learning rate"].get_ydata().tolist() == [0.1] * 3
    assert lines(loss)["training"].get_marker() == ""


def test_learning_curves_without_an_evaluated_split() -> None:
    loss, error, _ = learning_curves(history(None, 2.0)).axes
    assert lines(loss).keys() == lines(error).keys() == {"training"}
    assert lines(loss)["training"].get_marker() == "o", "a single point needs a marker"
    assert not error.texts


def test_a_value_that_was_not_measured_is_a_gap() -> None:
    first, second = history("val", 2.0)[0], history(None, 1.0)[0]
    loss, *_ = learning_curves([first, second]).axes
    found = lines(loss)["validation"].get_ydata()
    assert found[0] == 3.0
    assert math.isnan(found[1])


def test_the_best_epoch_is_marked_in_every_panel() -> None:
    """Of two equal errors the first counts, as for the run's model."""
    figure = learning_curves(history("val", 2.0, 1.0, 1.0, 1.5))
    for axes in figure.axes:
        assert [2, 2] in [list(line.get_xdata()) for line in axes.lines]
    assert [text.get_text() for text in figure.axes[1].texts] == ["best epoch 2: 50.0 %"]


def test_without_validation_the_last_epoch_is_the_models() -> None:
    figure = learning_curves(history("test", 2.0, 1.0, 1.5))
    assert [text.get_text() for text in figure.axes[1].texts] == ["last epoch 3: 75.0 %"]
    assert [len(axes.lines) for axes in figure.axes] == [2, 3, 1]


@pytest.mark.slow
def test_a_note_explains_a_training_loss_above_the_other_where_it_is_above() -> None:
    below = history("val", 2.0, 1.5)
    above = [replace(record, eval_loss=record.train_loss - 0.1) for record in below]
    assert learning_curves(below, handicaps=("dropout",)).get_supxlabel() == ""
    text = learning_curves(above, handicaps=("dropout", "augmentation")).get_supxlabel()
    assert "above that of validation" in text
    assert "with dropout and augmentation and during the epoch" in text
    assert "dropout" not in learning_curves(above).get_supxlabel()


@pytest.mark.parametrize("split", ["val", "test"])
@pytest.mark.parametrize(
    "losses", [(2.0, 1.0, 0.5, 0.1), pytest.param((1.9,), marks=pytest.mark.slow)]
)
def test_texts_do_not_overlap_each_other_or_the_curves(
    split: str | None, losses: tuple[float, ...]
) -> None:
    figure = learning_curves(history(split, *losses), "run · data · net", ("dropout",))
    assert overlapping_texts(figure) == []
    error = figure.axes[1]
    for text in error.texts:
        box = text.get_window_extent()
        for line in error.lines[:2]:
            points = error.transData.transform(np.asarray(line.get_xydata()))
            assert not any(box.contains(x, y) for x, y in points)


def test_compared_runs_have_a_line_each_and_their_epoch_marked() -> None:
    runs = {
        "birds": history("val", 1.0, 0.4, 0.8),
        "bees": history("test", 1.0, 0.4, 0.8),
        "new": history(None, 2.0),
    }
    error, loss = compared_curves(runs).axes
    named = lines(error)
    assert named["birds: validation, best 20.0%"].get_ydata().tolist() == [0.5, 0.2, 0.4]
    assert named["bees: test, last 40.0%"].get_xdata().tolist() == [1, 2, 3]
    assert "new: no errors" in named
    marks = [line.get_xydata().tolist() for line in error.get_lines() if len(line.get_xdata()) == 1]
    assert marks[:2] == [[[2, 0.2]], [[3, 0.4]]]
    assert [line.get_ydata().tolist() for line in loss.get_lines()][2] == [2.0]
    colors = [line.get_color() for line in loss.get_lines()]
    assert len(set(colors)) == 3


def test_texts_of_compared_runs_do_not_overlap() -> None:
    runs = {f"birds-{i:03d}": history("val", 2.0, 1.0) for i in range(9)}
    assert overlapping_texts(compared_curves(runs, "learning curves: birds")) == []
