"""An engine with its console, a worker, and a browser's side of both."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
import msgspec

import iii
from tests.processes import EngineProcess

DEADLINE_S = 60.0
CONFIG = """
workers:
  - {name: iii-worker-manager, config: {port: {port}}}
  - {name: iii-observability, config: {sampling_ratio: 1.0}}
  - {name: iii-http, config: {port: HTTP}}
  - {name: iii-stream, config: {port: STREAM}}
  - {name: iii-state}
  - {name: iii-pubsub}
  - {name: iii-cron}
  - name: iii-queue
    config:
      queue_configs: {work: {max_retries: 1, backoff_ms: 1, concurrency: 4}}
  - {name: iii-console, config: {port: CONSOLE, CONFIG}}
"""


class Answer(NamedTuple):
    status: int
    body: Any
    headers: Mapping[str, str]


class Browser:
    """Requests to a console, with what a browser would send."""

    def __init__(self, base: str, session: aiohttp.ClientSession) -> None:
        self.base = base
        self.session = session
        self.csrf: str | None = None

    async def get(self, path: str, **headers: str) -> Answer:
        return await self.request("GET", path, None, headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        return await self.request("POST", path, body, headers)

    async def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        sent = dict(headers or {})
        if self.csrf is not None:
            sent.setdefault("X-CSRF-Token", self.csrf)
        data = None
        if body is not None:
            data = io.BytesIO(msgspec.json.encode(body))
            sent.setdefault("Content-Type", "application/json")
        async with (
            asyncio.timeout(DEADLINE_S),
            self.session.request(
                method, f"{self.base}{path}", data=data, headers=sent, allow_redirects=False
            ) as response,
        ):
            content = await response.read()
            is_json = response.content_type == "application/json"
            return Answer(response.status, msgspec.json.decode(content) if is_json else content, response.headers)

    async def ask(self, function_id: str, payload: Any = None) -> Any:
        """Of a function that only reads."""
        answer = await self.post("/api/v1/ask", {"function_id": function_id, "payload": payload or {}})
        assert answer.status == 200, answer
        return answer.body

    async def call(self, function_id: str, payload: Any = None, **more: Any) -> Any:
        answer = await self.post("/api/v1/call", {"function_id": function_id, "payload": payload, **more})
        assert answer.status == 200, answer
        return answer.body

    async def call_status(self, function_id: str, payload: Any = None) -> int:
        return (await self.post("/api/v1/call", {"function_id": function_id, "payload": payload})).status

    async def login(self, token: str) -> Answer:
        answer = await self.post("/api/v1/login", {"token": token}, Origin=self.base)
        if answer.status == 200:
            self.csrf = answer.body["csrf"]
        return answer

    @asynccontextmanager
    async def live(self) -> AsyncIterator[Live]:
        async with self.session.ws_connect(f"{self.base}/ws/live", origin=self.base, max_msg_size=0) as socket:
            yield Live(socket)


class Live:
    """What a page is told, put together as a page does."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.messages: list[dict[str, Any]] = []
        self.rows: dict[int, dict[str, Any]] = {}
        self.appended: dict[int, list[Any]] = {}
        self.revs: dict[int, int] = {}
        self._keys: dict[int, str] = {}

    async def follow(self, number: int, topic: str, key: str = "id", **params: Any) -> None:
        self._keys[number] = key
        await self.socket.send_json({"op": "sub", "id": number, "topic": topic, "params": params})

    async def next(self) -> dict[str, Any]:
        """One message, applied."""
        message: dict[str, Any] = await self.socket.receive_json(timeout=DEADLINE_S)
        self.messages.append(message)
        self._apply(message)
        return message

    async def until(self, condition: Callable[[], object]) -> None:
        """Until what was told is so."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                await self.next()

    async def message(self, kind: str, number: int | None = None) -> dict[str, Any]:
        """The next one of a kind."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                found = await self.next()
                if found["t"] == kind and (number is None or found.get("id") == number):
                    return found

    def _apply(self, message: dict[str, Any]) -> None:
        number = message.get("id", 0)
        match message["t"]:
            case "reset":
                self.rows[number] = {self._key(number, row): row for row in message["rows"]}
                self.appended[number] = list(message["rows"])
            case "delta":
                if message["from"] != self.revs[number]:
                    raise AssertionError(f"a gap: {message['from']} after {self.revs[number]}")
                self.rows[number].update({self._key(number, row): row for row in message["set"]})
                for key in message["del"]:
                    del self.rows[number][key]
            case "append":
                if message["from"] != self.revs[number]:
                    raise AssertionError(f"a gap: {message['from']} after {self.revs[number]}")
                self.appended[number] += message["rows"]
        if "rev" in message:
            self.revs[number] = message["rev"]

    def _key(self, number: int, row: dict[str, Any]) -> str:
        return str(row.get(self._keys[number]))


class LoopThread:
    """A worker of our SDK that serves while tests run in loops of their own."""

    def __init__(self, url: str, name: str = "shop", *, functions: bool = True) -> None:
        self.release = threading.Event()
        self.delivered: list[Any] = []
        self.arrived = threading.Condition()
        options = iii.InitOptions(worker_name=name, otel={"enabled": True, "service_name": name})
        self.worker = iii.register_worker(url, options)
        if functions:
            self.worker.register_function("math::add", lambda data: data["a"] + data["b"], description="Add numbers.")
            self.worker.register_function("math::fails", self._fail)
            self.worker.register_function("shop::hangs", self._hang)
            self.worker.register_function("shop::takes", self._take)
        self.worker.list_functions()  # answered when everything is registered

    def close(self) -> None:
        self.release.set()
        self.worker.shutdown()

    def _fail(self, data: Any) -> None:
        raise ValueError("no such number")

    def _hang(self, data: Any) -> None:
        self.release.wait(DEADLINE_S)

    def _take(self, data: Any) -> Any:
        with self.arrived:
            self.delivered.append(data)
            self.arrived.notify_all()
        if isinstance(data, dict) and data.get("bad"):
            raise ValueError(data["bad"])
        return data

    def wait_for(self, condition: Callable[[Any], bool]) -> Any:
        """The first thing delivered that is like that, perhaps still to come."""
        with self.arrived:
            found = self.arrived.wait_for(lambda: any(map(condition, self.delivered)), DEADLINE_S)
        assert found, self.delivered
        return next(filter(condition, self.delivered))


class Place(NamedTuple):
    """An engine, and where its ports are."""

    engine: EngineProcess
    console: str
    http: int
    stream: int


def configured(console: int, http: int, stream: int, more: str = "enabled: true") -> str:
    text = CONFIG.replace("CONSOLE", str(console)).replace("HTTP", str(http)).replace("STREAM", str(stream))
    return text.replace("CONFIG", more)


def path_of(text: str) -> str:
    """As one segment of a path."""
    return quote(text, safe="")


async def logged(engine: EngineProcess, text: str) -> str:
    """The log, once this is in it."""
    async with asyncio.timeout(DEADLINE_S):
        while text not in (log := engine.log()):  # noqa: ASYNC110  # a file has no event
            await asyncio.sleep(0.01)
    return log


async def eventually(look: Callable[[], Awaitable[Answer]], condition: Callable[[Any], object]) -> Any:
    """The body of an answer, once it is like that."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition(body := (await look()).body):  # noqa: ASYNC110  # a server has no event
            await asyncio.sleep(0.02)
    return body
