"""Patterns of names in the configuration: `*` is any run, `?` one character, the rest literal (17 §4)."""

import re
from collections.abc import Callable
from fnmatch import translate


def wildcard(pattern: str) -> Callable[[str], object]:
    """Whether a whole text matches, as something true. It takes no longer the more `*` there are, unlike `.*` would."""
    return re.compile(translate(pattern.replace("[", "[[]"))).match
