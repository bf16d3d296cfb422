"""Names of workers: what may be one, and one that no other process has."""

from iii.protocol.limits import NAME_CODE_POINTS
from iii.protocol.names import clean_name


def own_name(prefix: str) -> str:
    """A name that no other process has: the prefix and four random characters."""
    from random import SystemRandom  # as in the next line, for the few who have a name of their own made
    from string import ascii_lowercase, digits

    return f"{prefix}-{''.join(SystemRandom().choices(ascii_lowercase + digits, k=4))}"


def checked_name(source: str, name: str | None) -> str | None:
    """What the engine lists, which drops what could forge a line and cuts; so different names would be one.

    Raises:
        ValueError: it is not what is given.
    """
    clean = clean_name(name)
    if (clean or "") != (name or "").strip():
        raise ValueError(
            f"{source} may have {NAME_CODE_POINTS} characters, and no control characters, got {name!r:.200}"
        )
    return clean
