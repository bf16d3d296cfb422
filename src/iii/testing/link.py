"""The engine's side of a connection that is no socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from iii.protocol.backpressure import Backpressure
from iii.protocol.codec import Undecodable, worker_message_decoder
from iii.protocol.large_message import put_together, take_apart
from iii.protocol.messages import WorkerMessage


class MemoryLink:
    """Keeps what the engine sent, and counts what it asked of the connection.

    Attributes:
        frames: what the engine sent.
        closed_with: the code of its Close frame.
        aborted: whether it ended the connection without one.
        on_send: called with each frame.
        backlog: what the engine's senders are told of this receiver.
        slowed, pauses, pings, turns_given: how often the engine asked for that; `pauses` less resumptions.
        batches: whether several messages may come in one frame.
        put_backs: messages of a batch that are to be delivered one by one.
        lives: whether pings are answered.
        silent_s: since when nothing was heard of its worker.
        stuck: whether copies beside it are to get its calls.
    """

    def __init__(self, ip_address: str | None = "127.0.0.1") -> None:
        self.ip_address = ip_address
        self.frames: list[bytes] = []
        self.closed_with: int | None = None
        self.aborted = False
        self.on_send: Callable[[bytes], None] | None = None
        self.backlog: Backpressure | None = None
        self.slowed = 0
        self.pauses = 0
        self.pings = 0
        self.batches = False
        self.put_backs: list[bytes] = []
        self.lives = True
        self.stuck = False
        self.silent_s = 0.0
        self.turns_given = 0

    def send(self, frame: bytes, urgent: bool = False) -> Backpressure | None:
        if self.backlog is Backpressure.FULL and not urgent:
            return self.backlog
        if self.closed_with is None and not self.aborted:
            self.frames.append(frame)
            if self.on_send is not None:
                self.on_send(frame)
        return self.backlog

    def send_parts(self, parts: Sequence[bytes | memoryview], urgent: bool = False) -> Backpressure | None:
        return self.send(b"".join(parts), urgent)

    def decode_large(self, data: bytes, done: Callable[[WorkerMessage | Undecodable], None]) -> None:
        decode_at_once(data, done)

    @property
    def paused(self) -> bool:
        return self.pauses > 0

    def batch(self) -> None:
        self.batches = True

    def put_back(self, messages: list[bytes]) -> None:
        self.put_backs += messages

    def pace(self, size: int) -> float:
        return 0.02

    def let_others_in(self) -> None:
        self.turns_given += 1

    def slow_down(self, seconds: float) -> None:
        self.slowed += 1

    def pause_reading(self) -> None:
        self.pauses += 1

    def resume_reading(self) -> None:
        self.pauses -= 1

    def ping(self) -> float:
        self.pings += 1
        return 0.0

    def heard_since(self, moment: float) -> bool:
        return self.lives

    def close(self, code: int, reason: str = "") -> None:
        self.closed_with = code

    def abort(self) -> None:
        self.aborted = True


def decode_at_once(data: bytes, done: Callable[[WorkerMessage | Undecodable], None]) -> None:
    """Decode a large message here, and call `done` with it, or with Undecodable."""
    decoder = worker_message_decoder()
    reading, mended = take_apart(decoder, data)
    try:
        done(put_together(decoder, reading, mended if reading.mended else data))
    except Undecodable as error:
        done(error)
