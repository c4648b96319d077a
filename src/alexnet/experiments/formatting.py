"""Experiments in words and numbers for people: settings, effects, costs."""

from __future__ import annotations

import math

from alexnet.experiments.experiment import Measure, Scale
from alexnet.experiments.intervals import Interval
from alexnet.experiments.plan import Plan, minutes

MEASURED: dict[Measure, str] = {
    "test_error": "top-1 error on test pictures",
    "train_error": "top-1 error on the training pictures",
    "early_train_error": "training error, mean over the epochs",
    "epochs_to_error": "epochs to the wanted training error",
}


def number(value: float, measure: Measure, is_bound: bool = False) -> str:
    """A value in its unit: percent, or epochs."""
    text = f"{value:.2f}" if measure == "epochs_to_error" else f"{100 * value:.2f} %"
    return f"> {text}" if is_bound else text


def effect(value: float, scale: Scale) -> str:
    """A difference in points of percent, or a ratio."""
    return f"{value:.2f} x" if scale == "ratio" else f"{100 * value:+.2f} points"


def estimate(interval: Interval, scale: Scale) -> str:
    """An effect as it was measured; "at least" where a run did not get to its end."""
    least = {
        (False, False): "",
        (False, True): "at least ",
        (True, False): "at most ",
        (True, True): "perhaps ",
    }[(interval.is_open_below, interval.is_open_above)]
    return f"{least}{effect(interval.estimate, scale)}"


def duration(value: float) -> str:
    """Minutes as people say them; 0 means that nobody has measured it."""
    if not value:
        return "not measured"
    if value < 100:
        return f"{value:.1f} min" if value < 9.95 else f"{value:.0f} min"
    return f"{value / 60:.1f} h"


def setting(plan: Plan) -> str:
    """The sizes of the runs in one sentence."""
    base, protocol = plan.protocol.base, plan.protocol
    options = base.data_options
    width = "" if base.model.width == 1 else f" at {base.model.width:g} of its width"
    sizes = {plan.recipe(arm, 0.0, 0).data_options.train_per_class for arm in plan.arms}
    counts = ", ".join(
        str(size) if size else "all" for size in sorted(sizes, key=lambda size: size or math.inf)
    )
    test = f"; {options.test_per_class} test pictures a class" if options.test_per_class else ""
    epochs = sorted({plan.epochs(arm) for arm in plan.arms})
    span = f"{epochs[0]}" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
    goal = base.target_train_error
    until = f", at most, until {100 * goal:g} % training error" if goal is not None else ""
    rates = ", ".join(f"{rate:g}" for rate in protocol.rates)
    return (
        f"{base.data}, {counts} training pictures a class{test}; {base.arch}{width}; "
        f"{span} epochs{until}, batches of {base.batch_size}; "
        f"{'each arm its best rate of ' if len(protocol.rates) > 1 else 'rate '}{rates}; "
        f"{len(plan.seeds)} seeds an arm"
    )


def cost(plan: Plan) -> str:
    """What a plan takes, in words."""
    return duration(minutes(plan))
