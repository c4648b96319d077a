"""The page of all claims: every experiment with its measured results, as Markdown."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from alexnet.errors import UsageError
from alexnet.experiments.catalogue import EXPERIMENTS
from alexnet.experiments.experiment import Experiment
from alexnet.experiments.formatting import format_minutes
from alexnet.experiments.report import (
    arms_table,
    effects_table,
    excluded_text,
    machine_text,
    markdown_table,
)
from alexnet.experiments.results import PLOT, ExperimentResult, read_result
from alexnet.io.files import atomic_write, write_text

NOT_RUN = "not yet run here"

HEAD = """# Claims

Every claim has a command that tests it: `alexnet experiment run NAME`. With `--quick` it takes a
few minutes on two cores. `alexnet experiment report` generates this page from the folders of
finished experiments.

## How a verdict is reached

- **Learning rates.** Every arm of an experiment is tuned over the same small grid of learning
  rates. The tuning runs are validated on held-out training images, with a seed that is not used for
  the measured runs; the test split is not used. A learning rate at the edge of the grid is marked.
- **Seeds.** With the same seed, all arms are trained on the same images in the same order. All
  arms are evaluated on the same test images. A diverged run is scored as 100 % error.
- **Interval.** Another seed would give other networks, and other test images would give other
  errors. A bootstrap over three seeds is too narrow: it never leaves the range of the three
  values, which contains the true mean only three times in four. So the 95 % interval adds a
  Student-t term for the seeds and a Bayesian bootstrap over the test images (Rubin 1981), in which
  an image has the same weight in all arms and seeds. Ratios are treated on a log scale. In
  simulations with a known effect, the interval covered it in 94 to 98 % of the cases, for 3 and 5
  seeds, whether seeds or images dominate (400 simulated experiments each;
  `test_interval_covers_the_true_effect_as_often_as_it_claims`).
- **Verdict.** Each claim states its minimum effect in advance. *Reproduced*: the whole interval is
  on the claimed side, and the estimate is at least the minimum effect. *Not reproduced*: the whole
  interval is below the minimum effect. *Undecided*: neither, or fewer than three seeds. An
  experiment with several claims is reproduced if all of them are, and not reproduced if one is not.
  Secondary comparisons do not count.
- **Censored runs.** A run that does not reach its target gives a lower bound. A ratio with such a
  run is marked "at least" and has no upper end: it can be reproduced, but not refuted.
"""


def write_page(folders: Sequence[Path], out: Path) -> tuple[ExperimentResult, ...]:
    """Write the results of finished experiments as one page, with their plots beside it.

    Args:
        folders: of experiments, no two of the same name and protocol.
        out: the Markdown file; plots are copied to `images/claims` beside it.

    Raises:
        ModelFileError: a folder holds no finished experiment.
        UsageError: two folders hold the same experiment, or the experiment is unknown.
    """
    found = [(folder, read_result(folder)) for folder in folders]
    check_different(found)
    for folder, result in found:
        with atomic_write(out.parent / plot_path(result)) as temporary:
            shutil.copyfile(folder / PLOT, temporary)
    results = tuple(result for _, result in found)
    write_text(out, page_text(results))
    return results


def check_different(found: Sequence[tuple[Path, ExperimentResult]]) -> None:
    """Check that the page can show all of these results.

    Raises:
        UsageError: two folders hold the same experiment, or the experiment is unknown.
    """
    seen: dict[str, Path] = {}
    for folder, result in found:
        key = f"{result.experiment} ({result.protocol})"
        if key in seen:
            raise UsageError(f"{seen[key]} and {folder} both hold {key}; leave one out")
        if result.experiment not in EXPERIMENTS:
            raise UsageError(f"{folder} holds {key}, an experiment that this alexnet does not have")
        seen[key] = folder


def plot_path(result: ExperimentResult) -> str:
    """The plot's path, relative to the page."""
    return f"images/claims/{result.experiment}-{result.protocol}.png"


def page_text(results: Sequence[ExperimentResult]) -> str:
    """The whole page; experiments without a result are listed as not run."""
    by_name = {name: [one for one in results if one.experiment == name] for name in EXPERIMENTS}
    rows = [_row(EXPERIMENTS[name], found) for name, found in by_name.items()]
    verdicts = markdown_table(("experiment", "claim", "source", "verdict"), rows)
    sections = [_section(EXPERIMENTS[name], found) for name, found in by_name.items()]
    return "\n\n".join([HEAD.rstrip(), "## Verdicts", verdicts, *sections]) + "\n"


def _row(experiment: Experiment, found: Sequence[ExperimentResult]) -> tuple[str, ...]:
    verdicts = "; ".join(f"{one.verdict} ({one.protocol})" for one in found)
    link = f"[`{experiment.name}`](#{experiment.name})"
    return link, experiment.claim, experiment.source, verdicts or NOT_RUN


def _section(experiment: Experiment, found: Sequence[ExperimentResult]) -> str:
    parts = [
        f"## {experiment.name}",
        experiment.claim,
        f"- **Source:** {experiment.source}\n- **Expected:** {experiment.expected}\n"
        f"- **Limits:** {experiment.limits}",
        *([_measured(one) for one in found] or [f"**Measured:** {NOT_RUN}."]),
    ]
    return "\n\n".join(parts)


def _measured(result: ExperimentResult) -> str:
    parts = [
        f"**Measured ({result.protocol}): {result.verdict}.** "
        f"{result.setting}.{excluded_text(result)}",
        effects_table(result.comparisons),
        f"![{result.experiment}: learning curves and effects]({plot_path(result)})",
        arms_table(result),
        f"{machine_text(result)}; {format_minutes(result.training_seconds / 60)} of training.",
    ]
    return "\n\n".join(parts)
