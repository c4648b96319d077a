"""Settings, effects and costs of experiments as text."""

from __future__ import annotations

import math
from collections.abc import Sequence

from alexnet.experiments.experiment import SPEED_MEASURES, Measure, Scale
from alexnet.experiments.intervals import Interval
from alexnet.experiments.plan import Plan

MEASURE_NAMES: dict[Measure, str] = {
    "test_error": "top-1 test error",
    "train_error": "top-1 training error",
    "early_train_error": "training error, mean over the epochs",
    "epochs_to_error": "epochs to the target training error",
}


def format_value(value: float, measure: Measure, *, censored: bool = False) -> str:
    """A value in its unit: percent, or epochs; with ">" where it is a lower bound."""
    text = f"{value:.2f}" if measure == "epochs_to_error" else f"{100 * value:.2f} %"
    return f"> {text}" if censored else text


def format_effect(value: float, scale: Scale) -> str:
    """A difference in percentage points, or a ratio."""
    return f"{value:.2f} x" if scale == "ratio" else f"{100 * value:+.2f} points"


def format_estimate(interval: Interval, scale: Scale) -> str:
    """The estimated effect, as a bound where runs were censored."""
    bound = {
        (False, False): "",
        (False, True): "at least ",
        (True, False): "at most ",
        (True, True): "perhaps ",
    }[(interval.is_unbounded_below, interval.is_unbounded_above)]
    return f"{bound}{format_effect(interval.estimate, scale)}"


def format_interval(interval: Interval, scale: Scale) -> str:
    """An estimate and its interval: "+0.27 points (-3.03 to +3.55)"; "-" for a missing end."""
    low, high = (
        "-" if is_missing else format_effect(end, scale).rpartition(" ")[0]
        for end, is_missing in (
            (interval.low, interval.is_unbounded_below),
            (interval.high, interval.is_unbounded_above),
        )
    )
    return f"{format_estimate(interval, scale)} ({low} to {high})"


def format_lrs(lrs: Sequence[float]) -> str:
    """The learning rates of an arm's seeds: one where they are equal, else the range."""
    low, high = f"{min(lrs):g}", f"{max(lrs):g}"
    return low if low == high else f"{low} to {high}"


def format_half_width(value: float, scale: Scale) -> str:
    """Half of an interval's width: in percentage points, or as a factor of a ratio."""
    return f"x {math.exp(value):.2f}" if scale == "ratio" else f"{100 * value:.2f}"


def format_minutes(minutes: float) -> str:
    """A duration in minutes, hours or days."""
    if minutes >= 100 * 60:
        return f"{minutes / 60 / 24:.1f} days"
    if minutes < 100:
        return f"{minutes:.1f} min" if minutes < 9.95 else f"{minutes:.0f} min"
    return f"{minutes / 60:.1f} h"


def format_cost(minutes: float | None) -> str:
    """The time that runs take on this machine, in words."""
    if minutes is None:
        return "not measured here yet"
    return f"about {format_minutes(minutes)} here"


def describe_setting(plan: Plan) -> str:
    """Data, architecture and training options of the runs in one sentence."""
    base, protocol = plan.protocol.base, plan.protocol
    width = "" if base.model.width == 1 else f" at {base.model.width:g} of its width"
    lr = protocol.lr_grid[0]
    sizes = {plan.recipe(arm, lr, 0).data_options.train_per_class for arm in plan.arms}
    by_size = sorted(sizes, key=lambda size: size or math.inf)
    train = ", ".join(str(size) if size else "all" for size in by_size)
    epochs = sorted({plan.epochs(arm) for arm in plan.arms})
    span = f"{epochs[0]}" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
    target = base.stopping.target_train_error
    until = f" at most, until {100 * target:g} % training error" if target is not None else ""
    which = f", {plan.seeds[0]} to {plan.seeds[-1]}" if protocol.first_seed else ""
    fewer = "".join(
        f", {len(own)} of {arm.name}"
        for arm in plan.arms
        if len(own := plan.seeds_of(arm)) < len(plan.seeds)
    )
    return (
        f"{base.data}, {train} training images per class; {base.arch}{width}; "
        f"{span} epochs{until}, batch size {base.batch_size}; "
        f"learning rate {_lrs_text(plan)}; {len(plan.seeds)} seeds per arm{which}{fewer}"
    )


def _lrs_text(plan: Plan) -> str:
    """How the learning rates are chosen, and the grids of arms that have their own."""
    protocol, measure = plan.protocol, plan.experiment.measure
    present = {name for arm in plan.arms for name in (arm.name, arm.series)}
    grids = {name: grid for name, grid in protocol.arm_lr_grids.items() if name in present}
    own = "; ".join(f"{name}: {_grid_text(grids[name], protocol.lr_grid)}" for name in grids)
    others = f" ({own})" if own else ""
    if measure in SPEED_MEASURES or not protocol.tuning_epochs:
        return f"{_grid_text(protocol.lr_grid)}{others}"
    per_class = protocol.tuning_train_per_class
    on = f" on {per_class} training images per class" if per_class else ""
    runs = f", in runs of {protocol.tuning_epochs} epochs{on}"
    return f"{_grid_text(protocol.lr_grid)}{others}{runs}"


def _grid_text(grid: Sequence[float], rest: Sequence[float] = ()) -> str:
    rates = ", ".join(f"{lr:g}" for lr in grid)
    if len(grid) == 1:
        return f"{rates}, not tuned" if len(rest) > 1 else rates
    return f"{'' if rest else 'tuned per arm and seed, '}starting with {rates}"
