"""Work in another process: whatever becomes of that process, each question has its answer (issue 12 kinds 1 and 2)."""

import asyncio
import contextlib
import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from iii.net.decoding import DecodingProcesses, Parts, Work
from iii.protocol.limits import MIB


def reversed_text(data: bytes) -> list[bytes]:
    return [data[::-1], b"", b"last"]


def process_id(_: bytes) -> list[bytes]:
    return [str(os.getpid()).encode()]


def dies(_: bytes) -> list[bytes]:
    if b"decoding_process" in Path("/proc/self/cmdline").read_bytes():
        os._exit(1)
    return [b"here"]


def fails(_: bytes) -> list[bytes]:
    if b"decoding_process" in Path("/proc/self/cmdline").read_bytes():
        raise RuntimeError("\ud800")
    return [b"here"]


@pytest_asyncio.fixture
async def decoding(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[DecodingProcesses]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    made = DecodingProcesses()
    yield made
    made.close()


async def test_texts_of_all_sizes_go_there_and_back(decoding: DecodingProcesses) -> None:
    for size in (0, 1, 70_000, 9 * MIB):
        data = os.urandom(size)
        assert await decoding.ask(reversed_text, data) == [data[::-1], b"", b"last"]
    assert int((await decoding.ask(process_id, b""))[0]) != os.getpid()


@pytest.mark.parametrize("work", [dies, fails])
async def test_a_process_that_fails_costs_no_answer(
    work: Work, decoding: DecodingProcesses, caplog: pytest.LogCaptureFixture
) -> None:
    assert await decoding.ask(work, b"x") == [b"here"]
    assert "Process that reads large texts failed" in caplog.text
    assert int((await decoding.ask(process_id, b""))[0]) != os.getpid(), "there is a new one"


async def test_many_at_once_keep_their_order_while_processes_are_killed(decoding: DecodingProcesses) -> None:
    told: list[tuple[int, bytes]] = []
    done = asyncio.Event()

    def answered(number: int, parts: Parts) -> None:
        told.append((number, bytes(parts[0])))
        if number % 10 == 5:
            for child in psutil.Process().children():
                with contextlib.suppress(psutil.NoSuchProcess):  # one that was killed before is waited for just now
                    child.kill()
        if len(told) == 60:
            done.set()

    for number in range(60):
        decoding.do(reversed_text, str(number).encode(), lambda parts, number=number: answered(number, parts))  # type: ignore[misc]
    async with asyncio.timeout(60):
        await done.wait()
    assert told == [(number, str(number).encode()[::-1]) for number in range(60)]


async def test_F4_descriptors_above_1023(decoding: DecodingProcesses, caplog: pytest.LogCaptureFixture) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    held: list[int] = []
    try:
        while not held or held[-1] < 1100:
            held.append(os.open(os.devnull, os.O_RDONLY))
        assert await decoding.ask(reversed_text, b"ab") == [b"ba", b"", b"last"]
    finally:
        for each in held:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "failed" not in caplog.text


async def test_files_of_the_working_folder_hide_no_library(
    decoding: DecodingProcesses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("queue", "signal", "msgspec", "iii"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('the file of a project')")
    monkeypatch.chdir(tmp_path)
    assert await decoding.ask(reversed_text, b"ab") == [b"ba", b"", b"last"]
    assert "failed" not in caplog.text


async def test_nobody_waits_any_more(decoding: DecodingProcesses) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await decoding.ask(reversed_text, b"x")
    assert await decoding.ask(reversed_text, b"ab") == [b"ba", b"", b"last"]
