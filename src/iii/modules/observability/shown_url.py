"""A URL as the log shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from yarl import URL


def shown_url(url: str | URL) -> str:
    """Scheme, host and port: without what may be secret."""
    from yarl import URL  # late: it takes 8 ms, and most engines have no URL to show

    try:
        return str(URL(url).origin())
    except ValueError:
        return "not a URL"
