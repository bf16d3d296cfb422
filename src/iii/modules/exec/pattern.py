"""Which files a `watch` pattern means: a folder and endings (07 §6.1)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple


class Pattern(NamedTuple):
    """One pattern, parsed.

    Attributes:
        folder: what lies before the first `*`; files below it may match.
        recursive: also those in folders of that folder.
        endings: without the dot; None: any file.
    """

    folder: Path
    recursive: bool
    endings: frozenset[str] | None

    @classmethod
    def parse(cls, text: str, base: Path) -> Pattern:
        """A pattern relative to the folder `base`. Names of files in it mean nothing, only their endings do."""
        before = text.split("*", 1)[0].rstrip("/" + os.sep)
        if "*" not in text:  # one file: its folder
            before = os.path.dirname(before)
        elif not before and text.startswith("/"):
            before = "/"
        return cls(Path(os.path.abspath(base / before)), "**" in text, _endings(text))

    def matches(self, path: Path) -> bool:
        """Whether a change of this file, an absolute path, counts."""
        if not path.is_relative_to(self.folder) or (not self.recursive and path.parent != self.folder):
            return False
        return self.endings is None or path.suffix[1:] in self.endings


def _endings(text: str) -> frozenset[str] | None:
    name = text.rpartition("/")[2]
    _, dot, ending = name.rpartition(".")
    if not dot or not ending or ending == "*":
        return None
    if ending.startswith("{") and ending.endswith("}"):
        return frozenset(part.strip() for part in ending[1:-1].split(",") if part.strip()) or None
    return frozenset({ending})
