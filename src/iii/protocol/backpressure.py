"""What a sender learns when more waits for a receiver than it reads (P5)."""

from enum import Enum, auto


class Backpressure(Enum):
    HIGH = auto()  # the message is queued, and its sender should slow down
    FULL = auto()  # the message was refused
