"""Signals: asked once a command stops, asked twice it aborts, and cleaning up is not disturbed."""

from __future__ import annotations

import signal

import pytest

from entrypoints.cli.stopping import Aborted, stopping


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_aborts(number: signal.Signals) -> None:
    with stopping(graceful=True) as stop:
        assert not stop.is_set()
        signal.raise_signal(number)
        assert stop.is_set()
        with pytest.raises(Aborted):
            signal.raise_signal(number)


def test_a_command_with_nothing_to_finish_aborts_at_once() -> None:
    with pytest.raises(Aborted), stopping(graceful=False):
        signal.raise_signal(signal.SIGTERM)


def test_one_signal_while_cleaning_up_is_forgiven() -> None:
    with stopping(graceful=False):
        with pytest.raises(Aborted):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)


def test_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stopping(graceful=True):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_abort_stays_one_when_an_interrupted_library_makes_an_error_of_it() -> None:
    def library() -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise RuntimeError("Query interrupted") from None

    with pytest.raises(Aborted), stopping(graceful=False):
        library()


def test_an_error_that_no_signal_caused_is_left_as_it_is() -> None:
    with pytest.raises(RuntimeError, match="broken"), stopping(graceful=False):
        raise RuntimeError("broken")
