"""Metrics of a running epoch, and the errors that decide something."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from alexnet.records import EpochRecord
from alexnet.runtime import device
from alexnet.training.state import TrainState
from alexnet.training.step_figures import RunningMetrics, StepFigures, step_sums
from support import no_float64
from support.no_float64 import LimitedDevice, LimitedTensor
from support.steps import with_step

LOGITS = torch.tensor([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
LABELS = torch.tensor([0, 2])


def record(split: str | None, train_error: float, eval_error: float | None) -> EpochRecord:
    """An epoch with these errors."""
    return EpochRecord(
        epoch=1, step=1, lr=0.1, train_loss=1.0, train_top1_error=train_error, train_top5_error=0.0,
        eval_split=split, eval_loss=eval_error, eval_top1_error=eval_error,
        eval_top5_error=eval_error, layers=(),
    )  # fmt: skip


def test_metrics_are_means_over_images() -> None:
    metrics = with_step(RunningMetrics(), torch.tensor(2.0), LOGITS, LABELS, None)
    metrics = with_step(metrics, torch.tensor(5.0), LOGITS[:1], LABELS[:1], None)
    assert metrics.mean_loss == (2 * 2.0 + 5.0) / 3
    assert metrics.top1_error == 1 / 3
    assert metrics.top5_error == 0


def test_mixed_steps_count_only_where_there_are_no_others() -> None:
    """The last class is predicted, which is 1/4 of the first image and 3/8 of the second."""
    targets = torch.tensor([[0.75, 0.0, 0.25], [0.0, 0.625, 0.375]])
    mixed = with_step(RunningMetrics(), torch.tensor(7.0), LOGITS.flip(1), LABELS, targets)
    assert (mixed.mean_loss, mixed.top1_error, mixed.top5_error) == (7.0, 0.6875, 0.0)
    both = with_step(mixed, torch.tensor(2.0), LOGITS, LABELS, None)
    assert (both.mean_loss, both.top1_error) == (2.0, 0.5)


def test_an_epoch_ends_with_its_record_and_new_metrics() -> None:
    state = TrainState()
    values = torch.cat([step_sums(torch.tensor(2.0), LOGITS, LABELS, None), torch.zeros(1)])
    figures = StepFigures(step=1, lr=0.1, num_images=2, is_mixed=False, values=values)
    state.end_step(figures)
    state.metrics = state.metrics.plus(figures.read(), figures.is_mixed)
    assert (state.step, state.epoch, state.metrics.images) == (1, 0, 2)
    assert state.has_trained_epoch(steps_per_epoch=1)
    list(state.timer.timed(iter([(LOGITS, LABELS)])))
    state.end_epoch(record("val", 0.5, 0.4))
    assert (state.step, state.epoch, state.metrics) == (1, 1, RunningMetrics())
    assert not state.has_trained_epoch(steps_per_epoch=1)


def test_the_test_split_decides_nothing() -> None:
    splits = (("val", 0.5, 0.4), ("test", 0.5, 0.4), (None, 0.5, None))
    assert [TrainState(history=[record(*split)]).errors() for split in splits] == [
        [0.4],
        [0.5],
        [0.5],
    ]


@pytest.mark.parametrize("targets", [None, torch.tensor([[0.75, 0.0, 0.25], [0.0, 0.625, 0.375]])])
def test_metrics_of_a_device_without_float64(
    targets: Tensor | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = with_step(RunningMetrics(), torch.tensor(2.0), LOGITS, LABELS, targets)
    monkeypatch.setattr(device, "has_float64", lambda where: where != no_float64.DEVICE)
    loss, *tensors = map(LimitedTensor, (torch.tensor(2.0), LOGITS, LABELS))
    with LimitedDevice():
        limited = None if targets is None else LimitedTensor(targets)
        found = with_step(RunningMetrics(), loss, *tensors, limited)
    assert found == expected
