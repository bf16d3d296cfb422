"""The process that works on large texts: names of functions and texts on standard input, results on standard output (DecodingProcesses)."""

import importlib
import os
import signal
import sys
from typing import IO

HEAD_BYTES = 8  # the size of what follows, or how many parts
FAILED = 2**64 - 1  # instead of how many: why follows


def main() -> None:
    """Serve until the engine closes the pipe, or is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the engine's to obey
    try:
        _serve(sys.stdin.buffer, sys.stdout.buffer)
    except (BrokenPipeError, EOFError):  # it has gone in the middle
        os._exit(0)


def _serve(asked: IO[bytes], told: IO[bytes]) -> None:
    def read() -> bytes:
        size = int.from_bytes(asked.read(HEAD_BYTES), "big")
        data = asked.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def write_number(number: int) -> None:
        told.write(number.to_bytes(HEAD_BYTES, "big"))

    while name := read():
        module, _, function = name.decode().partition(":")
        data = read()
        try:
            parts = getattr(importlib.import_module(module), function)(data)
            write_number(len(parts))
        except Exception as error:
            parts = [f"{type(error).__name__}: {error}"[:1000].encode(errors="replace")]
            write_number(FAILED)
        for part in parts:
            write_number(len(part))
            told.write(part)
        told.flush()


if __name__ == "__main__":
    main()
