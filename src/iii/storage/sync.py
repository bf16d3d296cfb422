"""What is on disk for sure; apart from the stores, so that whoever needs it loads no SQLite."""

import os
from pathlib import Path


def sync_path(path: Path) -> None:
    """The content of a file, or the names in a folder, on disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
