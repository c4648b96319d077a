"""The texts that `alexnet tune` prints: the plan, the trials, the winner and its command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from alexnet.cli.console import percent, table
from alexnet.cli.trials import duration_text as time_text
from alexnet.config.options import flag_name
from alexnet.config.recipe_changes import flag_text, recipe_changes
from alexnet.evaluation.intervals import percent_with_interval
from alexnet.io.text import count_text, printable, shell_command

if TYPE_CHECKING:
    from alexnet.cli.outputs.tune import TunePlanOutput
    from alexnet.tune.confirmation import Confirmation
    from alexnet.tune.plan import Tuning
    from alexnet.tune.results import TuneResult
    from alexnet.tune.space import Space
    from alexnet.tune.trials import TrialSummary
    from alexnet.tune.tuner import Session

NUM_SHOWN = 10
"""Maximum number of the best trials in the table."""
MIN_TRAININGS = 5
"""Number of whole trainings that the time should suffice for; most trials end early."""
ENOUGH = 20
"""Number of trials from which on importances are not rough: the best quarter is then five."""


def duration_text(seconds: float) -> str:
    """An estimated time."""
    return f"about {time_text(seconds)}"


def plan_text(plan: TunePlanOutput) -> str:
    """The plan of a tuning as text."""
    images = ", ".join(f"{count:,} {split}" for split, count in plan.images.items())
    trials = [(str(i), *_values(values)) for i, values in enumerate(plan.first_trials)]
    names = [parameter.flag[2:] for parameter in plan.space]
    seconds = plan.seconds_of_training
    lines = [
        f"{plan.recipe} on {plan.data}: {images} images",
        f"folder    {plan.folder}",
        f"a trial   {plan.epochs} epochs, {duration_text(seconds)} with all threads; ended from "
        f"epoch {plan.min_epochs} on if it falls behind",
        f"confirm   {count_text(plan.confirm_trainings, 'training')}, "
        f"{duration_text(seconds * plan.confirm_trainings)}",
        "",
        table(("option", "range or choices"), [(p.flag, p.text()) for p in plan.space], left=2),
        "",
        "the first trials, of which the first is the recipe itself",
        table(("trial", *names), trials),
    ]
    return "\n".join(line if "\n" in line else printable(line) for line in lines)


def start_text(session: Session, confirm: int, seconds: float) -> Iterator[str]:
    """Yield a sentence on what a call will do, and a warning if its time is short.

    Args:
        session: the session of the call.
        confirm: number of seeds of the confirmation.
        seconds: estimated seconds of a whole training with all threads.
    """
    at_once = f", {session.jobs} at once" if session.jobs > 1 else ""
    then = "no confirmation"
    if confirm:
        then = f"then {2 * confirm} trainings confirm the winner, "
        then += duration_text(2 * confirm * seconds)
    yield (
        f"{session.trials} trials{at_once}, at most {session.minutes:g} min, into "
        f"{session.folder.path}; {then}"
    )
    if 60 * session.minutes < MIN_TRAININGS * seconds:
        yield (
            f"a whole training takes {duration_text(seconds)}, so {session.minutes:g} min are "
            "short for a choice; fewer --epochs, or more --minutes"
        )


def _values(values: dict[str, Any]) -> list[str]:
    return [flag_text(value) for value in values.values()]


def going_text(trials: Sequence[TrialSummary], wanted: int, elsewhere: int) -> Iterator[str]:
    """Yield a sentence on the trials that remain after a call, if any do.

    Args:
        trials: the trials that have begun.
        wanted: number of trials in all.
        elsewhere: number of trials that other processes are running in this folder.
    """
    ended = sum(trial.state != "unfinished" for trial in trials)
    if elsewhere:
        yield (
            f"another process still does {count_text(elsewhere, 'trial')} in this folder; at its "
            "end it tells the result, with the confirmation"
        )
    elif ended < wanted:
        yield f"{ended} of {wanted} trials have ended; the same command goes on with the others"


def result_text(result: TuneResult) -> str:
    """The result as text: best trials, importances, the winner, its confirmation and command."""
    counts = Counter(trial.state for trial in result.trials)
    states = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    lines = [
        printable(f"{count_text(len(result.trials), 'trial')} in {result.folder}: {states}"),
        "",
        trials_table(result.trials, result.space),
        "",
        *_failure_lines(result.trials),
        _importance_text(result),
        _winner_text(result),
        *([_confirmation_text(result.confirmation)] if result.confirmation else []),
        printable(f"command   {result.command}"),
        printable(f"config    {result.config}"),
        *(printable(f"plot      {path}") for path in result.plots),
    ]
    return "\n".join(lines)


def trials_table(trials: Sequence[TrialSummary], space: Space) -> str:
    """A table of the best trials with their values, and of the recipe itself."""
    from alexnet.tune.trials import ranked

    best = ranked(trials)
    shown = best[:NUM_SHOWN] + [trial for trial in best[NUM_SHOWN:] if trial.is_recipe]
    rows = [
        (
            f"{trial.number}{' (recipe)' if trial.is_recipe else ''}",
            trial.state,
            str(trial.epochs),
            percent(trial.val_top1_error),
            *_values(trial.values),
        )
        for trial in shown
    ]
    names = [parameter.flag[2:] for parameter in space]
    return table(("trial", "state", "epochs", "val error", *names), rows, left=2)


def _failure_lines(trials: Sequence[TrialSummary]) -> Iterator[str]:
    """Yield a line for each reason why trials failed."""
    failed = [trial for trial in trials if trial.state == "failed"]
    for reason in dict.fromkeys(trial.reason for trial in failed):
        numbers = ", ".join(str(trial.number) for trial in failed if trial.reason == reason)
        yield printable(f"failed    trial {numbers}: {reason}")


def _importance_text(result: TuneResult) -> str:
    """A line on the importances, and on the number of trials they are computed from."""
    if not result.importances:
        return "matters   there are too few trials to tell which options matter"
    ordered = sorted(result.importances.items(), key=lambda item: -item[1])
    values = ", ".join(f"{flag_name(o)} {100 * value:.0f} %" for o, value in ordered)
    compared = count_text(result.importance_trials, "trial")
    after = f"of {compared} after {count_text(result.importance_epochs, 'epoch')}"
    roughly = ": roughly" if result.importance_trials < ENOUGH else ""
    return f"matters   {values} ({after}{roughly})"


def _winner_text(result: TuneResult) -> str:
    """A line on the validation errors of the winner, of its equals and of the recipe."""
    from alexnet.tune.trials import num_equal

    winner, total = result.winner, result.images.get("val", 0)
    error = percent_with_interval(winner.val_top1_error, total)
    on = f"validation error {error} on {count_text(total, 'image')}"
    if equal := num_equal(winner, result.trials):
        on += f", equal to {count_text(equal, 'other trial')}"
    if winner.is_recipe:
        return f"winner    the recipe itself: {on}; no trial was better, so nothing is confirmed"
    recipe = next((t for t in result.trials if t.is_recipe), None)
    own = f"; the recipe: {percent(recipe.val_top1_error)}" if recipe else ""
    return f"winner    trial {winner.number}: {on}{own}; the lowest of many, so it is too good"


def _confirmation_text(found: Confirmation) -> str:
    """A line on the comparison on new seeds."""
    where = (
        "test images, which took no part in the choice"
        if found.split == "test"
        else "validation images, which chose the winner, so its lead is too large"
    )
    preset, winner = (sum(e) / len(e) for e in (found.recipe_errors, found.winner_errors))
    interval = "no interval with one seed"
    if found.interval:
        low, high = 100 * found.interval.low, 100 * found.interval.high
        interval = f"95 % interval {low:+.1f} to {high:+.1f}"
    return (
        f"confirmed {count_text(len(found.seeds), 'new seed')} on {found.num_images:,} {where}: "
        f"recipe {percent(preset)}, winner {percent(winner)}; "
        f"difference {100 * found.difference:+.1f} points ({interval})"
    )


def winner_command(
    preset: Sequence[str], words: Sequence[str], config: str, tuning: Tuning, winner: TrialSummary
) -> str:
    """The command that trains the winner.

    Args:
        preset: the word before the flags, if there was one.
        words: the flags of the recipe, as typed.
        config: the config file, or "".
        tuning: the tuning.
        winner: the trial that won.
    """
    from alexnet.tune.results import winner_recipe

    changes = recipe_changes((tuning.start, winner_recipe(tuning, winner)))
    flags = {change.flag for change in changes}
    parts = ["alexnet", "train", *preset, *without_flags(words, flags)]
    parts += ["--config", config] if config else []
    for change in changes:
        parts += flag_words(change.flag, change.values[1])
    return shell_command(parts)


def without_flags(words: Sequence[str], flags: set[str]) -> Iterator[str]:
    """Yield the words without the given flags and their values."""
    is_kept = True
    for word in words:
        if word.startswith("--"):
            name = word.partition("=")[0]
            is_kept = name not in flags and name.replace("--no-", "--", 1) not in flags
        if is_kept:
            yield word


def flag_words(flag: str, value: Any) -> list[str]:
    """A flag and its value as words that are parsed to exactly this value."""
    if isinstance(value, bool):
        return [flag if value else flag.replace("--", "--no-", 1)]
    if isinstance(value, list):
        return [flag, *(word for item in value for word in flag_words(flag, item)[1:])]
    short = flag_text(value)
    is_exact = not isinstance(value, float) or float(short) == value
    return [flag, "" if value == "" else short if is_exact else repr(value)]
