"""Signals: the first one is a request or an exception, the second one ends the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from kerasbert.training.interrupts import Interrupted, deferred_signals, interruptible

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def heeding() -> Iterator[None]:
    """A job in the background inherits an ignored Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_a_request(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    with deferred_signals() as request:
        assert not request.asked
        os.kill(os.getpid(), number)
        assert request.asked
    assert [signal.getsignal(each) for each in SIGNALS] == before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_an_exception(number: signal.Signals) -> None:
    with pytest.raises(Interrupted), interruptible():
        os.kill(os.getpid(), number)
    # Deferred in a block within, it is one again behind that.
    with pytest.raises(Interrupted, match="later"), interruptible():
        with deferred_signals() as request:
            os.kill(os.getpid(), number)
        assert request.asked
        raise Interrupted("later")


@pytest.mark.parametrize("number", SIGNALS)
def test_the_second_signal_ends_the_process(number: signal.Signals) -> None:
    code = f"""
import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from kerasbert.training.interrupts import deferred_signals
with deferred_signals() as request:
    os.kill(os.getpid(), {int(number)})
    print(request.asked, flush=True)
    os.kill(os.getpid(), {int(number)})
print("still here")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-number, "True\n"), done.stderr


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with deferred_signals() as request, interruptible():
            os.kill(os.getpid(), signal.SIGINT)
        assert not request.asked
        # The other signal leaves it alone, too.
        with deferred_signals() as request:
            os.kill(os.getpid(), signal.SIGTERM)
        assert request.asked and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_has_no_handlers() -> None:
    asked: list[bool] = []

    def work() -> None:
        with deferred_signals() as request:
            asked.append(request.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert asked == [False]
