"""JSON Schema, where what may take long is checked by another process (18 §2.4)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from iii.engine.json_schema import problems
from iii.net.decoding import DecodingProcesses, Parts

_BEGIN = 9  # of what is packed: one byte, and eight with the size of the schema
_QUICK = 2**24  # bytes of schema times bytes of value: at most some ms
# References can make the work exponential, patterns need not be linear; all keywords for references end like this
_SLOW = (b'ef"', b'"pattern')


def check_packed(data: bytes) -> Sequence[bytes]:
    """`problems` for another process."""
    size, end = int.from_bytes(data[1:_BEGIN], "big"), len(data)
    schema, value = (bytes(data[start:stop]) for start, stop in ((_BEGIN, _BEGIN + size), (_BEGIN + size, end)))
    return [text.encode() for text in problems(schema, value, bool(data[0]))]


class SchemaChecks:
    """Of one engine."""

    def __init__(self) -> None:
        self._processes = DecodingProcesses()

    async def problems(self, schema: bytes, value: bytes, hides_values: bool = False) -> list[str]:
        """As the function, without holding up the event loop; a check that does not end is a problem too."""
        if len(schema) * len(value) <= _QUICK and not any(word in schema for word in _SLOW):
            if "jsonschema_rs" not in sys.modules:
                await asyncio.to_thread(problems, b"{}", b"{}")  # only to load the library
            return problems(schema, value, hides_values)
        told: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()

        def done(found: list[str]) -> None:
            if not told.done():
                told.set_result(found)

        packed = bytes([hides_values]) + len(schema).to_bytes(_BEGIN - 1, "big") + schema + value
        self._processes.do(check_packed, packed, done, _texts, _not_checked)
        return await told

    def close(self) -> None:
        self._processes.close()


def _texts(parts: Parts) -> list[str]:
    return [part.decode() for part in parts]


def _not_checked(why: str) -> list[str]:
    return [f"the value could not be checked: {why}"]
