"""The state of a connection and who hears of its changes (08 §4.4, §4.6)."""

import logging
import threading
from collections.abc import Callable
from typing import Literal, TypeAlias

from iii.protocol.log_event import LogEvent
from iii.sdk.failures import log_failure
from iii.sdk.process_end import ends_process

LISTENER_FAILED = LogEvent(
    "iii.sdk", "sdk.state_listener_failed", logging.ERROR, "Connection state listener raised",
    means="The other listeners are called, and this one again at the next change.",
    do="Read the stack trace.",
)  # fmt: skip
LISTENER_FAILED_AT_FIRST = LogEvent(
    "iii.sdk", "sdk.new_state_listener_failed", logging.ERROR, "Connection state listener raised on initial fire",
    means="A listener is called with the present state when it is added; later changes reach it, too.",
    do="Read the stack trace.",
)  # fmt: skip

ConnectionState: TypeAlias = Literal["disconnected", "connecting", "connected", "reconnecting", "failed"]
ConnectionStateListener: TypeAlias = Callable[[ConnectionState], object]


class StateHolder:
    """One state; `failed` is for good, until a shutdown."""

    def __init__(self) -> None:
        self.state: ConnectionState = "disconnected"
        self.settled = threading.Event()
        """Set while somebody who waits for the first connection need not wait: connected, failed or shut down."""
        self._listeners: list[ConnectionStateListener] = []  # each differs from all others, even of the same function

    def change(self, state: ConnectionState, *, shutdown: bool = False) -> None:
        """Tell the listeners, in order; the same state twice, or anything after `failed`, changes nothing."""
        if shutdown:
            self.settled.set()
        if state == self.state or (self.state == "failed" and not shutdown):
            return
        self.state = state
        if state in ("connected", "failed"):
            self.settled.set()
        elif not shutdown:
            self.settled.clear()
        for subscription in list(self._listeners):
            if subscription in self._listeners:
                _tell(subscription, state, LISTENER_FAILED)

    def end_after_fork(self) -> None:
        """In a forked child: `failed`, told to nobody, since listeners belong to the parent."""
        self.state = "failed"
        self.settled = threading.Event()
        self.settled.set()
        self._listeners = []

    def listen(self, listener: ConnectionStateListener) -> Callable[[], None]:
        """Tell it the present state at once, on this thread, and each change; returns how to stop that."""

        def subscription(state: ConnectionState) -> object:
            return listener(state)

        self._listeners.append(subscription)
        _tell(subscription, self.state, LISTENER_FAILED_AT_FIRST)

        def unsubscribe() -> None:
            if subscription in self._listeners:
                self._listeners.remove(subscription)

        return unsubscribe


def _tell(listener: ConnectionStateListener, state: ConnectionState, complaint: LogEvent) -> None:
    try:
        listener(state)
    except BaseException as error:  # an exit, too, would end the loop's thread
        if ends_process(error):
            raise
        log_failure(complaint, error)
