"""What all clients of the stream port share."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from iii.modules.stream.events import Timestamps
from iii.modules.stream.gate import AccessGate
from iii.modules.stream.hub import Hub
from iii.modules.stream.source import ItemSource
from iii.protocol.log_event import LogEvent
from iii.protocol.task_set import TaskSet

REQUEST_FAILED = LogEvent(
    __name__, "stream.request_failed", logging.ERROR, "A stream client's request failed inside the engine",
    means="A join, a leave or another message of a client raised; its connection goes on.",
    do="Report it with its stack trace.",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ClientContext:
    """What a client needs of its port, and the tasks that work for it.

    Attributes:
        channel_size: messages that may wait for one client.
        stores_in_order: the store's snapshots are in order with its changes.
    """

    gate: AccessGate
    hub: Hub
    source: ItemSource
    timestamps: Timestamps
    channel_size: int
    stores_in_order: bool
    numbers: Iterator[int] = field(default_factory=count)  # of clients, in the order in which they came
    tasks: TaskSet = field(default_factory=lambda: TaskSet(REQUEST_FAILED))
