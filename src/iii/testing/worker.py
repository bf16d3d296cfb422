"""A worker that is an object: says frames, remembers what it was told."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

from iii.engine.session.peer import Ending
from iii.engine.session.session import Session
from iii.testing.clock import FakeClock
from iii.testing.link import MemoryLink


class MemoryWorker:
    """One raw worker.

    Attributes:
        session: the core's state of this connection.
    """

    def __init__(self, clock: FakeClock, link: MemoryLink, session: Session) -> None:
        self._clock = clock
        self.link = link
        self.session = session

    @property
    def id(self) -> str:
        """Of its connection."""
        return self.session.worker_id

    @property
    def connected(self) -> bool:
        """Whether the connection has not ended."""
        return not self.session.ended

    def say(self, message: dict[str, Any] | bytes | str) -> None:
        """Send one frame; what the engine keeps back until its next turn has that turn first."""
        if isinstance(message, dict):
            message = json.dumps(message)
        for _ in range(2):
            if self.link.pauses:  # it would not be read before the engine is through
                self._clock.advance(0)
        self.session.receive(message.encode() if isinstance(message, str) else message)
        while self.link.put_backs and not self.link.paused:
            self.session.receive(self.link.put_backs.pop(0))

    def heard(self, type: str | None = None) -> list[dict[str, Any]]:
        """Every message so far, of one type if named."""
        messages = [json.loads(frame) for frame in self.link.frames]
        return [message for message in messages if type is None or message["type"] == type]

    def forget(self) -> None:
        """Forget what was heard."""
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
        """Register functions, each with these further members."""
        for function_id in function_ids:
            self.say({"type": "registerfunction", "id": function_id, **members})

    def unregister(self, function_id: str) -> None:
        """Take one back."""
        self.say({"type": "unregisterfunction", "id": function_id})

    def bind(self, binding_id: str, trigger_type: str, function_id: str, config: Any = None, **members: Any) -> None:
        """Register a trigger."""
        self.say(
            {
                "type": "registertrigger", "id": binding_id, "trigger_type": trigger_type,
                "function_id": function_id, "config": {} if config is None else config, **members,
            }
        )  # fmt: skip

    def provide(self, type_id: str, **members: Any) -> None:
        """Register a trigger type."""
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
