"""Large messages are decoded by another process. A message of up to 2 MiB takes some 10 ms and is decoded where it came."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from iii.net.decoding import DecodingProcesses, Parts
from iii.protocol.codec import Undecodable, worker_message_decoder
from iii.protocol.large_message import Reading, put_together, take_apart
from iii.protocol.message_names import names_of
from iii.protocol.messages import WorkerMessage


class LargeMessages:
    """Decodes what workers say."""

    def __init__(self) -> None:
        self._decoding = DecodingProcesses()

    def read(self, data: bytes, done: Callable[[WorkerMessage | Undecodable], None]) -> None:
        """Decode `data` in another process, then call `done` on the running loop. Who wants order waits for `done`."""

        def finish(parts: Parts) -> WorkerMessage | Undecodable:
            try:
                reading = msgspec.json.decode(parts[0], type=Reading)
                message: WorkerMessage = put_together(
                    worker_message_decoder(), reading, parts[1] if reading.mended else data
                )
                return message
            except Undecodable as error:
                return error

        def refuse(why: str) -> Undecodable:
            return Undecodable(f"message not read: {why}", names_of(data))

        self._decoding.do(apart, data, done, finish, refuse)

    def close(self) -> None:
        """What waits is refused."""
        self._decoding.close()


def apart(data: bytes) -> list[bytes]:
    """A reading as JSON, and the mended text."""
    reading, mended = take_apart(worker_message_decoder(), data)
    return [msgspec.json.encode(reading), mended]
