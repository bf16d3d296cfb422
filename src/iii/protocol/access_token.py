"""Access tokens: made at random, kept as hashes (20 §2)."""

import re
import secrets
from hashlib import sha256

PREFIX = "iii_"
HASHED = "sha256:"
SHORTEST = 24  # Shortest access token, in characters: a hash of a shorter one could be guessed.
LONGEST = 4096

_HASH = re.compile(r"sha256:[0-9a-f]{64}").fullmatch


def new_token() -> str:
    """256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(token: str) -> str:
    """As configurations have it. One round is enough: tokens are random, nobody guesses them."""
    return HASHED + sha256(token.encode(errors="surrogatepass")).hexdigest()


def is_hash(text: str) -> bool:
    return _HASH(text) is not None


def fault_of_token(token: str) -> str | None:
    """Why a text is not a token, without the text; None: it is one."""
    if len(token) < SHORTEST:
        return f"a token has {SHORTEST} characters or more, this one has {len(token)}; make one with `iii token create`"
    if len(token) > LONGEST:
        return f"a token has at most {LONGEST} characters"
    if not token.isascii() or not token.isprintable() or " " in token:
        return "a token consists of printable ASCII characters without blanks"
    return None
