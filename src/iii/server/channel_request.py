"""The address of one end of a channel: `/ws/channels/{id}?key=…&dir=…` (07 §2.3)."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote

_PATH = re.compile(r"/ws/channels/([^/?]+)")
# Clients that append the path as text to an address with a query, such as `ws://host/?token=x`
_IN_QUERY = re.compile(r".*/ws/channels/([^/?]+)\?([^?]*)")


class ChannelRequest(NamedTuple):
    channel_id: str
    query: str

    def parameter(self, name: str) -> str | None:
        """Percent-decoded; None if it is missing."""
        for pair in self.query.split("&"):
            key, equals, value = pair.partition("=")
            if key == name and equals:
                return unquote(value)
        return None


def channel_requested(path: str, query: str) -> ChannelRequest | None:
    """What a request for a channel asks for; None for any other."""
    if path == "/":
        inside = _IN_QUERY.fullmatch(query)
        return None if inside is None else ChannelRequest(inside[1], inside[2])
    found = _PATH.fullmatch(path)
    return None if found is None else ChannelRequest(found[1], query)
