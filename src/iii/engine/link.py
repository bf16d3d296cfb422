"""The outgoing side of one worker connection, as the core sees it."""

from collections.abc import Callable, Sequence
from typing import Protocol

from iii.protocol.backpressure import Backpressure
from iii.protocol.codec import Undecodable
from iii.protocol.messages import WorkerMessage


class Link(Protocol):
    """Never blocks and never raises; says nothing once it ended (01 §10)."""

    ip_address: str | None

    @property
    def paused(self) -> bool:
        """Whether nothing is to be delivered now (`pause_reading` and what else pauses)."""

    @property
    def silent_s(self) -> float:
        """Seconds since anything was heard of the worker; 0 when that was just now, within seconds."""

    @property
    def stuck(self) -> bool:
        """Whether the worker is not to be given more where others serve beside it: too much waits, or it answers no ping (P8)."""

    def send(self, frame: bytes, urgent: bool = False) -> Backpressure | None:
        """Queue one JSON message; order is kept. Says when too much waits for the worker (P5).

        Args:
            urgent: an answer or a registration, which is dropped much later than a call is refused.
        """

    def send_parts(self, parts: Sequence[bytes | memoryview], urgent: bool = False) -> Backpressure | None:
        """As `send`, for a message in pieces that are not copied."""

    def batch(self) -> None:
        """The worker takes several messages in one frame from now on (29 §1)."""

    def put_back(self, messages: list[bytes]) -> None:
        """Deliver these, which came in one frame, next: each as if it had come in a frame of its own."""

    def pace(self, size: int) -> float:
        """Seconds for which whoever has sent so much to this worker, of which HIGH or FULL was said, is to say nothing (P5)."""

    def slow_down(self, seconds: float) -> None:
        """Read the next message of this worker so much later: it feeds one that reads too slowly (P5)."""

    def decode_large(self, data: bytes, done: Callable[[WorkerMessage | Undecodable], None]) -> None:
        """Decode a large message without holding the loop, then call `done` with it, or with Undecodable.

        Nothing further that the worker says is delivered before that, its end included.
        """

    def let_others_in(self) -> None:
        """Deliver the next message in a later turn of the loop: what came so far was work enough for one."""

    def pause_reading(self) -> None:
        """Deliver nothing more that the worker says until `resume_reading` was called as often."""

    def resume_reading(self) -> None:
        """Go on in order, with what came before the pause took effect."""

    def ping(self) -> float:
        """Ask at once whether the other side lives; `heard_since` takes what this returns."""

    def heard_since(self, moment: float) -> bool:
        """Whether any frame came since a ping, or none can come: reading is paused."""

    def close(self, code: int, reason: str = "") -> None:
        """Send a Close frame after what is queued, then end the connection."""

    def abort(self) -> None:
        """End the connection at once, without a Close frame (01 §2.4)."""
