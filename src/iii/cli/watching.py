"""Changes of source files, as they happen; the only file that sees the library."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event

from iii.installation import how_to_install

LOOK_MS = 500  # between two looks for something else than a change


class NoWatcher(Exception):
    """The library is not installed; the text says how to get it."""


def changes(folders: Sequence[Path], stop: Event) -> Iterator[list[str]]:
    """Python files that have changed, which may be none, until `stop` is set. Raises NoWatcher."""
    try:
        from watchfiles import PythonFilter, watch
    except ImportError:
        raise NoWatcher(f"'iii dev' needs the library watchfiles: {how_to_install('dev')}") from None
    batches = watch(
        *folders, watch_filter=PythonFilter(), rust_timeout=LOOK_MS, yield_on_timeout=True, stop_event=stop,
        raise_interrupt=False,
    )  # fmt: skip
    return (sorted(path for _, path in batch) for batch in batches)
