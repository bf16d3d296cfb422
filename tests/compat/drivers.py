"""A published client, or ours, in a process of its own: the test's end of the conversation with driver.py or driver.cjs."""

import itertools
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.compat.environments import HERE, Client, command
from tests.processes import LineProcess, ProcessFailed

ANSWER_S = 60.0
RECONNECTION = {"initial_delay_ms": 50, "max_delay_ms": 300}  # faster than the default, so that restarts are

Event = dict[str, Any]


class CallFailed(Exception):
    """What the client raised, in one form for all generations."""

    def __init__(self, kind: str, code: str | None, message: str) -> None:
        super().__init__(f"{kind}: {code}: {message}")
        self.kind = kind
        self.code = code
        self.message = message


class Driver:
    """One client process. Commands may overlap: `start` returns a future, `ask` waits for it."""

    def __init__(
        self, client: Client, *, telemetry_url: str | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        """Without telemetry, unless there is an address for it: `III_URL` and, for the rest, the client's defaults."""
        self.client = client
        self.name = f"{client}"
        self.events: list[Event] = []
        self._changed = threading.Condition()
        self._answers: dict[int, Future[Any]] = {}
        self._numbers = itertools.count(1)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        arguments = [sys.executable, "-u", str(HERE / "driver.py")] if client.language == "ours" else command(client)
        self._process = LineProcess(
            arguments,
            env={"OTEL_ENABLED": "false", **(env or {})} if telemetry_url is None else {"III_URL": telemetry_url},
            stderr=self._stderr,
            on_line=self._heard,
            on_end=self._ended,
        )
        self.pid = self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def connect(self, url: str, name: str | None = None, **options: Any) -> None:
        """Connect as `name`; `options` are InitOptions in Python's spelling, `reconnection` and `otel` as objects.

        Node connects in the background, Python waits for it.
        """
        self.name = name or self.name
        options = {"worker_name": self.name, "reconnection": RECONNECTION, **options}
        if self.client.language == "node":
            options = _camel_case(options)
        self.ask("connect", url=url, **options)

    def start(self, verb: str, /, **arguments: Any) -> "Future[Any]":
        """Begin a command; the future fails with CallFailed or ProcessFailed."""
        number = next(self._numbers)
        future: Future[Any] = Future()
        with self._changed:
            self._answers[number] = future
        self._process.write_line(json.dumps({"command": number, "do": verb, "with": arguments}))
        return future

    def ask(self, verb: str, /, **arguments: Any) -> Any:
        """Do a command and return its result. Raises CallFailed, ProcessFailed, TimeoutError."""
        return self.start(verb, **arguments).result(ANSWER_S)

    def register(self, function_id: str, kind: str, **details: Any) -> None:
        """Register a function that does `kind` (the drivers say which kinds there are)."""
        self.ask("register", function_id=function_id, kind=kind, **details)

    def call(self, function_id: str, payload: Any = None, **request: Any) -> Any:
        """Call a function and return its result; without payload if it is None. Raises CallFailed."""
        return self.start_call(function_id, payload, **request).result(ANSWER_S)

    def start_call(self, function_id: str, payload: Any = None, **request: Any) -> "Future[Any]":
        if payload is not None:
            request["payload"] = payload
        return self.start("call", function_id=function_id, **request)

    def send(self, function_id: str, payload: Any) -> None:
        """A void call."""
        self.call(function_id, payload, action={"type": "void"})

    def discover(self, kind: str, **payload: Any) -> Any:
        """What `engine::<kind>::list` lists to this client, as it came."""
        return self.call(f"engine::{kind}::list", payload)

    def wait_for(
        self, what: str, matches: Callable[[Event], bool] = lambda event: True, deadline_s: float = 60.0
    ) -> Event:
        """The first event called `what` that matches. Raises AssertionError at the deadline."""
        give_up_at = time.monotonic() + deadline_s
        seen = 0
        with self._changed:
            while True:
                for event in self.events[seen:]:
                    if event["event"] == what and matches(event):
                        return event
                seen = len(self.events)
                left_s = give_up_at - time.monotonic()
                assert left_s > 0, (
                    f"{self.name}: no {what!r} within {deadline_s} s, but {self.events[-20:]}\n{self.stderr()}"
                )
                self._changed.wait(left_s)

    def handled(self, function_id: str, **payload: Any) -> Event:
        """The event of a handler call whose payload has these members."""

        def matches(event: Event) -> bool:
            got = event["payload"]
            return event["function_id"] == function_id and (
                not payload or (isinstance(got, dict) and payload.items() <= got.items())
            )

        return self.wait_for("handled", matches)

    def kill(self) -> None:
        """SIGKILL; running commands fail."""
        self._process.kill()
        self._stderr.close()

    @property
    def running(self) -> bool:
        return self._process.running

    def stderr(self) -> str:
        """What client and driver logged so far."""
        if self._stderr.closed:
            return ""
        return Path(f"/proc/self/fd/{self._stderr.fileno()}").read_text(errors="replace")[-4000:]

    def _heard(self, line: str) -> None:
        message = json.loads(line)
        with self._changed:
            if "answer" in message:
                future = self._answers.pop(message["answer"])
            else:
                self.events.append({**message, "at": time.monotonic()})
                self._changed.notify_all()
                return
        if "error" in message:
            future.set_exception(CallFailed(**message["error"]))
        else:
            future.set_result(message.get("result"))

    def _ended(self) -> None:
        with self._changed:
            waiting, self._answers = list(self._answers.values()), {}
        for future in waiting:
            future.set_exception(ProcessFailed(f"{self.name} ended"))


def _camel_case(options: Mapping[str, Any]) -> dict[str, Any]:
    """Node's spelling of the options of `registerWorker`."""
    spelt: dict[str, Any] = {}
    for name, value in options.items():
        head, *words = ("reconnection_config" if name == "reconnection" else name).split("_")
        spelt[head + "".join(word.capitalize() for word in words)] = (
            _camel_case(value) if isinstance(value, Mapping) else value
        )
    return spelt


def eventually(condition: Callable[[], Any], deadline_s: float = 60.0, every_s: float = 0.02) -> Any:
    """The first true value of `condition`, which is asked again until then. Raises AssertionError at the deadline."""
    give_up_at = time.monotonic() + deadline_s
    for _ in _forever():
        value = condition()
        if value:
            return value
        assert time.monotonic() < give_up_at, f"still {value!r} after {deadline_s} s"
        time.sleep(every_s)


def _forever() -> Iterator[None]:
    return itertools.repeat(None)
