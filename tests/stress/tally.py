"""Results of a harness: the number of cases, how they ended, and the failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

HEAD = ("stress test", "tried", "how they ended", "failures", "seconds")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """The cases of one harness, counted."""

    name: str
    """The first cell of its row in the table."""
    tried: int
    """Number of cases."""
    outcomes: dict[str, int] = field(default_factory=dict)
    """From each outcome, in words, to its number of cases."""
    failures: tuple[str, ...] = ()
    """One sentence for each forbidden outcome, with what is needed to reproduce it."""
    seconds: float = 0.0
    """Time taken; set by `stress.harness.run`."""

    @property
    def is_clean(self) -> bool:
        """Whether at least one case was tried and none failed."""
        return self.tried > 0 and not self.failures


def counted(name: str, outcomes: Iterable[str], failures: Iterable[str] = ()) -> Tally:
    """A tally of one outcome per case, also for failed ones; the most frequent comes first."""
    counts = Counter(outcomes)
    return Tally(
        name=name,
        tried=counts.total(),
        outcomes=dict(counts.most_common()),
        failures=tuple(failures),
    )


def table(tallies: Sequence[Tally]) -> str:
    """The tallies as a Markdown table, with the failures below it."""
    rows = [HEAD, ("---", "---:", "---", "---:", "---:"), *[_row(tally) for tally in tallies]]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    failures = [f"- {tally.name}: {text}" for tally in tallies for text in tally.failures]
    return "\n".join([*lines, *(["", *failures] if failures else [])])


def _row(tally: Tally) -> tuple[str, ...]:
    ended = "; ".join(f"{count:,} {outcome}" for outcome, count in tally.outcomes.items())
    return (
        tally.name,
        f"{tally.tried:,}",
        ended,
        str(len(tally.failures)),
        f"{tally.seconds:.0f}",
    )
