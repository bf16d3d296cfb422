"""A URL as the log shows it."""

from yarl import URL


def shown_url(url: str | URL) -> str:
    """Scheme, host and port: without what may be secret."""
    try:
        return str(URL(url).origin())
    except ValueError:
        return "not a URL"
