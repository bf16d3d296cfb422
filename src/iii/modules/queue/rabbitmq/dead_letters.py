"""Dead letters at RabbitMQ: queues that are looked through message by message (04 §8, §11.3)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from iii.modules.queue.jobs.letters import DeadLetter, Page
from iii.modules.queue.rabbitmq.broker import Broker, Delivery, Message
from iii.modules.queue.rabbitmq.messages import (
    QueueNames,
    TopicNames,
    dead_letter,
    dead_topic_letter,
    message_of,
    revived,
)

_BROWSED = 10_000  # of one queue; a broker shows the oldest first, and cannot skip any


class _Dead:
    """One queue of them, and where its letters come from."""

    def __init__(self, names: QueueNames | TopicNames) -> None:
        self.queue = names.dead_queue
        self.named = isinstance(names, QueueNames)
        self._names = names

    def letter(self, message: Message) -> DeadLetter | None:
        return dead_letter(message) if self.named else dead_topic_letter(message, self._names)

    def again(self, message: Message) -> tuple[str, str, Message]:
        """Exchange, routing key and message with all attempts before it."""
        if isinstance(self._names, QueueNames):
            fresh = message._replace(headers={**message.headers, "x-attempt": 0})
            return self._names.main, self._names.key, fresh
        return "", self._names.queue, message_of(revived(message))


class DeadLetters:
    """One looks at a time: whoever does holds what it looks at. Raises BrokerError."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._looking = asyncio.Lock()

    async def browse(self, queues: list[QueueNames | TopicNames], offset: int, limit: int, page: Page) -> None:
        """Newest first; of a queue with more than 10,000 those that come after them are not seen."""
        found: list[DeadLetter] = []
        most = page.payload_bytes  # more of none is held
        for names in queues:
            newest: deque[DeadLetter] = deque(maxlen=offset + limit)

            async def look(
                delivery: Delivery, letter: DeadLetter, dead: _Dead, newest: deque[DeadLetter] = newest
            ) -> bool:
                newest.append(letter._replace(data=letter.data[:most]) if letter.data_bytes > most else letter)
                return False

            await self._look(names, look, _BROWSED)
            found += reversed(newest)
        found.sort(key=lambda letter: -letter.failed_at)
        for letter in found[offset : offset + limit]:
            if not page.add(letter):
                break

    async def redrive(self, queues: list[QueueNames | TopicNames], job_id: str | None = None) -> int:
        """All of them, or one; how many."""
        redriven = 0

        async def look(delivery: Delivery, letter: DeadLetter, dead: _Dead) -> bool:
            nonlocal redriven
            if job_id is not None and letter.id != job_id:
                return False
            await self._broker.publish(*dead.again(delivery.message))
            await delivery.ack()
            redriven += 1
            return job_id is not None

        for names in queues:
            await self._look(names, look)
            if redriven and job_id is not None:
                break
        return redriven

    async def discard(self, queues: list[QueueNames | TopicNames], job_id: str) -> int:
        """1, or 0 if there is no such dead letter."""
        discarded = 0

        async def look(delivery: Delivery, letter: DeadLetter, dead: _Dead) -> bool:
            nonlocal discarded
            if letter.id != job_id:
                return False
            await delivery.ack()
            discarded = 1
            return True

        for names in queues:
            await self._look(names, look)
            if discarded:
                break
        return discarded

    async def count(self, queues: list[QueueNames | TopicNames]) -> int:
        """While nobody looks: what is looked at is not counted by the broker."""
        async with self._looking:
            return sum([(await self._broker.counts(names.dead_queue))[0] for names in queues])

    async def _look(
        self,
        names: QueueNames | TopicNames,
        look: Callable[[Delivery, DeadLetter, _Dead], Awaitable[bool]],
        at_most: int | None = None,
    ) -> None:
        """What is no dead letter is passed over."""
        dead = _Dead(names)

        async def show(delivery: Delivery) -> bool:
            letter = dead.letter(delivery.message)
            return False if letter is None else await look(delivery, letter, dead)

        async with self._looking:
            await self._broker.look_through(dead.queue, show, at_most)
