"""Alerts as HTTP requests (16 §6)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from iii.modules.observability.metrics.webhooks import Webhooks
from iii.server import config_file

Answer = Callable[[int], Awaitable[int]]


class Server:
    """Answers with the status that it is told, and keeps what it got."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.bodies: list[bytes] = []
        self.types: list[str] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.types.append(request.content_type)
        status = await self._answer(len(self.bodies))
        return web.Response(status=status, headers={"Location": "/elsewhere"})


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[Server]:
    server = Server(answer)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/alerts?key=hidden"
    try:
        yield server
    finally:
        await runner.cleanup()


async def delivered(webhooks: Webhooks) -> None:
    async with asyncio.timeout(60):
        await webhooks.settled()


async def test_the_body_arrives_once() -> None:
    async def answer(_: int) -> int:
        return 204

    webhooks = Webhooks()
    async with serving(answer) as server:
        ended: list[str] = []
        webhooks.send("a", server.url, b'{"alert":"a"}', True, ended.append)
        await delivered(webhooks)
        assert ended == [""]
        assert (server.bodies, server.types) == ([b'{"alert":"a"}'], ["application/json"])


async def test_a_failure_is_tried_again_and_a_redirect_is_one(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(attempt: int) -> int:
        return (500, 302, 200)[attempt - 1]

    webhooks = Webhooks(pauses_s=(0.0, 0.0))
    async with serving(answer) as server:
        webhooks.send("a", server.url, b"{}", True)
        await delivered(webhooks)
        assert len(server.bodies) == 3
    assert caplog.records == []


async def test_three_failures_are_said_without_what_may_be_secret(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(_: int) -> int:
        return 500

    webhooks = Webhooks(pauses_s=(0.0, 0.0))
    async with serving(answer) as server:
        ended: list[str] = []
        webhooks.send("a", server.url, b"{}", True, ended.append)
        await delivered(webhooks)
        assert ended == ["webhook failed: HTTP 500"]
        assert len(server.bodies) == 3
    (record,) = caplog.records
    assert "HTTP 500" in record.getMessage()
    assert "hidden" not in record.getMessage()


async def test_a_server_that_is_not_there_is_said_in_words(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(_: int) -> int:
        return 200

    async with serving(answer) as server:
        url = server.url
    webhooks = Webhooks(pauses_s=(0.0, 0.0))
    webhooks.send("a", url, b"{}", True)
    await delivered(webhooks)
    (record,) = caplog.records
    assert record.__dict__["fields"]["reason"] == "cannot connect: connection refused"


async def test_while_one_is_being_sent_the_next_of_its_rule_is_not(caplog: pytest.LogCaptureFixture) -> None:
    goes_on = asyncio.Event()

    async def answer(_: int) -> int:
        await goes_on.wait()
        return 200

    webhooks = Webhooks()
    async with serving(answer) as server:
        webhooks.send("a", server.url, b"1", True)
        ended: list[str] = []
        webhooks.send("a", server.url, b"2", True, ended.append)
        assert ended == ["an earlier alert of its rule is still being sent"]
        webhooks.send("b", server.url, b"3", True)
        goes_on.set()
        await delivered(webhooks)
        assert sorted(server.bodies) == [b"1", b"3"]
    assert "an earlier one of its rule" in caplog.text


async def test_06_check_56_a_name_that_leads_inside_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    async def answer(_: int) -> int:
        return 200

    webhooks = Webhooks()
    async with serving(answer) as server:
        ended: list[str] = []
        webhooks.send("a", server.url.replace("127.0.0.1", "localhost"), b"1", False, ended.append)
        await delivered(webhooks)
        assert ended == ["webhook refused: Private IP blocked"]
        assert server.bodies == []
    assert "Private IP blocked" in caplog.text
    assert "url=http://" in caplog.text
    assert "`allow_private_hosts: true` in its action" in caplog.text


async def test_06_check_56_a_url_of_another_scheme_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    """As what stands behind a placeholder may be; the file refuses one that it has itself."""
    webhooks = Webhooks()
    webhooks.send("a", "ftp://example.com/x", b"1", True)
    await delivered(webhooks)
    assert "unsupported scheme 'ftp' (only http/https)" in caplog.text


async def test_a_stop_ends_what_is_being_sent() -> None:
    async def answer(_: int) -> int:
        await asyncio.Event().wait()
        return 200

    webhooks = Webhooks()
    async with serving(answer) as server:
        webhooks.send("a", server.url, b"1", True)
        async with asyncio.timeout(60):
            await webhooks.stop()


CONFIGURATION = """\
workers:
- name: iii-observability
  config:
    alerts:
    - {name: log, metric: m, threshold: 1}
    - name: calls fail
      metric: iii.invocations.error
      threshold: 1
      action:
        type: webhook
        url: URL
"""


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "http://127.0.0.1:9/?key=hidden",
            "Private IP blocked; `allow_private_hosts: true` in the action allows private hosts",
        ),
        ("https://10.1/x", "Private IP blocked; `allow_private_hosts: true` in the action allows private hosts"),
        ("https://1.2.3.4.5/", "not an address"),
    ],
)
def test_16_6_a_webhook_that_will_be_refused_is_warned_of_at_the_start(tmp_path: Path, url: str, reason: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIGURATION.replace("URL", url))
    (doubt,) = config_file.load(path, environment={}).warnings
    assert doubt == (
        f"{path}:11: workers[0] (iii-observability): alerts[1].action.url: the webhook will be refused: {reason}"
    )


@pytest.mark.parametrize("url", ["https://hooks.example/alerts", "http://127.0.0.1/, allow_private_hosts: true"])
def test_16_6_another_webhook_is_not_warned_of(tmp_path: Path, url: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIGURATION.replace("URL", url.replace(", ", "\n        ")))
    assert config_file.load(path, environment={}).warnings == ()
