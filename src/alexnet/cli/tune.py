"""`alexnet tune`: search for better values of a recipe's options, and confirm the winner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from alexnet.api.recipes import choose_weights, name_after_data, read_call
from alexnet.cli.console import note, note_next, print_json
from alexnet.cli.flags import parse, parse_known
from alexnet.cli.run_options import choosing_flags, first_word
from alexnet.cli.slow_cpu import note_slow_cpu
from alexnet.cli.tune_text import (
    duration_text,
    going_text,
    plan_text,
    result_text,
    start_text,
    winner_command,
)
from alexnet.config.presets import PRESETS
from alexnet.config.recipe import Recipe
from alexnet.errors import require, require_at_least, require_not_negative
from alexnet.io.text import shell_command
from alexnet.progress import ProgressReporter
from alexnet.runtime.extras import require_extra

if TYPE_CHECKING:
    from alexnet.tune.confirmation import Confirmation
    from alexnet.tune.plan import Tuning
    from alexnet.tune.results import Findings, TuneResult
    from alexnet.tune.tuner import Session

TUNE_RUNS = "runs/tune"
"""The parent folder of the tunings' folders."""


@dataclass(frozen=True, kw_only=True)
class TuneOptions:
    """What is not part of the recipe that is tuned."""

    trials: int = 40
    """Trainings with other values, the recipe itself first; of all calls and machines together.
    Many end early, since others are better."""
    minutes: float = 60.0
    """No trial begins after so many minutes of this call, and those that run are stopped, to be
    continued by the same command; the confirmation comes after it. 0 and --confirm 0 show what is
    known."""
    jobs: int | None = None
    """Trials at once, which share the threads; unless given, one for every core of a CPU, and up to
    8 on one GPU."""
    space: Annotated[str, tyro.conf.arg(metavar="FILE")] = ""
    """TOML, JSON or YAML file of what is varied, by the words of the flags, such as
    lr = {low = 1e-4, high = 1e-2, log = true} or batch-size = {choices = [16, 32]}; unless given,
    learning rate, weight decay and what the recipe has of dropout, augmentation and freezing."""
    confirm: int = 3
    """New seeds on which the winner is compared with the recipe, on the test images; 0: none."""
    keep_models: int = 10
    """Weights of so many of the best trials are kept; trials that end early keep none."""
    study: str = ""
    """Where Optuna's study is: a path, or an address such as sqlite:///tune.db or one of a server,
    which several machines share; in the tuning's folder unless given."""
    out: Annotated[str, tyro.conf.arg(metavar="FOLDER")] = ""
    """The tuning's folder; runs/tune/NAME unless given. One that was stopped is continued, and one
    that is worked on is joined."""
    config: str = ""
    """As for alexnet train."""
    dry_run: bool = False
    """Print the space, the first trials and the estimated time; train nothing."""
    json: bool = False
    """Print the result as JSON."""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "trials", "jobs", "keep_models")
        require(self.minutes >= 0, f"--minutes {self.minutes:g} must not be negative")
        require_not_negative(self, "confirm")


DEFAULT_OPTIONS = TuneOptions()


@dataclass(frozen=True, kw_only=True)
class TuneFlags:
    """Tune a recipe."""

    tune: TuneOptions = DEFAULT_OPTIONS
    recipe: Recipe


def run(arguments: Sequence[str]) -> int:
    """Tune, confirm, and print the trials and the winning command."""
    preset, words = first_word("tune", arguments)
    options, words = parse_known(TuneOptions, words, "tune", DEFAULT_OPTIONS)
    given, rest = choosing_flags(words)
    call = read_call(preset, options.config, given)

    def read(**source: str) -> Recipe:
        return read_recipe(rest, options, call.recipe(**source), given, arguments)

    recipe = read()
    require_extra("optuna", "tune", "alexnet tune")
    with ProgressReporter() as reporter:
        recipe, notes = choose_weights(recipe, read, reporter)
        for text in notes:
            reporter.note(text)
        tuning = plan(recipe, options, reporter)
    typed = ([preset] if preset else [], words)
    if options.dry_run:
        return dry_run(tuning, options)
    result = tune(tuning, options, typed, arguments)
    if options.json:
        print_json(result)
    else:
        print(result_text(result))
        if result.winner.path:
            note_next(["alexnet", "report", result.winner.path])
    return 0


def read_recipe(
    words: Sequence[str],
    options: TuneOptions,
    start: Recipe,
    given: Mapping[str, Any],
    typed: Sequence[str] = (),
) -> Recipe:
    """Parse the flags of `train` that change a recipe.

    Args:
        words: the flags, without those in CHOOSING.
        options: the options that are not part of the recipe.
        start: the recipe that the flags change.
        given: the values of the flags in CHOOSING.
        typed: all words after the verb, for messages; `words` unless given.
    """
    description = (
        "Search for better values of a recipe's options. Optuna proposes them, ends trials that "
        "fall behind, and the validation images choose; the winner is then compared with the "
        f"recipe on new seeds and the test images. Presets: {', '.join(PRESETS)}. All flags of "
        "alexnet train change the recipe."
    )
    default = TuneFlags(tune=options, recipe=replace(start, **given))
    flags = parse(TuneFlags, words, "tune", default, description, typed=typed)
    return name_after_data(flags.recipe, start)


def plan(recipe: Recipe, options: TuneOptions, reporter: ProgressReporter) -> Tuning:
    """Plan the tuning; the image store is built unless --dry-run is given."""
    from alexnet.training.initial_weights import resolve
    from alexnet.tune.plan import plan_tuning
    from alexnet.tune.space import default_space, read_space

    file = Path(options.space)
    space = read_space(file, recipe) if options.space else default_space(recipe)
    if not options.dry_run:
        recipe = resolve(recipe, reporter)
    tuning = plan_tuning(recipe, space, reporter, dry=options.dry_run)
    for text in tuning.notes:
        reporter.note(text)
    return tuning


def folder_of(tuning: Tuning, options: TuneOptions) -> Path:
    """The tuning's folder."""
    return Path(options.out or f"{TUNE_RUNS}/{tuning.start.name}")


def dry_run(tuning: Tuning, options: TuneOptions) -> int:
    """Print the plan of the tuning."""
    from alexnet.cli.outputs.tune import plan_output

    found = plan_output(tuning, str(folder_of(tuning, options)), options.confirm)
    if options.json:
        print_json(found)
    else:
        print(plan_text(found))
    return 0


def tune(
    tuning: Tuning,
    options: TuneOptions,
    typed: tuple[Sequence[str], Sequence[str]],
    arguments: Sequence[str],
) -> TuneResult:
    """Do the trials and the confirmation; an interruption tells how to continue."""
    from alexnet.tune.results import find_winner, write_findings, write_result
    from alexnet.tune.tuner import num_elsewhere

    again = shell_command(["alexnet", "tune", *arguments])
    session = open_session(tuning, options)
    try:
        if options.minutes:
            do_trials(session, options)
        elsewhere = num_elsewhere(session)
        found = find_winner(session.study, tuning, session.folder)
        figures = write_findings(tuning, session.folder, found)
        for text in going_text(found.trials, options.trials, elsewhere):
            note(text)
        confirmation = None if elsewhere else confirm_winner(session, found, options)
    except KeyboardInterrupt:
        note(f"continue the tuning with: {again}")
        raise
    command = winner_command(*typed, options.config, tuning, found.winner)
    return write_result(
        tuning,
        session.folder,
        found,
        command=command,
        confirmation=confirmation,
        figures=figures,
    )


def open_session(tuning: Tuning, options: TuneOptions) -> Session:
    """Open the folder and the study of a tuning, with the limits of this call."""
    from alexnet.runtime.workers import default_jobs
    from alexnet.tune.folder import open_folder
    from alexnet.tune.tuner import open_session as open_study_session

    folder = open_folder(folder_of(tuning, options), options.study, note)
    return open_study_session(
        tuning,
        folder,
        trials=options.trials,
        minutes=options.minutes,
        jobs=options.jobs or default_jobs(tuning.recipe.device),
        keep_models=options.keep_models,
    )


def do_trials(session: Session, options: TuneOptions) -> None:
    """Do trials until there are enough or the time is over, with a line of progress."""
    from alexnet.cli.tune_progress import TuneProgress
    from alexnet.tune.estimate import seconds_of_training
    from alexnet.tune.tuner import run_trials

    for text in start_text(session, options.confirm, seconds_of_training(session.tuning)):
        note(text)
    note_slow_cpu(session.tuning.recipe.device)
    with TuneProgress() as progress:
        session.observe = progress.show
        run_trials(session)


def confirm_winner(session: Session, found: Findings, options: TuneOptions) -> Confirmation | None:
    """Compare the winner with the recipe on new seeds; None if not wanted or not possible."""
    from alexnet.cli.tune_progress import TuneProgress
    from alexnet.tune.confirmation import confirm

    if not options.confirm or found.winner.is_recipe:
        return None
    seconds = sum(trial.seconds or 0.0 for trial in found.trials if trial.is_recipe)
    count = 2 * options.confirm
    about = duration_text(seconds * count / min(session.jobs, count))
    note(f"confirming trial {found.winner.number} with {count} trainings, {about} if all are new")
    with TuneProgress() as progress:
        confirmation = confirm(session, found.winner, options.confirm, progress.show_confirming)
    if confirmation is None:
        note("another process confirms the winner now, and tells the result")
    return confirmation
