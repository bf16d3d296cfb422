"""A connection on `/`: the link of one session (01 §3)."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial

from iii.engine.connection_limits import ConnectionLimits
from iii.engine.engine import Engine
from iii.engine.session.peer import Ending
from iii.engine.session.session import Session
from iii.net.connection import Connection, ConnectionHandler
from iii.net.keepalive import Connections
from iii.net.outbox import Outbox
from iii.protocol.backpressure import Backpressure
from iii.protocol.codec import Undecodable
from iii.protocol.log_event import LogEvent
from iii.protocol.messages import WorkerMessage
from iii.server.large_messages import LargeMessages

MESSAGE_FAILED = LogEvent(
    __name__, "worker.message_failed", logging.ERROR, "Message of a worker failed inside the engine",
    means="A large message raised while it was applied; the connection lives on.",
    do="Report it with its stack trace.",
)  # fmt: skip


class WorkerEndpoint(ConnectionHandler[Outbox]):
    """Of frames it is only the way: the session takes messages, the outbox sends them, without a call in between."""

    __slots__ = (
        "_connections", "_engine", "_large", "_limits", "binary", "connection", "ip_address", "pause_reading", "put_back",
        "resume_reading", "send", "send_parts", "session", "slow_down", "text",
    )  # fmt: skip

    connection: Connection[Outbox]
    session: Session
    text: Callable[[bytes], None]
    binary: Callable[[bytes], None]
    send: Callable[..., Backpressure | None]
    send_parts: Callable[..., Backpressure | None]
    pause_reading: Callable[[], None]
    put_back: Callable[[list[bytes]], None]
    resume_reading: Callable[[], None]
    slow_down: Callable[[float], None]

    def __init__(
        self,
        engine: Engine,
        connections: Connections,
        large: LargeMessages,
        limits: ConnectionLimits | None = None,
        client: str | None = None,
    ) -> None:
        """`client`: its address, where a proxy tells that."""
        self._engine = engine
        self._connections = connections
        self._large = large
        self._limits = limits
        self.ip_address = client

    @property
    def may_be_silent(self) -> bool:
        """A handler that computes blocks its worker's event loop, which then cannot pong (L7)."""
        return bool(self.session.handling)

    def opened(self, connection: Connection[Outbox]) -> None:
        self._take(connection)
        self.session = self._engine.connect(self, self._limits)
        self.text, self.binary = self.session.receive, self.session.receive_binary

    def _take(self, connection: Connection[Outbox]) -> None:
        self.connection = connection
        self.ip_address = self.ip_address or connection.ip_address
        self.send, self.send_parts = connection.outbox.send, connection.outbox.send_parts
        inbox = connection.inbox
        self.pause_reading, self.resume_reading, self.slow_down = inbox.pause, inbox.resume, inbox.slow_down
        self.put_back = inbox.put_first

    def silent(self) -> None:
        self.session.passed_over = True

    def ended(self) -> None:
        self.session.close(Ending.LEFT if self.connection.closing or self._connections.ending else Ending.LOST)

    def gone(self) -> None:
        del self.session, self.text, self.binary  # they lead back here: all are freed without the collector

    # -- the session's link ---------------------------------------------------------------------------------------

    @property
    def stuck(self) -> bool:
        return self.connection.outbox.crowded or self._connections.is_mute(self.connection)

    @property
    def silent_s(self) -> float:
        connection = self.connection
        return 0.0 if connection.heard else asyncio.get_running_loop().time() - connection.silent_since

    @property
    def paused(self) -> bool:
        return self.connection.inbox.pauses > 0

    def batch(self) -> None:
        self.connection.outbox.batches = True

    def pace(self, size: int) -> float:
        return self.connection.outbox.pace(size, asyncio.get_running_loop().time())

    def decode_large(self, data: bytes, done: Callable[[WorkerMessage | Undecodable], None]) -> None:
        self.connection.hold()
        self._large.read(data, partial(self._read, done))

    def _read(self, done: Callable[[WorkerMessage | Undecodable], None], result: WorkerMessage | Undecodable) -> None:
        try:
            done(result)
        except Exception as error:  # as for a message that came in one piece
            MESSAGE_FAILED(error, ip_address=self.ip_address)
        self.connection.release()

    def let_others_in(self) -> None:
        self.connection.let_others_in(self._connections.read_turns.wait)

    def ping(self) -> float:
        return self.connection.ping()

    def heard_since(self, moment: float) -> bool:
        connection = self.connection
        return connection.heard or connection.silent_since > moment or connection.inbox.pauses > 0

    def close(self, code: int, reason: str = "") -> None:
        self.connection.close(code, reason)

    def abort(self) -> None:
        self.connection.abort()
