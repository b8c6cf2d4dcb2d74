"""Signals that ask a training to stop: it ends its step, saves its state and leaves; a second one stops at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

EXIT_CODE = 75
"""Of a command that was asked to stop and goes on when it is given again: EX_TEMPFAIL of <sysexits.h>."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal asked to stop, and what was done until then is kept; its text says where it stopped."""


class StopRequest:
    """Whether a signal has asked to stop.

    Attributes:
      asked: True from the first signal on.
    """

    def __init__(self) -> None:
        self.asked = False


@contextlib.contextmanager
def deferred_signals() -> Iterator[StopRequest]:
    """Within the block Ctrl-C and SIGTERM only set the request that is handed out; the second one ends the process.

    Handlers belong to the main thread: in another one nothing changes.
    """
    request = StopRequest()

    def ask(number: int, frame: FrameType | None) -> None:
        request.asked = True
        # What the system does by itself needs no Python, which a long step would keep waiting.
        for each in _SIGNALS:
            if signal.getsignal(each) is not signal.SIG_IGN:
                signal.signal(each, signal.SIG_DFL)

    with _handler(ask):
        yield request


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within the block Ctrl-C and SIGTERM raise `Interrupted`, unless a block within defers them."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise Interrupted("stopped")

    with _handler(stop):
        yield


@contextlib.contextmanager
def _handler(handle: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # A signal that is ignored, as Ctrl-C is in a background job, stays so.
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    before = {number: old for number, old in before.items() if old not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
