"""What people mean by a name: a named queue, a topic, or both (04 §8.2)."""

from __future__ import annotations

from collections.abc import Mapping

from iii.modules.queue.adapter import QueueAdapter, QueueOrTopic
from iii.modules.queue.codes import QUEUE_NOT_SET
from iii.modules.queue.options import NamedQueue, NamedQueueConfig

_INTERNAL = "__fn_queue::"  # before the name of a named queue in tools of others


class Names:
    def __init__(self, adapter: QueueAdapter, queues: Mapping[str, NamedQueue]) -> None:
        """`queues`: the named ones, as they are at the time."""
        self._adapter = adapter
        self._queues = queues

    def source(self, name: str) -> QueueOrTopic:
        """Whether or not there is such a one."""
        queues = self._queues
        if name.startswith(_INTERNAL) and name not in queues:
            return QueueOrTopic(queues.get(name.removeprefix(_INTERNAL)), None)
        queue = queues.get(name)
        if queue is None and name in self._adapter.queues.left_over():
            queue = NamedQueue(name, NamedQueueConfig())
        return QueueOrTopic(queue, name)

    def named(self, name: str) -> QueueOrTopic:
        """Raises InvocationError if nothing is named."""
        if not name:
            raise QUEUE_NOT_SET("Queue name is required")
        return self.source(name)

    def all(self) -> set[str]:
        """Those that people see in lists."""
        return {*self._adapter.topics.triggers(), *self._queues, *self._adapter.queues.left_over()}
