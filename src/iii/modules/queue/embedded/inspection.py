"""What people see of the embedded store, and do about its dead letters (04 §8, §9)."""

from __future__ import annotations

from iii.modules.queue.adapter import Source, Stats
from iii.modules.queue.consume.consumer import Consumer
from iii.modules.queue.embedded.queues import NamedQueues
from iii.modules.queue.embedded.topics import Topics
from iii.modules.queue.jobs.letters import Letters, OnFilled, Page
from iii.modules.queue.jobs.places import Place, Places
from iii.modules.queue.jobs.waiting import Key


class EmbeddedInspection:
    """The store's rows, and the numbers of those who consume them."""

    def __init__(self, letters: Letters, places: Places, queues: NamedQueues, topics: Topics) -> None:
        self.letters = letters
        self._all_places = places
        self._queues = queues
        self._topics = topics

    async def stats(self, source: Source) -> Stats:
        places = self._places(source)
        counts = await self.letters.counts(places)
        consumers = [consumer for place in places if (consumer := self._consumer_of(place)) is not None]
        return Stats(
            depth=counts.waiting + counts.delayed,
            dead=counts.dead,
            in_flight=sum(consumer.in_flight for consumer in consumers),
            delayed=counts.delayed,
            delivered=sum(consumer.delivered for consumer in consumers),
            failed=sum(consumer.failed for consumer in consumers),
            waiting_for=tuple(name for consumer in consumers for name in consumer.missing),
            unreadable=sum(consumer.unreadable for consumer in consumers),
        )

    async def dead_letters(self, source: Source, offset: int, limit: int, page: Page) -> None:
        await self.letters.browse(self._places(source), offset, limit, page)

    async def redrive(self, source: Source) -> int:
        return sum([await self.letters.redrive(place, self._filled(place)) for place in self._places(source)])

    async def redrive_message(self, source: Source, job_id: str) -> int:
        for place in self._places(source):
            if await self.letters.redrive_one(place, job_id, self._filled(place)):
                return 1
        return 0

    async def discard_message(self, source: Source, job_id: str) -> int:
        for place in self._places(source):
            if await self.letters.discard(place, job_id):
                return 1
        return 0

    def _places(self, source: Source) -> list[Place]:
        """Of a topic all that there are, whoever subscribes now."""
        named = [] if source.queue is None else self._all_places.named(source.queue.name)
        of_topic = [] if source.topic is None else self._all_places.named(source.topic)
        return [
            *(place for place in named if place.kind == "queue"), *(place for place in of_topic if place.kind != "queue"),
        ]  # fmt: skip

    def _consumer_of(self, place: Place) -> Consumer | None:
        if place.kind == "queue":
            return self._queues.consumers.get(place.name)
        destination = self._topics.at(place)
        return None if destination is None else destination.consumer

    def _filled(self, place: Place) -> OnFilled:
        def filled(first: Key) -> None:
            consumer = self._consumer_of(place)
            if consumer is not None:
                consumer.filled(first)

        return filled
