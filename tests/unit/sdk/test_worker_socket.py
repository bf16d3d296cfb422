"""One socket without a network: batches, threads that write for themselves, limits, silence."""

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from picows import WSMsgType

from iii.protocol.limits import INBOUND_MESSAGE_BYTES
from iii.sdk import worker_socket
from iii.sdk.backlog import Backlog
from iii.sdk.framing import FRAMED_BYTES
from iii.sdk.worker_socket import Outgoing, WorkerSocket


class Underlying:
    """The transport below the WebSocket's."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end
        self.written: list[bytes] = []

    def get_extra_info(self, name: str) -> socket.socket:
        return self.end

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def write(self, data: bytes) -> None:
        self.written.append(data)


class Transport:
    """What WorkerSocket uses of a WSTransport."""

    def __init__(self, end: socket.socket) -> None:
        self.underlying_transport = Underlying(end)
        self.is_secure = False
        self.sent: list[tuple[Any, int, bool]] = []
        self.pings = 0
        self.pongs: list[bytes] = []
        self.closed: int | None = None
        self.ended: list[bool] = []

    def send(self, kind: WSMsgType, message: bytes, fin: bool = True) -> None:
        self.sent.append((kind, len(message), fin))

    def send_ping(self) -> None:
        self.pings += 1

    def send_pong(self, payload: bytes) -> None:
        self.pongs.append(payload)

    def send_close(self, code: Any, reason: Any = None) -> None:
        self.closed = int(code.value)

    def disconnect(self, graceful: bool = True) -> None:
        self.ended.append(graceful)


class Frame:
    """What WorkerSocket uses of a WSFrame."""

    rsv1 = rsv2 = rsv3 = False

    def __init__(self, kind: WSMsgType, payload: bytes, fin: bool = True, size: int | None = None) -> None:
        self.msg_type = kind
        self.fin = fin
        self.payload = payload
        self.payload_size = len(payload) if size is None else size

    def get_payload_as_bytes(self) -> bytes:
        return self.payload


class Bench:
    """A WorkerSocket with both hands of the test around it."""

    def __init__(self) -> None:
        self.near, self.far = socket.socketpair()
        self.received: list[bytes] = []
        self.soon: list[Callable[[], None]] = []
        self.socket = WorkerSocket(
            lambda opened: None,
            self.received.append,
            lambda gone, code, reason: None,
            Backlog(),
            self.soon.append,
        )
        self.transport = Transport(self.near)
        self.socket.on_ws_connected(self.transport)  # type: ignore[arg-type]

    def frame(self, kind: WSMsgType, payload: bytes, fin: bool = True, size: int | None = None) -> None:
        self.socket.on_ws_frame(self.transport, Frame(kind, payload, fin, size))  # type: ignore[arg-type]

    def turn(self) -> None:
        soon, self.soon[:] = list(self.soon), []
        for callback in soon:
            callback()

    @property
    def written(self) -> list[bytes]:
        return self.transport.underlying_transport.written


@pytest.fixture
def bench() -> Any:
    bench = Bench()
    yield bench
    if bench.socket.own_socket is not None:
        bench.socket.own_socket.close()
    bench.near.close()
    bench.far.close()


def test_messages_of_one_turn_leave_in_one_write(bench: Bench) -> None:
    for text in (b"one", b"two", b"three"):
        bench.socket.send(Outgoing(text))
    assert len(bench.soon) == 1
    assert not bench.written
    bench.turn()
    assert len(bench.written) == 1
    bench.socket.flush()
    assert len(bench.written) == 1


def test_many_messages_begin_to_leave_before_the_turn_ends(bench: Bench) -> None:
    for _ in range(worker_socket.EARLY_MESSAGES * 2 + 1):
        bench.socket.send(Outgoing(b"x"))
    assert len(bench.written) == 2
    assert len(bench.soon) == 1
    bench.turn()
    assert len(bench.written) == 3

    def send_many() -> None:
        for _ in range(worker_socket.EARLY_MESSAGES * 2):
            bench.socket.send(Outgoing(b"x"))

    other = threading.Thread(target=send_many)
    other.start()
    other.join()
    assert len(bench.written) == 3  # only the loop may write
    bench.turn()
    assert len(bench.written) == 4


def test_a_large_message_keeps_its_place(bench: Bench) -> None:
    for size in (1, FRAMED_BYTES + 1, 1):
        bench.socket.send(Outgoing(b"x" * size))
    bench.turn()
    assert len(bench.written) == 2
    assert bench.transport.sent == [(WSMsgType.TEXT, FRAMED_BYTES + 1, True)]
    bench.socket.send(Outgoing(b"x" * 2_500_000, opcode=2))
    bench.turn()
    assert [(kind, fin) for kind, _, fin in bench.transport.sent[1:]] == [
        (WSMsgType.BINARY, False),
        (WSMsgType.CONTINUATION, False),
        (WSMsgType.CONTINUATION, True),
    ]


def test_a_thread_writes_for_itself_if_nothing_is_ahead(bench: Bench) -> None:
    assert bench.socket.send_now(Outgoing(b"direct"))
    assert len(bench.far.recv(100)) == 6 + len(b"direct")

    bench.socket.send(Outgoing(b"queued"))
    assert not bench.socket.send_now(Outgoing(b"must wait"))
    bench.turn()
    bench.socket.pause_writing()
    assert not bench.socket.send_now(Outgoing(b"must wait"))
    bench.socket.resume_writing()
    assert not bench.socket.send_now(Outgoing(b"x" * (FRAMED_BYTES + 1)))
    bench.far.close()
    assert not bench.socket.send_now(Outgoing(b"nobody reads"))


def test_what_a_full_socket_cuts_off_goes_before_anything_else(bench: Bench) -> None:
    message = b"y" * 60_000
    sent = 0
    while bench.socket.send_now(Outgoing(message)) and not bench.socket.batch:
        sent += 1
    if bench.socket.batch:  # cut in the middle of a frame
        rest = bench.socket.batch[0]
        assert not rest.kept
        assert not bench.socket.send_now(Outgoing(b"later"))
        bench.turn()
        assert bench.written == [rest.message]
    assert sent


def test_while_the_engine_reads_slowly_messages_stay_where_they_can_be_kept(bench: Bench) -> None:
    assert bench.transport.underlying_transport.high == 0
    bench.socket.pause_writing()
    bench.socket.send(Outgoing(b"patient"))
    bench.turn()
    assert not bench.written
    assert [each.message for each in bench.socket.batch] == [b"patient"]
    bench.socket.resume_writing()
    assert len(bench.written) == 1


def test_fragments_are_joined_and_control_frames_may_come_between(bench: Bench) -> None:
    bench.frame(WSMsgType.TEXT, b"a", fin=False)
    bench.frame(WSMsgType.PING, b"are you there")
    bench.frame(WSMsgType.PONG, b"")
    bench.frame(WSMsgType.CONTINUATION, b"b", fin=False)
    bench.frame(WSMsgType.CONTINUATION, b"c")
    bench.frame(WSMsgType.BINARY, b"d")
    assert bench.received == [b"abc", b"d"]
    assert bench.transport.pongs == [b"are you there"]


@pytest.mark.parametrize("bit", ["rsv1", "rsv2", "rsv3"])
@pytest.mark.parametrize("kind", [WSMsgType.TEXT, WSMsgType.CONTINUATION, WSMsgType.PING])
def test_core_18_reserved_bits_close_the_socket(bench: Bench, bit: str, kind: WSMsgType) -> None:
    frame = Frame(kind, b"a")
    setattr(frame, bit, True)
    bench.socket.on_ws_frame(bench.transport, frame)  # type: ignore[arg-type]
    assert bench.transport.closed == 1002
    assert not bench.received
    assert not bench.transport.pongs


def test_L5_a_message_without_end_closes_the_socket(bench: Bench) -> None:
    bench.frame(WSMsgType.TEXT, b"a", fin=False)
    bench.frame(WSMsgType.CONTINUATION, b"b", fin=False, size=INBOUND_MESSAGE_BYTES)
    assert bench.transport.closed == 1009
    assert bench.transport.ended == [True]
    assert not bench.received


def test_L7_silence_is_counted_in_pings(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.frame(WSMsgType.PONG, b"")
    for _ in range(worker_socket.SILENT_PINGS):
        assert bench.socket.heard_ever
        assert not bench.transport.ended
        bench.socket.keep_alive()
    assert bench.transport.pings == 3
    bench.socket.keep_alive()
    assert bench.transport.ended == [False]
    assert "No sign of life" in caplog.text


def test_a_socket_that_ended_is_left_alone(bench: Bench) -> None:
    bench.socket.on_ws_disconnected(bench.transport)  # type: ignore[arg-type]
    bench.socket.keep_alive()
    bench.socket.close(1000)
    bench.socket.send(Outgoing(b"unsent"))
    bench.turn()
    assert not bench.socket.send_now(Outgoing(b"unsent"))
    assert not bench.written
    assert bench.transport.closed is None
    assert bench.socket.own_socket is None

    never = WorkerSocket(lambda opened: None, print, lambda *gone: None, Backlog(), bench.soon.append)
    never.abort()
    never.close(1000)
    never.keep_alive()


def test_a_connection_that_comes_up_too_late_is_ended_at_once(bench: Bench) -> None:
    begun: list[WorkerSocket] = []
    gone: list[WorkerSocket] = []
    late = WorkerSocket(begun.append, print, lambda socket, *said: gone.append(socket), Backlog(), bench.soon.append)
    late.abandon()
    transport = Transport(bench.near)
    late.on_ws_connected(transport)  # type: ignore[arg-type]
    assert transport.ended == [False]
    late.on_ws_disconnected(transport)  # type: ignore[arg-type]
    assert not begun
    assert not gone
    assert not late.open


def test_a_secure_socket_is_written_by_the_loop_alone(bench: Bench) -> None:
    secure = Transport(bench.near)
    secure.is_secure = True
    other = WorkerSocket(lambda opened: None, print, lambda *gone: None, Backlog(), bench.soon.append)
    other.on_ws_connected(secure)  # type: ignore[arg-type]
    assert other.own_socket is None
    assert not other.send_now(Outgoing(b"plain text"))
    other.on_ws_disconnected(secure)  # type: ignore[arg-type]
