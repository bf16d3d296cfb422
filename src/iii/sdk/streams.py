"""Streams whose items a worker keeps itself: five functions that the engine calls instead of its store (08 §9.4)."""

from abc import ABC, abstractmethod
from typing import Any

from msgspec import Struct


class StreamItemInput(Struct, frozen=True):
    """Names one item, to get or delete it."""

    stream_name: str
    group_id: str
    item_id: str


class StreamSetInput(Struct, frozen=True):
    """Names one item and its new value."""

    stream_name: str
    group_id: str
    item_id: str
    data: Any = None


class StreamListInput(Struct, frozen=True):
    """Names one group."""

    stream_name: str
    group_id: str


class StreamListGroupsInput(Struct, frozen=True):
    """Names the stream."""

    stream_name: str


class Stream(ABC):
    """A stream's items; `update` is done by the engine, which reads and writes."""

    @abstractmethod
    async def get(self, request: StreamItemInput) -> Any:
        """The item's value, None if there is none."""

    @abstractmethod
    async def set(self, request: StreamSetInput) -> Any:
        """Store it; the result is `{"old_value": …, "new_value": …}`, or None if nothing is known of that."""

    @abstractmethod
    async def delete(self, request: StreamItemInput) -> Any:
        """Remove it; the result is `{"old_value": …}`, or None."""

    @abstractmethod
    async def list(self, request: StreamListInput) -> Any:
        """The values of one group."""

    @abstractmethod
    async def list_groups(self, request: StreamListGroupsInput) -> Any:
        """The ids of all groups."""
