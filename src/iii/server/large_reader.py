"""The process that decodes large messages: texts on standard input, readings on standard output (LargeMessages)."""

import signal
import sys

import msgspec

from iii.protocol.codec import worker_message_decoder
from iii.protocol.large_message import take_apart

HEAD_BYTES = 8  # the size of what follows


def main() -> None:
    """Serve until the engine closes the pipe, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the engine's to obey
    texts, readings = sys.stdin.buffer, sys.stdout.buffer
    while head := texts.read(HEAD_BYTES):
        data = texts.read(int.from_bytes(head, "big"))
        reading, mended = take_apart(worker_message_decoder(), data)
        encoded = msgspec.json.encode(reading)
        for part in (encoded, mended):
            readings.write(len(part).to_bytes(HEAD_BYTES, "big"))
            readings.write(part)
        readings.flush()


if __name__ == "__main__":
    main()
