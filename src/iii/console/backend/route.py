"""One route of the backend, and the function of the same name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec
from msgspec import Raw

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


def as_json(body: Any) -> bytes:
    """Of what a route returns."""
    return body if isinstance(body, bytes) else msgspec.json.encode(body)


def raw(json: bytes) -> Raw:
    """A result as a member of another one."""
    return Raw(json)
