"""`access_log` of `iii-http` (06 §11)."""

import asyncio
import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest

from iii.modules.http import access_log
from iii.protocol.log_line import ACCESS_LOG
from iii.server import log
from tests.integration.http.site import DEADLINE_S, Open

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Lines(logging.Handler):
    """The fields of each line."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.fields.put_nowait(record.fields)  # type: ignore[attr-defined]

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE_S):
            return await self.fields.get()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[Lines]:
    caplog.set_level(logging.INFO, ACCESS_LOG)
    logging.getLogger(ACCESS_LOG).addHandler(lines := Lines())
    yield lines
    logging.getLogger(ACCESS_LOG).removeHandler(lines)


async def created(request: Any) -> Any:
    return {"status_code": 201, "body": {"id": 7}}


async def test_06_s11_each_request_has_a_line(open_site: Open, lines: Lines) -> None:
    site = await open_site(access_log=True)
    await site.route("GET users/:id", created)
    headers = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "user-agent": 'a "b"'}
    await site.ask("/users/7?token=secret", headers=headers)
    first = await lines.next()
    assert first.pop("duration_ms") >= 0
    assert first == {
        "method": "GET", "path": "/users/7", "status": 201, "bytes": 8, "function": "test::f1", "trace_id": TRACE,
        "ip_address": "127.0.0.1", "http_version": "1.1", "user_agent": 'a "b"', "referer": None,
    }  # fmt: skip
    await site.ask("/nowhere", "POST")
    missing = await lines.next()
    assert (missing["method"], missing["status"], missing["function"], missing["trace_id"]) == ("POST", 404, None, None)


async def test_06_s11_a_client_that_leaves_is_a_499(open_site: Open, lines: Lines) -> None:
    site = await open_site(access_log=True)
    await site.route("POST upload", created)
    client = await site.raw(
        b"POST /upload HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"
    )
    client.drop()
    assert (await lines.next())["status"] in (400, 499)


async def test_06_s11_without_the_option_there_is_no_line(open_site: Open, lines: Lines) -> None:
    site = await open_site()
    await site.route("GET users", created)
    await site.ask("/users")
    assert lines.fields.empty()
    assert not isinstance(site.http.application, access_log.LoggedApplication)


def said(log_format: str) -> str:
    """What the log has of two hundred and one requests, as it is written."""
    root = logging.getLogger()
    before = root.level, root.handlers[:], logging.raiseExceptions
    stream = io.StringIO()
    writer = log.configure("info", log_format, log.LogWriter(stream))
    try:
        for _ in range(201):  # no flood: somebody asked for them
            access_log.HTTP_REQUEST(
                method="GET", path="/a\nb", status=200, duration_ms=1.5, bytes=8, function="users::get", trace_id=None, ip_address="127.0.0.1",
                http_version="1.1", user_agent='a "b"', referer=None,
            )  # fmt: skip
        writer.flush()
    finally:
        writer.close()
        root.setLevel(before[0])
        root.handlers[:], logging.raiseExceptions = before[1:]
    return stream.getvalue()


def test_06_s11_the_default_format_is_the_combined_one() -> None:
    written = said("default").splitlines()
    assert len(written) == 201
    moment = r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"
    expected = r"127\.0\.0\.1 - - " + moment + r' "GET /a\\\\nb HTTP/1\.1" 200 8 "-" "a \\"b\\"" 1\.5 users::get -'
    assert re.fullmatch(expected, written[0]), written[0]


def test_06_s11_json_has_the_fields() -> None:
    line = json.loads(said("json").splitlines()[0])
    assert (line["event"], line["target"], line["fields"]["status"], line["fields"]["function"]) == (
        "http.request", "iii.modules.http.access_log", 200, "users::get",
    )  # fmt: skip


def test_the_source_is_the_one_that_others_know() -> None:
    assert access_log.__name__ == ACCESS_LOG
