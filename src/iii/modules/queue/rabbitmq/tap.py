"""The consumption of one queue at RabbitMQ, for as long as it is wanted (04 §11.3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from iii.modules.queue.rabbitmq.broker import FIRST_WAIT_S, LONGEST_WAIT_S, Broker, Delivery, failures
from iii.protocol.log_event import LogEvent

if TYPE_CHECKING:
    from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage

CONSUME_FAILED = LogEvent(
    __name__, "rabbitmq.consume_failed", logging.WARNING, "RabbitMQ queue not consumed; retrying",
    means="The broker refused a consumer or a declaration of the queue; said once for each reason.",
    do="Compare the queue at the broker with its settings: what cannot be changed in place must be deleted there first.",
)  # fmt: skip
CONSUMER_LOST = LogEvent(
    __name__, "rabbitmq.consumer_lost", logging.WARNING, "Consumer of a RabbitMQ queue lost; restarting it",
    means="The queue was deleted at the broker, or its channel or connection is lost.",
)  # fmt: skip
DELIVERY_FAILED = LogEvent(
    __name__, "rabbitmq.delivery_failed", logging.ERROR, "Message of a RabbitMQ queue rejected: the engine itself failed",
    means="The engine raised when the message arrived.",
    do="Report it with its stack trace.",
)  # fmt: skip

_ABANDON_S = 1.0


class Tap:
    """Consumes one queue, for as long as it is wanted.

    Its one task owns the channel and what is delivered on it. It prepares what it consumes from, consumes, and begins anew
    whenever broker, channel, queue or consumer is lost.

    Args:
        prepare: declares what has to be there. May raise BrokerError: it is tried again.
        heard: called with each message.
        exclusive: nobody else may consume the queue; waits until nobody does.
        after: another one of the same queue, which is to end first.
    """

    def __init__(
        self,
        broker: Broker,
        queue: str,
        prefetch: int,
        heard: Callable[[Delivery], None],
        prepare: Callable[[], Awaitable[None]],
        *,
        exclusive: bool = False,
        after: Tap | None = None,
    ) -> None:
        self.queue = queue
        self.prefetch = prefetch
        self.outstanding: set[Delivery] = set()
        self.tried = asyncio.Event()  # it consumes, or could not at its first try
        self.channel: AbstractChannel | None = None  # while it consumes
        self.silent = asyncio.Event()  # nothing arrives any more
        self._broker = broker
        self._heard = heard
        self._prepare = prepare
        self._exclusive = exclusive
        self._after = after
        self._ended = False
        self._stirred = asyncio.Event()  # there is something to look at
        self._said = ""
        self._task = asyncio.get_running_loop().create_task(self._keep())
        self._task.add_done_callback(lambda _: self.silent.set())

    def end(self) -> None:
        """Nothing more arrives; the channel stays until all that did is settled."""
        self._ended = True
        self._stirred.set()

    async def ended(self) -> None:
        await asyncio.wait([self._task])

    async def abandon(self) -> None:
        """What is not settled very soon is delivered again."""
        self.end()
        await asyncio.wait([self._task], timeout=_ABANDON_S)
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _keep(self) -> None:
        if self._after is not None:
            await self._after.ended()
        wait_s = FIRST_WAIT_S
        while not self._ended:
            try:
                connection = await self._broker.connected()
                await self._prepare()
                await self._consume(connection)
                wait_s = FIRST_WAIT_S
            except failures() as error:
                text = str(error) or type(error).__name__
                if text != self._said:  # once, not at each try
                    self._said = text
                    CONSUME_FAILED(queue=self.queue, reason=text, retry_in_s=wait_s)
            self.tried.set()
            if not self._ended:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)

    async def _consume(self, connection: AbstractConnection) -> None:
        gone = False

        def lost(*_: object) -> None:
            nonlocal gone
            gone = True
            self._stirred.set()

        channel = await connection.channel(publisher_confirms=False)
        try:
            channel.close_callbacks.add(lost)
            (await channel.get_underlay_channel()).on_consumer_cancel_callbacks.add(lost)  # its queue was deleted
            await channel.set_qos(prefetch_count=self.prefetch)
            queue = await channel.get_queue(self.queue, ensure=False)
            tag = await queue.consume(self._arrived, exclusive=self._exclusive)
            self._said, self.channel = "", channel
            self.tried.set()
            while not (gone or self._ended):
                await self._stir()
            if not gone:
                await queue.cancel(tag)
                self.silent.set()
            while self.outstanding and not gone:
                await self._stir()
        finally:
            self.channel = None
            for delivery in list(self.outstanding):
                delivery.lose()
            self.outstanding.clear()
            if not channel.is_closed:
                await channel.close()
        if gone and not self._ended:
            CONSUMER_LOST(queue=self.queue)

    async def _stir(self) -> None:
        self._stirred.clear()
        await self._stirred.wait()

    async def _arrived(self, incoming: AbstractIncomingMessage) -> None:
        delivery = Delivery(incoming, self._settled)
        self.outstanding.add(delivery)
        try:
            self._heard(delivery)
        except Exception as error:
            DELIVERY_FAILED(error, queue=self.queue)
            await delivery.reject()

    def _settled(self, delivery: Delivery) -> None:
        self.outstanding.discard(delivery)
        self._stirred.set()
