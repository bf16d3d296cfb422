"""Messages above 2 MiB are decoded by another process: order, bytes and answers stay what they are (issue 12, core 8)."""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import threading
from typing import Any

import psutil
import pytest

from iii.net import decoding
from iii.net.decoding_process import HEAD_BYTES
from iii.protocol.codec import Undecodable
from iii.protocol.limits import LARGE_MESSAGE_BYTES, MIB
from iii.protocol.messages import InvokeFunction
from iii.server.large_messages import LargeMessages
from tests.integration.server.raw_socket import CLOSE, RawSocket
from tests.integration.server.waiting import until

LARGE = LARGE_MESSAGE_BYTES + MIB


def call(data: bytes, number: int = 1, function_id: str = "big::f") -> bytes:
    mark = f"00000000-0000-4000-8000-{number:012d}"
    return b'{"type":"invokefunction","function_id":"%b","invocation_id":"%b","data":%b}' % (
        function_id.encode(), mark.encode(), data,
    )  # fmt: skip


async def message(client: RawSocket) -> dict[str, Any]:
    """The next message, which may come in fragments."""
    final, opcode, payload = await client.frame()
    while not final:
        final, _, piece = await client.frame()
        payload += piece
    assert opcode == 1
    found: dict[str, Any] = json.loads(payload)
    return found


async def registered(port: int) -> RawSocket:
    worker = await RawSocket.greeted(port)
    features = {"name": "big", "version": "0.25.0", "features": ["large-messages.v1"]}
    worker.say({"type": "registerfunction", "id": "big::f"})
    worker.say(call(json.dumps(features).encode(), 0, "engine::workers::register"))
    assert (await worker.json())["type"] == "invocationresult"
    return worker


async def test_calls_and_results_pass_in_order(port: int) -> None:
    async with await registered(port) as worker, await RawSocket.greeted(port) as caller:
        text = "ü" + "x" * LARGE
        caller.say(call(json.dumps({"text": text}).encode(), 1))
        caller.say(call(b'{"small": 1.50}', 2))
        first, second = await message(worker), await message(worker)
        assert (first["data"]["text"], second["data"]["small"]) == (text, 1.5)
        for each in (first, second):
            answer = {"type": "invocationresult", "invocation_id": each["invocation_id"], "function_id": "big::f"}
            worker.say({**answer, "result": each["data"]})
        assert [len(str((await message(caller))["result"])) > LARGE for _ in "12"] == [True, False]


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"[" * LARGE, "invalid_request"), (b'"' + b"x" * LARGE, "invalid_request"), (b"[" + b"1," * LARGE, "invalid_request")],
    ids=["deep", "cut", "no end"],
)  # fmt: skip
async def test_I13_what_cannot_be_decoded_is_answered(port: int, data: bytes, code: str) -> None:
    async with await RawSocket.greeted(port) as caller:
        caller.say(call(data))
        assert (await caller.json())["error"]["code"] == code
        assert await caller.answers_ping()


@pytest.mark.parametrize("member", ["function_id", "baggage", "namespace", "traceparent"])
async def test_I13_F1_a_call_with_a_huge_name_is_answered(port: int, member: str) -> None:
    text = json.loads(call(b"1"))
    text[member] = "f" * (6 * MIB)
    async with await RawSocket.greeted(port) as caller:
        caller.say(text)
        answer = await caller.json()
        assert answer["invocation_id"] == text["invocation_id"]
        assert answer["error"]["code"] == "invalid_request"


async def test_what_came_before_the_end_counts(port: int) -> None:
    async with await registered(port) as worker, await RawSocket.greeted(port) as caller:
        void = call(json.dumps("x" * LARGE).encode()).replace(b'"data"', b'"action":{"type":"void"},"data"', 1)
        caller.say(void)
        caller.say((1000).to_bytes(2, "big"), CLOSE)
        assert len((await message(worker))["data"]) == LARGE
        assert (await caller.frame()).close_code == 1000


async def test_the_loop_goes_on_meanwhile() -> None:
    """Thousands of turns of the loop, where decoding here would be one."""
    reader = LargeMessages()
    done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
    reader.read(call(b"[" + b"[[[[[[[[[[]]]]]]]]]]," * MIB + b"1]"), done.set_result)
    turns = 0
    async with asyncio.timeout(60):
        while not done.done():
            turns += 1
            await asyncio.sleep(0)
    assert isinstance(done.result(), InvokeFunction)
    assert turns > 1000
    reader.close()


async def test_a_reading_process_that_dies_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    reader, others = LargeMessages(), readers()  # of tests before, which end just now

    async def read(data: bytes) -> object:
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        reader.read(data, done.set_result)
        async with asyncio.timeout(60):
            return await done

    assert isinstance(await read(call(json.dumps("x" * LARGE).encode())), InvokeFunction)
    (process,) = (each for each in readers() if each not in others)
    process.kill()
    assert isinstance(await read(call(json.dumps("y" * LARGE).encode())), InvokeFunction)
    assert "Process that reads large texts failed" in caplog.text
    assert isinstance(await read(call(b"[" * LARGE)), Undecodable)  # by the next one
    reader.close()
    await until(lambda: all(each in others for each in readers()))


def readers() -> list[psutil.Process]:
    found = []
    for each in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # it ends meanwhile
            if "iii.net.decoding_process" in each.cmdline() and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
    return found


async def outcomes(reader: LargeMessages, *messages: bytes) -> list[object]:
    loop = asyncio.get_running_loop()
    waiting: list[asyncio.Future[object]] = []
    for data in messages:
        waiting.append(done := loop.create_future())
        reader.read(data, done.set_result)
    async with asyncio.timeout(60):
        return list(await asyncio.gather(*waiting))


async def test_a_message_that_kills_its_readers_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes, not the engine; what it names is answered."""
    starts: list[list[str]] = []
    real = subprocess.Popen

    def dying(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        starts.append(command)
        return real([sys.executable, "-c", "import sys; sys.stdin.buffer.read(100)"], **options)

    monkeypatch.setattr(subprocess, "Popen", dying)
    reader = LargeMessages()
    (refused,) = await outcomes(reader, call(json.dumps("x" * LARGE).encode(), 7))
    assert isinstance(refused, Undecodable)
    assert refused.invocation_id == "00000000-0000-4000-8000-000000000007"
    assert len(starts) == 2
    monkeypatch.setattr(subprocess, "Popen", real)
    (message,) = await outcomes(reader, call(json.dumps("x" * LARGE).encode()))
    assert isinstance(message, InvokeFunction)
    reader.close()


@pytest.mark.parametrize(
    "error", [OSError(24, "Too many open files"), MemoryError(), RuntimeError("can't start new thread")]
)
async def test_every_message_is_told_of_whatever_cannot_be_started(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    if isinstance(error, RuntimeError):
        monkeypatch.setattr(threading.Thread, "start", fail)
    else:
        monkeypatch.setattr(subprocess, "Popen", fail)
    reader = LargeMessages()
    data = call(json.dumps("x" * LARGE).encode())
    results = await outcomes(reader, data, data)
    assert [type(each) for each in results] == [InvokeFunction if isinstance(error, OSError) else Undecodable] * 2
    monkeypatch.undo()
    assert isinstance((await outcomes(reader, data))[0], InvokeFunction)
    reader.close()


async def test_what_waits_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    data = call(json.dumps("x" * LARGE).encode(), 5)
    monkeypatch.setattr(decoding, "WAITING_BYTES", 2 * len(data))
    reader = LargeMessages()
    *read, refused = await outcomes(reader, data, data, data)
    assert [type(each) for each in read] == [InvokeFunction] * 2
    assert isinstance(refused, Undecodable)
    assert refused.invocation_id == "00000000-0000-4000-8000-000000000005"
    assert isinstance((await outcomes(reader, data))[0], InvokeFunction)  # there is room again
    reader.close()


async def test_who_waits_is_told_when_the_engine_stops(caplog: pytest.LogCaptureFixture) -> None:
    reader, results = LargeMessages(), list[object]()
    for _ in range(5):
        reader.read(call(b"[" + b"[[[[[[[[[[]]]]]]]]]]," * (MIB // 3) + b"1]"), results.append)
    await until(readers)
    reader.close()
    await until(lambda: len(results) == 5)
    await until(lambda: not readers())
    assert not caplog.records


async def test_a_reader_whose_engine_has_gone_says_nothing() -> None:
    """`kill -9` of the engine in the middle of a large message."""
    answers, nobody_reads = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "iii.net.decoding_process",
        stdin=subprocess.PIPE, stdout=nobody_reads, stderr=subprocess.PIPE,
    )  # fmt: skip
    os.close(nobody_reads)
    assert process.stdin is not None
    data = call(json.dumps("x" * LARGE).encode())
    for part in (b"iii.server.large_messages:apart", data):
        process.stdin.write(len(part).to_bytes(HEAD_BYTES, "big") + part)
    process.stdin.write((100).to_bytes(HEAD_BYTES, "big") + b"half")
    process.stdin.close()
    os.close(answers)
    assert process.stderr is not None
    async with asyncio.timeout(60):
        assert await process.stderr.read() == b""
        assert await process.wait() == 0
