"""One link without a network: batches, threads that write for themselves, limits, silence."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from iii.net.frames import BINARY, CLOSE, FRAMED_BYTES, MASKED_TOGETHER_BYTES, PING, PONG, TEXT
from iii.net.picows_side import Kind
from iii.protocol.limits import INBOUND_MESSAGE_BYTES
from iii.sdk import outbox as outbox_module
from iii.sdk.backlog import Backlog
from iii.sdk.link import SILENT_PINGS, EngineLink
from iii.sdk.outbox import REST_OF_FRAME, DirectOutbox, Outgoing, ThreadOutbox
from tests.machine import cpu_within


class Large:
    """What writes large messages."""

    def __init__(self) -> None:
        self.sent: list[tuple[Kind, int, bool]] = []
        self.texts: list[bytes] = []

    def send(self, kind: Kind, message: bytes, fin: bool = True) -> None:
        self.sent.append((kind, len(message), fin))
        self.texts.append(bytes(message))


class Transport:
    """What a link uses of a transport of asyncio, and of the protocol above it."""

    def __init__(self, end: socket.socket, tls: object = None) -> None:
        self.info = {"socket": end, "sslcontext": tls, "peername": ("127.0.0.1", 1)}
        self.transport = Large()
        self.written: list[bytes] = []
        self.aborted = self.closed = False

    def get_extra_info(self, name: str) -> Any:
        return self.info[name]

    def get_protocol(self) -> "Transport":
        return self

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True


class PicowsTransport:
    is_client_side = True

    def __init__(self, underlying: Transport) -> None:
        self.underlying_transport = underlying

    async def wait_disconnected(self) -> None:
        pass


class Frame:
    """What a connection uses of a frame."""

    rsv1 = rsv2 = rsv3 = False
    tail_size = 0

    def __init__(self, kind: Kind, payload: bytes, fin: bool = True, size: int | None = None) -> None:
        self.msg_type = kind
        self.fin = fin
        self.payload = payload
        self.payload_size = len(payload) if size is None else size

    def get_payload_as_bytes(self) -> bytes:
        return self.payload

    get_payload_as_memoryview = get_payload_as_bytes


class Bench:
    """A Link with both hands of the test around it."""

    def __init__(self, tls: object = None) -> None:
        self.near, self.far = socket.socketpair()
        self.received: list[bytes] = []
        self.soon: list[Callable[[], None]] = []
        self.begun: list[EngineLink] = []
        self.over: list[str] = []
        self.backlog = Backlog()
        self.link = EngineLink(
            lambda link, outbox: self.begun.append(link),
            self.received.append,
            lambda link, outbox, why: self.over.append(why),
            self.backlog,
            self.soon.append,
        )
        self.transport = Transport(self.near, tls)
        self.picows = PicowsTransport(self.transport)
        self.connected = False

    def connect(self) -> None:
        self.connected = True
        self.link.connection.on_ws_connected(self.picows)  # type: ignore[arg-type]

    def disconnect(self) -> None:
        """Twice is once."""
        if self.connected:
            self.connected = False
            self.link.connection.on_ws_disconnected(self.picows)  # type: ignore[arg-type]

    @property
    def outbox(self) -> ThreadOutbox:
        assert self.link.outbox is not None
        return self.link.outbox

    def hear(self, frame: Frame) -> None:
        self.link.connection.on_ws_frame(self.picows, frame)  # type: ignore[arg-type]

    def frame(self, kind: Kind, payload: bytes, fin: bool = True, size: int | None = None) -> None:
        self.hear(Frame(kind, payload, fin, size))

    def turn(self) -> None:
        soon, self.soon[:] = list(self.soon), []
        for callback in soon:
            callback()

    @property
    def written(self) -> list[bytes]:
        return self.transport.written

    @property
    def control(self) -> list[tuple[int, bytes]]:
        """Opcode and payload of each write, of control frames alone."""
        return [(data[0] & 0xF, unmasked(data)) for data in self.written]


def unmasked(frame: bytes) -> bytes:
    return bytes(byte ^ frame[2 + index % 4] for index, byte in enumerate(frame[6:]))


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    bench.connect()
    yield bench
    bench.disconnect()
    bench.near.close()
    bench.far.close()


async def test_messages_of_one_turn_leave_in_one_write(bench: Bench) -> None:
    for text in (b"one", b"two", b"three"):
        bench.outbox.send(Outgoing(text))
    assert len(bench.soon) == 1
    assert not bench.written
    bench.turn()
    assert len(bench.written) == 1
    bench.outbox.flush()
    assert len(bench.written) == 1


async def test_many_messages_begin_to_leave_before_the_turn_ends(bench: Bench) -> None:
    for _ in range(outbox_module.EARLY_MESSAGES * 2 + 1):
        bench.outbox.send(Outgoing(b"x"))
    assert len(bench.written) == 2
    assert len(bench.soon) == 1
    bench.turn()
    assert len(bench.written) == 3

    def send_many() -> None:
        for _ in range(outbox_module.EARLY_MESSAGES * 2):
            bench.outbox.send(Outgoing(b"x"))

    other = threading.Thread(target=send_many)
    other.start()
    other.join()
    assert len(bench.written) == 3  # only the loop may write
    bench.turn()
    assert len(bench.written) == 4


async def test_what_the_loop_adds_is_counted_when_it_is_written_or_has_to_wait(bench: Bench) -> None:
    """core 16: without the lock, and yet no byte is forgotten or counted twice."""
    outbox, backlog = bench.outbox, bench.backlog
    outbox.send(Outgoing(b"of a thread"))
    outbox.add(b"of the loop")
    bench.turn()
    assert len(bench.written) == 1
    assert backlog.held_bytes == 0

    for _ in range(outbox_module.EARLY_MESSAGES + 1):
        outbox.add(b"x")
    assert len(bench.written) == 2  # before the turn ends
    for _ in range(2):
        outbox.add(b"x" * outbox_module.PIECE_BYTES)
    assert len(bench.transport.transport.sent) == 2  # so much is not gathered
    outbox.add(b"held")
    bench.link.connection.pause_writing()
    bench.turn()
    outbox.add(b"held, too")
    assert backlog.held_bytes == len(b"held" + b"held, too")
    bench.link.connection.resume_writing()
    assert backlog.held_bytes == 0

    outbox.add(b"for the next connection")
    bench.disconnect()
    bench.turn()
    assert backlog.held_bytes == 0
    assert outbox.batch == [b"for the next connection"]


async def test_no_message_of_an_engine_that_does_not_read_looks_at_all_that_wait(bench: Bench) -> None:
    """That would take the square of the time: 16,000 answers held the loop for 26 s."""
    outbox, count = bench.outbox, 30_000
    bench.link.connection.pause_writing()
    with cpu_within(2.0):  # as they are 60 ms
        for _ in range(count):
            outbox.add(b"x" * 100)
        bench.turn()
    assert bench.backlog.held_bytes == 100 * count
    bench.link.connection.resume_writing()
    assert bench.backlog.held_bytes == 0
    assert not outbox.batch


async def test_what_waits_is_counted_once_however_often_the_engine_stops_to_read(bench: Bench) -> None:
    outbox, connection = bench.outbox, bench.link.connection
    for _ in range(3):
        outbox.add(b"gathered")
        connection.pause_writing()
        for _ in range(2):
            outbox.add(b"kept")
            bench.turn()
            outbox.send(Outgoing(b"sent"))
        bench.turn()
        assert bench.backlog.held_bytes == len(b"gathered" + 2 * b"kept" + 2 * b"sent")
        connection.resume_writing()
        assert bench.backlog.held_bytes == 0
    assert outbox.batch == []


async def test_control_frames_keep_their_place_among_messages(bench: Bench) -> None:
    bench.outbox.add(b"before")
    bench.outbox.send_control(PONG, b"between")
    bench.outbox.add(b"after")
    bench.turn()
    assert [unmasked(data) for data in bench.written] == [b"before", b"between", b"after"]


async def test_a_large_text_of_the_loop_keeps_its_place_and_its_call(bench: Bench) -> None:
    """It is counted at once, and has not to be read again when the connection ends."""
    large = b"x" * (MASKED_TOGETHER_BYTES + 1)
    bench.outbox.add(b"before")
    bench.outbox.add(large, "its call")
    assert bench.backlog.held_bytes == len(large)
    bench.outbox.add(b"after")
    assert bench.outbox.batch == [b"before", Outgoing(large, "its call"), b"after"]
    bench.turn()
    assert [unmasked(data) for data in bench.written] == [b"before", b"after"]
    assert len(bench.transport.transport.sent) == 1
    assert bench.backlog.held_bytes == 0


async def test_a_large_message_keeps_its_place(bench: Bench) -> None:
    for size in (1, FRAMED_BYTES + 1, 1):
        bench.outbox.send(Outgoing(b"x" * size))
    bench.turn()
    assert len(bench.written) == 2
    assert bench.transport.transport.sent == [(Kind.TEXT, FRAMED_BYTES + 1, True)]
    bench.outbox.send(Outgoing(b"x" * 2_500_000, opcode=BINARY))
    bench.turn()
    assert [(kind, fin) for kind, _, fin in bench.transport.transport.sent[1:]] == [
        (Kind.BINARY, False),
        (Kind.CONTINUATION, False),
        (Kind.CONTINUATION, True),
    ]


async def test_a_thread_writes_for_itself_if_nothing_is_ahead(bench: Bench) -> None:
    assert bench.outbox.send_now(Outgoing(b"direct"))
    assert len(bench.far.recv(100)) == 6 + len(b"direct")

    bench.outbox.send(Outgoing(b"queued"))
    assert not bench.outbox.send_now(Outgoing(b"must wait"))
    bench.turn()
    bench.link.connection.pause_writing()
    assert not bench.outbox.send_now(Outgoing(b"must wait"))
    bench.link.connection.resume_writing()
    assert not bench.outbox.send_now(Outgoing(b"x" * (FRAMED_BYTES + 1)))
    bench.far.close()
    assert not bench.outbox.send_now(Outgoing(b"nobody reads"))


async def test_what_a_full_socket_cuts_off_goes_before_anything_else(bench: Bench) -> None:
    message = b"y" * 60_000
    sent = 0
    while bench.outbox.send_now(Outgoing(message)) and not bench.outbox.batch:
        sent += 1
    if bench.outbox.batch:  # cut in the middle of a frame
        rest = bench.outbox.batch[0]
        assert isinstance(rest, Outgoing)
        assert not rest.kept
        assert not bench.outbox.send_now(Outgoing(b"later"))
        bench.turn()
        assert bench.written == [rest.message]
    assert sent


class Interrupted:
    """A socket that takes three bytes, while the loop sends something."""

    def __init__(self, meanwhile: Callable[[], None]) -> None:
        self.meanwhile = meanwhile

    def send(self, frame: bytes) -> int:
        self.meanwhile()
        return 3

    def close(self) -> None: ...


@pytest.fixture
async def interrupted(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    bench = Bench()
    interrupted = Interrupted(lambda: bench.outbox.add(b"of the loop"))
    monkeypatch.setattr("iii.sdk.outbox._own_socket", lambda transport: interrupted)
    bench.connect()
    yield bench
    bench.disconnect()
    bench.near.close()
    bench.far.close()


async def test_the_rest_of_a_frame_goes_before_what_the_loop_added_meanwhile(interrupted: Bench) -> None:
    """Else another message would stand in the middle of that frame."""
    bench = interrupted
    assert bench.outbox.send_now(Outgoing(b"of a thread"))
    assert bench.backlog.held_bytes == 6 + len(b"of a thread") - 3
    bench.turn()
    rest, frame = bench.written
    assert len(rest) == 6 + len(b"of a thread") - 3
    assert unmasked(frame) == b"of the loop"
    assert bench.backlog.held_bytes == 0


async def test_while_the_engine_reads_slowly_messages_stay_where_they_can_be_kept(bench: Bench) -> None:
    assert bench.transport.high == 0
    bench.link.connection.pause_writing()
    bench.outbox.send(Outgoing(b"patient"))
    bench.turn()
    assert not bench.written
    assert bench.outbox.batch == [Outgoing(b"patient")]
    bench.link.connection.resume_writing()
    assert len(bench.written) == 1


async def test_fragments_are_joined_and_control_frames_may_come_between(bench: Bench) -> None:
    bench.frame(Kind.TEXT, b"a", fin=False)
    bench.frame(Kind.PING, b"are you there")
    bench.frame(Kind.PONG, b"")
    bench.frame(Kind.CONTINUATION, b"b", fin=False)
    bench.frame(Kind.CONTINUATION, b"c")
    bench.frame(Kind.BINARY, b"d")
    assert bench.received == [b"abc", b"d"]
    bench.turn()
    assert bench.control == [(PONG, b"are you there")]


@pytest.mark.parametrize("bit", ["rsv1", "rsv2", "rsv3"])
@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.CONTINUATION, Kind.PING])
async def test_core_18_reserved_bits_close_the_socket(bench: Bench, bit: str, kind: Kind) -> None:
    frame = Frame(kind, b"a")
    setattr(frame, bit, True)
    bench.hear(frame)
    ((opcode, payload),) = bench.control
    assert (opcode, payload[:2]) == (CLOSE, (1002).to_bytes(2, "big"))
    assert not bench.received


async def test_L5_a_message_without_end_closes_the_socket(bench: Bench) -> None:
    bench.frame(Kind.TEXT, b"a", fin=False)
    bench.frame(Kind.CONTINUATION, b"b", fin=False, size=INBOUND_MESSAGE_BYTES)
    bench.frame(Kind.TEXT, b"too late")
    ((opcode, payload),) = bench.control
    assert (opcode, payload[:2]) == (CLOSE, (1009).to_bytes(2, "big"))
    assert not bench.received


async def test_L7_silence_is_counted_in_pings(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.frame(Kind.PONG, b"")
    for _ in range(SILENT_PINGS):
        assert bench.link.heard_ever
        assert not bench.transport.aborted
        bench.link.ping()
        bench.turn()
    assert bench.control == [(PING, b"")] * 3
    bench.link.ping()
    assert bench.transport.aborted
    assert "No sign of life" in caplog.text


async def test_a_link_says_goodbye_after_what_has_gathered(bench: Bench) -> None:
    bench.link.connection.pause_writing()
    bench.outbox.send(Outgoing(b"last"))
    bench.link.close(1000)
    assert [unmasked(data) for data in bench.written] == [b"last", (1000).to_bytes(2, "big")]
    assert bench.transport.closed
    assert not bench.transport.aborted


async def test_what_has_gathered_when_the_engine_closes_waits_for_the_next_connection(bench: Bench) -> None:
    bench.outbox.send(Outgoing(b"rest of a frame", opcode=REST_OF_FRAME))
    bench.outbox.send(Outgoing(b"later"))
    bench.frame(Kind.CLOSE, (1012).to_bytes(2, "big") + b"restart")
    bench.turn()
    assert bench.written[0] == b"rest of a frame"  # else the Close would be a part of that message
    assert [unmasked(data) for data in bench.written[1:]] == [(1012).to_bytes(2, "big")]
    assert bench.outbox.batch[-1] == Outgoing(b"later")
    bench.disconnect()
    assert bench.over == ["closed by the engine with code 1012: restart"]


async def test_a_pong_waits_for_the_rest_of_a_frame(bench: Bench) -> None:
    bench.outbox.send(Outgoing(b"rest of a frame", opcode=REST_OF_FRAME))
    bench.frame(Kind.PING, b"x")
    bench.turn()
    rest, pong = bench.written
    assert rest == b"rest of a frame"
    assert unmasked(pong) == b"x"


async def test_a_socket_that_ended_is_left_alone(bench: Bench) -> None:
    outbox = bench.outbox
    bench.disconnect()
    assert bench.over == ["closed without a Close frame"]
    bench.link.ping()
    bench.link.close(1000)
    outbox.send(Outgoing(b"unsent"))
    bench.turn()
    assert not outbox.send_now(Outgoing(b"unsent"))
    assert not bench.written

    never = Bench()
    never.link.abort()
    never.link.close(1000)
    never.link.ping()
    never.near.close()
    never.far.close()


async def test_a_connection_that_comes_up_too_late_is_ended_at_once() -> None:
    late = Bench()
    late.link.abandon()
    late.connect()
    assert late.transport.aborted
    late.disconnect()
    assert not late.link.heard_ever
    assert not late.begun
    assert not late.over
    late.near.close()
    late.far.close()


async def test_a_secure_socket_is_written_by_the_loop_alone() -> None:
    secure = Bench(tls=object())
    secure.connect()
    assert not secure.outbox.send_now(Outgoing(b"plain text"))
    secure.disconnect()
    secure.near.close()
    secure.far.close()


async def test_29_1_the_messages_of_a_turn_share_a_frame_once_the_engine_takes_that(bench: Bench) -> None:
    def say(*texts: bytes, opcode: int = TEXT) -> None:
        for text in texts:
            bench.outbox.add(text) if opcode == TEXT else bench.outbox.send(Outgoing(text, opcode=opcode))
        bench.turn()

    say(b"1", b"2")
    bench.outbox.batches = True
    say(b"3", b"4")
    say(b"5")
    say(b"6", b"7", opcode=BINARY)
    say(b"8\n", b"9")
    say(b"x" * 8000, b"y" * 8000, b"z" * 3000)
    frames = [len(data) for data in bench.written]
    assert frames == [14, 7, 14], "of two messages before, of one alone, of telemetry"
    assert bench.transport.transport.texts == [
        b"\n3\n4", b"8\n", b"9", b"\n" + b"x" * 8000 + b"\n" + b"y" * 8000, b"z" * 3000,
    ]  # fmt: skip


@pytest.mark.parametrize("kind", [DirectOutbox, ThreadOutbox])
async def test_behind_the_close_nothing_is_written(bench: Bench, kind: type[DirectOutbox]) -> None:
    def later(callback: Callable[[], None]) -> None:
        bench.soon.append(callback)

    transport: Any = bench.transport
    outbox = ThreadOutbox(transport, Backlog(), later) if kind is ThreadOutbox else DirectOutbox(transport)
    outbox.send_control(PING, b"before")
    outbox.close(1000)
    bench.turn()
    assert [opcode for opcode, _ in bench.control] == [PING, CLOSE]

    outbox.send_control(PING, b"behind")
    outbox.answer_close(1001)
    if kind is DirectOutbox:
        outbox.write(b"behind", BINARY)
        assert bench.transport.transport.sent == []
    bench.turn()
    assert [opcode for opcode, _ in bench.control] == [PING, CLOSE]
    outbox.drop()


async def test_17_9_a_frame_of_spans_passes_what_has_gathered_while_the_engine_reads(bench: Bench) -> None:
    bench.outbox.add(b"{}")
    assert bench.link.write_aside(b"SPNS")
    assert (bench.transport.transport.texts, bench.written) == ([b"SPNS"], [])
    assert bench.transport.transport.sent[0][0] == Kind.BINARY
    bench.turn()
    assert len(bench.written) == 1

    bench.outbox.pause()
    assert not bench.link.write_aside(b"more")
    bench.outbox.paused = False
    bench.outbox.batch.append(Outgoing(b"rest of a frame", kept=False, opcode=REST_OF_FRAME))
    assert not bench.link.write_aside(b"more")  # that has to come first
    bench.outbox.batch.clear()
    assert not await asyncio.to_thread(bench.link.write_aside, b"more")
    bench.outbox.drop()
    assert not bench.link.write_aside(b"more")
    assert bench.transport.transport.texts == [b"SPNS"]


async def test_a_thread_leaves_a_broken_socket_to_the_loop(bench: Bench) -> None:
    bench.near.shutdown(socket.SHUT_RDWR)
    assert not bench.outbox.send_now(Outgoing(b"{}"))
