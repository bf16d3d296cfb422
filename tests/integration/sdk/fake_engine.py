"""An engine that records what workers say and says what a test wants, over real sockets, on a thread of its own."""

import asyncio
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

T = TypeVar("T")
Message = dict[str, Any]

ANNOUNCE = "engine::workers::register"
DRAIN = "engine::workers::drain"

DEADLINE_S = 60.0  # for anything a test waits for; far beyond what it takes
LOOK_S = 0.01  # between two looks at what changes without a message


class FakeConnection(WSListener):
    """One socket of a worker: what came, and ways to answer. Used from the test's thread."""

    def __init__(self, engine: "FakeEngine", request: WSUpgradeRequest) -> None:
        self.engine = engine
        self.path = request.path.decode()
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        self.messages: list[Message] = []
        self.binary: list[bytes] = []
        self.frames: list[tuple[int, int]] = []
        self.pings = 0
        self.close_code: int | None = None
        self.closed = False
        self.transport: WSTransport | None = None
        self._parts: list[bytes] = []
        self._kind = WSMsgType.TEXT

    # -- on the engine's loop -------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.engine.accepted(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            self.close_code = frame.get_close_code().value
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        elif frame.msg_type == WSMsgType.PING:
            self.pings += 1
            if self.engine.answers_pings:
                transport.send_pong(frame.get_payload_as_bytes())
        elif frame.msg_type != WSMsgType.PONG:
            self._collect(frame)
        self.engine.changed()

    def _collect(self, frame: WSFrame) -> None:
        if frame.msg_type != WSMsgType.CONTINUATION:
            self._kind = frame.msg_type
        self._parts.append(frame.get_payload_as_bytes())
        self.frames.append((frame.msg_type.value, frame.payload_size))
        if frame.fin:
            whole = b"".join(self._parts)
            self._parts.clear()
            if self._kind == WSMsgType.BINARY:
                self.binary.append(whole)
            else:
                message = msgspec.json.decode(whole)
                self.messages.append(message)
                self.engine.route(self, message)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.closed = True
        self.engine.changed()

    # -- from the test --------------------------------------------------------------------------------------------

    def send(self, message: Message | bytes, *, fragments: int = 1) -> None:
        """One text message, in so many frames."""
        text = message if isinstance(message, bytes) else msgspec.json.encode(message)
        self.engine.run(lambda: self.write(text, fragments))

    def write(self, text: bytes, fragments: int = 1) -> None:
        assert self.transport is not None
        size = -(-len(text) // fragments)
        for number in range(fragments):
            kind = WSMsgType.CONTINUATION if number else WSMsgType.TEXT
            self.transport.send(kind, text[number * size : (number + 1) * size], fin=number == fragments - 1)

    def invoke(self, function_id: str, data: Any = None, invocation_id: str = "call-1", **members: Any) -> Message:
        """Call one of the worker's functions; its answer."""
        self.send(
            {"type": "invokefunction", "function_id": function_id, "data": data, "invocation_id": invocation_id}
            | members
        )
        return self.message("invocationresult", invocation_id=invocation_id)

    def close(self, code: int, reason: str | None = None) -> None:
        """A Close frame, then the end."""

        def end() -> None:
            assert self.transport is not None
            self.transport.send_close(WSCloseCode(code), reason.encode() if reason else None)
            self.transport.disconnect()

        self.engine.run(end)

    def drop(self) -> None:
        """End TCP without a Close frame."""
        assert self.transport is not None
        transport = self.transport
        self.engine.run(lambda: transport.disconnect(graceful=False))

    def reset(self) -> None:
        """End TCP as the system does for a process that is killed with something unread."""

        def end() -> None:
            assert self.transport is not None
            reset_at_close = struct.pack("ii", 1, 0)
            self.transport.underlying_transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, reset_at_close
            )
            self.transport.disconnect(graceful=False)

        self.engine.run(end)

    def of(self, *types: str, **members: Any) -> list[Message]:
        """The messages of these types with these members, in order of arrival."""
        return [
            each
            for each in list(self.messages)
            if each["type"] in types and all(each.get(key) == value for key, value in members.items())
        ]

    def message(self, kind: str, **members: Any) -> Message:
        """The first such message, waited for."""
        return self.engine.wait(lambda: next(iter(self.of(kind, **members)), None), f"{kind} {members}")

    def announced(self) -> Message:
        """The payload of the announcement, which ends the burst of a new connection."""
        announcement: Message = self.message("invokefunction", function_id=ANNOUNCE)["data"]
        return announcement

    def telemetry(self, prefix: bytes) -> list[Any]:
        """The documents of all telemetry frames of a kind."""
        return [msgspec.json.decode(each[4:]) for each in list(self.binary) if each.startswith(prefix)]


class FakeEngine:
    """Accepts workers; routes calls back to the worker that registered them; answers others as `answers` says.

    Attributes:
        answers: function id to result, or to a function from the call to the members of the answer; None is silence.
        connections: worker sockets, oldest first; `telemetry_sockets` those on `/otel`.
        features: what the greeting lists.
        drains: whether workers can be drained: what it says then comes after all calls (P12).
    """

    def __init__(self, port: int = 0, *, greets: bool = True) -> None:
        self.answers: dict[str, Any] = {ANNOUNCE: {"success": True}}
        self.connections: list[FakeConnection] = []
        self.telemetry_sockets: list[FakeConnection] = []
        self.greets = greets
        self.features: list[str] = []
        self.answers_pings = True
        self.drains = True
        self.port = port
        self._change = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="fake engine", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(DEADLINE_S)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def _listen(self) -> None:
        self._server = await ws_create_server(
            lambda request: FakeConnection(self, request),
            "127.0.0.1",
            self.port,
            max_frame_size=2**27,
            enable_auto_pong=False,
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """End everything, as a killed process would."""

        async def end() -> None:
            assert self._server is not None
            self._server.close()
            for connection in [*self.connections, *self.telemetry_sockets]:
                if connection.transport is not None and not connection.closed:
                    connection.transport.disconnect(graceful=False)
            for connection in [*self.connections, *self.telemetry_sockets]:
                if connection.transport is not None:
                    await connection.transport.wait_disconnected()
            self._loop.stop()

        asyncio.run_coroutine_threadsafe(end(), self._loop)
        self._thread.join(DEADLINE_S)
        self._loop.close()

    def run(self, action: Callable[[], object]) -> None:
        """Do something on the engine's loop."""
        self._loop.call_soon_threadsafe(action)

    # -- on the engine's loop -------------------------------------------------------------------------------------

    def accepted(self, connection: FakeConnection) -> None:
        if connection.path.partition("?")[0].endswith("/otel"):
            self.telemetry_sockets.append(connection)
            self.changed()
            return
        self.connections.append(connection)
        if self.greets:
            number = len(self.connections)
            greeting = {"type": "workerregistered", "worker_id": f"W{number}", "reattach_token": f"T{number}"}
            known = {"features": self.features} if self.features else {}
            connection.write(msgspec.json.encode(greeting | known))
        self.changed()

    def route(self, connection: FakeConnection, message: Message) -> None:
        if message["type"] == "invocationresult":
            if message["invocation_id"] in self._called_by(connection):
                connection.write(msgspec.json.encode(message))
        elif message["type"] == "invokefunction" and "invocation_id" in message:
            function_id = message["function_id"]
            if function_id == DRAIN and self.drains:
                limit_ms = message["data"]["timeout_ms"]
                connection.write(msgspec.json.encode({"type": "drainworker", "timeout_ms": limit_ms}))
            elif function_id in self.answers:
                self._answer(connection, message, self.answers[function_id])
            elif connection.of("registerfunction", id=function_id):
                forwarded = {key: value for key, value in message.items() if key not in ("namespace", "action")}
                connection.write(msgspec.json.encode({"data": None} | forwarded))

    @staticmethod
    def _called_by(connection: FakeConnection) -> set[str]:
        return {each.get("invocation_id", "") for each in connection.of("invokefunction")}

    @staticmethod
    def _answer(connection: FakeConnection, call: Message, answer: Any) -> None:
        if callable(answer):
            members = answer(call)
        else:
            members = {"result": answer}
        if members is not None:
            frame = {"type": "invocationresult", "invocation_id": call["invocation_id"]}
            connection.write(msgspec.json.encode(frame | {"function_id": call["function_id"]} | members))

    def changed(self) -> None:
        with self._change:
            self._change.notify_all()

    # -- from the test --------------------------------------------------------------------------------------------

    def wait(self, look: Callable[[], T | None], what: str = "") -> T:
        """What `look` finds, as soon as it finds something true, here or in the worker."""
        until = time.monotonic() + DEADLINE_S
        with self._change:
            while not (found := look()):
                self._change.wait(LOOK_S)
                if time.monotonic() > until:
                    raise AssertionError(f"waited {DEADLINE_S} s for {what}")
        return found

    def connection(self, number: int = 1) -> FakeConnection:
        """The worker's socket with this number, after its burst."""
        self.wait(lambda: len(self.connections) >= number, f"connection {number}")
        connection = self.connections[number - 1]
        connection.announced()
        return connection

    def telemetry_socket(self) -> FakeConnection:
        self.wait(lambda: self.telemetry_sockets, "a telemetry socket")
        return self.telemetry_sockets[0]
