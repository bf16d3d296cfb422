"""How long the server behind the HTTP port waits, and for what."""

from typing import NamedTuple

HEAD_S = 10.0  # Longest time from the first byte of a request head to its last one.


class HttpTimes(NamedTuple):
    """Waits of a port, in seconds; a test takes shorter ones.

    Attributes:
        head_s: from the first byte of a request head to its last one.
        waiting_look_s: between two looks at how many clients wait to be accepted.
        look_s: between two looks at all connections.
        drain_s: for requests at work when the engine stops; with `ANSWER_S` the 5 s of L4.
    """

    head_s: float = HEAD_S
    waiting_look_s: float = 0.25
    look_s: float = 1.0
    drain_s: float = 4.5


HTTP_TIMES = HttpTimes()
