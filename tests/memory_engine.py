"""The real core without sockets: workers are objects, time is in the test's hand."""

from __future__ import annotations

import heapq
import itertools
import json
import uuid
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from iii.engine.departures import Ending
from iii.engine.engine import Engine, EngineOptions
from iii.engine.module import Module
from iii.engine.session import Session
from iii.protocol.backlog import Backlog
from iii.protocol.codec import Undecodable, worker_message_decoder
from iii.protocol.large_message import put_together, take_apart


class FakeTimer:
    def __init__(self, clock: FakeClock, callback: Callable[[], None]) -> None:
        self._clock = clock
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        if self.callback is not None:
            self.callback = None
            self._clock.timers.discard(self)


class FakeClock:
    """Jumps instead of sleeping; `timers` are those that would still fire."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._queue: list[tuple[float, int, FakeTimer]] = []
        self._order = itertools.count()
        self.timers: set[FakeTimer] = set()
        self._wall_s = 0.0

    def set_wall_clock(self, seconds: float) -> None:
        """Somebody sets the time of day, so far forward or back."""
        self._wall_s += seconds

    def now(self) -> float:
        return self._now

    def time_ms(self) -> int:
        return 1_760_000_000_000 + int((self._now + self._wall_s) * 1000)

    def call_at(self, when: float, callback: Callable[[], None]) -> FakeTimer:
        timer = FakeTimer(self, callback)
        self.timers.add(timer)
        heapq.heappush(self._queue, (when, next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass, firing what is due, in order."""
        end = self._now + seconds
        while self._queue and self._queue[0][0] <= end + 1e-9:
            when, _, timer = heapq.heappop(self._queue)
            if timer.callback is None:
                continue
            self._now = max(self._now, when)
            callback, timer.callback = timer.callback, None
            self.timers.discard(timer)
            callback()
        self._now = max(self._now, end)


class MemoryLink:
    """Keeps what the engine sent."""

    def __init__(self, ip_address: str | None = "127.0.0.1") -> None:
        self.ip_address = ip_address
        self.frames: list[bytes] = []
        self.closed_with: int | None = None
        self.aborted = False
        self.on_send: Callable[[bytes], None] | None = None
        self.backlog: Backlog | None = None  # what senders are told
        self.slowed = 0
        self.pauses = 0
        self.pings = 0
        self.lives = True  # answers pings
        self.turns_given = 0

    def send(self, frame: bytes, urgent: bool = False) -> Backlog | None:
        if self.backlog is Backlog.FULL and not urgent:
            return self.backlog
        if self.closed_with is None and not self.aborted:
            self.frames.append(frame)
            if self.on_send is not None:
                self.on_send(frame)
        return self.backlog

    def send_parts(self, parts: Sequence[bytes | memoryview], urgent: bool = False) -> Backlog | None:
        return self.send(b"".join(parts), urgent)

    def read_elsewhere(self, data: bytes, done: Callable[[object], None]) -> None:
        decoder = worker_message_decoder()
        reading, mended = take_apart(decoder, data)
        try:
            done(put_together(decoder, reading, mended if reading.mended else data))
        except Undecodable as error:
            done(error)

    def pace(self, size: int) -> float:
        return 0.02

    def let_others_in(self) -> None:
        self.turns_given += 1

    def slow_down(self, seconds: float) -> None:
        self.slowed += 1

    def pause_reading(self) -> None:
        self.pauses += 1

    def resume_reading(self) -> None:
        self.pauses -= 1

    def ping(self) -> float:
        self.pings += 1
        return 0.0

    def heard_since(self, moment: float) -> bool:
        return self.lives

    def close(self, code: int, reason: str = "") -> None:
        self.closed_with = code

    def abort(self) -> None:
        self.aborted = True


class MemoryWorker:
    """One raw worker: says frames, remembers what it was told."""

    def __init__(self, engine: MemoryEngine, link: MemoryLink, session: Session) -> None:
        self.engine = engine
        self.link = link
        self.session = session

    @property
    def id(self) -> str:
        return self.session.worker_id

    @property
    def connected(self) -> bool:
        return not self.session.ended

    def say(self, message: dict[str, Any] | bytes | str) -> None:
        if isinstance(message, dict):
            message = json.dumps(message)
        if self.link.pauses:  # it would not be read before the engine is through
            self.engine.clock.advance(0)
        if self.link.pauses:  # it would not be read before
            self.engine.clock.advance(0)
        self.session.receive(message.encode() if isinstance(message, str) else message)

    def heard(self, type: str | None = None) -> list[dict[str, Any]]:
        """Every message so far, of one type if named."""
        messages = [json.loads(frame) for frame in self.link.frames]
        return [message for message in messages if type is None or message["type"] == type]

    def forget(self) -> None:
        self.link.frames.clear()

    def announce(self, call: bool = False, **metadata: Any) -> dict[str, Any] | None:
        """`engine::workers::register`, void as published clients send it, or as a call that is answered."""
        if call:
            return self.call("engine::workers::register", metadata)
        self.say(
            {
                "type": "invokefunction", "function_id": "engine::workers::register", "data": metadata,
                "action": {"type": "void"},
            }
        )  # fmt: skip
        return None

    def register(self, *function_ids: str, **members: Any) -> None:
        for function_id in function_ids:
            self.say({"type": "registerfunction", "id": function_id, **members})

    def unregister(self, function_id: str) -> None:
        self.say({"type": "unregisterfunction", "id": function_id})

    def bind(self, binding_id: str, trigger_type: str, function_id: str, config: Any = None, **members: Any) -> None:
        self.say(
            {
                "type": "registertrigger", "id": binding_id, "trigger_type": trigger_type,
                "function_id": function_id, "config": {} if config is None else config, **members,
            }
        )  # fmt: skip

    def provide(self, type_id: str, **members: Any) -> None:
        self.say({"type": "registertriggertype", "id": type_id, "description": "", **members})

    def start_call(self, function_id: str, data: Any = None, **members: Any) -> str:
        """Ask; returns the invocation id."""
        invocation_id = str(uuid.uuid4())
        self.say(
            {
                "type": "invokefunction", "invocation_id": invocation_id, "function_id": function_id,
                "data": {} if data is None else data, **members,
            }
        )  # fmt: skip
        return invocation_id

    def answer_to(self, invocation_id: str) -> dict[str, Any] | None:
        """The result message of a call, None while there is none."""
        mentions = [json.loads(frame) for frame in self.link.frames if invocation_id.encode() in frame]
        found = [message for message in mentions if message["type"] == "invocationresult"]
        found = [message for message in found if message["invocation_id"] == invocation_id]
        assert len(found) <= 1, "answered twice"
        return found[0] if found else None

    def call(self, function_id: str, data: Any = None, **members: Any) -> dict[str, Any]:
        """Ask for something that is answered at once; returns the whole result message."""
        answer = self.answer_to(self.start_call(function_id, data, **members))
        assert answer is not None, f"{function_id} did not answer"
        return answer

    def result_of(self, function_id: str, data: Any = None, **members: Any) -> Any:
        """As `call`; the result itself. Fails on an error."""
        answer = self.call(function_id, data, **members)
        assert "error" not in answer, answer
        return answer.get("result")

    def invocations(self) -> list[dict[str, Any]]:
        """Calls this worker was asked to run."""
        return self.heard("invokefunction")

    def answer(self, invocation: dict[str, Any], result: Any = None, **members: Any) -> None:
        """Answer a call; `error=…` in members makes it a failure."""
        message = {
            "type": "invocationresult", "invocation_id": invocation["invocation_id"],
            "function_id": invocation["function_id"], **members,
        }  # fmt: skip
        if result is not None:
            message["result"] = result
        self.say(message)

    def serve(self, handler: Callable[[dict[str, Any]], Any]) -> None:
        """Answer every call at once with what the handler returns for its data."""

        def respond(frame: bytes) -> None:
            message = json.loads(frame)
            if message["type"] == "invokefunction":
                self.answer(message, handler(message["data"]))

        self.link.on_send = respond

    def drop(self) -> None:
        """The socket ends."""
        self.session.close()

    def kill(self) -> None:
        """The socket ends without a Close frame."""
        self.session.close(Ending.LOST)


class MemoryEngine:
    """The engine with the modules a test wants; none is needed for routing."""

    def __init__(
        self,
        clock: FakeClock,
        options: EngineOptions | None = None,
        modules: Iterable[type[Module]] = (),
        spawn: Callable[[Coroutine[Any, Any, None]], object] | None = None,
    ) -> None:
        self.clock = clock
        self.core = Engine(clock, options or EngineOptions(version="0.1.0"), spawn)
        for module in modules:
            self.core.add_module(module(self.core))

    def connect(
        self,
        *,
        name: str | None = None,
        version: str | None = "0.25.0",
        runtime: str = "python",
        namespace: str | None = None,
        functions: Iterable[str] = (),
        announce: bool = True,
        **metadata: Any,
    ) -> MemoryWorker:
        """A worker; announced last, like published clients do, unless told otherwise."""
        link = MemoryLink()
        worker = MemoryWorker(self, link, self.core.connect(link))
        worker.register(*functions)
        if announce:
            members = {"name": name, "version": version, "runtime": runtime, "namespace": namespace, **metadata}
            worker.announce(**{key: value for key, value in members.items() if value is not None})
        if link.pauses:
            self.clock.advance(0)
        return worker

    def drop_all_workers(self) -> None:
        for session in list(self.core.sessions.values()):
            session.close()
        self.clock.advance(0)  # what is done in turns
