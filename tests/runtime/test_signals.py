"""The first signal is only remembered; afterwards and elsewhere signals act as before."""

from __future__ import annotations

import os
import signal

import pytest

from alexnet.runtime.signals import StopRequest

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def send(number: int) -> None:
    """A signal to this process; its handler runs before this returns."""
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_remembered_and_the_handlers_restored(number: int) -> None:
    stop, before = StopRequest(), signal.getsignal(number)
    with stop.listening():
        assert signal.getsignal(number) != before
        send(number)
        assert stop.signal_number == number
        assert signal.getsignal(number) == before, "a second signal acts as before"
    assert signal.getsignal(number) == before
    with stop.listening():
        assert signal.getsignal(number) != before
    assert signal.getsignal(number) == before, "without a signal"


def test_an_ignored_signal_stays_ignored() -> None:
    """A shell lets background jobs ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        stop = StopRequest()
        with stop.listening():
            send(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
        assert stop.signal_number == 0
    finally:
        signal.signal(signal.SIGINT, before)


def test_inside_a_context_that_was_asked_to_stop_another_one_is_asked() -> None:
    outer, inner = StopRequest(), StopRequest()
    before = signal.getsignal(signal.SIGTERM)
    with outer.listening():
        send(signal.SIGTERM)
        with inner.listening():
            assert inner.signal_number == signal.SIGTERM
            assert signal.getsignal(signal.SIGTERM) == before, "a second signal acts as before"
    later = StopRequest()
    with later.listening():
        assert later.signal_number == 0
