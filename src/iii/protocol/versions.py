"""The version of this package, and those that clients announce: only the leading major.minor.patch counts (N4)."""

import re
from functools import lru_cache

PACKAGE_VERSION = "0.1.0"  # of this distribution; a constant, as asking the installed metadata costs 25 ms
# The generation whose wire behaviour our clients have; an engine judges conflicts and limits by it
COMPATIBILITY_LEVEL = "0.25.0"

Version = tuple[int, int, int]

_LEADING_TRIPLE = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})")


@lru_cache(maxsize=256)
def parse_version(text: str | None) -> Version | None:
    """Read `0.23.0-rc.4` as (0, 23, 0). None for a missing or unparsable version, which counts as unknown (N4)."""
    match = _LEADING_TRIPLE.match(text) if text else None
    if match is None:
        return None
    major, minor, patch = match.groups()
    return int(major), int(minor), int(patch)
