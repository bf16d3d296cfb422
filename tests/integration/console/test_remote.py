"""`iii console` beside an engine that it does not run in, that dies and comes back (23 §8)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from iii.protocol.access_token import hash_of
from tests.integration.cli.running import RunningEngine
from tests.integration.console.consoles import Browser, LoopThread, Place, configured, eventually
from tests.machine import scaled
from tests.processes import EngineProcess, free_port

API = "/api/engine/_console"
OBSERVER = "observer-token-of-this-test-1"
LOGIN = "login-token-of-this-console-12"


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, RunningEngine]]:
    """An engine whose own console is off, and a console of its own process."""
    port, http, stream = free_port(), free_port(), free_port()
    with EngineProcess(config=configured(free_port(), http, stream, "enabled: false")) as engine:
        console = RunningEngine(
            tmp_path_factory.mktemp("console"), "console", "-p", str(port), "--url", engine.url,
            "--engine-port", str(http), "--ws-port", str(stream), "--enable-flow", "--engine-routes",
        )  # fmt: skip
        console.wait_for("console.engine_connected")
        worker = LoopThread(engine.url)
        yield Place(engine, f"http://127.0.0.1:{port}", http, stream), console
        worker.close()
        console.process.kill()
        console.process.wait()


@pytest.fixture
async def page(apart: tuple[Place, RunningEngine]) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession() as session:
        yield Browser(apart[0].console, session)


async def test_23_check_2_flags_are_what_pages_are_told(page: Browser, apart: tuple[Place, RunningEngine]) -> None:
    body = (await page.get("/api/config")).body

    assert body["enableFlow"] is True
    assert (body["enginePort"], body["wsPort"]) == (apart[0].http, apart[0].stream)
    assert apart[1].wait_for("Console available at (http://[0-9.:]+)")[1] == page.base


async def test_23_check_5_the_console_is_a_worker(page: Browser) -> None:
    rows = {
        row["name"]: row for row in (await page.get(f"{API}/workers")).body["workers"] if row["runtime"] != "engine"
    }

    assert rows["iii-console"]["description"] == "Web console UI and observability dashboard for the iii engine."
    functions = (await page.get("/api/v1/functions?q=iii-console")).body
    assert functions["total"] == 0


async def test_calls_and_lists_are_those_of_the_engine(page: Browser) -> None:
    called = await page.call("math::add", {"a": 1, "b": 2})
    failed = await page.call("math::fails", {})
    hangs = await page.call("shop::hangs", {}, timeout_ms=50)
    job = await page.call("shop::takes", {"n": 1}, action={"type": "enqueue", "queue": "work"})
    void = await page.call("shop::takes", {"n": 2}, action={"type": "void"})

    assert called["result"] == 3
    assert failed["error"]["code"] == "invocation_failed"
    assert hangs["error"]["code"] == "TIMEOUT"
    assert job["result"]["messageReceiptId"]
    assert (void["ok"], void["result"]) == (True, None)
    assert (await page.get("/api/v1/overview")).body["workers"]["total"] >= 2


async def test_changes_are_pushed(page: Browser, apart: tuple[Place, RunningEngine]) -> None:
    async with page.live() as live:
        await live.follow(1, "workers")
        await live.follow(2, "logs", q="pushed over there")
        await live.until(lambda: {1, 2} <= live.revs.keys())  # in whichever order
        await page.call("engine::log::warn", {"message": "pushed over there"})
        await live.until(lambda: live.appended[2])

    assert {"shop", "iii-console"} <= {row["name"] for row in live.rows[1].values()}


async def test_23_check_4_the_http_port_behind_the_console(page: Browser, apart: tuple[Place, RunningEngine]) -> None:
    def echo(request: object) -> object:
        return {"status_code": 201, "headers": {"X-Own": "1", "Set-Cookie": "a=b"}, "body": request}

    shop = LoopThread(apart[0].engine.url, name="echoing", functions=False)
    shop.worker.register_function("shop::echo", echo)
    shop.worker.register_trigger(
        {"type": "http", "function_id": "shop::echo", "config": {"api_path": "echo", "http_method": "PUT"}}
    )
    shop.worker.list_triggers()
    try:
        answer = await page.request(
            "PUT", "/api/engine/echo?type=http&active=true", {"n": 1}, {"Connection": "close", "X-Mine": "2"}
        )
        large = await page.post("/api/engine/echo", "x" * (11 * 1024 * 1024))
    finally:
        shop.close()

    assert (answer.status, answer.headers["X-Own"]) == (201, "1")
    assert answer.body["query_params"] == {"type": "http", "active": "true"}
    assert answer.body["body"] == {"n": 1}
    assert answer.body["headers"]["x-mine"] == "2"
    assert "set-cookie" not in {name.lower() for name in answer.headers}
    assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
    assert large.status == 400


async def test_streams_behind_the_console(page: Browser) -> None:
    async with page.session.ws_connect(f"{page.base}/ws/streams", origin=page.base) as socket:
        group = {"subscriptionId": "1", "streamName": "chat", "groupId": "room"}
        await socket.send_json({"type": "join", "data": group})
        assert (await socket.receive_json(timeout=60))["event"]["type"] == "sync"
        await page.call("stream::set", {"stream_name": "chat", "group_id": "room", "item_id": "1", "data": {"n": 1}})
        event = await socket.receive_json(timeout=60)

    assert event["event"] == {"type": "create", "data": {"n": 1}}


async def test_O4_scripts_find_the_routes_on_the_http_port(page: Browser, apart: tuple[Place, RunningEngine]) -> None:
    """Only with `--engine-routes`."""
    async with page.session.get(f"http://127.0.0.1:{apart[0].http}/_console/health") as answer:
        assert (await answer.json())["status"] == "healthy"


async def test_23_check_3_an_engine_that_dies_and_comes_back(page: Browser, apart: tuple[Place, RunningEngine]) -> None:
    place, _ = apart
    async with page.live() as live:
        await live.follow(1, "health", key="name")
        await live.message("reset", 1)
        await asyncio.to_thread(place.engine.kill)
        while (await live.message("engine"))["connected"]:
            pass
        away = await page.get(f"{API}/health")
        failed = await page.call_status("math::add", {})
        await asyncio.to_thread(place.engine.start)
        began = time.monotonic()
        while not (await live.message("engine"))["connected"]:
            pass
        took_s = time.monotonic() - began
        back = await eventually(lambda: page.get(f"{API}/health"), lambda body: body.get("status"))

    assert (away.status, away.body["error"]) == (502, "Bridge is not connected")
    assert failed == 502
    assert took_s < scaled(20)
    assert back["status"] == "healthy"


async def test_23_check_27_it_leaves_when_it_is_told_to(
    page: Browser, apart: tuple[Place, RunningEngine], tmp_path: Path
) -> None:
    place, _ = apart
    console = RunningEngine(tmp_path, "console", "-p", str(free_port()), "--url", place.engine.url)
    console.wait_for("console.engine_connected")

    async def consoles() -> int:
        rows = (await page.get("/api/v1/workers?q=iii-console")).body
        return int(rows["total"])

    assert await consoles() == 2
    console.process.terminate()
    assert await asyncio.to_thread(console.process.wait, 60) == 0
    began = time.monotonic()
    while await consoles() > 1:
        assert time.monotonic() - began < 20  # much sooner than one that fell silent


async def test_all_visitors_have_the_rights_of_the_consoles_own_token(tmp_path: Path) -> None:
    """One of an observer: whatever a visitor asks, nothing changes. Beyond this machine visitors log in."""
    token = f"{{name: watcher, hash: '{hash_of(OBSERVER)}', allow: [observer]}}"
    config = f"workers: [{{name: iii-worker-manager, config: {{port: {{port}}, rbac: {{tokens: [{token}]}}}}}}, {{name: iii-state}}]"
    port = free_port()
    (tmp_path / "login").write_text(LOGIN)
    with EngineProcess(config=config) as engine:
        console = RunningEngine(
            tmp_path, "console", "-p", str(port), "--host", "0.0.0.0", "--url", engine.url, "--login-token-file", "login",
            III_TOKEN=OBSERVER,
        )  # fmt: skip
        try:
            await asyncio.to_thread(console.wait_for, "console.engine_connected")
            async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
                page = Browser(f"http://127.0.0.1:{port}", session)
                assert (await page.get("/api/v1/workers")).status == 401
                assert (await page.login("wrong-token-of-this-test-12345")).status == 401
                assert (await page.login(LOGIN)).status == 200
                assert (await page.get("/api/v1/workers")).status == 200
                refused = await page.call("state::set", {"scope": "s", "key": "k", "value": 1})
        finally:
            console.process.kill()
            console.process.wait()

    assert refused["error"]["code"] == "FORBIDDEN"
    assert LOGIN not in "".join(console.log)
    assert OBSERVER not in "".join(console.log)
