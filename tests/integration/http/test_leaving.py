"""Clients that do not wait for the answer, and functions that need not give one then (P11)."""

import asyncio
from typing import Any

import pytest

import iii
from iii.modules.http import exchange
from tests.integration.http.site import DEADLINE_S, Open, Site
from tests.integration.server.waiting import until


class Slow:
    """Waits, and notes whether it was cancelled."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.release = asyncio.Event()
        self.outcome = ""

    async def __call__(self, call: Any) -> Any:
        self.begun.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.outcome = "cancelled"
            raise
        self.outcome = "done"
        return {}


async def leave(site: Site, path: str, slow: Slow) -> None:
    """Ask for a page, and do not wait for it."""
    client = await site.raw(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path.encode())
    async with asyncio.timeout(DEADLINE_S):
        await slow.begun.wait()
    client.drop()


async def test_P11_a_route_may_cancel_its_function_when_the_client_leaves(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_WATCH_AFTER_S", 0.02)
    slow, other = Slow(), Slow()
    await site.route("GET /cancelled", slow, cancel_on_disconnect=True)
    await site.route("GET /runs-on", other)
    await leave(site, "/runs-on", other)
    await leave(site, "/cancelled", slow)
    await until(lambda: slow.outcome)
    await until(lambda: not len(site.engine.channels))  # both requests are over
    other.release.set()
    await until(lambda: other.outcome)
    assert (slow.outcome, other.outcome) == ("cancelled", "done")


@pytest.mark.parametrize("config", [{}, {"cancel_on_disconnect": True}])
async def test_03_check_31_P7_a_function_is_cancelled_after_a_504(open_site: Open, config: dict[str, Any]) -> None:
    site = await open_site(default_timeout=200)
    slow = Slow()
    await site.route("GET /slow", slow, **config)
    assert (await site.get("/slow"))[0] == 504
    await until(lambda: slow.outcome)
    assert slow.outcome == "cancelled"


async def test_P11_an_answered_request_cancels_nothing(site: Site) -> None:
    seen = list[iii.Invocation]()

    @site.worker.http("GET", "/quick", cancel_on_disconnect=True)
    async def quick() -> dict[str, int]:
        seen.append(iii.current_invocation())
        return {"a": 1}

    await site.settled()
    assert await site.get("/quick") == (200, {"a": 1})
    await site.settled()
    assert [each.cancelled for each in seen] == [False]
