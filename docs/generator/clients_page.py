"""Which published client can do what: the tests of `tests/compat`, collected, are the rows."""

import contextlib
import io
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.generator.markdown import table
from tests.compat.environments import NODE, PYTHON, Client
from tests.compat.features import ROWS, Cell

COMPAT = Path(__file__).parents[2] / "tests" / "compat"
_HEAD = """\
# Published clients

Which published `iii-sdk` can do what with this engine.
Each cell is a test in `tests/compat/`, which installs the client from its package registry and drives it through its public API.
Functions are called in both directions between each client and four others: ours, Python 0.9.0, Python 0.25.0 and Node 0.22.1.
An empty cell: that version has no such feature.
"""
_NOTES = """
¹ The version cannot replace its old connection, which stays listed until it has been silent for 60 s; calls go to the new one.

² Telemetry is an extra of the Python versions below 0.11: `pip install 'iii-sdk[otel]'`.

## Settings worth knowing

- Node reports its metrics every 60 s; `otel: { enabled: true, metricsExportIntervalMs: 5000 }` shortens that.
- A payload or result that exceeds what its receiver accepts is answered with `payload_too_large`; the connection stays open.
- The environments are made under `~/.cache/iii-compat`, or in the folder that `III_COMPAT_CACHE` names, with the dependencies of `tests/compat/constraints.txt`.
- `python -m tests.compat.environments` makes all of them at once.
"""


class _Collected:
    """A plugin that keeps what pytest finds."""

    def __init__(self) -> None:
        self.items: list[pytest.Item] = []

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.items = session.items


def clients_page() -> str:
    """A table a language, a column a version."""
    cells = _cells()
    text = _HEAD
    for title, clients in (("Python", PYTHON), ("Node", NODE)):
        rows = [[row, *(cells[row].get(client, "") for client in clients)] for row in ROWS]
        text += f"\n## {title}\n\n" + table(
            ["", *(client.version for client in clients)], [r for r in rows if any(r[1:])]
        )
    return text + _NOTES


def _cells() -> dict[str, dict[Client, str]]:
    found: dict[str, dict[Client, str]] = defaultdict(dict)
    for item in _items():
        for mark in item.iter_markers("feature"):
            row, cell = mark.args
            for client in _clients(item):
                if text := _text(cell, client):
                    found[row][client] = text
    return found


def _items() -> list[pytest.Item]:
    collected = _Collected()
    with contextlib.redirect_stdout(io.StringIO()) as said:
        # This process has imported `iii`, which pytest prepares for its plugin
        quiet = ["-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
        code = pytest.main(["--collect-only", "-q", *quiet, str(COMPAT)], plugins=[collected])
    if code != pytest.ExitCode.OK:
        raise RuntimeError(f"tests/compat cannot be collected:\n{said.getvalue()}")
    return collected.items


def _clients(item: pytest.Item) -> Iterator[Client]:
    """Those that the test proves something of: its parameters without the other end, or all of a language."""
    assert isinstance(item, pytest.Function)
    for name, value in item.callspec.params.items():
        if isinstance(value, Client) and name != "peer":
            yield value
        elif name == "everyone":
            yield from (client for client in (*PYTHON, *NODE) if client.language == value)


def _text(cell: Cell, client: Client) -> str:
    return cell if isinstance(cell, str) else cell(client)
