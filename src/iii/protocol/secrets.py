"""Which names carry secrets, whose values must never reach a log line or an error text."""

import re
from functools import lru_cache

from iii.protocol.late_pattern import late_pattern
from iii.protocol.suggestion import nearest

HIDDEN = "[hidden]"

_SECRET = late_pattern(
    r"pass(?:word|wd|phrase)|secret|token$|(?:auth|access|refresh)_token|api[-_]?key|access[-_]?key|private[-_]?key"
    r"|credential|authori[sz]ation|bearer|cookie",
    re.IGNORECASE,
)

_WORDS = ("password", "passwd", "passphrase", "secret", "token", "key", "credential", "authorization", "cookie")


_CACHED_CHARACTERS = 64  # of a name, so that the cache is bounded in bytes too


def is_secret(name: object) -> bool:
    """Whether a value under this name is hidden."""
    if not isinstance(name, str):
        return False
    return _is_secret(name) if len(name) <= _CACHED_CHARACTERS else _SECRET.search(name) is not None


@lru_cache(maxsize=1024)  # the same few names come thousands of times
def _is_secret(name: str) -> bool:
    return _SECRET.search(name) is not None


def may_hold_secret(text: str) -> bool:
    """Whether JSON may have a secret name in it; False is sure, and a fraction of what a look at each name costs."""
    if not text.isascii() or ("\\" in text and "\\u" in text):  # one character is found ten times as fast
        return True  # a name can be written so that no part of it shows
    text = text.lower()
    return (
        "key" in text or "token" in text or "pass" in text or "secret" in text
        or "credential" in text or "authori" in text or "bearer" in text or "cookie" in text
    )  # fmt: skip


def resembles_secret(name: object) -> bool:
    """Whether a name may be a misspelt one of those: `pasword`."""
    words = re.split(r"[^a-z]+", str(name).lower())
    return is_secret(name) or any(nearest(word, _WORDS, 0.66) for word in words)


def without_secrets(value: object, hidden: str = HIDDEN) -> object:
    """A copy of JSON-like data with the values of secret names replaced, whatever is below them."""
    if isinstance(value, dict):
        return {key: hidden if is_secret(key) else without_secrets(item, hidden) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_secrets(item, hidden) for item in value]
    return value
