"""Which names carry secrets, whose values must never reach a log line or an error text (DESIGN §7)."""

import re
from difflib import get_close_matches

HIDDEN = "[hidden]"

_SECRET = re.compile(
    r"pass(?:word|wd|phrase)|secret|token$|api[-_]?key|access[-_]?key|private[-_]?key|credential|authori[sz]ation|cookie",
    re.IGNORECASE,
)

_WORDS = ("password", "passwd", "passphrase", "secret", "token", "key", "credential", "authorization", "cookie")


def is_secret(name: object) -> bool:
    """Whether a value under this name is hidden."""
    return isinstance(name, str) and _SECRET.search(name) is not None


def resembles_secret(name: object) -> bool:
    """Whether a name may be a misspelt one of those: `pasword`."""
    words = re.split(r"[^a-z]+", str(name).lower())
    return is_secret(name) or any(get_close_matches(word, _WORDS, n=1, cutoff=0.66) for word in words)


def without_secrets(value: object) -> object:
    """A copy of JSON-like data with the values of secret names replaced."""
    if isinstance(value, dict):
        return {key: HIDDEN if is_secret(key) else without_secrets(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_secrets(item) for item in value]
    return value
