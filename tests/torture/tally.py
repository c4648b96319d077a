"""What a harness did: how many cases were tried, how each ended, and what must not have been."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

HEAD = ("torture", "tried", "how they ended", "failures", "seconds")


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """The cases of one harness, counted."""

    name: str
    """What was tortured, as the table says it."""
    tried: int
    """Cases in all."""
    outcomes: dict[str, int] = field(default_factory=dict)
    """How the cases ended, in words, and how many did so."""
    failures: tuple[str, ...] = ()
    """One sentence for each case that ended as none may, with what is needed to see it again."""
    seconds: float = 0.0
    """Time taken; `python -m torture` fills it in."""

    @property
    def is_clean(self) -> bool:
        """Whether something was tried and nothing failed."""
        return self.tried > 0 and not self.failures


def counted(name: str, outcomes: Iterable[str], failures: Iterable[str] = ()) -> Tally:
    """A tally of outcomes, one a case, the most frequent first; a failed case has one too."""
    counts = Counter(outcomes)
    return Tally(
        name=name,
        tried=counts.total(),
        outcomes=dict(counts.most_common()),
        failures=tuple(failures),
    )


def table(tallies: Sequence[Tally]) -> str:
    """The tallies as a Markdown table, and every failure in words below it."""
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
