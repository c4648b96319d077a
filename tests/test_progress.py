"""Progress: a bar on a terminal, and now and then a line elsewhere."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from alexnet.io.text import count_text
from alexnet.progress import ProgressReporter
from alexnet.records import EpochRecord, EpochTimes
from alexnet.reporter import StepReport, epoch_text


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reporter(clock: Clock) -> Iterator[ProgressReporter]:
    """A reporter without a terminal."""
    with ProgressReporter(clock=clock) as made:
        yield made


def step(number: int) -> StepReport:
    return StepReport(
        step=number,
        total_steps=100,
        epoch=1,
        total_epochs=45,
        loss=2.5,
        top1_error=0.75,
        num_images=8,
        step_loss=2.5,
        lr=0.01,
    )


def test_counts_of_images_are_a_line_every_ten_seconds(
    reporter: ProgressReporter, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    for done in range(1, 31):
        clock.seconds += 1
        reporter.on_predict(done, 30)
    result = capsys.readouterr()
    assert result.out == ""
    assert result.err.splitlines() == ["classified 11 of 30 images", "classified 22 of 30 images"]
    reporter.on_evaluate(64, 5000)
    reporter.on_prepare(60, 1060)
    assert capsys.readouterr().err == ""
    reporter.on_prepare(1060, 1060)
    assert capsys.readouterr().err == "prepared 1,060 of 1,060 images\n"


def test_steps_are_a_line_every_thirty_seconds(
    reporter: ProgressReporter, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(1, 41):
        reporter.on_step(step(number))
        clock.seconds += 2
    (line, *others) = capsys.readouterr().err.splitlines()
    assert line == "step 17 of 100  loss 2.500  error  75.0%  4 images/s  2.8 min left"
    assert len(others) == 1


def test_an_epoch_is_a_line_with_the_learning_rate(
    reporter: ProgressReporter, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"train_top5_error": 0.5, "eval_loss": 1.0, "eval_top5_error": 0.25, "layers": ()}
    record = EpochRecord(
        epoch=3, step=12, lr=0.0125, train_loss=1.25, train_top1_error=0.5, eval_split="val",
        eval_top1_error=0.25, **values,
    )  # fmt: skip
    times = EpochTimes(
        epoch=3, images_per_second=321.4, elapsed_seconds=2.0, data_wait_fraction=0.125
    )
    reporter.on_epoch(record, times)
    line = "loss 1.250  error 50.0%  val 25.0%  lr 0.013  321 img/s\n"
    assert capsys.readouterr().err == f"epoch   3  {line}"
    reporter.on_start(2, 45)
    reporter.on_epoch(record, times)
    assert capsys.readouterr().err == f"epoch  3/45  {line}"


def test_a_line_of_an_epoch_has_at_most_79_columns() -> None:
    record = EpochRecord(
        epoch=100, step=12, lr=1.25e-5, train_loss=12.125, train_top1_error=1.0, eval_split="test",
        eval_top1_error=1.0, train_top5_error=0.5, eval_loss=1.0, eval_top5_error=0.25, layers=(),
    )  # fmt: skip
    times = EpochTimes(
        epoch=100, images_per_second=54321.0, elapsed_seconds=2.0, data_wait_fraction=0.125
    )
    line = epoch_text(record, times, 100)
    assert "54321" in line
    assert len(line) <= 79


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 epochs"), (1, "1 epoch"), (2, "2 epochs"), (1360, "1,360 epochs")]
)
def test_a_count_has_its_plural(count: int, text: str) -> None:
    assert count_text(count, "epoch") == text


def test_a_terminal_shows_a_bar_and_keeps_the_lines(clock: Clock) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    with ProgressReporter(console, clock) as reporter:
        reporter.on_predict(64, 200)
        assert "classified" in screen.getvalue()
        reporter.on_predict(200, 200)
        assert "64/200" in screen.getvalue()
        reporter.on_step(step(1))
        clock.seconds += 1
        reporter.on_step(step(2))
        reporter.note("[a note] in brackets")
    assert "2/100" in screen.getvalue()
    assert "8 images/s" in screen.getvalue()
    assert "[a note] in brackets" in screen.getvalue()


class Terminal(io.StringIO):
    """A terminal on which stdout and stderr are."""

    def isatty(self) -> bool:
        return True


def test_a_bar_makes_room_for_rows_on_the_same_terminal(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stdout", screen)
    console = Console(file=screen, force_terminal=True, width=100)
    with ProgressReporter(console, clock) as reporter:
        for done in (64, 128, 192):
            reporter.on_predict(done, 200)
            reporter.write(f"row of {done}\n")
        assert "classified" in screen.getvalue().rpartition("row of 128")[2]
    for done in (64, 128, 192):
        before = screen.getvalue().partition(f"row of {done}\n")[0]
        assert before.endswith("\r\x1b[1A\x1b[2K"), "the line of the bar is empty again"


class FileProxy(io.TextIOBase):
    """As rich before version 15 replaces stdout while a bar is shown: isatty() is False."""

    def __init__(self, file: io.TextIOBase) -> None:
        self.rich_proxied_file = file

    def write(self, text: str) -> int:
        return self.rich_proxied_file.write(text.replace(" of ", "\n"))


def test_rows_are_not_broken_by_what_rich_replaces_stdout_with(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Terminal()
    console = Console(file=screen, force_terminal=True, width=100)
    with ProgressReporter(console, clock) as reporter:
        reporter.on_predict(64, 200)
        monkeypatch.setattr("sys.stdout", FileProxy(screen))
        reporter.write("row of 64\n")
    before, row, _ = screen.getvalue().partition("row of 64\n")
    assert row
    assert before.endswith("\r\x1b[1A\x1b[2K")


def test_what_is_printed_stays_on_stdout_while_a_bar_is_shown(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = io.StringIO()
    with ProgressReporter(Console(file=screen, force_terminal=True), clock) as reporter:
        reporter.on_predict(64, 200)
        print("a row")
        assert capsys.readouterr().out == "a row\n"
        reporter.write("the next\n")
    assert capsys.readouterr().out == "the next\n"
    assert "row" not in screen.getvalue()


def test_a_few_images_show_nothing_on_a_terminal(clock: Clock) -> None:
    screen = io.StringIO()
    with ProgressReporter(Console(file=screen, force_terminal=True), clock) as reporter:
        reporter.on_predict(12, 12)
    assert screen.getvalue() == ""
