"""What waits for a connection: at most so many messages, the oldest goes first (08 §5.6)."""

import logging
from collections import deque
from collections.abc import Iterable

from iii.protocol.limits import OFFLINE_QUEUE_MESSAGES
from iii.sdk.worker_socket import Outgoing

logger = logging.getLogger("iii.sdk")


class OfflineQueue:
    """Messages that could not be sent, oldest first. Guarded by the connection's lock."""

    def __init__(self, limit: int = OFFLINE_QUEUE_MESSAGES) -> None:
        self._limit = limit
        self._messages: deque[Outgoing] = deque()
        self._warned = False

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, outgoing: Outgoing) -> None:
        if len(self._messages) >= self._limit:
            self._drop_unwanted()
        if len(self._messages) >= self._limit:
            if not self._warned:  # once for each time without a connection
                logger.warning("Message queue full, dropping oldest message")
                self._warned = True
            self._messages.popleft()
        self._messages.append(outgoing)

    def put_back(self, unsent: Iterable[Outgoing]) -> None:
        """Messages that a socket took but did not write before it ended; older than anything put from now on."""
        for outgoing in unsent:
            if outgoing.kept:
                self.put(outgoing)

    def take(self) -> list[Outgoing]:
        """Empty the queue; calls that nobody waits for any more are not sent late."""
        self._drop_unwanted()
        taken = list(self._messages)
        self._messages.clear()
        self._warned = False
        return taken

    def _drop_unwanted(self) -> None:
        self._messages = deque(each for each in self._messages if each.wanted is None or each.wanted())
