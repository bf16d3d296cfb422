"""How often the job at the head of a fifo queue has failed, kept at the broker (04 §7.2, §11.3)."""

from __future__ import annotations

import logging

from iii.modules.queue.rabbitmq.broker import Broker, BrokerError, BrokerMessage, Delivery
from iii.modules.queue.rabbitmq.messages import QueueNames, number_of
from iii.protocol.log_event import LogEvent

COUNT_NOT_KEPT = LogEvent(
    __name__, "queue.attempts_not_kept", logging.WARNING, "Attempts of a fifo job not kept at RabbitMQ",
    means="A job failed, and the broker did not take its count; after a restart of the engine it has all its attempts again.",
    do="Look after the broker; the engine goes on by itself.",
)  # fmt: skip


class Attempts:
    """A message cannot be changed in its place, so the newest count is the one message of a queue beside it.

    One is enough: a fifo queue has one consumer at all engines together, and one job at work. The count is looked for
    when consumption begins, and after a failure; jobs that succeed cost nothing.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._unsure: set[str] = set()  # queues whose next job may be the one that was counted

    async def declare(self, name: str) -> None:
        """Before consumption begins. Raises BrokerError."""
        await self._broker.queue(QueueNames(name).count_queue, {"x-max-length": 1})
        self._unsure.add(name)

    def may_have(self, name: str) -> bool:
        return name in self._unsure

    async def recall(self, name: str, delivery: Delivery) -> None:
        """Give a job that begins again the count that it had. Raises BrokerError."""

        async def look(kept: Delivery) -> bool:
            message, count = delivery.message, kept.message.headers.get("x-attempt")
            if kept.message.message_id == message.message_id is not None and number_of(count):
                delivery.message = message._replace(headers={**message.headers, "x-attempt": count})
            return True

        await self._broker.look_through(QueueNames(name).count_queue, look)
        self._unsure.discard(name)

    async def keep(self, name: str, delivery: Delivery, failed: int) -> None:
        """How often a job has failed; 0 once it is over."""
        self._unsure.add(name)
        job_id = delivery.message.message_id
        if job_id is None:
            return  # another program's
        try:
            await self._broker.publish(
                "", QueueNames(name).count_queue, BrokerMessage(b"{}", {"x-attempt": failed}, job_id)
            )
        except BrokerError as error:
            COUNT_NOT_KEPT(queue=name, job=job_id, reason=str(error))
