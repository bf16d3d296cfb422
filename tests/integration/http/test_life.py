"""The HTTP module from start to stop (03 §A1, §A2, L1, L2, L4)."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import iii
from iii.modules.http import server
from iii.modules.http.config import HttpConfig
from iii.modules.http.module import Http
from iii.modules.http.times import HttpTimes
from iii.protocol.start_failure import StartFailure
from iii.server.config_file import load
from tests.integration.http.site import DEADLINE_S, Open, Site
from tests.integration.server.waiting import until
from tests.processes import EngineProcess, free_port


async def test_03_check_52_a_port_that_is_taken_ends_the_start(site: Site) -> None:
    with pytest.raises(StartFailure) as error:
        await Http(site.engine, HttpConfig(port=site.http.port)).start()
    assert f"address 127.0.0.1:{site.http.port} is already in use" in str(error.value)


async def test_a_socket_that_is_closed_before_it_is_served_is_an_error_and_does_not_end_the_process(site: Site) -> None:
    closed = socket.create_server(("127.0.0.1", 0))
    served = server.HttpServer(site.http.application, site.http.application.clients, closed, 1000, 10)
    closed.close()
    served.start()
    with pytest.raises(OSError, match="the listening socket is closed"):
        await served.stop(60)


async def test_what_cannot_be_served_leaves_no_port(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The port is open before anything is there that could serve it."""

    def broken(*arguments: object) -> None:
        raise RuntimeError("cannot")

    monkeypatch.setattr(server, "HttpServer", broken)
    http = Http(site.engine, HttpConfig(port=0))
    with pytest.raises(RuntimeError):
        await http.start()
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", http.port)):
        pass


@pytest.mark.parametrize(
    ("block", "key"),
    [
        ("{prot: 1}", "unknown key 'prot' (1), did you mean 'port'?"),
        ("{cors: {origins: []}}", "unknown key 'cors.origins'"),
        ("{middleware: [{function: x}]}", "unknown key 'middleware[0].function'"),
        ("{middleware: [{}]}", "middleware[0].function_id: is missing"),
        ('{default_timeout: "500"}', "default_timeout: expected a whole number"),
        ("{port: abc}", "port: expected a whole number"),
        # http M8: what becomes header text
        ('{request_id_header: "bad name"}', "request_id_header: expected the name of a header"),
        ('{request_id_header: ""}', "request_id_header: expected the name of a header"),
        ('{request_id_header: "X-Ré"}', "request_id_header: expected the name of a header"),
        ('{request_id_header: "a\\nb"}', "request_id_header: expected the name of a header"),
        ("{request_id_header: Content-Length}", "request_id_header: expected the name of a header"),
        ("{request_id_header: transfer-encoding}", "request_id_header: expected the name of a header"),
        ('{server_header: "a\\r\\nb: c"}', "server_header: expected printable ASCII text"),
        ('{cors: {allowed_methods: ["GET", "A\\r\\nB"]}}', "cors.allowed_methods[1]: expected a method"),
        ('{cors: {allowed_methods: [""]}}', "cors.allowed_methods[0]: expected a method"),
        ('{cors: {allowed_origins: ["http://a/"]}}', "cors.allowed_origins[0]: expected an origin"),
        ('{cors: {allowed_origins: ["http://a b"]}}', "cors.allowed_origins[0]: expected an origin"),
        ('{cors: {allowed_origins: ["http://a\\n"]}}', "cors.allowed_origins[0]: expected an origin"),
        ('{cors: {allowed_origins: ["HTTP://a"]}}', "cors.allowed_origins[0]: expected an origin"),
        ('{cors: {expose_headers: ["x y"]}}', "cors.expose_headers[0]: expected the name of a header"),
        ("{cors: {max_age: -1}}", "cors.max_age: expected a whole number >= 0"),
        ("{cors: {allow_credentials: true}}", "cors: `allow_credentials` needs explicit origins"),
        ('{cors: {allow_credentials: true, allowed_origins: ["*"]}}', "needs explicit origins in `allowed_origins`"),
        ("{idle_timeout: 0}", "idle_timeout: expected a whole number >= 1000"),
    ],
)
def test_03_check_50_a_block_with_mistakes_is_refused(tmp_path: Any, block: str, key: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"workers: [{{name: iii-http, config: {block}}}]")
    with pytest.raises(StartFailure) as error:
        load(path, environment={})
    assert key in str(error.value)


async def test_L1_both_loopback_families(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    http = Http(site.engine, HttpConfig(port=port))
    await http.start()
    for host in ("127.0.0.1", "[::1]", "localhost"):
        async with site.browser.get(f"http://{host}:{port}/nowhere") as answer:
            assert answer.status == 404
    await http.quiet()


async def test_L4_a_stop_lets_requests_end_and_takes_no_new_ones(site: Site) -> None:
    going_on = asyncio.Event()

    async def handler(request: Any) -> Any:
        await going_on.wait()
        return {"body": "done"}

    await site.route("GET /a", handler)
    asking = asyncio.ensure_future(site.get("/a"))
    await until(lambda: site.http.application.open_requests)
    stopping = asyncio.ensure_future(site.http.quiet())
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", site.http.port)
            except ConnectionRefusedError:
                break
            writer.close()
            await asyncio.sleep(0.01)
    going_on.set()
    assert await asking == (200, "done")
    await stopping


async def test_L4_what_does_not_end_is_broken_off(open_site: Open) -> None:
    site = await open_site(HttpTimes(drain_s=0.05))

    async def handler(request: Any) -> Any:
        await asyncio.Event().wait()

    await site.route("GET /a", handler)
    asking = asyncio.ensure_future(site.get("/a"))
    await until(lambda: site.http.application.open_requests)
    await site.http.quiet()
    status, body = await asking
    assert (status, body["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")


async def test_http_S1_clients_that_neither_write_nor_read_do_not_keep_the_engine(
    open_site: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """Half a head, half a body, an answer and a stream that nobody reads: the stop has its own limit (L4)."""
    site = await open_site(HttpTimes(drain_s=0.1))

    async def endless(request: Any, response: iii.StreamResponse) -> None:
        with contextlib.suppress(iii.ChannelError):
            while True:
                await response.write(b"x" * 100_000)

    async def large(request: Any) -> Any:
        return {"body": "x" * 8_000_000}

    async def sink(request: Any) -> Any:
        return {}

    site.worker.http("GET", "/endless")(endless)
    await site.route("GET /large", large)
    await site.route("POST /sink", sink)
    sent = [
        b"G",
        b"GET /large HTTP/1.1\r\n",
        b"POST /sink HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc",
        b"POST /sink HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{",
        b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n",
    ]
    clients = [socket.create_connection(("127.0.0.1", site.http.port)) for _ in sent]
    try:
        for client, each in zip(clients, sent, strict=True):
            client.sendall(each)
        for client in clients[-2:]:  # what has begun to come is in the kernel's hands; nobody reads on
            await asyncio.to_thread(client.recv, 1)
        async with asyncio.timeout(DEADLINE_S):
            await site.http.quiet()
        assert "HTTP connections cut" in caplog.text
        assert not site.http.application.open_requests
    finally:
        for client in clients:
            client.close()


async def test_P13_a_route_whose_worker_is_away_is_unavailable_for_a_while(open_site: Open) -> None:
    site = await open_site(route_grace_ms=2000, not_found_function="nowhere")

    async def handler(request: Any) -> Any:
        return {"body": "hello"}

    worker = await site.connect()
    trigger = await site.route("GET /a/:id", handler, worker=worker, to="a::f")
    kept = await site.route("GET /b", handler)
    assert (await site.get("/a/1"))[0] == 200
    await site.leave(worker)
    status, headers, body = await site.ask("/a/1")
    assert (status, headers["retry-after"], body["error"]["code"]) == (503, "1", "SERVICE_UNAVAILABLE")
    assert (await site.get("/a/1", "HEAD"))[0] == 503
    kept.unregister()
    await site.settled()
    assert (await site.get("/b"))[1]["error"]["code"] == "function_not_found"  # not away: it was unregistered
    await site.route("GET /a/:id", handler)  # anybody else may serve it
    assert (await site.get("/a/1"))[0] == 200
    async with asyncio.timeout(DEADLINE_S):
        worker = await site.connect()
        await site.route("GET /c", handler, worker=worker, to="c::f")
        await site.leave(worker)
        while (await site.get("/c"))[0] == 503:  # noqa: ASYNC110  # time has no event
            await asyncio.sleep(0.02)
    del trigger


@pytest.mark.parametrize("waits_for", ["slot", "middleware"])
async def test_P13_a_request_whose_worker_leaves_before_its_turn_is_unavailable(
    open_site: Open, waits_for: str
) -> None:
    """Not `500 function_not_found`: it never ran, and another try is safe."""
    site = await open_site(concurrency_request_limit=1)
    entered, left = asyncio.Event(), asyncio.Event()

    async def until_left(request: Any) -> Any:
        entered.set()
        await left.wait()
        return {"action": "continue"}

    await site.function("test::wait", until_left)
    worker = await site.connect()
    config = {} if waits_for == "slot" else {"middleware_function_ids": ["test::wait"]}
    await site.route("GET /a", until_left, worker=worker, to="a::f", **config)
    await site.route("GET /first", to="test::wait")
    first = [asyncio.create_task(site.get("/first"))] if waits_for == "slot" else []
    if first:
        await entered.wait()
    waiting = [asyncio.create_task(site.ask("/a")) for _ in range(3)]
    await until(lambda: site.http.application.open_requests == len(first) + len(waiting))
    await entered.wait()
    await site.leave(worker)
    await until(lambda: site.http.away.has("GET", "/a"))
    left.set()
    for each in waiting:
        status, headers, body = await each
        assert (status, headers["retry-after"], body["error"]["code"]) == (503, "1", "function_not_found")
    for task in first:
        assert (await task)[0] == 200


async def test_P13_without_a_grace_a_route_goes_at_once(open_site: Open) -> None:
    site = await open_site(route_grace_ms=0)
    worker = await site.connect()
    await site.route("GET /a", to="no::function", worker=worker)
    await site.leave(worker)
    assert (await site.get("/a"))[0] == 404


@pytest.mark.parametrize("kept", [True, False])
async def test_P13_routes_are_remembered_over_a_restart_of_the_engine(
    open_site: Open, tmp_path: Path, kept: bool
) -> None:
    folder = tmp_path / "data"
    if kept:
        folder.mkdir()
    first = await open_site(file_path=str(folder))
    await first.route("GET /a/:id", to="no::function")
    gone = await first.route("GET /gone", to="no::function")
    gone.unregister()
    await first.settled()
    await first.http.quiet()
    await first.leave(first.worker)  # after the stop: it stays remembered
    second = await open_site(file_path=str(folder))
    assert (await second.get("/a/1"))[0] == (503 if kept else 404)
    assert (await second.get("/gone"))[0] == 404
    assert folder.exists() is kept
    await second.http.quiet()
    if kept:
        (folder / "http" / "routes.json").write_bytes(b'[["GET", 7]]')
        third = await open_site(file_path=str(folder))
        assert (await third.get("/a/1"))[0] == 404


async def test_03_the_trigger_type_describes_itself(site: Site) -> None:
    info = await site.worker.trigger_async({"function_id": "engine::triggers::info", "payload": {"id": "http"}})
    text = str(info)
    for word in (
        "api_path",
        "http_method",
        "condition_function_id",
        "middleware_function_ids",
        "path_params",
        "status_code",
    ):
        assert word in text


def test_the_process_serves_and_logs_and_ends(tmp_path: Any) -> None:
    config = "workers:\n- {name: iii-worker-manager, config: {port: {port}}}\n- {name: http, config: {port: 0}}\n"
    engine = EngineProcess(tmp_path, config=config).start()
    try:
        give_up_at = time.monotonic() + DEADLINE_S
        while (found := re.search(r"served_at: \"(http://127\.0\.0\.1:\d+)", engine.log())) is None:
            assert time.monotonic() < give_up_at, engine.log()
            time.sleep(0.01)
        with pytest.raises(urllib.error.HTTPError, match="404"):
            urllib.request.urlopen(f"{found[1]}/nowhere", timeout=60)
    finally:
        assert engine.stop() == 0


def test_P2_a_whole_cors_block_is_read(tmp_path: Any) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "workers: [{name: iii-http, config: {request_id_header: X-Request-Id, idle_timeout: 90000, server_header: '', "
        'cors: {allowed_origins: ["https://a.example", "http://localhost:3000", "http://[::1]:8080", "capacitor://localhost", '
        '"null", "localhost"], allow_credentials: true, expose_headers: [X-Total], max_age: 600}}}]'
    )
    http = next(entry.config for entry in load(path, environment={}).entries if isinstance(entry.config, HttpConfig))
    assert http.cors is not None
    assert (http.cors.max_age, http.cors.expose_headers, http.idle_timeout) == (600, ("X-Total",), 90_000)
