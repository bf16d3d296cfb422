"""How a span ended, as `iii trace` shows it (19 §4)."""

import io
import sys
from typing import Any

import pytest

from iii.cli.waterfall import Waterfall


def span(status: str, *attributes: tuple[str, str]) -> dict[str, Any]:
    return {
        "name": "POST /buy", "span_id": "a" * 16, "service_name": "iii", "status": status, "events": [], "children": [],
        "start_time_unix_nano": 1, "end_time_unix_nano": 3_000_000_001, "attributes": attributes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("shown", "end"),
    [
        (span("unset", ("http.response.status_code", "499")), "client left"),
        (span("unset", ("iii.call.withdrawn", "true")), "caller left"),
        (span("error", ("http.response.status_code", "500")), "failed"),
        (span("ok", ("http.response.status_code", "499")), "3.00 s"),  # a status that the handler chose
        (span("unset"), "3.00 s"),
    ],
)
def test_19_4_who_left_is_told_beside_the_span(shown: dict[str, Any], end: str) -> None:
    row = list(Waterfall([shown], [], details=False, limit=9).lines("b" * 32))[3]
    assert row.endswith(end)


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_19_4_on_a_narrow_terminal_bars_give_way_to_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    tree = span("ok")
    for _ in range(5):
        tree = {**span("ok"), "children": [{**tree, "name": "execute http::POST /orders"}]}
    rows = list(Waterfall([tree], [], details=False, limit=9).lines("b" * 32))[3:]
    assert max(map(len, rows)) <= 80
    assert all("…" not in row for row in rows)
    assert rows[-1].startswith(" " * 10 + "execute http::POST /orders")
