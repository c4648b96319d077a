"""Where the progress of a call is shown: in the shell, by the caller's reporter, or nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias, TypeVar, cast

from alexnet.api.python_words import python_text
from alexnet.errors import UsageError
from alexnet.pretraining.records import NullPretrainReporter, PretrainReporter
from alexnet.reporter import NullReporter, Reporter

R = TypeVar("R", bound=Reporter)
Reporting: TypeAlias = Reporter | Literal["auto"] | None
"""auto: a progress bar in a terminal, lines elsewhere; None: silence."""
PretrainReporting: TypeAlias = PretrainReporter | Literal["auto"] | None


class PythonReporter:
    """A reporter that passes calls on to another one, with keywords instead of flags in notes."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def note(self, text: str) -> None:
        """Pass on a sentence for the user, with keywords instead of flags."""
        self._reporter.note(python_text(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reporter, name)


@contextmanager
def reporting(reporter: Reporting, kind: type[NullReporter] = NullReporter) -> Iterator[Reporter]:
    """A context manager that gives the reporter for an argument `reporter=`.

    Its notes name keywords instead of flags.

    Raises:
        UsageError: `reporter` lacks a method of `kind`.
    """
    if reporter == "auto":
        from alexnet.progress import shell_reporter

        with shell_reporter() as shell:
            yield cast(Reporter, PythonReporter(shell))
        return
    methods = [name for name in dir(kind) if not name.startswith("_")]
    if missing := [name for name in methods if reporter and not hasattr(reporter, name)]:
        raise UsageError(
            f"reporter={reporter!r} has no method {missing[0]}; give a class that is derived from "
            "alexnet.Reporter, None for silence, or 'auto'"
        )
    yield cast(Reporter, PythonReporter(reporter or kind()))


@contextmanager
def pretrain_reporting(reporter: PretrainReporting) -> Iterator[PretrainReporter]:
    """Like `reporting`, for the reporter of a pretraining."""
    with reporting(reporter, NullPretrainReporter) as found:
        yield found  # type: ignore[misc]
