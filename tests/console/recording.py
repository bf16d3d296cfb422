"""What a console's server told a page, kept so that the page can be shown again as it was: same answers, same pushes, same time.

The recording is data of the shop (tests/console/shop.py), made by `python -m tests.console.pictures`.
"""

import gzip
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from playwright.sync_api import BrowserContext, Page, Request, Response, Route, WebSocket, WebSocketRoute

PUSHED_MOST = 3  # messages of a subscription: the first rows, and what a topic tells a little later


@dataclass
class Recording:
    """By request, and by what was subscribed to; `at_ms` is the time that pages are shown at."""

    at_ms: float
    trace: str = ""  # the id of one with several spans
    answers: dict[str, Any] = field(default_factory=dict)
    pushed: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)  # what a page asked for and the recording has not

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(**json.loads(gzip.decompress(path.read_bytes())))

    def write(self, path: Path) -> None:
        kept = {"at_ms": self.at_ms, "trace": self.trace, "answers": self.answers, "pushed": self.pushed}
        path.write_bytes(gzip.compress(json.dumps(kept, sort_keys=True).encode(), mtime=0))

    def listen(self, page: Page) -> None:
        """Keep what this page is answered and pushed from now on."""
        page.on("response", self._answered)
        page.on("websocket", self._connected)

    def play(self, context: BrowserContext) -> None:
        """Pages of this context get what was kept, from no server."""
        context.route("**/api/**", self._answer)
        context.route_web_socket("**/ws/live", self._serve)

    def _answered(self, response: Response) -> None:
        if "/api/" in response.url and response.ok:
            self.answers[key_of(response.request)] = response.json()

    def _connected(self, socket: WebSocket) -> None:
        topics: dict[int, str] = {}

        def sent(text: str | bytes) -> None:
            asked = json.loads(text)
            if asked["op"] == "sub":
                topics[asked["id"]] = topic_of(asked)
                self.pushed[topic_of(asked)] = []

        def heard(text: str | bytes) -> None:
            message = json.loads(text)
            told = self.pushed.get(topics.get(message.get("id"), ""))
            if told is not None and len(told) < PUSHED_MOST:
                told.append(message)

        socket.on("framesent", sent)
        socket.on("framereceived", heard)

    def _answer(self, route: Route) -> None:
        key = key_of(route.request)
        if key in self.answers:
            route.fulfill(json=self.answers[key])
        else:
            self.missing.append(key)
            route.fulfill(status=404, json={"error": f"not recorded: {key}"})

    def _serve(self, socket: WebSocketRoute) -> None:
        def heard(text: str | bytes) -> None:
            asked = json.loads(text)
            if asked["op"] != "sub":
                return
            if topic_of(asked) not in self.pushed:
                self.missing.append(topic_of(asked))
            for message in self.pushed.get(topic_of(asked), []):
                socket.send(json.dumps({**message, "id": asked["id"]}))

        socket.on_message(heard)
        socket.send(json.dumps({"t": "hello", "engine": {"connected": True}}))


def key_of(request: Request) -> str:
    """Method, path and query, and what was sent."""
    path = re.sub(r"^https?://[^/]+", "", request.url)
    return " ".join(filter(None, (request.method, path, request.post_data)))


def topic_of(asked: dict[str, Any]) -> str:
    return f"{asked['topic']} {json.dumps(asked.get('params'), sort_keys=True)}"
