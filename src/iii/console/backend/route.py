"""One route of the backend, and the function of the same name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from iii.console.backend.question import question_of
from iii.console.door import EngineAway
from iii.console.refusal import Refusal, refusal_of
from iii.protocol.errors import InvocationError

if TYPE_CHECKING:
    from iii.console.backend.question import ConsoleQuestion
    from iii.console.desk import Desk

Answering: TypeAlias = "Callable[[Desk, ConsoleQuestion], Awaitable[Any]]"
"""Returns the body: JSON as bytes, or what becomes JSON."""


class BackendRoute(NamedTuple):
    """Attributes:
    name: after `engine::console::`.
    path: below `_console/`, with `:parameter`.
    """

    name: str
    method: str
    path: str
    answer: Answering

    @property
    def function_id(self) -> str:
        """As the engine lists it."""
        return f"engine::console::{self.name}"

    @property
    def description(self) -> str:
        """As the engine lists it."""
        return f"Answer `{self.method} _console/{self.path}` of the console."


def as_json(body: Any) -> bytes:
    """Of what a route returns."""
    return body if isinstance(body, bytes) else msgspec.json.encode(body)


async def response_object(route: BackendRoute, desk: Desk, payload: bytes) -> bytes:
    """What the function of a route answers: a response for the HTTP module."""
    try:
        status, body = 200, as_json(await route.answer(desk, question_of(payload)))
    except Refusal as refusal:
        status, body = refusal.status, as_json(refusal.body())
    except (InvocationError, TimeoutError, EngineAway) as error:
        failed = refusal_of(error)
        status, body = failed.status, as_json(failed.body())
    return b'{"status_code":%d,"headers":[],"body":%b}' % (status, body)
