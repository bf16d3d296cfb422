"""Queries of URLs."""


def query_params(query: str) -> dict[str, list[str]]:
    """By name, in order, nothing decoded (L9)."""
    found: dict[str, list[str]] = {}
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name:
            found.setdefault(name, []).append(value)
    return found
