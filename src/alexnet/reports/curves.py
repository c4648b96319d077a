"""The charts of a run's epochs: errors, losses, learning rate, time, and sizes of updates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from alexnet.records import EpochRecord, EpochTimes
from alexnet.reports.line_chart import COLORS, LineChart, Series, line_chart

SPLIT_NAMES = {"val": "validation", "test": "test"}
MAX_LAYERS = 24
"""Maximum lines in the chart of updates; a deeper network shows its first and last layers."""


def percent_text(value: float) -> str:
    """Format a fraction as percent."""
    return f"{100 * value:.2f} %"


def number_text(value: float) -> str:
    """Format a number with four significant digits."""
    return f"{value:.4g}"


def run_charts(
    history: Sequence[EpochRecord], times: Sequence[EpochTimes], best_epoch: int | None
) -> list[LineChart]:
    """The charts of one run: error, loss, learning rate and seconds over the epochs."""
    epochs = [record.epoch for record in history]
    split = SPLIT_NAMES.get(next((r.eval_split or "" for r in history), ""), "")
    mark = {"mark": best_epoch, "mark_text": f"epoch {best_epoch}: the model"}
    mark = mark if best_epoch else {}
    train = [("training", "train_top1_error", "train_loss")]
    evaluated = [(split, "eval_top1_error", "eval_loss")] if split else []
    charts = []
    for title, column, text in (("Top-1 error", 1, percent_text), ("Loss", 2, number_text)):
        series = [
            Series(name=names[0], values=[getattr(r, names[column]) for r in history], color=color)
            for names, color in zip(train + evaluated, ("blue", "orange"), strict=False)
        ]
        charts.append(line_chart(title, epochs, series, text, **mark))  # type: ignore[arg-type]
    rates = Series(name="learning rate", values=[r.lr for r in history], color="green")
    charts.append(line_chart("Learning rate", epochs, [rates], number_text))
    by_epoch = {t.epoch: t.elapsed_seconds for t in times}
    seconds = Series(name="seconds", values=[by_epoch.get(e) for e in epochs], color="violet")
    charts.append(line_chart("Seconds per epoch", epochs, [seconds], number_text))
    return charts


def update_chart(history: Sequence[EpochRecord]) -> LineChart | None:
    """The chart of the update / weight ratio of each weight tensor; None if none was recorded."""
    names = list(dict.fromkeys(layer.name for record in history for layer in record.layers))
    if not names:
        return None
    if len(names) > MAX_LAYERS:
        names = names[: MAX_LAYERS // 2] + names[-MAX_LAYERS // 2 :]
    ratios = [{layer.name: layer.ratio for layer in record.layers} for record in history]
    series = [
        Series(
            name=name.removesuffix(".weight"),
            values=[by_name.get(name) for by_name in ratios],
            color=COLORS[number % len(COLORS)],
            is_dashed=number >= len(COLORS),
        )
        for number, name in enumerate(names)
    ]
    epochs = [record.epoch for record in history]
    title = "Update / weight (root mean squares)"
    return line_chart(title, epochs, series, number_text, is_log=True)


def compared_charts(histories: Mapping[str, Sequence[EpochRecord]]) -> list[LineChart]:
    """Charts of error and loss of several runs: evaluated split solid, training dashed."""
    last = max((len(history) for history in histories.values()), default=0)
    epochs = list(range(1, last + 1))
    charts = []
    shown = (("Top-1 error", "top1_error", percent_text), ("Loss", "loss", number_text))
    for title, part, text in shown:
        series = []
        for number, (name, history) in enumerate(histories.items()):
            color = COLORS[number % len(COLORS)]
            split = SPLIT_NAMES.get(next((r.eval_split or "" for r in history), ""), "")
            parts = [(split, f"eval_{part}", False)] if split else []
            for what, field, is_dashed in [*parts, ("training", f"train_{part}", True)]:
                values = [getattr(record, field) for record in history]
                padded = values + [None] * (last - len(values))
                series.append(
                    Series(name=f"{name}, {what}", values=padded, color=color, is_dashed=is_dashed)
                )
        charts.append(line_chart(title, epochs, series, text))
    return charts
