"""The page of all claims: every experiment with what was measured of it, as Markdown."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from alexnet.errors import UsageError
from alexnet.experiments.catalogue import EXPERIMENTS
from alexnet.experiments.experiment import Experiment
from alexnet.experiments.formatting import duration
from alexnet.experiments.report import arms_table, effects_table, machine, table
from alexnet.experiments.results import PICTURE, Findings, read_findings
from alexnet.io.files import atomic_write, write_text

NOT_RUN = "not yet run here"

HEAD = """# Claims

Every claim is a command: `alexnet experiment run NAME`, with `--quick` for a few minutes on two
cores. `alexnet experiment report` wrote this page from the folders of finished experiments.

## How a verdict is reached

- **Fair rates.** Every arm of an experiment chooses its learning rate from the same small grid, by
  the error on pictures that are taken out of the training ones, with a seed that is not measured.
  The test has no say. A best rate at the grid's edge is marked.
- **Same seeds.** With one seed, all arms see the same pictures in the same order, and are compared
  on the same test pictures. A run whose loss is not finite counts as knowing nothing.
- **Interval.** Another seed would give other networks, and other test pictures other errors.
  Resampling three seeds cannot give an honest interval: it never leaves their range, which holds
  the truth three times in four. So the seeds enter by Student's t with their own deviation, and the
  pictures by the bootstrap (each picture keeps its right and wrong answers in all arms and seeds);
  the interval holds 95 % of the sum of both. Ratios are taken by their logarithms. On drawn
  numbers with a known effect it held that 94 to 98 times in 100, for 3 and 5 seeds and whether
  seeds or pictures decide (400 drawn experiments each;
  `test_interval_holds_the_truth_as_often_as_it_says`).
- **Verdict.** Each claim names beforehand the smallest effect that counts. *Reproduced*: the whole
  interval is on the claimed side, and the estimate is at least that effect. *Not reproduced*: the
  whole interval is below it. *Undecided*: neither, or fewer than three seeds. Of several claims
  together, all must be reproduced, and one that is not decides.
- **Bounds.** A run that does not get to its goal gives a lower bound. A ratio with such a run is
  "at least", and open above: it can still be reproduced, and never refuted.
"""


def write_page(folders: Sequence[Path], out: Path) -> tuple[Findings, ...]:
    """Join finished experiments into one page, with their pictures beside it.

    Args:
        folders: of experiments, each at most once for a name and protocol.
        out: the Markdown file; pictures go to `images/claims` beside it.

    Raises:
        ModelFileError: a folder holds no finished experiment.
        UsageError: two folders hold the same experiment, or one is of an unknown one.
    """
    found = [(folder, read_findings(folder)) for folder in folders]
    check_different(found)
    for folder, findings in found:
        picture = out.parent / picture_path(findings)
        with atomic_write(picture) as aside:
            shutil.copyfile(folder / PICTURE, aside)
    every = tuple(findings for _, findings in found)
    write_text(out, page_text(every))
    return every


def check_different(found: Sequence[tuple[Path, Findings]]) -> None:
    """Refuse what one page cannot hold.

    Raises:
        UsageError: two folders hold the same experiment, or one is of an unknown one.
    """
    seen: dict[str, Path] = {}
    for folder, findings in found:
        key = f"{findings.experiment} ({findings.protocol})"
        if key in seen:
            raise UsageError(f"{seen[key]} and {folder} both hold {key}; leave one out")
        if findings.experiment not in EXPERIMENTS:
            raise UsageError(f"{folder} holds the experiment {key}, which this alexnet has not")
        seen[key] = folder


def picture_path(findings: Findings) -> str:
    """Where the picture lies, seen from the page."""
    return f"images/claims/{findings.experiment}-{findings.protocol}.png"


def page_text(every: Sequence[Findings]) -> str:
    """The whole page; experiments that were not run are there, and say so."""
    by_name = {name: [one for one in every if one.experiment == name] for name in EXPERIMENTS}
    rows = [_row(EXPERIMENTS[name], found) for name, found in by_name.items()]
    summary = table(("experiment", "claim", "source", "verdict"), rows)
    sections = [_section(EXPERIMENTS[name], found) for name, found in by_name.items()]
    return "\n\n".join([HEAD.rstrip(), "## Verdicts", summary, *sections]) + "\n"


def _row(experiment: Experiment, found: Sequence[Findings]) -> tuple[str, ...]:
    verdicts = "; ".join(f"{one.verdict} ({one.protocol})" for one in found)
    link = f"[`{experiment.name}`](#{experiment.name})"
    return link, experiment.claim, experiment.source, verdicts or NOT_RUN


def _section(experiment: Experiment, found: Sequence[Findings]) -> str:
    parts = [
        f"## {experiment.name}",
        experiment.claim,
        f"- **Source:** {experiment.source}\n- **Expected:** {experiment.expected}\n"
        f"- **What runs here can say:** {experiment.limits}",
        *([_measured(one) for one in found] or [f"**Measured:** {NOT_RUN}."]),
    ]
    return "\n\n".join(parts)


def _measured(findings: Findings) -> str:
    left = f" Left out: {', '.join(findings.left_out)}." if findings.left_out else ""
    parts = [
        f"**Measured ({findings.protocol}): {findings.verdict}.** {findings.setting}.{left}",
        effects_table(findings.comparisons),
        f"![{findings.experiment}: learning curves and effects]({picture_path(findings)})",
        arms_table(findings),
        f"{machine(findings)}; {duration(findings.training_seconds / 60)} of training.",
    ]
    return "\n\n".join(parts)
