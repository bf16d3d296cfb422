"""A TCP connection between a client and the engine that can break on one side only."""

import contextlib
import socket
import struct
import threading
from types import TracebackType
from typing import Self

RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Cable:
    """Forwards a port of its own to another. `cut` resets the client's side and leaves the engine's side open.

    Attributes:
        heard: what the engine has said so far, the heads of its frames included.
    """

    def __init__(self, port: int) -> None:
        self.heard = bytearray()
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}"
        self._client_sides: list[socket.socket] = []
        self._engine_sides: list[socket.socket] = []
        threading.Thread(target=self._accept, name="cable", daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for engine_side in self._engine_sides:
            engine_side.close()

    def cut(self) -> None:
        """The client sees a reset; the engine sees nothing, as if the network had gone."""
        client_sides, self._client_sides = self._client_sides, []
        for client_side in client_sides:
            client_side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            with contextlib.suppress(OSError):
                client_side.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads it
            client_side.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed at the end
            while True:
                client_side, _ = self._listener.accept()
                engine_side = socket.create_connection(("127.0.0.1", self._target))
                self._client_sides.append(client_side)
                self._engine_sides.append(engine_side)
                for source, sink, record in ((client_side, engine_side, None), (engine_side, client_side, self.heard)):
                    threading.Thread(target=_forward, args=(source, sink, record), name="cable", daemon=True).start()


def _forward(source: socket.socket, sink: socket.socket, record: bytearray | None) -> None:
    """Until either side is gone; the other side stays as it is."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            if record is not None:
                record += data
            sink.sendall(data)
