"""`alexnet experiment plan`: how many seeds decide a claim, and how many hours they take."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from alexnet.cli.console import note, print_json, table
from alexnet.cli.experiment_text import WIDTH, paragraph
from alexnet.cli.flags import parse
from alexnet.cli.help import HELP_WORDS
from alexnet.errors import ModelFileError, UsageError
from alexnet.experiments.catalogue import experiment
from alexnet.experiments.experiment import ProtocolName
from alexnet.experiments.formatting import format_half_width
from alexnet.experiments.plan import Plan
from alexnet.experiments.speeds import known_speeds
from alexnet.io.text import shell_command
from alexnet.progress import ProgressReporter

if TYPE_CHECKING:
    from alexnet.cli.outputs.experiment_power import (
        ComparisonPlan,
        EarlierResult,
        ExperimentPowerOutput,
    )
    from alexnet.experiments.results import ExperimentResult

NO_SPREAD = "the earlier runs cannot tell the spread: some ended before they reached the target"
MAX_DIFFERENCES = 3
"""Maximum number of differences between protocols that are listed; further ones are counted."""


@dataclass(frozen=True, kw_only=True)
class PlanFlags:
    """How many seeds decide a claim, by the runs that exist, and the hours that they take here."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]
    """The experiment's name; `alexnet experiment list` shows all."""
    quick: bool = False
    """Plan the quick protocol instead of the full one."""
    data: Literal["small", "imagenet"] = "small"
    """small: CIFAR-10 or Oxford 17, depending on the experiment; imagenet: the paper's own size."""
    from_: Annotated[str, tyro.conf.arg(name="from", metavar="FOLDER")] = ""
    """The finished experiment that tells the spread between seeds; unless given, the one in
    runs/experiments, else the result that is kept with the program."""
    device: str = "auto"
    """auto: the first GPU, else the CPU."""
    jobs: int | None = None
    """Runs at once, which share the threads. Unless given: as many as `experiment run` chooses."""
    json: bool = False
    """Print JSON."""


def plan_action(arguments: Sequence[str]) -> int:
    """Print the expected intervals and costs of an experiment with 3 to 20 seeds."""
    check_names(arguments)
    flags = parse(PlanFlags, arguments, "experiment plan")
    plan = Plan(
        experiment=experiment(flags.name),
        protocol_name=protocol_of(flags.quick, flags.data),
        device=flags.device,
    )
    jobs = jobs_of(flags.jobs, flags.data, flags.device)
    from alexnet.cli.outputs.experiment_power import power_output

    earlier, path = earlier_result(flags.name, plan.protocol_name, flags.from_)
    speeds = known_speeds(flags.device, jobs)
    with ProgressReporter() as reporter:
        speeds.measure([plan], reporter.on_measure)
    found = power_output(plan, earlier, path, speeds, jobs)
    print_json(found) if flags.json else print(plan_text(found))
    return 0


def check_names(arguments: Sequence[str]) -> None:
    """Check the names of experiments, so that a wrong name is reported before a wrong flag.

    Raises:
        UnknownNameError: there is no such experiment.
    """
    if HELP_WORDS.isdisjoint(arguments):
        for name in takewhile(lambda word: not word.startswith("-"), arguments):
            experiment(name)


def jobs_of(jobs: int | None, data: Literal["small", "imagenet"], device: str) -> int:
    """The number of runs at once: `jobs` if given, else the default for the data and the device.

    The default is one run per core of a CPU, up to 8 on one GPU, and 1 on ImageNet.

    Raises:
        UsageError: `jobs` is below 1.
    """
    from alexnet.runtime.workers import default_jobs

    if jobs is None:
        return 1 if data == "imagenet" else default_jobs(device)
    if jobs < 1:
        raise UsageError(f"--jobs {jobs} must be at least 1")
    return jobs


def protocol_of(quick: bool, data: Literal["small", "imagenet"]) -> ProtocolName:
    """The protocol that the flags ask for.

    Raises:
        UsageError: the flags ask for two protocols at once.
    """
    if quick and data == "imagenet":
        raise UsageError("--quick is not for --data imagenet; leave one of them out")
    small: ProtocolName = "quick" if quick else "full"
    return "imagenet" if data == "imagenet" else small


def earlier_result(
    name: str, protocol: ProtocolName, folder: str
) -> tuple[ExperimentResult | None, str]:
    """The result to plan from, and its path as text: from `folder`, the user's runs, or a kept one.

    (None, "") if there is none.

    Raises:
        ModelFileError: `folder` holds no finished experiment.
        UsageError: it holds another experiment.
    """
    from alexnet.experiments.kept_results import PROTOCOLS, kept_path
    from alexnet.experiments.results import RESULT, has_result, read_result, read_result_file

    if folder:
        found = read_result(Path(folder))
        if found.experiment != name:
            raise UsageError(f"--from {folder} holds the experiment {found.experiment}, not {name}")
        return found, folder
    for size in (protocol, *PROTOCOLS):
        own, kept = Path(f"runs/experiments/{name}-{size}"), kept_path(name, size)
        try:
            if has_result(own):
                return read_result(own), str(own / RESULT)
        except ModelFileError as error:  # such as of an older format
            note(f"not planned from {own}: {error}")
        if kept.is_file():
            return read_result_file(kept), f"the kept {kept.name}"
    return None, ""


def plan_text(found: ExperimentPowerOutput) -> str:
    """The plan as text of 80 columns."""
    head = f"{found.experiment}, {found.protocol}"
    if not found.earlier:
        first = shell_command(["alexnet", "experiment", "run", found.experiment, "--quick"])
        again = f"alexnet experiment plan {found.experiment}"
        return "\n".join([head, paragraph("from", _no_result(first, again)), "", _costs(found)])
    blocks = ["\n".join(_block(i, one)) for i, one in enumerate(found.comparisons, 1)]
    lines = [head, *_earlier_lines(found.earlier)]
    return "\n\n".join(["\n".join(lines), *blocks, _widths(found)])


def _no_result(first: str, again: str) -> str:
    return (
        "no earlier result, so the spread between seeds is not known. "
        f"Run `{first}`, then `{again}` again."
    )


def _earlier_lines(earlier: EarlierResult) -> Iterator[str]:
    seeds = f"{earlier.num_seeds} seeds, {earlier.verdict}"
    yield paragraph("from", f"{earlier.path} ({seeds})")
    if earlier.differences:
        shown = "; ".join(earlier.differences[:MAX_DIFFERENCES])
        rest = len(earlier.differences) - MAX_DIFFERENCES
        more = f"; and {rest} more" if rest > 0 else ""
        yield paragraph("but", f"its protocol differs: {shown}{more}")


def _block(number: int, one: ComparisonPlan) -> Iterator[str]:
    """Yield the lines on a comparison: its effect, and the seeds that it needs."""
    from alexnet.experiments.formatting import format_effect, format_interval
    from alexnet.experiments.power import describe_power

    name = one.name if one.is_primary else f"{one.name} (secondary)"
    yield paragraph(f"{number}", name, 2)
    counts = f"the effect that counts is {format_effect(one.min_effect, one.scale)}"
    if not one.measured:
        yield paragraph("", f"{counts}; the earlier runs did not compare these arms", 2)
        return
    yield paragraph("", f"{counts}; measured {format_interval(one.measured, one.scale)}", 2)
    expected = describe_power(one.power, one.scale) if one.power else NO_SPREAD
    yield paragraph("", expected, 2)


def _costs(found: ExperimentPowerOutput) -> str:
    rows = [(f"{seeds}", _hours(minutes)) for seeds, minutes in _by_seeds(found)]
    return table(("seeds", "hours"), rows, left=0)


def _hours(minutes: float | None) -> str:
    return "-" if minutes is None else f"{minutes / 60:.1f}"


def _by_seeds(found: ExperimentPowerOutput) -> Iterator[tuple[int, float | None]]:
    return zip(found.seeds, found.minutes, strict=True)


def _widths(found: ExperimentPowerOutput) -> str:
    """A table of the hours and the half-widths of the intervals, by number of seeds."""
    rows = [
        (f"{seeds}", _hours(minutes), *[_cell(one, i) for one in found.comparisons])
        for i, (seeds, minutes) in enumerate(_by_seeds(found))
    ]
    numbers = [f"{i}" for i, _ in enumerate(found.comparisons, 1)]
    unit = "factors" if found.comparisons[0].scale == "ratio" else "percentage points"
    about = textwrap.fill(
        f"Hours on this machine, and the expected half-width of the 95 % interval of each "
        f"comparison in {unit}; * is smaller than the effect that counts.",
        WIDTH,
    )
    return f"{table(('seeds', 'hours', *numbers), rows, left=0)}\n\n{about}"


def _cell(one: ComparisonPlan, i: int) -> str:
    if one.power is None:
        return "-  "
    width = one.power.half_widths[i]
    return f"{format_half_width(width, one.scale)}{' *' if width < one.power.smallest else '  '}"
