"""Dead letters at RabbitMQ: queues that are looked through message by message (04 §8, §11.3)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from iii.modules.queue.jobs.letters import DeadLetter, Page
from iii.modules.queue.rabbitmq.broker import Broker, Delivery
from iii.modules.queue.rabbitmq.messages import Names

_BROWSED = 10_000  # of one queue; a broker shows the oldest first, and cannot skip any


class DeadLetters:
    """One looks at a time: whoever does holds what it looks at. Raises BrokerError."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._looking = asyncio.Lock()

    async def browse(self, queues: list[Names], offset: int, limit: int, page: Page) -> None:
        """Newest first; of a queue with more than 10,000 those that come after them are not seen."""
        found: list[DeadLetter] = []
        most = page.payload_bytes  # more of none is held
        for names in queues:
            newest: deque[DeadLetter] = deque(maxlen=offset + limit)

            async def look(
                delivery: Delivery, letter: DeadLetter, names: Names, newest: deque[DeadLetter] = newest
            ) -> bool:
                newest.append(letter._replace(data=letter.data[:most]) if letter.data_bytes > most else letter)
                return False

            await self._look(names, look, _BROWSED)
            found += reversed(newest)
        found.sort(key=lambda letter: -letter.failed_at)
        for letter in found[offset : offset + limit]:
            if not page.add(letter):
                break

    async def redrive(self, queues: list[Names], job_id: str | None = None, data: bytes | None = None) -> int:
        """All of them, or one, perhaps with another payload; how many. Each is there until the broker has its job."""

        async def again(delivery: Delivery, names: Names) -> None:
            await self._broker.publish(*names.revived(delivery.message, data))
            await delivery.ack()

        return await self._take(queues, job_id, again)

    async def discard(self, queues: list[Names], job_id: str) -> int:
        """1, or 0 if there is no such dead letter."""
        return await self._take(queues, job_id, lambda delivery, names: delivery.ack())

    async def _take(
        self, queues: list[Names], job_id: str | None, act: Callable[[Delivery, Names], Awaitable[None]]
    ) -> int:
        taken = 0

        async def look(delivery: Delivery, letter: DeadLetter, names: Names) -> bool:
            nonlocal taken
            if job_id is not None and letter.id != job_id:
                return False
            await act(delivery, names)
            taken += 1
            return job_id is not None

        for names in queues:
            await self._look(names, look)
            if taken and job_id is not None:
                break
        return taken

    async def count(self, queues: list[Names]) -> int:
        """While nobody looks: what is looked at is not counted by the broker."""
        async with self._looking:
            return sum([(await self._broker.counts(names.dead_queue))[0] for names in queues])

    async def _look(
        self,
        names: Names,
        look: Callable[[Delivery, DeadLetter, Names], Awaitable[bool]],
        at_most: int | None = None,
    ) -> None:
        """What is no dead letter is passed over."""

        async def show(delivery: Delivery) -> bool:
            letter = names.letter(delivery.message)
            return False if letter is None else await look(delivery, letter, names)

        async with self._looking:
            await self._broker.look_through(names.dead_queue, show, at_most)
