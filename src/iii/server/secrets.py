"""Which names carry secrets, whose values must never reach a log line or an error text (DESIGN §7)."""

import re

HIDDEN = "[hidden]"

_SECRET = re.compile(
    r"pass(?:word|wd|phrase)|secret|token$|api[-_]?key|access[-_]?key|private[-_]?key|credential|authori[sz]ation|cookie",
    re.IGNORECASE,
)


def is_secret(name: object) -> bool:
    """Whether a value under this name is hidden."""
    return isinstance(name, str) and _SECRET.search(name) is not None


def without_secrets(value: object) -> object:
    """A copy of JSON-like data with the values of secret names replaced."""
    if isinstance(value, dict):
        return {key: HIDDEN if is_secret(key) else without_secrets(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_secrets(item) for item in value]
    return value
